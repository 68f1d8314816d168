"""Every call that writes is refused in a task that may not write, on every driver."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from bkjs.db.many.batch import write_all
from bkjs.readonly import READ_ONLY, ReadOnly, in_passing
from bkjs.testing.app import make_app

TABLES = {"note": {"id": {"primary": 1}, "n": {"type": "counter"}, "name": {}}}
ROW = {"id": "1", "name": "x"}

WRITES: dict[str, Any] = {
    "add": lambda db: db.add("note", ROW | {"id": "2"}),
    "add with options": lambda db: db.add("note", ROW | {"id": "2"}, info_obj=True),
    "put": lambda db: db.put("note", ROW),
    "update": lambda db: db.update("note", ROW),
    "update, errors ignored": lambda db: db.update("note", ROW, ignore_error=True),
    "update by other keys": lambda db: db.update("note", ROW, keys=["name"]),
    "incr": lambda db: db.incr("note", {"id": "1", "n": 1}),
    "del": lambda db: db.del_("note", {"id": "1"}),
    "replace": lambda db: db.replace("note", ROW),
    "update_all": lambda db: db.update_all("note", {"name": "nobody"}, {"n": 1}),
    "del_all": lambda db: db.del_all("note", {}),
    "batch": lambda db: db.batch([{"op": "put", "table": "note", "obj": ROW}]),
    "bulk": lambda db: db.bulk([{"op": "put", "table": "note", "obj": ROW}]),
    "write_all": lambda db: write_all(db.target("note"), [], db.now),
    "migrate": lambda db: db.migrate("note", delay=0),
    "create": lambda db: db.create("note"),
    "upgrade": lambda db: db.upgrade("note"),
    "create_tables": lambda db: db.create_tables(),
    "drop": lambda db: db.drop("note"),
    "drop_tables": lambda db: db.drop_tables(["note"]),
    "its own language": lambda db: db.query("UPDATE note SET name = 'y'"),
    "a backup": lambda db: db.backup("copy.db"),
    "hidden in a WITH": lambda db: db.query("WITH a AS (\nSELECT 1) DELETE FROM note"),
    "a word that no list has": lambda db: db.query(
        "WITH a AS (SELECT 1) REPLACE INTO note (id) VALUES ('9')"
    ),
}


@pytest.fixture(params=["memory", "sqlite"])
async def db(request: Any) -> AsyncIterator[Any]:
    async with make_app([], pool=request.param) as app:
        app.db.describe_tables(TABLES)
        await app.db.create_tables()
        await app.db.put("note", {"id": "1", "name": "stored"})
        yield app.db


@pytest.mark.parametrize("name", WRITES)
async def test_a_write_is_refused(db: Any, name: str) -> None:
    token = READ_ONLY.set("/x: this endpoint did not say that it writes")
    try:
        with pytest.raises(ReadOnly, match=r"^/x: this endpoint did not"):
            await WRITES[name](db)
    finally:
        READ_ONLY.reset(token)
    assert (await db.select("note", {}))[0]["name"] == "stored"


@pytest.mark.parametrize("name", ["add", "put", "update", "incr", "del"])
async def test_a_write_of_a_transaction_is_refused(db: Any, name: str) -> None:
    if not db.pool().can.transactions:
        pytest.skip("no transactions")
    token = READ_ONLY.set("/x")
    try:
        with pytest.raises(ReadOnly):
            async with db.transaction() as tx:
                await WRITES[name](tx)
    finally:
        READ_ONLY.reset(token)
    assert (await db.get("note", {"id": "1"}))["name"] == "stored"


async def test_reads_go_on(db: Any) -> None:
    token = READ_ONLY.set("/x")
    try:
        assert await db.get("note", {"id": "1"})
        assert await db.select("note", {"name": "stored"})
        assert await db.list("note", ["1"])
        assert await db.join("note", [{"id": "1"}])
        if db.pool().type == "sqlite":
            assert await db.query(" select id FROM note")
            assert await db.query("WITH a AS (SELECT 1 AS updated) SELECT updated FROM a")
            assert await db.query("-- note\nSELECT id FROM note")
            assert await db.query("/* x */ WITH x AS (SELECT 'delete' AS a) SELECT a FROM x")
            async with db.transaction() as tx:
                assert await tx.get("note", {"id": "1"})
        with in_passing():
            await db.update("note", {"id": "1", "name": "noted"})
    finally:
        READ_ONLY.reset(token)
    assert (await db.get("note", {"id": "1"}))["name"] == "noted"


def test_what_is_noted_in_passing_ends_with_its_block_however_that_ends() -> None:
    token = READ_ONLY.set("only reads")
    try:
        for error in (LookupError, None):
            with suppress(LookupError), in_passing():
                assert not READ_ONLY.get()
                if error:
                    raise error
            assert READ_ONLY.get() == "only reads"
    finally:
        READ_ONLY.reset(token)
