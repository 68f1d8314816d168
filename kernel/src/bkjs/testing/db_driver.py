"""Conformance tests that talk to the driver and follow what it claims in `can`."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from bkjs.core.errors import AlreadyExists, BkError, Unsupported
from bkjs.db.contract import (
    ABSENT,
    OPERATORS,
    UPDATE_OPS,
    Change,
    Condition,
    DbDriver,
    Group,
    Request,
    Row,
)
from bkjs.db.database import Database

from .db_base import KitBase
from .db_tables import CONDITIONS, ITEMS, clean, ids, order, request, sets, table, where

METHODS: dict[str, Sequence[str]] = {
    "add": ("add",),
    "update": ("update",),
    "counters": ("update",),
    "many": ("many",),
    "bulk": ("bulk",),
    "total": ("total",),
    "update_all": ("update_all",),
    "delete_all": ("delete_all",),
    "schema": ("create", "describe"),
    "transactions": ("begin",),
}
"""The methods that each capability stands for."""


def need(driver: DbDriver, *flags: str) -> None:
    """Skip a driver test whose capability is not claimed."""
    missing = [flag for flag in flags if not getattr(driver.can, flag)]
    if missing:
        pytest.skip(f"does not claim {', '.join(missing)}")


async def store(driver: DbDriver, name: str, *rows: Row) -> None:
    for row in rows:
        values = row if driver.shape.nulls else clean(row)
        await driver.put(request("put", name, values=values))


async def found(driver: DbDriver, name: str, **fields: Any) -> list[Row]:
    """All rows of a select, however often the driver stops early."""
    rows: list[Row] = []
    resume = None
    while True:
        page = await driver.select(request("select", name, resume=resume, **fields))
        rows += page.rows
        if page.resume is None:
            return rows
        resume = page.resume


async def stored(driver: DbDriver, name: str, **key: Any) -> Row | None:
    return clean(await driver.get(request("get", name, key=key)))


class DriverTests(KitBase):
    """What a driver does itself, as far as it claims to."""

    # -- claims ----------------------------------------------------------------------------

    async def test_claimed_capabilities_are_implemented(self, driver: DbDriver) -> None:
        """A capability that is claimed has its method.

        Troubleshooting: implement the method, or take the flag out of `can`.
        """
        lies = [
            flag
            for flag, names in METHODS.items()
            if getattr(driver.can, flag)
            and any(getattr(type(driver), n) is getattr(DbDriver, n) for n in names)
        ]
        assert lies == []

    async def test_implemented_methods_are_claimed(self, driver: DbDriver) -> None:
        """A method that is there is claimed, or the kernel never calls it.

        Troubleshooting: set the flag in `can`, or remove the method.
        """
        by_method: dict[str, set[str]] = {}
        for flag, names in METHODS.items():
            for name in names:
                by_method.setdefault(name, set()).add(flag)
        idle = [
            name
            for name, flags in by_method.items()
            if getattr(type(driver), name) is not getattr(DbDriver, name)
            and not any(getattr(driver.can, flag) for flag in flags)
        ]
        assert idle == []

    async def test_claims_use_known_names(self, driver: DbDriver) -> None:
        """`operators` and `changes` hold names of the contract; `incr` is `counters`.

        Troubleshooting: aliases such as `not_in` are resolved before a driver sees them.
        """
        assert driver.can.operators <= OPERATORS
        assert driver.can.changes <= UPDATE_OPS - {"incr"}

    async def test_constructor_connects_to_nothing(self, driver: DbDriver) -> None:
        """A second instance can be made, asked and closed without having been opened.

        Troubleshooting: connect in `open`; `close` must not need a connection.
        """
        second = type(driver)(driver.name, driver.url, driver.options)
        assert isinstance(second.stats(), dict)
        await second.close()

    async def test_close_may_be_called_twice(self, driver: DbDriver) -> None:
        """Closing what is closed does nothing.

        Troubleshooting: forget the client when it is closed.
        """
        await driver.close()
        await driver.close()

    async def test_errors_become_ours(self, driver: DbDriver) -> None:
        """`error` makes one of our errors of anything and keeps ours as they are.

        Troubleshooting: call `super().error(exc)` for what you do not know.
        """
        mine = AlreadyExists()
        assert driver.error(mine) is mine
        assert isinstance(driver.error(ValueError("odd")), BkError)

    async def test_stats_are_numbers(self, driver: DbDriver) -> None:
        """`stats` is a flat dict of whole numbers, for the status page."""
        assert all(isinstance(value, int) for value in driver.stats().values())

    # -- get, put, delete --------------------------------------------------------------------

    async def test_put_then_get_gives_the_record(self, db: Database, driver: DbDriver) -> None:
        """What was put is found under its key, and nothing under another.

        Troubleshooting: are the table and *all* key columns part of the address?
        """
        await store(driver, "kit_item", ITEMS[0])
        assert await stored(driver, "kit_item", id="a") == ITEMS[0]
        assert await stored(driver, "kit_item", id="b") is None

    async def test_put_replaces_the_whole_record(self, db: Database, driver: DbDriver) -> None:
        """Columns that a second put does not give are gone.

        Troubleshooting: a merge or an upsert of the given columns only is not a put.
        """
        await store(driver, "kit_item", ITEMS[0], {"id": "a", "name": "new"})
        assert await stored(driver, "kit_item", id="a") == {"id": "a", "name": "new"}

    async def test_delete_counts_what_was_there(self, db: Database, driver: DbDriver) -> None:
        """`affected` is 1 for a row that was there and 0 for a missing one, without an error."""
        await store(driver, "kit_item", *ITEMS[:2])
        gone = request("delete", "kit_item", key={"id": "a"})
        assert (await driver.delete(gone)).affected == 1
        assert (await driver.delete(gone)).affected == 0
        assert ids(await found(driver, "kit_item")) == "b"

    async def test_composite_keys_are_whole(self, db: Database, driver: DbDriver) -> None:
        """Each key column counts: a pair that differs in one of them is another row.

        Troubleshooting: text keys joined by a separator must not collide with keys that hold it.
        """
        pairs = [("a", 1), ("a", 2), ("a|1", 1), ("b", 1)]
        await store(
            driver, "kit_pair", *({"owner": o, "pos": p, "note": f"{o}{p}"} for o, p in pairs)
        )
        await driver.delete(request("delete", "kit_pair", key={"owner": "a", "pos": 1}))
        assert await stored(driver, "kit_pair", owner="a", pos=1) is None
        for owner, pos in pairs[1:]:
            row = await stored(driver, "kit_pair", owner=owner, pos=pos)
            assert row == {"owner": owner, "pos": pos, "note": f"{owner}{pos}"}

    async def test_columns_limit_what_is_returned(self, db: Database, driver: DbDriver) -> None:
        """`columns` names all that get and select return."""
        await store(driver, "kit_item", ITEMS[0])
        row = await driver.get(request("get", "kit_item", key={"id": "a"}, columns=("id", "num")))
        assert row == {"id": "a", "num": 1}
        assert await found(driver, "kit_item", columns=("name",)) == [{"name": "alpha"}]

    async def test_getter_is_get(self, db: Database, driver: DbDriver) -> None:
        """The prepared way to read one row gives the same as `get`.

        Troubleshooting: it is called with a tuple of key values in the order of the keys.
        """
        await store(driver, "kit_item", ITEMS[0])
        await store(driver, "kit_pair", {"owner": "o", "pos": 7, "note": "n"})
        items, pairs = table("kit_item"), table("kit_pair")
        assert clean(await driver.getter(items, None)(("a",))) == ITEMS[0]
        assert await driver.getter(items, ("name",))(("a",)) == {"name": "alpha"}
        assert await driver.getter(items, None)(("nosuch",)) is None
        assert await driver.getter(pairs, ("note",))(("o", 7)) == {"note": "n"}

    async def test_requests_are_not_changed(self, db: Database, driver: DbDriver) -> None:
        """A driver reads a request and leaves it as it is: the kernel may send it again.

        Troubleshooting: copy before you add, rename or remove anything.
        """
        row = {**ITEMS[0]}
        put = request("put", "kit_item", values=row)
        before = copy.deepcopy((put.key, put.values))
        await driver.put(put)
        assert (put.key, put.values) == before

    async def test_rows_belong_to_the_caller(self, db: Database, driver: DbDriver) -> None:
        """Changing a returned row, or the record that was written, changes nothing stored."""
        row = {**ITEMS[0]}
        await store(driver, "kit_item", row)
        row["name"] = "changed later"
        first = await driver.get(request("get", "kit_item", key={"id": "a"}))
        assert first is not None
        first["name"] = "changed too"
        assert await stored(driver, "kit_item", id="a") == ITEMS[0]

    # -- add and update ------------------------------------------------------------------------

    async def test_add_refuses_an_existing_key(self, db: Database, driver: DbDriver) -> None:
        """A second add raises AlreadyExists and leaves the row alone.

        Troubleshooting: map the client's duplicate error in `error`.
        """
        need(driver, "add")
        assert (await driver.add(request("add", "kit_item", values=ITEMS[0]))).affected == 1
        again = request("add", "kit_item", values={"id": "a", "name": "other"})
        with pytest.raises(Exception) as caught:  # noqa: PT011 - the client's own class
            await driver.add(again)
        assert isinstance(driver.error(caught.value), AlreadyExists)
        assert await stored(driver, "kit_item", id="a") == ITEMS[0]

    async def test_update_changes_only_what_is_given(self, db: Database, driver: DbDriver) -> None:
        """Other columns stay; a missing row is not created and counts 0."""
        need(driver, "update")
        await store(driver, "kit_item", ITEMS[0])
        changes = [Change("name", "set", "n"), Change("tag", "remove")]
        change = request("update", "kit_item", key={"id": "a"}, changes=changes)
        assert (await driver.update(change)).affected == 1
        expected = {"id": "a", "num": 1, "name": "n", "price": 1.5}
        assert await stored(driver, "kit_item", id="a") == expected
        missing = request("update", "kit_item", key={"id": "zz"}, changes=sets(name="n"))
        assert (await driver.update(missing)).affected == 0
        assert await stored(driver, "kit_item", id="zz") is None

    async def test_update_to_the_same_value_counts(self, db: Database, driver: DbDriver) -> None:
        """`affected` counts rows found, also when nothing differs afterwards.

        Troubleshooting: some clients count changed rows unless they are asked for found ones.
        """
        need(driver, "update")
        await store(driver, "kit_item", ITEMS[0])
        same = request("update", "kit_item", key={"id": "a"}, changes=sets(name="alpha"))
        assert (await driver.update(same)).affected == 1

    async def test_upsert_creates_the_row(self, db: Database, driver: DbDriver) -> None:
        """With `upsert` a missing row is made of its key and the changes, another one updated."""
        need(driver, "update")
        for name in ("n1", "n2"):
            change = request(
                "update", "kit_item", key={"id": "u"}, changes=sets(name=name), upsert=True
            )
            assert (await driver.update(change)).affected == 1
            assert await stored(driver, "kit_item", id="u") == {"id": "u", "name": name}

    CHANGES: ClassVar[dict[str, tuple[Any, Any, Any]]] = {
        "set": ("name", "n", "n"),
        "remove": ("name", None, None),
        "concat": ("name", "-x", "alpha-x"),
        "not_exists": ("name", "n", "alpha"),
        "append": ("words", ["c"], ["a", "b", "c"]),
        "prepend": ("words", ["c"], ["c", "a", "b"]),
        "add": ("words", ["b", "c"], ["a", "b", "c"]),
        "del": ("words", ["a"], ["b"]),
    }

    @pytest.mark.parametrize("op", sorted(CHANGES))
    async def test_claimed_change(self, db: Database, driver: DbDriver, op: str) -> None:
        """Every operation in `can.changes` has the effect that the contract names.

        Troubleshooting: list operations need `shape.lists`; leave them out of `can.changes`
        otherwise and the kernel does them by compare-and-set.
        """
        if op not in driver.can.changes or not driver.can.update:
            pytest.skip(f"does not claim {op}")
        column, value, expected = self.CHANGES[op]
        row = {"id": "a", "name": "alpha", "words": ["a", "b"]}
        await store(driver, "kit_count", row if driver.shape.lists else {**row, "words": "a,b"})
        change = request(
            "update", "kit_count", key={"id": "a"}, changes=[Change(column, op, value)]
        )
        assert (await driver.update(change)).affected == 1
        assert (await stored(driver, "kit_count", id="a") or {}).get(column) == expected

    async def test_counters_start_from_zero(self, db: Database, driver: DbDriver) -> None:
        """`incr` adds, takes negative amounts, and counts a null column as 0."""
        need(driver, "counters")
        await store(driver, "kit_count", {"id": "a", "likes": 5})
        changes = [Change("likes", "incr", -2), Change("total", "incr", 3)]
        done = await driver.update(request("update", "kit_count", key={"id": "a"}, changes=changes))
        assert done.affected == 1
        assert await stored(driver, "kit_count", id="a") == {"id": "a", "likes": 3, "total": 3}

    async def test_counters_lose_nothing(self, db: Database, driver: DbDriver) -> None:
        """20 increments at once add up.

        Troubleshooting: the addition must happen in the database, not before.
        """
        need(driver, "counters")
        await store(driver, "kit_count", {"id": "a", "likes": 0})
        change = request(
            "update", "kit_count", key={"id": "a"}, changes=[Change("likes", "incr", 1)]
        )
        await asyncio.gather(*(driver.update(change) for _ in range(20)))
        assert await stored(driver, "kit_count", id="a") == {"id": "a", "likes": 20}

    # -- conditional writes --------------------------------------------------------------------

    async def test_put_if_absent(self, db: Database, driver: DbDriver) -> None:
        """`expected=ABSENT` lets exactly one of many puts of one key happen.

        Troubleshooting: it must be one atomic step; the losers have `affected` 0 and no error.
        """
        need(driver, "conditional")
        puts = [
            request("put", "kit_item", values={"id": "a", "num": n}, expected=ABSENT)
            for n in range(20)
        ]
        done = await asyncio.gather(*(driver.put(put) for put in puts))
        assert sum(written.affected for written in done) == 1
        winner = next(n for n, written in enumerate(done) if written.affected)
        assert await stored(driver, "kit_item", id="a") == {"id": "a", "num": winner}

    EXPECTED: ClassVar[list[tuple[Group, bool]]] = [
        (where(Condition("num", "eq", 1)), True),
        (where(Condition("num", "eq", 2)), False),
        (where(Condition("num", "eq", 1), Condition("name", "eq", "other")), False),
        (where(Condition("tag", "null")), False),
        (where(Condition("id", "eq", "a"), Condition("tag", "eq", "x")), True),
    ]

    @pytest.mark.parametrize("number", range(len(EXPECTED)))
    async def test_expected_of_a_write(self, db: Database, driver: DbDriver, number: int) -> None:
        """put, update and delete happen only when the stored row is as expected.

        Troubleshooting: else `affected` is 0, no error is raised and the row stays as it is.
        """
        need(driver, "conditional")
        expected, holds = self.EXPECTED[number]
        key, new = {"id": "a"}, {"id": "a", "num": 7}
        await store(driver, "kit_item", ITEMS[0])
        put = request("put", "kit_item", values=new, expected=expected)
        assert (await driver.put(put)).affected == holds
        assert await stored(driver, "kit_item", id="a") == (new if holds else ITEMS[0])
        await store(driver, "kit_item", ITEMS[0])
        if driver.can.update:
            change = request(
                "update", "kit_item", key=key, changes=sets(name="new"), expected=expected
            )
            assert (await driver.update(change)).affected == holds
            row = {**ITEMS[0], "name": "new"} if holds else ITEMS[0]
            assert await stored(driver, "kit_item", id="a") == row
            await store(driver, "kit_item", ITEMS[0])
        gone = await driver.delete(request("delete", "kit_item", key=key, expected=expected))
        assert gone.affected == holds
        assert await stored(driver, "kit_item", id="a") == (None if holds else ITEMS[0])

    async def test_expected_of_a_missing_row(self, db: Database, driver: DbDriver) -> None:
        """An expectation never holds for a row that is not there, not even one of null."""
        need(driver, "conditional")
        null = where(Condition("tag", "null"))
        put = request("put", "kit_item", values={"id": "q", "num": 1}, expected=null)
        assert (await driver.put(put)).affected == 0
        assert await stored(driver, "kit_item", id="q") is None
        gone = request("delete", "kit_item", key={"id": "q"}, expected=null)
        assert (await driver.delete(gone)).affected == 0

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
        keys = [{"id": key} for key in ["a", "zz", "c", "a", *(f"no{n}" for n in range(1000))]]
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

    # -- transactions and schema -----------------------------------------------------------------

    async def test_commit_and_rollback(self, db: Database, driver: DbDriver) -> None:
        """All writes of a transaction happen at its commit, none after a rollback.

        Troubleshooting: the transaction needs a connection of its own until it ends.
        """
        need(driver, "transactions")
        running = await driver.begin()
        await running.put(request("put", "kit_item", values=ITEMS[0]))
        assert clean(await running.get(request("get", "kit_item", key={"id": "a"}))) == ITEMS[0]
        await running.rollback()
        assert await found(driver, "kit_item") == []
        running = await driver.begin()
        await running.put(request("put", "kit_item", values=ITEMS[0]))
        await running.put(request("put", "kit_item", values=ITEMS[1]))
        await running.commit()
        assert ids(await found(driver, "kit_item")) == "ab"

    async def test_create_says_whether_something_changed(
        self, db: Database, driver: DbDriver
    ) -> None:
        """True for a new table, False when it is as described, True when a column is added.

        Troubleshooting: an existing table with all columns and indexes must not count as changed,
        and rows survive an upgrade.
        """
        need(driver, "schema")
        await driver.drop("kit_item")
        assert await driver.create(table("kit_item")) is True
        assert await driver.create(table("kit_item")) is False
        await store(driver, "kit_item", ITEMS[0])
        db.describe_tables({"kit_item": {"extra": {"type": "int"}}})
        upgraded = db.schema.table("kit_item")
        assert await driver.create(upgraded) is True
        assert await driver.create(upgraded) is False
        assert await stored(driver, "kit_item", id="a") == ITEMS[0]

    async def test_describe_names_what_is_there(self, db: Database, driver: DbDriver) -> None:
        """`describe` tells tables, columns and which of them are the key, in order."""
        need(driver, "schema")
        real = await driver.describe()
        assert set(real["kit_pair"]) >= {"owner", "pos", "note", "rank"}
        primary = {c["primary"]: n for n, c in real["kit_pair"].items() if c.get("primary")}
        assert [primary[place] for place in sorted(primary)] == ["owner", "pos"]

    async def test_drop_of_a_missing_table(self, db: Database, driver: DbDriver) -> None:
        """Dropping what is not there is no error."""
        await driver.drop("kit_nosuch")
        await driver.drop("kit_item")
        await driver.drop("kit_item")

    async def test_tables_are_apart(self, db: Database, driver: DbDriver) -> None:
        """A table does not see rows of one whose name begins like its own.

        Troubleshooting: end a key prefix with a separator.
        """
        await store(driver, "kit_item", {"id": "a", "name": "1"})
        await store(driver, "kit_item2", {"id": "a", "select": "s", "order": 1, "Mixed": "m"})
        assert await found(driver, "kit_item", columns=("id", "name")) == [{"id": "a", "name": "1"}]
        row = await stored(driver, "kit_item2", id="a")
        assert row == {"id": "a", "select": "s", "order": 1, "Mixed": "m"}

    async def test_unclaimed_methods_refuse(self, driver: DbDriver) -> None:
        """A method of the contract that is not implemented says so with Unsupported."""
        calls = {
            "many": lambda: driver.many(request("many", "kit_item")),
            "total": lambda: driver.total(request("total", "kit_item")),
            "delete_all": lambda: driver.delete_all(request("delete_all", "kit_item")),
            "transactions": driver.begin,
        }
        for flag, call in calls.items():
            if getattr(type(driver), METHODS[flag][0]) is getattr(DbDriver, METHODS[flag][0]):
                with pytest.raises(Unsupported):
                    await call()
