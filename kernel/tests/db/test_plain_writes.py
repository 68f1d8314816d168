"""A plain write stores the same by a plan as on the general way, which an option forces."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from bkjs.db.contract import (
    Capabilities,
    DbDriver,
    ManySetter,
    Page,
    Request,
    Row,
    Table,
    Written,
    writing,
)
from bkjs.db.database import Database
from bkjs.db.many.files import import_rows
from bkjs.db.pools.memory import MemoryDriver
from bkjs.db.request import plain
from bkjs.db.request.bind import bound
from bkjs.errors import AlreadyExists, BadRequest, BkError
from bkjs.lib.numbers import MISSING

TABLES: dict[str, dict[str, dict[str, Any]]] = {
    "plain": {
        "id": {"primary": 1},
        "num": {"type": "int"},
        "on": {"type": "bool"},
        "data": {"type": "json"},
        "tags": {"type": "list"},
    },
    "made": {
        "id": {"type": "text", "primary": 1},
        "hits": {"type": "counter"},
        "state": {"value": "new"},
        "ctime": {"type": "now", "readonly": 1},
        "mtime": {"type": "now"},
        "owner": {"type": "uid"},
        "secret": {"hidden": 1},
    },
    "strict": {
        "id": {"type": "int", "primary": 1},
        "kind": {"primary": 1, "values": "a,b"},
        "name": {"notempty": 1},
    },
    "auto": {"id": {"type": "int", "primary": 1, "auto": 1}, "name": {}},
    "joined": {"id": {"primary": 1, "join": ["a", "b"]}, "a": {}, "b": {}},
    "listed": {"id": {"primary": 1}, "names": {"type": "json", "value": []}},
}
VALUES: list[Any] = ["1", 7, "", None, "b", [1, "x"], {"a": 1}, True, MISSING]


class Recorder(DbDriver):
    """Remembers what it is asked to write."""

    can: ClassVar[Capabilities] = Capabilities(add=True, update=True, columns=True)

    def __init__(self) -> None:
        super().__init__("recorder", "", {})
        self.seen: list[tuple[Any, ...]] = []

    async def open(self) -> None: ...
    async def close(self) -> None: ...

    async def get(self, req: Request) -> Row | None:
        return None

    async def select(self, req: Request) -> Page:
        return Page([])

    async def put(self, req: Request) -> Written:
        row = {name: req.values.get(name) for name in req.table.columns}
        self.seen.append(("put", req.table.name, req.key, row))
        return Written(1)

    async def delete(self, req: Request) -> Written:
        raise AssertionError("not asked for")

    async def add(self, req: Request) -> Written:
        self.seen.append(("add", req.table.name, req.key, req.values))
        return Written(1)

    async def update(self, req: Request) -> Written:
        self.seen.append(("update", req.table.name, req.key, sorted(map(repr, req.changes))))
        return Written(1)


def database() -> tuple[Database, Recorder]:
    db, driver = Database(), Recorder()
    db.now = lambda: 1700000000.5
    db.describe_tables(TABLES)
    db.add_pool("recorder", driver)
    return db, driver


def records(table: str) -> list[dict[str, Any]]:
    """Records of the table that have each value in each column."""
    names = [*TABLES[table], "unknown"]
    first: dict[str, Any] = dict.fromkeys(names, "1")
    without = [{k: v for k, v in first.items() if k != name} for name in names]
    return [*without, {}, *({**first, n: v} for n, v in itertools.product(names, VALUES))]


async def outcome(db: Database, driver: Recorder, verb: str, *args: Any, **options: Any) -> Any:
    driver.seen.clear()
    try:
        written = await getattr(db, verb)(*args, **options)
    except BadRequest as err:
        return str(err)
    return written, list(driver.seen)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("verb", ["add", "put", "update"])
async def test_both_ways_store_the_same(verb: str, table: str) -> None:
    db, driver = database()
    for obj in records(table):
        long = await outcome(db, driver, verb, table, dict(obj), quiet=True)
        assert await outcome(db, driver, verb, table, dict(obj)) == long, obj
        told = [
            await outcome(db, driver, verb, table, dict(obj), info_obj=True, **more)
            for more in ({"quiet": True}, {})
        ]
        assert repr(told[0]) == repr(told[1]), obj  # in the same order, too


async def test_plain_writes_have_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    db, driver = database()
    monkeypatch.setattr(db, "write", None)
    await db.add("plain", {"id": "1", "num": "5", "data": {"a": 1}})
    await db.update("made", {"id": "1", "state": "old"})
    await db.put("plain", {"id": "1", "num": "5"})
    written = await db.add("plain", {"id": "2", "num": "5"}, info_obj=True)
    assert written.obj == {"id": "2", "num": 5}
    driver.seen.pop()
    assert [item[0] for item in driver.seen] == ["add", "update", "put"]


async def test_a_hook_that_comes_later_is_called() -> None:
    db, driver = database()
    await db.add("plain", {"id": "1"})
    db.set_process_row("pre", "plain", lambda req, row, options: row.update(num=9))
    await db.add("plain", {"id": "1"})
    assert [values for *_, values in driver.seen] == [{"id": "1"}, {"id": "1", "num": 9}]


async def test_plans_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "PLANS", 3)
    db, _ = database()
    for number in range(10):
        await db.add("plain", {"id": "1", f"x{number}": 1})
    assert len(db.plans) <= 3


async def test_a_cache_that_comes_later_hears_of_each_write() -> None:
    db, _ = database()
    told: list[str] = []

    class Cache:
        async def written(self, verb: str, *arguments: Any) -> None:
            told.append(verb)

    for cache in (None, Cache()):
        db.set_cache(cache)  # type: ignore[arg-type]
        await db.add("plain", {"id": "1"})
        await db.update("plain", {"id": "1", "num": 1})
    assert told == ["add", "update"]


async def test_names_that_a_client_makes_up_have_no_plan() -> None:
    db, _ = database()
    for number in range(3):
        await db.add("plain", {"id": "1", f"x{number}": 1})
        await db.update("plain", {"id": "1", f"x{number}": 1})
        await db.get("plain", {"id": "1"}, select=f"id,x{number}")
        await db.select("plain", {"num": 1, f"x{number}": 1})
        await db.select("plain", {"num": 1}, ops={f"x{number}": "gt"})
        await db.select("plain", {"num": 1}, select=["num", f"x{number}"])
    assert len(db.plans) == 0
    await db.select("plain", {"num": 1}, select="num")
    assert len(db.plans) == 1


async def test_names_of_columns_are_no_code() -> None:
    db, driver = database()
    name = "a'b\"]\\ or 1\n#"
    db.describe_tables({"odd": {"id": {"primary": 1}, name: {"type": "now"}}})
    await db.add("odd", {"id": "1"})
    assert driver.seen[0][3] == {"id": "1", name: 1700000000500}
    assert bound(db.target("odd").codec, "add", ("id", name)) is not None


class Together(Recorder):
    """The same, which takes many writes at once."""

    can: ClassVar[Capabilities] = replace(Recorder.can, bulk=4)

    async def bulk(self, reqs: Sequence[Request]) -> list[BkError | None]:
        for req in reqs:
            values = req.values
            if req.verb == "put":
                values = {name: values.get(name) for name in req.table.columns}
            self.seen.append((req.verb, req.key, values, sorted(map(repr, req.changes))))
        return [None] * len(reqs)


class OfOneKind(Together):
    """The same, with a faster way for those of one kind."""

    calls = 0

    def many_setter(self, verb: Any, table: Table, columns: tuple[str, ...]) -> ManySetter:
        make = writing(verb, table, columns)

        async def write(rows: Sequence[Sequence[Any]]) -> list[BkError | None]:
            self.calls += 1
            assert len(rows) <= self.can.bulk
            return await self.bulk([make(values) for values in rows])

        return write


def taking(kind: type[Recorder]) -> tuple[Database, Any]:
    db, driver = Database(), kind()
    db.now = lambda: 1700000000.5
    db.describe_tables(TABLES)
    db.add_pool("recorder", driver)
    return db, driver


@pytest.mark.parametrize("kind", [Together, OfOneKind])
@pytest.mark.parametrize("table", TABLES)
async def test_many_at_once_are_stored_as_on_the_general_way(
    kind: type[Recorder], table: str
) -> None:
    for obj in records(table):
        verbs = ("add", "add", "update", "put", "put", "add")
        items = [{"op": op, "table": table, "obj": obj} for op in verbs]
        seen = []
        for options in ({}, {"quiet": True}):  # an option has no plan
            db, driver = taking(kind)
            outcomes = await db.bulk([{**item, "options": options} for item in items])
            seen.append((driver.seen, [str(error) for error, _ in outcomes]))
        assert seen[0] == seen[1], obj


async def test_neighbours_of_one_kind_are_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    db, driver = taking(OfOneKind)
    monkeypatch.setattr("bkjs.db.many.batch.prepare_write", None)
    adds = [{"op": "add", "table": "plain", "obj": {"id": str(n), "num": n}} for n in range(6)]
    assert [error for error, _ in await db.bulk(adds)] == [None] * 6
    assert driver.calls == 2
    assert [key["id"] for _, key, *_ in driver.seen] == list("012345")
    driver.seen.clear()
    mixed = [*adds[:2], {"op": "update", "table": "plain", "obj": {"id": "1", "num": 5}}, adds[3]]
    await db.bulk(mixed)
    assert driver.calls == 2
    assert [verb for verb, *_ in driver.seen] == ["add", "add", "update", "add"]


@pytest.mark.parametrize("kind", [Together, OfOneKind])
@pytest.mark.parametrize("table", TABLES)
async def test_an_import_stores_the_same_with_a_plan(kind: type[Recorder], table: str) -> None:
    found = []
    for pool in (None, "recorder"):  # a pool that is named has no plans
        db, driver = taking(kind)
        bad: list[tuple[int, str]] = []

        def refuse(line: int, why: str, bad: list[tuple[int, str]] = bad) -> None:
            bad.append((line, why))

        lines = enumerate(dict(obj) for obj in records(table) for _ in range(2))
        await import_rows(db, table, lines, pool=pool, bad=refuse, progress=lambda done: None)
        found.append((driver.seen, bad))
    assert found[0] == found[1]


async def test_a_plain_write_keeps_unique_columns_of_a_database_that_does_not() -> None:
    class Unguarded(MemoryDriver):
        can: ClassVar[Capabilities] = replace(MemoryDriver.can, uniques=False, columns=True)

    driver = Unguarded("memory", "", {})
    await driver.open()
    db = Database()
    db.describe_tables({"one": {"id": {"primary": 1}, "email": {"unique": 1}}})
    db.add_pool("memory", driver)
    await db.add("one", {"id": "1", "email": "a"})
    with pytest.raises(AlreadyExists):
        await db.add("one", {"id": "2", "email": "a"})
    await db.add("one", {"id": "2", "email": "b"})
    with pytest.raises(AlreadyExists):
        await db.update("one", {"id": "2", "email": "a"})


async def test_a_hook_of_other_verbs_leaves_plans_alone() -> None:
    db, _ = database()
    db.set_process_row("pre", "plain", lambda req, row, options: None, verbs=["add"])
    assert db.plans["plain"]
    assert db.plans.write_plan("update", "plain", {"id": "1", "num": 1})
    assert db.plans.write_plan("add", "plain", {"id": "1", "num": 1}) is None
