"""Conditions at random: a driver that evaluates them itself and the kernel must agree."""

from __future__ import annotations

import random
from typing import Any

from bkjs.db.conditions.match import matcher
from bkjs.db.conditions.order import comes_after, sort_rows
from bkjs.db.contract import Condition, DbDriver, Group, Order, Request, Row
from bkjs.db.tables.described import build

T = build(
    "kit_random",
    {
        "id": {"primary": 1},
        "num": {"type": "int", "index": 1},
        "real": {"type": "real"},
        "name": {},
        "ok": {"type": "bool"},
    },
)
WORDS = ["", "a", "A", "ab", "a%b", "a_b", "é", "É", "\ud7ff", "\ue000", "\U0010ffff", "z\\", None]
NUMBERS = [-(2**63), -1, 0, 1, 2, 2**53 + 1, 2**63 - 1, None]
REALS = [-1.5, 0.0, 0.5, 1e300, None]
BOOLS = [True, False, None]
VALUES: dict[str, list[Any]] = {"num": NUMBERS, "real": REALS, "name": WORDS, "ok": BOOLS}
ORDERED = ["eq", "ne", "gt", "ge", "lt", "le"]
TEXT = ["begins_with", "ilike%", "like", "ilike", "contains", "regexp", "iregexp"]


def condition_of(chance: random.Random) -> Condition:
    """Any condition on any column."""
    column = chance.choice(list(VALUES))
    values = [value for value in VALUES[column] if value is not None]
    negate = chance.choice(["", "not "])
    kind = chance.randrange(4 if column == "name" else 3)
    if kind == 0:
        return Condition(column, negate + "null")
    if kind == 1:
        op = chance.choice(["in", "between"])
        items = chance.sample(values, 2) if op == "between" else chance.choices(values, k=3)
        return Condition(column, negate + op, tuple(items) if op == "between" else items)
    if kind == 2:
        return Condition(column, chance.choice(ORDERED), chance.choice(values))
    op = chance.choice(TEXT)
    value = chance.choice(values)
    pattern = chance.choice(["^a", "b$", ".", "^$", "[aé]"])
    return Condition(column, negate + op, pattern if op.endswith("regexp") else value)


def group_of(chance: random.Random, depth: int = 0) -> Group:
    """Any group of conditions, nested up to four levels."""
    items: list[Condition | Group] = [
        group_of(chance, depth + 1) if depth < 3 and chance.random() < 0.3 else condition_of(chance)
        for _ in range(chance.randrange(4))
    ]
    return Group(chance.choice(["AND", "OR"]), tuple(items))


def sort_of(chance: random.Random) -> tuple[Order, ...]:
    """Any order of up to two columns and the key."""
    columns = chance.sample(list(VALUES), chance.randrange(3))
    orders = [Order(column, chance.random() < 0.5) for column in columns]
    return (*orders, Order("id", chance.random() < 0.5))


def row_of(chance: random.Random, number: int) -> Row:
    """A row with this key and any values."""
    return {"id": f"{number:03}"} | {name: chance.choice(VALUES[name]) for name in VALUES}


async def agree(driver: DbDriver, *, rounds: int = 250, seed: int = 5) -> None:
    """Assert that native selects, their order, their pages and totals are those of the kernel.

    For drivers with `groups`, `sort`, `seek` and `total` that evaluate all operators.
    """
    chance = random.Random(seed)
    await driver.drop(T.name)
    await driver.create(T)
    rows = [row_of(chance, number) for number in range(120)]
    for row in rows:
        await driver.put(Request(verb="put", table=T, values=row))
    for _ in range(rounds):
        where, sort = group_of(chance), sort_of(chance)
        start = tuple(chance.choice(rows)[order.column] for order in sort)
        page = await driver.select(
            Request(verb="select", table=T, where=where, sort=sort, after=start, count=50)
        )
        match = matcher(where, T)
        wanted = list(filter(match, filter(comes_after(sort, start), rows)))
        sort_rows(wanted, sort)
        assert [row["id"] for row in page.rows] == [row["id"] for row in wanted[:50]], where
        total = await driver.total(Request(verb="total", table=T, where=where))
        assert total == sum(map(match, rows)), where
    await driver.drop(T.name)
