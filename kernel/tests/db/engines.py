"""Databases that can less, in memory: they refuse what real engines would."""

from __future__ import annotations

import asyncio
import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from bkjs.db.conditions.match import matcher
from bkjs.db.contract import (
    ABSENT,
    Capabilities,
    Column,
    Condition,
    Group,
    Operations,
    Order,
    Page,
    Plan,
    Request,
    Row,
    Shape,
    Table,
    Transaction,
    Written,
)
from bkjs.db.pools.memory import Key, MemoryDriver, Rows
from bkjs.db.tables.codec import Codec

OPERATIONS = (
    "get", "put", "delete", "select", "add", "update", "many", "total", "aggregate", "update_all",
    "delete_all", "bulk", "versioned",
)  # fmt: skip


@cache
def yielding(kind: type[Any]) -> type[Any]:
    """The same driver, whose operations let others run before and after each: between two calls
    of the kernel anything may happen."""

    def let_others(name: str) -> Any:
        operation = getattr(kind, name)

        async def call(self: Any, asked: Any) -> Any:
            await asyncio.sleep(0)
            found = await operation(self, asked)
            await asyncio.sleep(0)
            return found

        return call

    names = [n for n in OPERATIONS if getattr(kind, n) is not getattr(Operations, n)]
    own: dict[str, Any] = {name: let_others(name) for name in names}
    if hasattr(kind, "begin"):

        async def begin(self: Any) -> Transaction:
            running = await kind.begin(self)
            running.__class__ = yielding(type(running))
            return running  # type: ignore[no-any-return]

        own["begin"] = begin
    return type(kind.__name__, (kind,), own)


class ShortPages(MemoryDriver):
    """Stops after three rows and says where to go on in words of its own, also at the end."""

    can = replace(
        MemoryDriver.can, behind=False, exact=False, seek=False, offset=False, filters=True
    )

    async def select(self, req: Request) -> Page:
        resume = None if req.resume is None else json.loads(base64.b64decode(req.resume))
        match, wanted = req.match, 3 if req.count is None else min(3, req.count)
        order = (*req.sort, *(Order(key) for key in req.table.keys))
        columns = None if req.columns is None else (*req.columns, *(o.column for o in order))
        count = 3 if match else wanted
        asked = replace(req, sort=order, resume=resume, count=count, match=None, columns=columns)
        rows = (await super().select(asked)).rows
        last = rows[-1] if len(rows) == count else None
        if match:
            passed = [n for n, row in enumerate(rows) if match(row)]
            if len(passed) > wanted:
                rows = rows[: passed[wanted - 1] + 1]
                last = rows[-1]
            rows = list(filter(match, rows))
        found = [req.pick(row) for row in rows]
        if last is None:
            return Page(found)
        place = json.dumps(self.behind(asked, last)).encode()
        return Page(found, base64.b64encode(place).decode())


class Described(MemoryDriver):
    """Tables with columns to be made, as SQL has them."""

    can = replace(MemoryDriver.can, tables=True, columns=True)

    def __init__(self, name: str, url: str, options: Mapping[str, Any]) -> None:
        super().__init__(name, url, options)
        self.made: dict[str, Table] = {}

    async def create(self, table: Table) -> bool:
        old = self.made.get(table.name)
        if old is not None and table.columns.keys() <= old.columns.keys():
            return False
        self.made[table.name] = table
        return True

    def fits(self, column: Column, stored: str) -> bool:
        return column.kind == stored

    async def describe(self) -> dict[str, dict[str, Mapping[str, Any]]]:
        return {
            name: {
                column.name: {
                    "type": column.kind,
                    "primary": table.keys.index(column.name) + 1
                    if column.name in table.keys
                    else 0,
                }
                for column in table.columns.values()
            }
            for name, table in self.made.items()
        }

    async def drop(self, table: str) -> None:
        await super().drop(table)
        self.made.pop(table, None)


class Late(MemoryDriver):
    """Queries see what was there at the last refresh; keys are read as they are."""

    can = replace(
        MemoryDriver.can, fresh=False, update_all=False, delete_all=False, transactions=False
    )

    def __init__(self, name: str, url: str, options: Mapping[str, Any]) -> None:
        super().__init__(name, url, options)
        self.seen: dict[str, Rows] = {}

    def _matching(self, req: Request) -> list[tuple[Key, Row]]:
        match = matcher(req.where, req.table)
        return [i for i in self.seen.get(req.table.name, {}).items() if match(i[1])]

    async def refresh(self, table: str) -> None:
        self.seen[table] = dict(self.tables.get(table, {}))

    async def drop(self, table: str) -> None:
        await super().drop(table)
        self.seen.pop(table, None)


