"""Conformance tests of a driver's own conditions, order, pages and calls for many rows."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from bkjs.db.contract import (
    Condition,
    DbDriver,
    Group,
    Request,
    Row,
)
from bkjs.db.database import Database
from bkjs.errors import AlreadyExists

from .base import KitBase, found, need, store, stored
from .tables import CONDITIONS, ITEMS, clean, ids, order, request, sets, table, where


class SelectTests(KitBase):
    """What a driver selects and changes natively."""

    # -- select --------------------------------------------------------------------------------

    @pytest.mark.parametrize("case", CONDITIONS, ids=lambda c: f"{c[0]} {c[1]} {c[2]!r}")
    async def test_native_condition(
        self, db: Database, driver: DbDriver, case: tuple[str, str, Any, str]
    ) -> None:
        """A condition that `native` accepts selects exactly the rows of the truth table.

        Troubleshooting: null matches only `null`, also for negated operators; text compares by
        code point; `%` and `_` are letters except for `like`. Refuse in `native` what differs.
        """
        column, op, value, expected = case
        condition = Condition(column, op, value)
        if not driver.native(table("kit_item"), condition):
            pytest.skip(f"leaves {op} to the kernel")
        await store(driver, "kit_item", *ITEMS)
        assert ids(await found(driver, "kit_item", where=where(condition))) == expected

    async def test_native_groups(self, db: Database, driver: DbDriver) -> None:
        """Groups of AND and OR nest.

        Troubleshooting: each group needs its own parentheses.
        """
        need(driver, "groups")
        x, num = Condition("tag", "eq", "x"), Condition("num", "eq", 1)
        either = Group("OR", (num, Condition("num", "eq", 3)))
        nested = Group("OR", (Group("AND", (x, num)), Condition("num", "eq", 10)))
        if not all(driver.native(table("kit_item"), c) for c in (x, num)):
            pytest.skip("leaves eq to the kernel")
        await store(driver, "kit_item", *ITEMS)
        assert ids(await found(driver, "kit_item", where=where(x, either))) == "a"
        assert ids(await found(driver, "kit_item", where=nested)) == "ad"
        assert ids(await found(driver, "kit_item", where=either)) == "ac"

    SORTS: ClassVar[list[tuple[tuple[str, ...], str]]] = [
        (("id",), "abcdef"),
        (("-id",), "fedcba"),
        (("num",), "feabcd"),
        (("name",), "fdbace"),
        (("-name",), "ecabdf"),
        (("price", "id"), "efdabc"),
        (("-price", "id"), "cbadfe"),
        (("tag", "-num"), "efbadc"),
        (("-tag", "num"), "cdabfe"),
    ]

    @pytest.mark.parametrize("case", SORTS, ids=lambda c: ",".join(c[0]))
    async def test_native_sort(
        self, db: Database, driver: DbDriver, case: tuple[tuple[str, ...], str]
    ) -> None:
        """Nulls first, last when descending; text by code point, so capitals before small ones.

        Troubleshooting: a database may sort by its locale or put nulls elsewhere unless told.
        """
        need(driver, "sort")
        names, expected = case
        await store(driver, "kit_item", *ITEMS)
        rows = await found(driver, "kit_item", sort=order(*names))
        assert "".join(row["id"] for row in rows) == expected

    @pytest.mark.parametrize("case", SORTS, ids=lambda c: ",".join(c[0]))
    async def test_native_seek(
        self, db: Database, driver: DbDriver, case: tuple[tuple[str, ...], str]
    ) -> None:
        """From the sort values of any row the rest follows, whatever is null or descending.

        Troubleshooting: `(a, b) > (x, y)` needs all columns in one direction and none null.
        """
        need(driver, "sort", "seek")
        names, expected = case
        await store(driver, "kit_item", *ITEMS)
        sort = order(*names, *(() if names[-1].endswith("id") else ("id",)))
        rows = await found(driver, "kit_item", sort=sort)
        for number, row in enumerate(rows):
            after = tuple(row.get(o.column) for o in sort)
            rest = await found(driver, "kit_item", sort=sort, after=after)
            assert "".join(r["id"] for r in rest) == expected[number + 1 :]

    async def test_native_offset_and_count(self, db: Database, driver: DbDriver) -> None:
        """`offset` skips and `count` limits, also past the end."""
        need(driver, "sort", "offset")
        await store(driver, "kit_item", *ITEMS)
        for offset, count, expected in ((0, 2, "ab"), (4, 5, "ef"), (2, None, "cdef"), (9, 1, "")):
            rows = await found(driver, "kit_item", sort=order("id"), offset=offset, count=count)
            assert "".join(row["id"] for row in rows)[:count] == expected

    @pytest.mark.parametrize("count", [1, 2, 5, 6, 7])
    async def test_count_is_a_limit_and_resume_goes_on(
        self, db: Database, driver: DbDriver, count: int
    ) -> None:
        """A page never has more than `count` rows; what is left is reached with `resume`.

        Troubleshooting: without `sort` there is no other way to the next page.
        """
        await store(driver, "kit_item", *ITEMS)
        rows: list[Row] = []
        resume = None
        for _ in range(20):
            page = await driver.select(request("select", "kit_item", count=count, resume=resume))
            assert len(page.rows) <= count
            rows += page.rows
            resume = page.resume
            if resume is None:
                break
        if driver.can.sort and len(rows) == count:
            return  # goes on by sort values instead
        assert ids(rows) == "abcdef"

    async def test_native_many(self, db: Database, driver: DbDriver) -> None:
        """The rows of the given keys, each once, for one and for several key columns.

        Troubleshooting: long lists may have to be split; see what the database allows.
        """
        need(driver, "many")
        await store(driver, "kit_item", *ITEMS)
        await store(driver, "kit_pair", *({"owner": "o", "pos": n} for n in range(5)))
        missing = [f"no{n}" for n in range(min(driver.can.many, 1000))]
        keys = [{"id": key} for key in [*missing, "a", "c", "a"][-driver.can.many :]]
        rows = await driver.many(request("many", "kit_item", keys=keys))
        assert ids(rows) == "ac"
        pairs = [{"owner": "o", "pos": n} for n in (1, 3, 9)]
        rows = await driver.many(request("many", "kit_pair", keys=pairs, columns=("pos",)))
        assert sorted(row["pos"] for row in rows) == [1, 3]

    async def test_native_bulk(self, db: Database, driver: DbDriver) -> None:
        """Each request gets its own outcome, in the order given; one failure stops no other.

        Troubleshooting: an error must not roll the others back.
        """
        need(driver, "bulk", "add", "update")
        await store(driver, "kit_item", ITEMS[0], ITEMS[1])
        requests: list[Request] = [
            request("put", "kit_item", values={"id": "p", "num": 1}),
            request("add", "kit_item", values={"id": "a", "num": 2}),
            request("add", "kit_item", values={"id": "n", "num": 3}),
            request("update", "kit_item", key={"id": "a"}, changes=sets(name="u")),
            request("delete", "kit_item", key={"id": "b"}),
        ]
        errors = await driver.bulk(requests)
        assert [type(error) for error in errors] == [
            type(None), AlreadyExists, type(None), type(None), type(None)
        ]  # fmt: skip
        assert ids(await found(driver, "kit_item")) == "anp"
        assert (await stored(driver, "kit_item", id="a") or {})["name"] == "u"

    async def test_native_total(self, db: Database, driver: DbDriver) -> None:
        """`total` counts the rows that match, 0 without any."""
        need(driver, "total")
        assert await driver.total(request("total", "kit_item")) == 0
        await store(driver, "kit_item", *ITEMS)
        assert await driver.total(request("total", "kit_item")) == 6
        one = Condition("num", "gt", 2)
        if driver.native(table("kit_item"), one):
            assert await driver.total(request("total", "kit_item", where=where(one))) == 2

    async def test_native_update_all_and_delete_all(self, db: Database, driver: DbDriver) -> None:
        """They change exactly the rows that match and say how many."""
        need(driver, "update_all", "delete_all")
        match = where(Condition("tag", "eq", "x"))
        await store(driver, "kit_item", *ITEMS)
        change = request("update_all", "kit_item", where=match, changes=sets(name="all"))
        assert await driver.update_all(change) == 2
        named = [row for row in await found(driver, "kit_item") if row.get("name") == "all"]
        assert ids(named) == "ab"
        assert await driver.delete_all(request("delete_all", "kit_item", where=match)) == 2
        assert await driver.delete_all(request("delete_all", "kit_item")) == 4
        assert await found(driver, "kit_item") == []

    async def test_native_returning(self, db: Database, driver: DbDriver) -> None:
        """`returning="*"` gives the row after an update and the row that a delete removed."""
        need(driver, "returning", "update")
        await store(driver, "kit_item", ITEMS[0])
        change = request(
            "update", "kit_item", key={"id": "a"}, changes=sets(name="n"), returning="*"
        )
        assert clean((await driver.update(change)).row) == {**ITEMS[0], "name": "n"}
        gone = request("delete", "kit_item", key={"id": "a"}, returning="*")
        assert clean((await driver.delete(gone)).row) == {**ITEMS[0], "name": "n"}
