"""`bulk` over a driver that takes many writes in one call: what goes into it, and what does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from bkjs.db.contract import Capabilities, Request
from bkjs.db.database import Database
from bkjs.db.many.batch import PIECE
from bkjs.db.pools.memory import MemoryDriver
from bkjs.errors import AlreadyExists, BkError
from bkjs.testing.db import database, opened
from bkjs.testing.db.checker import guard

TABLES = {
    "t": {"id": {"primary": 1}, "num": {"type": "int"}},
    "seat": {
        "id": {"primary": 1},
        "place": {"unique": 1},
        "until": {"type": "int", "ttl": 1},
    },
}


class Many(MemoryDriver):
    """Makes any number of writes in one call, one after the other."""

    can: ClassVar[Capabilities] = replace(MemoryDriver.can, bulk=10_000)

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.calls: list[int] = []

    async def bulk(self, reqs: Sequence[Request]) -> list[BkError | None]:
        self.calls.append(len(reqs))
        errors: list[BkError | None] = []
        for req in reqs:
            try:
                await getattr(self, req.verb)(req)
            except BkError as err:
                errors.append(err)
            else:
                errors.append(None)
        return errors


class WithoutAdd(Many):
    """The same, whose add replaces what is there."""

    can: ClassVar[Capabilities] = replace(Many.can, add=False)

    async def add(self, req: Request) -> Any:
        return await self.put(replace(req, verb="put"))


def over(driver: MemoryDriver) -> Database:
    db = database(guard(driver))
    db.describe_tables(TABLES)
    return db


def put(id: str, **more: Any) -> dict[str, Any]:
    return {"op": "put", "table": "t", "obj": {"id": id, **more}}


async def test_many_are_written_in_pieces() -> None:
    async with opened(Many) as driver:
        db = over(driver)
        items = [put(str(number)) for number in range(2 * PIECE + 1)]
        assert [error for error, _ in await db.bulk(items)] == [None] * len(items)
        assert driver.calls == [PIECE, PIECE, 1]


async def test_an_option_is_not_lost() -> None:
    async with opened(Many) as driver:
        db = over(driver)
        await db.put("t", {"id": "a", "num": 1})
        change = {"op": "update", "table": "t", "obj": {"id": "a", "num": 2}}
        await db.bulk([put("b"), change | {"options": {"expected": {"num": 7}}}, put("c")])
        assert (await db.get("t", {"id": "a"}))["num"] == 1
        assert driver.calls == [1, 1]


async def test_an_add_of_a_database_that_has_none_replaces_nothing() -> None:
    async with opened(WithoutAdd) as driver:
        db = over(driver)
        await db.put("t", {"id": "a", "num": 1})
        add = {"op": "add", "table": "t", "obj": {"id": "a", "num": 2}}
        for options in ({}, {"quiet": True}):
            [(error, _)] = await db.bulk([add | {"options": options}])
            assert isinstance(error, AlreadyExists)
        assert (await db.get("t", {"id": "a"}))["num"] == 1


async def test_a_put_makes_room_where_a_row_has_ended() -> None:
    async with opened(Many) as driver:
        db = over(driver)
        db.now = lambda: 100.0
        await db.put("seat", {"id": "a", "place": "1", "until": 200})
        db.now = lambda: 300.0
        item = {"op": "put", "table": "seat", "obj": {"id": "b", "place": "1"}}
        assert [error for error, _ in await db.bulk([item])] == [None]
        assert [row["id"] for row in await db.select("seat")] == ["b"]