class Versions(MemoryDriver):
    """Documents with a revision: the only thing that a write can depend on."""

    can = Capabilities(versions=True, behind=True)
    shape = Shape(json=True, lists=True, binary=False, nulls=False)

    def __init__(self, name: str, url: str, options: Mapping[str, Any]) -> None:
        super().__init__(name, url, options)
        self.revisions: dict[tuple[str, Key], int] = {}
        self.last = 0

    def _as_wanted(self, req: Request) -> bool:
        place = (req.table.name, self._key(req))
        there = place[1] in self._rows(req)
        if req.expected is ABSENT and there:
            return False
        if req.version is not None and (not there or self.revisions.get(place) != req.version):
            return False
        self.last += 1
        self.revisions[place] = self.last
        return True

    async def put(self, req: Request) -> Written:
        return await super().put(req) if self._as_wanted(req) else Written()

    async def delete(self, req: Request) -> Written:
        return await super().delete(req) if self._as_wanted(req) else Written()

    async def versioned(self, req: Request) -> tuple[Row, Any] | None:
        row = await super().get(req)
        return None if row is None else (row, self.revisions[req.table.name, self._key(req)])


class KeyEngine(MemoryDriver):
    """Knows rows by their keys: those with one first key lie together, in the order of the others.

    `read` counts the rows that it looks at, `scans` the answers for which it had to look at rows
    of all first keys.
    """

    PAGE = 60
    """Rows of one answer, at most."""

    def __init__(self, name: str, url: str, options: Mapping[str, Any]) -> None:
        super().__init__(name, url, options)
        self.read = self.scans = 0

    def native(self, table: Table, condition: Condition) -> bool:
        return False

    def range_of(self, table: Table, where: Group) -> tuple[Condition, ...]:
        """The conditions that a range of keys is made of; none for the whole table."""
        raise NotImplementedError

    def plan(self, table: Table, where: Group, sort: tuple[Order, ...]) -> Plan:
        ours = self.range_of(table, where) if where.join == "AND" else ()
        fixed = {item.column for item in ours if item.op == "eq"}
        order = [o for o in sort if o.column not in fixed]
        rest = [name for name in table.keys if name not in fixed]
        ordered = not sort or (
            bool(ours)
            and [o.column for o in order] == rest[: len(order)]
            and len({o.desc for o in order}) <= 1
        )
        native = Group("AND", ours)
        return Plan(where if native == where else native, ordered)

    async def select(self, req: Request) -> Page:
        table, where = req.table, req.where
        ours = self.range_of(table, where)
        assert Group("AND", ours) == where, f"this engine has no form for {where}"
        rows = list(self._rows(req).items())
        if ours:
            match = matcher(where, table)
            rows = sorted((item for item in rows if match(item[1])), key=lambda item: item[0])
            if any(o.desc for o in req.sort):
                rows.reverse()
        else:
            assert not req.sort
            self.scans += 1
            rows.sort(key=lambda item: _place(item[0]))
        if req.resume is not None:
            last = self.key_of(table, req.resume)
            if ours:
                down = any(o.desc for o in req.sort)
                rows = [i for i in rows if (i[0] < last if down else i[0] > last)]
            else:
                rows = [i for i in rows if _place(i[0]) > _place(last)]
        rows = rows[: min(self.PAGE, req.count or self.PAGE)]
        self.read += len(rows)
        full = len(rows) == min(self.PAGE, req.count or self.PAGE)
        resume = self.place_of(table, rows[-1][1]) if full else None
        return Page([req.pick(row) for row in _copies(rows)], resume)

    def place_of(self, table: Table, row: Row) -> Any:
        """The key as JSON."""
        row = Codec(table, Shape()).encode({name: row[name] for name in table.keys})
        return [row[name] for name in table.keys]

    def key_of(self, table: Table, resume: Any) -> Key:
        """The key out of that."""
        codec = Codec(table, Shape())
        row = codec.decode(dict(zip(table.keys, resume, strict=True)))
        stored = Codec(table, self.shape).encode(row)
        return tuple(stored[name] for name in table.keys)


def _place(key: Key) -> tuple[int, str]:
    text = repr(key)
    return zlib.crc32(text.encode(errors="surrogatepass")), text


def _copies(rows: list[tuple[Key, Row]]) -> list[Row]:
    return [json_copy(row) for _, row in rows]


def json_copy(value: Any) -> Any:
    """A copy of a row with all that is nested in it."""
    if isinstance(value, dict):
        return {name: json_copy(item) for name, item in value.items()}
    return [json_copy(item) for item in value] if isinstance(value, list) else value


