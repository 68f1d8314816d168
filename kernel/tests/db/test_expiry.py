"""Rows that end: what the kit does not ask of every driver."""

import pytest

from bkjs.db.pools.memory import MemoryDriver
from bkjs.errors import AlreadyExists, BadRequest
from bkjs.testing.db import database, only, opened

TABLES = {
    "seat": {
        "id": {"primary": 1},
        "place": {"unique": 1},
        "num": {"type": "int"},
        "until": {"type": "int", "ttl": 1},
    }
}


@pytest.fixture(params=["native", "guards"])
async def db(request):
    driver = MemoryDriver if request.param == "native" else only(MemoryDriver, conditional=True)
    async with opened(driver) as opened_driver:
        db = database(opened_driver)
        db.describe_tables(TABLES)
        db.now = lambda: 100.0
        await db.add("seat", {"id": "a", "place": "1", "num": 1, "until": 200})
        await db.add("seat", {"id": "b", "place": "2", "num": 1})
        yield db


async def test_its_unique_values_are_free(db):
    for verb in (db.add, db.put):
        with pytest.raises(AlreadyExists):
            await verb("seat", {"id": "c", "place": "1"})
    db.now = lambda: 300.0
    await db.add("seat", {"id": "c", "place": "1"})
    assert [row["id"] for row in await db.select("seat", sort="id")] == ["b", "c"]
    with pytest.raises(AlreadyExists):
        await db.add("seat", {"id": "d", "place": "1"})


@pytest.mark.parametrize("now", [201.0, 1000.0])
@pytest.mark.parametrize("verb", ["add", "put", "update", "incr", "bulk", "upsert"])
async def test_any_write_may_take_its_unique_values(db, verb, now):
    db.now = lambda: 195.0
    await db.put("seat", {"id": "a", "place": "1", "num": 1, "until": 200})
    db.now = lambda: now
    row = {"id": "b" if verb in ("update", "incr") else "c", "place": "1"}
    if verb == "bulk":
        assert [e for e, _ in await db.bulk([{"op": "put", "table": "seat", "obj": row}])] == [None]
    elif verb == "upsert":
        assert (await db.update("seat", row, upsert=True)).affected == 1
    else:
        assert (await getattr(db, verb)("seat", row)).affected == 1
    found = await db.select("seat", {"place": "1"})
    assert [row["id"] for row in found] == [row["id"]]
    with pytest.raises(AlreadyExists):
        await db.add("seat", {"id": "d", "place": "1"})


async def test_a_value_of_several_columns_is_free(db):
    columns = {"a": {"unique1": 1}, "b": {"unique1": 2}, "until": {"type": "int", "ttl": 1}}
    db.describe_tables({"pair": {"id": {"primary": 1}, **columns}})
    await db.add("pair", {"id": "x", "a": "1", "b": "2", "until": 101})
    await db.add("pair", {"id": "y", "a": "1", "b": "3"})
    db.now = lambda: 101.0
    assert (await db.update("pair", {"id": "y", "b": "2"})).affected == 1
    assert [row["id"] for row in await db.select("pair")] == ["y"]


async def test_purge_takes_the_guards_away(db):
    await db.put("seat", {"id": "a", "place": "1", "until": 110})
    db.now = lambda: 111.0
    assert await db.purge("seat") == 1
    await db.add("seat", {"id": "c", "place": "1"})
    tables = db.pool().driver.tables
    assert len(tables.get("seat__unique", "bc")) == 2


async def test_many_writes_at_once_leave_it_alone(db):
    db.now = lambda: 200.0
    items = [
        {"op": "update", "table": "seat", "obj": {"id": key, "num": 5}} for key in ("a", "b")
    ] + [{"op": "del", "table": "seat", "obj": {"id": "a"}}]
    assert [error for error, _ in await db.bulk(items)] == [None, None, None]
    db.now = lambda: 100.0
    assert [row["num"] for row in await db.select("seat", sort="id")] == [1, 5]


async def test_what_is_expected_of_it_does_not_hold(db):
    db.now = lambda: 200.0
    gone = {"id": "a", "num": 9}
    assert (await db.update("seat", gone, expected={"num": 1}, upsert=True)).affected == 0
    assert await db.get_stored("seat", {"id": "a"}) is None
    stored = await db.get_stored("seat", {"id": "b"})
    assert stored
    assert stored[0]["num"] == 1
    assert await db.del_all("seat", {}) == 1  # what has ended is no row of the table
    db.now = lambda: 100.0
    assert [row["id"] for row in await db.select("seat")] == ["a"]


async def test_all_that_has_ended_can_be_deleted(db):
    db.now = lambda: 200.0
    assert await db.purge("seat") == 1
    db.describe_tables({"plain": {"id": {"primary": 1}}})
    assert await db.purge("plain") == 0


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"end": {"ttl": 1}}, "column end: with ttl a column holds a moment"),
        ({"end": {"type": "datetime", "ttl": 1}}, "with ttl a column holds a moment"),
        ({"at": {"type": "int", "primary": 2, "ttl": 1}}, "with ttl a column holds a moment"),
        ({"x": {"type": "int", "ttl": 1}, "y": {"type": "mtime", "ttl": 1}}, "x, y"),
    ],
)
async def test_a_description_of_an_end_that_cannot_be(columns, text):
    async with opened(MemoryDriver) as driver:
        with pytest.raises(BadRequest, match=text):
            database(driver).describe_tables({"t": {"id": {"primary": 1}, **columns}})
