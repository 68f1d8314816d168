"""Conformance tests of unique columns, for the drivers that keep them."""

from __future__ import annotations

import asyncio

import pytest

from bkjs.db.contract import Row
from bkjs.db.database import Database
from bkjs.db.transaction import DbTransaction
from bkjs.errors import AlreadyExists, Conflict

from .base import KitBase, fill, need_facade
from .tables import ids

ROWS: list[Row] = [
    {"id": "a", "mail": "a@b", "kind": "k", "num": 1},
    {"id": "b", "mail": "b@b", "kind": "k", "num": 2},
    {"id": "c"},
    {"id": "d", "kind": "k"},
]


class UniqueTests(KitBase):
    """A second row with the values of another one in unique columns is refused, nulls are none."""

    async def test_a_value_is_taken_once(self, db: Database) -> None:
        """By every verb; nothing is changed, and the columns are named.

        Troubleshooting: raise AlreadyExists with the columns as `field`.
        """
        need_facade(db, "uniques")
        await fill(db, "kit_unique", ROWS)
        mine = {"id": "a", "mail": "a@b", "num": 1}
        await db.put("kit_unique", {**ROWS[0], "num": 5})
        await db.put("kit_unique", ROWS[0])
        assert (await db.update("kit_unique", mine)).affected == 1
        for verb, row, columns in (
            ("add", {"id": "e", "mail": "a@b"}, "mail"),
            ("put", {"id": "e", "mail": "a@b"}, "mail"),
            ("put", {"id": "b", "mail": "a@b"}, "mail"),
            ("update", {"id": "b", "mail": "a@b"}, "mail"),
            ("update", {"id": "d", "num": 2}, "kind, num"),
            ("add", {"id": "e", "kind": "k", "num": 1}, "kind, num"),
        ):
            with pytest.raises(AlreadyExists, match=f"with the same {columns} ") as caught:
                await getattr(db, verb)("kit_unique", row)
            assert caught.value.extra == {"field": columns}
        if db.pool().can.update_all:  # else the rows before stay as they became
            with pytest.raises(AlreadyExists):
                await db.update_all("kit_unique", {"kind": "k"}, {"num": 7})
        rows = await db.select("kit_unique", sort="id")
        assert [{n: v for n, v in row.items() if v is not None} for row in rows] == ROWS
        await db.del_("kit_unique", {"id": "a"})
        await db.add("kit_unique", {"id": "e", "mail": "a@b"})

    async def test_a_value_is_taken_once_in_bulk(self, db: Database) -> None:
        """Each record has its own outcome."""
        need_facade(db, "uniques")
        rows = [{"id": "a", "mail": "a@b"}, {"id": "b", "mail": "a@b"}, {"id": "c"}]
        for op in ("add", "put"):
            items = [{"op": op, "table": "kit_unique", "obj": row} for row in rows]
            errors = [error for error, _ in await db.bulk(items)]
            assert [type(error) for error in errors] == [type(None), AlreadyExists, type(None)]
            assert ids(await db.select("kit_unique", sort="id")) == "ac"
            await db.del_all("kit_unique", {})

    async def test_one_of_many_takes_a_value(self, db: Database) -> None:
        """Of 20 adds at once that want one value exactly one happens."""
        need_facade(db, "uniques")
        rows = [{"id": f"r{n}", "mail": "a@b"} for n in range(20)]
        done = await asyncio.gather(
            *(db.add("kit_unique", row) for row in rows), return_exceptions=True
        )
        assert sum(isinstance(result, AlreadyExists) for result in done) == 19
        assert len(await db.select("kit_unique")) == 1

    async def test_values_inside_of_transactions(self, db: Database) -> None:
        """A value that is given back inside is free there, and one that another took is not."""
        need_facade(db, "uniques")
        if not db.pool().can.transactions:
            pytest.skip("does not claim transactions")
        await fill(db, "kit_unique", ROWS)
        async with db.transaction() as tx:
            await tx.del_("kit_unique", {"id": "a"})
            await tx.add("kit_unique", {"id": "e", "mail": "a@b"})

        async def late(tx: DbTransaction) -> None:
            await tx.add("kit_unique", {"id": "f", "num": 9})
            await tx.update("kit_unique", {"id": "f", "mail": "a@b"})

        with pytest.raises(AlreadyExists):
            await db.transact(late)
        assert ids(await db.select("kit_unique")) == "bcde"

    async def test_two_transactions_that_take_a_value(self, db: Database) -> None:
        """One of them is told, whichever waits for which."""
        need_facade(db, "uniques")
        if not db.pool().can.transactions:
            pytest.skip("does not claim transactions")

        async def take(key: str) -> None:
            async with db.transaction() as tx:
                await tx.add("kit_unique", {"id": key, "mail": "a@b"})
                await asyncio.sleep(0)

        done = await asyncio.gather(take("a"), take("b"), return_exceptions=True)
        errors = [result for result in done if result is not None]
        assert len(errors) == 1
        assert isinstance(errors[0], (AlreadyExists, Conflict))
        assert len(await db.select("kit_unique")) == 1
