"""Facade tests of rows that end by themselves."""

from __future__ import annotations

from typing import Any

import pytest

from bkjs.db.contract import ABSENT
from bkjs.db.database import Database
from bkjs.errors import AlreadyExists

from .base import KitBase, need_facade
from .tables import ids

START = 1_800_000_000
"""Seconds since 1970 when a test begins."""
END = {"kit_ttl": START + 10, "kit_ttl_ms": (START + 10) * 1000, "kit_ttl_at": (START + 10) * 1000}
"""A moment ten seconds later, as each table holds it."""


class ExpiryTests(KitBase):
    """After the moment in a column with `ttl` a row is no row any more, whatever the database does
    with it."""

    @pytest.mark.parametrize("name", sorted(END))
    async def test_a_row_that_has_ended_is_not_read(self, db: Database, name: str) -> None:
        """By no verb, whichever columns are asked for; without a moment it stays."""
        now = [float(START)]
        db.now = lambda: now[0]
        await db.put(name, {"id": "a", "num": 1, "end": END[name]})
        await db.put(name, {"id": "b", "num": 2})
        await db.put(name, {"id": "c", "num": 3, "end": END[name]})

        async def read(seen: str) -> None:
            assert ids(await db.select(name, sort="id")) == seen
            assert ids(await db.select(name, {"num": [1, 2, 3]}, select="id")) == seen
            assert ids(await db.list(name, ["a", "b", "c"], select="id")) == seen
            assert await db.select(name, {}, total=True) == [{"count": len(seen)}]
            assert (await db.aggregate(name, {}, count=True))[0]["count"] == len(seen)
            row = await db.get(name, {"id": "a"}, select="num")
            assert row == ({"num": 1} if "a" in seen else None)
            assert bool(await db.get(name, {"id": "a"})) == ("a" in seen)

        await read("abc")
        now[0] = START + 9.5
        await read("abc")
        page = await db.select(name, {}, sort="id", count=1)
        assert ids(page) == "a"
        now[0] = START + 10
        await read("b")
        # a token is good for longer than the rows
        assert ids(await db.select(name, {}, sort="id", count=5, start=page.next_token)) == "b"

    async def test_no_write_changes_a_row_that_has_ended(self, db: Database) -> None:
        """It is not updated, counted up or deleted, alone or among others."""
        need_facade(db, "conditional")
        await self._ended(db)
        before = await self._stored(db)
        assert (await db.update("kit_ttl", {"id": "a", "num": 5})).affected == 0
        assert (await db.incr("kit_ttl", {"id": "a", "count": 5})).affected == 0
        assert (await db.del_("kit_ttl", {"id": "a"})).affected == 0
        assert (await db.put("kit_ttl", {"id": "a"}, expected={"num": 1})).affected == 0
        assert await db.update_all("kit_ttl", {"num": [1, 2]}, {"num": 7}) == 1
        assert await db.del_all("kit_ttl", {"num": [1, 2, 7]}) == 1
        assert await self._stored(db) == [row for row in before if row["id"] == "a"]

    async def test_its_place_is_free(self, db: Database) -> None:
        """For an add, an upsert and a put that expects no row; of a living row it is not."""
        need_facade(db, "conditional")
        upsert: dict[str, Any] = {"upsert": True}
        for verb, options in (("add", {}), ("update", upsert), ("put", {"expected": ABSENT})):
            await self._ended(db)
            done = await getattr(db, verb)("kit_ttl", {"id": "a", "num": 9}, **options)
            assert done.affected == 1
            row = await db.get("kit_ttl", {"id": "a"})
            assert row
            assert (row["num"], row.get("count") or 0, row.get("end")) == (9, 0, None)
            await db.del_all("kit_ttl", {})
        await self._ended(db)
        with pytest.raises(AlreadyExists):
            await db.add("kit_ttl", {"id": "b"})
        assert (await db.put("kit_ttl", {"id": "b", "num": 9}, expected=ABSENT)).affected == 0

    async def test_what_has_ended_can_be_deleted(self, db: Database) -> None:
        """`purge` deletes it and nothing else."""
        need_facade(db, "conditional")
        await self._ended(db)
        assert await db.purge("kit_ttl") == 1
        assert await db.purge("kit_ttl") == 0
        assert [row["id"] for row in await self._stored(db)] == ["b"]

    async def _ended(self, db: Database) -> None:
        db.now = lambda: float(START)
        await db.put("kit_ttl", {"id": "a", "num": 1, "count": 3, "end": START + 5})
        await db.put("kit_ttl", {"id": "b", "num": 2})
        db.now = lambda: float(START + 5)

    async def _stored(self, db: Database) -> list[dict[str, Any]]:
        """The rows as they are in the database."""
        db.now, now = lambda: float(START), db.now
        try:
            return list(await db.select("kit_ttl", sort="id"))
        finally:
            db.now = now