RANGES = ("eq", "gt", "ge", "lt", "le", "between", "begins_with")


class Dynamo(KeyEngine):
    """As DynamoDB: a query wants the first key by `eq`, and one condition on the second."""

    can = Capabilities(
        add=True,
        update=True,
        conditional=True,
        counters=True,
        behind=True,
        exact=False,
        many=100,
        bulk=25,
        bulk_verbs=frozenset({"put", "delete"}),
    )
    shape = Shape(
        nulls=False,
        json=True,
        lists=True,
        ints=(-(10**38) + 1, 10**38 - 1),
        reals=(1e-130, 9.99e125),
        longest=409_600,
        longest_key=1000,
    )

    def range_of(self, table: Table, where: Group) -> tuple[Condition, ...]:
        first, second = (*table.keys, "", "")[:2]
        plain = [item for item in where.items if isinstance(item, Condition)]
        given = [item for item in plain if item.column == first and item.op == "eq"][:1]
        if not given:
            return ()
        more = [item for item in plain if item.column == second and item.op in RANGES][:1]
        return tuple(item for item in where.items if item in (*given, *more))  # type: ignore[misc]

    def behind(self, req: Request, row: Row) -> Any:
        return self.place_of(req.table, row)

    def expects(self, table: Table, condition: Condition) -> bool:
        return condition.op in (*RANGES, "ne", "in", "not null")

    def comparable(self, column: Column) -> bool:
        return column.kind not in ("json", "list")


class Cassandra(KeyEngine):
    """As Cassandra: the first key by `eq`, then each next one by `eq` and the last by a range;
    pages go on by a state that only the engine can read, and no write depends on a key."""

    can = Capabilities(add=True, update=True, conditional=True, exact=False, many=50)
    shape = Shape(lists=True, dates=True, decimals=True, longest=65_535)

    def range_of(self, table: Table, where: Group) -> tuple[Condition, ...]:
        plain = [item for item in where.items if isinstance(item, Condition)]
        found: list[Condition] = []
        for number, name in enumerate(table.keys):
            ops = ("eq", "gt", "ge", "lt", "le", "between")[: 6 if number else 1]
            given = [i for i in plain if i.column == name and i.op in ops]
            if not given:
                break
            equal = [i for i in given if i.op == "eq"]
            found.append((equal or given)[0])
            if not equal:
                break
        return tuple(item for item in where.items if item in found)  # type: ignore[misc]

    def place_of(self, table: Table, row: Row) -> Any:
        text = json.dumps(super().place_of(table, row))
        return base64.b64encode(text.encode()).decode()

    def key_of(self, table: Table, resume: Any) -> Key:
        return super().key_of(table, json.loads(base64.b64decode(resume)))

    def expects(self, table: Table, condition: Condition) -> bool:
        return condition.column not in table.keys and condition.op in (*RANGES[:5], "ne", "in")

    async def put(self, req: Request) -> Written:
        return await super().put(_without_keys(req))

    async def update(self, req: Request) -> Written:
        return await super().update(_without_keys(req))

    async def delete(self, req: Request) -> Written:
        return await super().delete(_without_keys(req))


def _without_keys(req: Request) -> Request:
    """A condition on the key of a write says nothing that its key does not."""
    if isinstance(req.expected, Group):
        for item in req.expected.items:
            if isinstance(item, Condition) and item.column in req.table.keys:
                assert item.op == "eq", f"no write depends on a key: {item}"
    return req


class Counting:
    """Calls of a driver, and the rows that came with them."""

    def __init__(self) -> None:
        self.calls = self.rows = 0

    def take(self) -> tuple[int, int]:
        """The figures since the last time."""
        found = self.calls, self.rows
        self.calls = self.rows = 0
        return found


def counting(kind: type[Any]) -> type[Any]:
    """A driver with a `Counting` of its operations."""

    def count(name: str) -> Any:
        operation = getattr(kind, name)

        async def call(self: Any, asked: Any) -> Any:
            found = await operation(self, asked)
            self.counted.calls += 1
            match found:
                case Page():
                    self.counted.rows += len(found.rows)
                case list():
                    self.counted.rows += len(found)
                case dict():
                    self.counted.rows += 1
            return found

        return call

    def __init__(self: Any, *args: Any) -> None:
        kind.__init__(self, *args)
        self.counted = Counting()

    names = [n for n in OPERATIONS if getattr(kind, n) is not getattr(Operations, n)]
    own: dict[str, Any] = {name: count(name) for name in names}
    return type(kind.__name__, (kind,), {**own, "__init__": __init__})
