"""Conditions and orders at random: what a driver evaluates itself is what the kernel would find."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bkjs.db.conditions.match import matcher
from bkjs.db.conditions.order import comes_after, sort_rows
from bkjs.db.contract import NEVER, Condition, DbDriver, Group, Order, Page, Request, Row, Table
from bkjs.db.tables.codec import Codec
from bkjs.db.tables.described import build

from .base import answer

WORDS = ["", "a", "A", "ab", "a%b", "a_b", "é", "É", "\ud7ff", "\ue000", "\U0010ffff", "z\\", None]
NUMBERS = [-(2**63), -1, 0, 1, 2, 2**53 + 1, 2**63 - 1, None]
REALS = [-1.5, 0.0, 0.5, 1e300, None]
BOOLS = [True, False, None]
OWNERS = ["a", "a|b", "ab", "é"]
IDS = ["", "000", "001", "06", "060", "119", "2"]
VALUES: dict[str, list[Any]] = {
    "id": IDS,
    "num": NUMBERS,
    "real": REALS,
    "name": WORDS,
    "ok": BOOLS,
}
ORDERED = ["eq", "ne", "gt", "ge", "lt", "le"]
TEXT = ["begins_with", "ilike%", "like", "ilike", "contains", "regexp", "iregexp"]

COLUMNS: dict[str, dict[str, Any]] = {
    "num": {"type": "int", "index": 1},
    "real": {"type": "real"},
    "name": {},
    "ok": {"type": "bool"},
}
ONE = build("kit_random", {"id": {"primary": 1}, **COLUMNS})
TWO = build(
    "kit_random2",
    {"pos": {"type": "int", "primary": 2}, "owner": {"primary": 1}, "num": {"type": "int"}},
)
"""A table whose key has two columns; it is described in another order."""


class Chance:
    """Random conditions, orders and rows of a table, of values that a driver can hold."""

    def __init__(self, driver: DbDriver, table: Table, seed: int) -> None:
        self.random = random.Random(seed)
        self.table = table
        self.codec = Codec(table, driver.shape)
        low, high = driver.shape.ints or (-(2**64), 2**64)
        near, far = driver.shape.reals or (0.0, float("inf"))
        numbers = [n for n in NUMBERS if n is None or low <= n <= high]
        reals = [n for n in REALS if not n or near <= abs(n) <= far]
        values = {**VALUES, "num": numbers, "real": reals}
        if table is TWO:
            values = {"owner": OWNERS, "pos": list(range(15)), "num": numbers}
        self.values = values

    def rows(self) -> list[Row]:
        """Rows with different keys, as the driver stores them."""
        choice = self.random.choice
        if self.table is TWO:
            keys: list[Row] = [{"owner": o, "pos": n} for o in OWNERS for n in range(15)]
        else:
            keys = [{"id": f"{n:03}"} for n in range(120)]
        rest = [name for name in self.values if name not in self.table.keys]
        rows = [key | {name: choice(self.values[name]) for name in rest} for key in keys]
        return [self.codec.encode(row) for row in rows]

    def condition(self) -> Condition:
        """Any condition on any column."""
        chance = self.random
        column = chance.choice(list(self.values))
        encode = dict(self.codec.encoders).get(column, lambda value: value)
        values = [encode(value) for value in self.values[column] if value is not None]
        negate = chance.choice(["", "not "])
        kind = chance.randrange(4 if column in ("id", "name", "owner") else 3)
        if kind == 0:
            return Condition(column, negate + "null")
        if kind == 1:
            op = chance.choice(["in", "between"])
            items = chance.sample(values, 2) if op == "between" else chance.choices(values, k=3)
            return Condition(column, negate + op, tuple(items) if op == "between" else items)
        if kind == 2:
            return Condition(column, chance.choice(ORDERED), chance.choice(values))
        op = chance.choice(TEXT)
        pattern = chance.choice(["^a", "b$", ".", "^$", "[aé]", "b", "%"])
        value = pattern if op.endswith("regexp") else chance.choice(values)
        return Condition(column, negate + op, value)

    def group(self, depth: int = 0) -> Group:
        """Any group of conditions, nested up to four levels, as it reaches a driver: an OR has
        alternatives. Of two key columns the first is often given."""
        chance = self.random
        items: list[Condition | Group] = []
        join = chance.choice(["AND", "OR"])
        for _ in range(chance.randrange(join == "OR", 4)):
            nested = depth < 3 and chance.random() < 0.3
            items.append(self.group(depth + 1) if nested else self.condition())
        if not depth and self.table is TWO and chance.random() < 0.7:
            given = Condition("owner", "eq", chance.choice(OWNERS))
            return Group("AND", (given, *items))
        return Group(join, tuple(items))  # type: ignore[arg-type]

    def sort(self) -> tuple[Order, ...]:
        """Any order of up to two columns and the key, or of the key alone."""
        chance, keys = self.random, self.table.keys
        names = [name for name in self.values if name not in keys]
        names = chance.sample(names, chance.randrange(min(3, len(names) + 1)))
        down = chance.random() < 0.5
        orders = [Order(column, chance.random() < 0.5) for column in names]
        return (*orders, *(Order(key, down) for key in keys))


async def agree(driver: DbDriver, *, rounds: int = 250, seed: int = 5) -> None:
    """Assert that what a driver evaluates, sorts and counts itself is what the kernel makes of it.

    It is asked for no more than its `plan` says of each condition and order: with `where` alone
    where it does not sort.
    """
    for table in (ONE, TWO):
        await _agree(driver, Chance(driver, table, seed), rounds)


async def _agree(driver: DbDriver, chance: Chance, rounds: int) -> None:
    table = chance.table
    await driver.drop(table.name)
    await driver.create(table)
    rows = chance.rows()
    for row in rows:
        key = {name: row[name] for name in table.keys}
        await driver.put(Request(verb="put", table=table, key=key, values=row))
    if not driver.can.fresh:
        await driver.refresh(table.name)
    try:
        for _ in range(rounds):
            sort = chance.sort()
            plan = driver.plan(table, chance.group(), sort)
            await _compare(driver, chance, rows, plan.native, sort)
    finally:
        await driver.drop(table.name)


async def _compare(
    driver: DbDriver, chance: Chance, rows: list[Row], where: Group, sort: tuple[Order, ...]
) -> None:
    table = chance.table
    if where == NEVER:
        return
    plan = driver.plan(table, where, sort)
    assert plan.native == where, (
        f"`plan` took {where} as a part of more, but of itself only {plan.native}: say the same of"
        " both"
    )
    match = matcher(where, table)
    wanted = list(filter(match, rows))
    req = Request(verb="select", table=table, where=where)
    told = (
        f"the driver and the kernel disagree on {where}: refuse in `plan` or `native` what differs"
    )
    assert _keys(table, await every(driver, req)) == sorted(_keys(table, wanted)), told
    if driver.can.total:
        assert await driver.total(replace(req, verb="total")) == len(wanted), told
    if not plan.ordered:
        return
    sort_rows(wanted, sort)
    found = await every(driver, replace(req, sort=sort, count=7))
    assert _keys(table, found, False) == _keys(table, wanted, False), f"{told}, sorted by {sort}"
    if plan.seek:
        row = chance.random.choice(rows)
        start = tuple(row.get(order.column) for order in sort)
        found = await answer(driver, replace(req, sort=sort, after=start, count=50))
        rest = list(filter(comes_after(sort, start), wanted))[:50]
        assert _keys(table, found, False) == _keys(table, rest, False), (
            f"{told}, sorted by {sort} behind {start}"
        )


def _keys(table: Table, rows: Sequence[Row], sort: bool = True) -> list[tuple[Any, ...]]:
    keys = [tuple(row[name] for name in table.keys) for row in rows]
    return sorted(keys) if sort else keys


async def every(driver: DbDriver, req: Request) -> list[Row]:
    """All rows of a select, however often the driver stops, with a `resume` that went through JSON.

    Where it goes on by sort values alone it is asked so.
    """
    rows: list[Row] = []
    while True:
        page: Page = await driver.select(req)
        rows += page.rows
        if page.resume is not None:
            req = replace(req, resume=json.loads(json.dumps(page.resume)), after=None)
        elif req.sort and req.count and len(page.rows) == req.count and _seeks(driver, req):
            last = page.rows[-1]
            after = tuple(last.get(order.column) for order in req.sort)
            req = replace(req, after=after, resume=None)
        else:
            return rows
        assert len(rows) < 100_000, "the pages never end: `resume` must lead behind the last row"


def _seeks(driver: DbDriver, req: Request) -> bool:
    return driver.plan(req.table, req.where, req.sort).seek
