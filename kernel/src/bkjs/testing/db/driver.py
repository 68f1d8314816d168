"""Conformance tests that talk to the driver and follow what it claims in `can`."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest

from bkjs.db.contract import (
    ABSENT,
    NATIVE_OPERATORS,
    OPERATORS,
    UPDATE_OPS,
    Change,
    Condition,
    DbDriver,
    Group,
    Row,
)
from bkjs.db.database import Database
from bkjs.db.tables.columns import encoder
from bkjs.errors import AlreadyExists, BadRequest, BkError, Conflict, Unsupported

from .base import found, need, store, stored
from .select import SelectTests, wide
from .tables import ITEMS, PAIRS, PATHS, clean, ids, request, sets, table, where
from .transactions import TransactionTests


def held() -> Counter[str]:
    """Threads by name, without those of asyncio, and open files by what they are, as far as the
    system tells."""
    threads = [t.name for t in threading.enumerate() if not t.name.startswith("asyncio_")]
    files = []
    for file in Path("/proc/self/fd").glob("*"):
        with contextlib.suppress(OSError):  # it was that of the folder itself
            target = str(file.readlink())
            files.append("socket" if target.startswith("socket:") else target)
    return Counter(threads + files)


METHODS: dict[str, Sequence[str]] = {
    "add": ("add",),
    "update": ("update",),
    "counters": ("update",),
    "many": ("many",),
    "bulk": ("bulk",),
    "total": ("total",),
    "aggregates": ("aggregate",),
    "update_all": ("update_all",),
    "delete_all": ("delete_all",),
    "tables": ("create", "describe"),
    "columns": ("create", "describe"),
    "versions": ("versioned",),
    "behind": ("behind",),
    "atomic": ("atomic",),
    "transactions": ("begin",),
}
"""The methods that each capability stands for."""


class DriverTests(SelectTests, TransactionTests):
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
        assert lies == [], f"claimed without their methods: {lies}; see METHODS of the kit"

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
        assert idle == [], f"there, but not claimed in `can`: {idle}"

    async def test_claims_use_known_names(self, driver: DbDriver) -> None:
        """`operators` and `changes` hold names of the contract; `incr` is `counters`.

        Troubleshooting: aliases such as `not_in` are resolved before a driver sees them.
        """
        assert driver.can.operators <= OPERATORS | NATIVE_OPERATORS
        assert driver.can.changes <= UPDATE_OPS - {"incr"}

    async def test_constructor_connects_to_nothing(self, driver: DbDriver) -> None:
        """A second instance can be made, asked and closed without having been opened.

        Troubleshooting: connect in `open`; `close` must not need a connection.
        """
        second = type(driver)(driver.name, driver.url, driver.options)
        assert isinstance(second.stats(), dict)
        await second.close()

    async def test_each_write_meets_its_row_of_two_keys(
        self, db: Database, driver: DbDriver
    ) -> None:
        """Not the one whose key has the same values the other way round.

        Troubleshooting: bind the values of a key in the order in which its columns are named.
        """
        rows = [{"folder": "a", "name": "b"}, {"folder": "b", "name": "a"}]
        await store(driver, "kit_path", *({**row, "note": "old"} for row in rows))
        first, second = rows
        old = where(Condition("note", "eq", "old"))
        expectations = [None, old] if driver.can.conditional else [None]
        if driver.can.update:
            for number, expected in enumerate(expectations):
                change = {"key": first, "changes": sets(note=str(number)), "expected": expected}
                done = await driver.update(request("update", "kit_path", **change))
                assert done.affected == 1
                assert await stored(driver, "kit_path", **first) == {**first, "note": str(number)}
                assert await stored(driver, "kit_path", **second) == {**second, "note": "old"}
                await store(driver, "kit_path", {**first, "note": "old"})
        for expected in expectations:
            gone = request("delete", "kit_path", key=second, expected=expected)
            assert (await driver.delete(gone)).affected == 1
            assert await stored(driver, "kit_path", **second) is None
            assert await stored(driver, "kit_path", **first) == {**first, "note": "old"}
            await store(driver, "kit_path", {**second, "note": "old"})

    async def test_each_read_has_the_columns_that_it_asks_for(
        self, db: Database, driver: DbDriver
    ) -> None:
        """One after the other, whatever was read before.

        Troubleshooting: the columns belong to what a statement is remembered by.
        """
        await store(driver, "kit_item", ITEMS[0])
        get = request("get", "kit_item", key={"id": "a"})
        many = replace(get, verb="many", keys=[get.key])
        for columns in (("id", "num"), ("id", "name"), None, ("id",), ("id", "num", "tag")):
            wanted = {name: ITEMS[0][name] for name in columns or ITEMS[0]}
            assert clean(await driver.get(replace(get, columns=columns))) == wanted
            if driver.can.many:
                found = await driver.many(replace(many, columns=columns))
                assert list(map(clean, found)) == [wanted]

    async def test_close_may_be_called_twice(self, driver: DbDriver) -> None:
        """Closing what is closed does nothing.

        Troubleshooting: forget the client when it is closed.
        """
        await driver.close()
        await driver.close()

    async def test_close_frees_threads_and_files(self, driver: DbDriver) -> None:
        """After `close` there are no more threads, open files and connections than before `open`.

        Troubleshooting: join the threads of the client, and wait for its connections to close.
        """
        await driver.close()
        before = held()
        second = type(driver)(driver.name, driver.url, driver.options)
        await second.open()
        try:
            await second.drop("kit_item")
            await second.create(table("kit_item"))
            await store(second, "kit_item", *ITEMS)
            gets = [second.get(request("get", "kit_item", key={"id": row["id"]})) for row in ITEMS]
            await asyncio.gather(*gets, *(found(second, "kit_item") for _ in range(8)))
        finally:
            await second.close()
        give_up = asyncio.get_running_loop().time() + 5
        while left := held() - before:
            assert asyncio.get_running_loop().time() < give_up, f"still there: {dict(left)}"
            await asyncio.sleep(0.02)

    async def test_errors_become_ours(self, driver: DbDriver) -> None:
        """`error` makes one of our errors of anything and keeps ours as they are.

        Troubleshooting: call `super().error(exc)` for what you do not know.
        """
        mine = AlreadyExists()
        assert driver.error(mine) is mine
        for odd in (ValueError("secret"), KeyError("secret"), RuntimeError(), OSError(5, "secret")):
            error = driver.error(odd)
            assert isinstance(error, BkError)
            assert not isinstance(error, (AlreadyExists, Conflict, BadRequest)), (
                f"{odd!r} is no {type(error).__name__}: only what the engine says it is"
            )
            assert "secret" not in str(error.reply()), "what the client said is for the log"

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

    async def test_short_ways_of_keys_of_two_columns(self, db: Database, driver: DbDriver) -> None:
        """Keys that look like one another are different rows.

        Troubleshooting: parts that are joined with a separator need it escaped.
        """
        await store(driver, "kit_path", *PATHS)
        rows = await found(driver, "kit_path")
        assert sorted(row["note"] for row in rows) == [row["note"] for row in PATHS]
        getter = driver.getter(table("kit_path"), ("note",))
        for row in PATHS:
            assert await stored(driver, "kit_path", folder=row["folder"], name=row["name"]) == row
            assert await getter((row["folder"], row["name"])) == {"note": row["note"]}
        for number, row in enumerate(PATHS):
            key = {"folder": row["folder"], "name": row["name"]}
            assert (await driver.delete(request("delete", "kit_path", key=key))).affected == 1
            left = sorted(row["note"] for row in await found(driver, "kit_path"))
            assert left == [row["note"] for row in PATHS[number + 1 :]]

    async def test_setter_is_add_and_update(self, db: Database, driver: DbDriver) -> None:
        """The prepared ways to write one row do the same as `add` and `update`, and count.

        Troubleshooting: the columns of an update end with the keys; adding never replaces a row,
        updating never makes one.
        """
        items, pairs = table("kit_item"), table("kit_pair")
        null = [None] if driver.shape.nulls else []
        if driver.can.add:
            add = driver.setter("add", items, ("num", "id", "name"))
            assert await add([7, "a", "n"]) == 1
            with pytest.raises(Exception) as caught:  # noqa: PT011 - the client's own class
                await add([8, "a", "m"])
            assert isinstance(driver.error(caught.value), AlreadyExists)
            assert await stored(driver, "kit_item", id="a") == {"id": "a", "num": 7, "name": "n"}
            for value in null:
                assert await add([value, "b", "x"]) == 1
                assert await stored(driver, "kit_item", id="b") == {"id": "b", "name": "x"}
        if driver.can.update:
            await store(driver, "kit_item", ITEMS[0])
            await store(driver, "kit_pair", *PAIRS[:2])
            change = driver.setter("update", items, ("name", "num", "id"))
            assert await change(["new", 9, "a"]) == 1
            assert await change(["new", 9, "a"]) == 1
            assert await change(["new", 9, "zz"]) == 0
            assert await stored(driver, "kit_item", id="zz") is None
            wanted = {**ITEMS[0], "name": "new", "num": 9}
            assert await stored(driver, "kit_item", id="a") == wanted
            for value in null:
                assert await change([value, 1, "a"]) == 1
                wanted = {"id": "a", "num": 1, "price": 1.5, "tag": "x"}
                assert await stored(driver, "kit_item", id="a") == wanted
            note = driver.setter("update", pairs, ("note", "owner", "pos"))
            assert await note(["n", "a", 2]) == 1
            assert await note(["n", "a", 3]) == 0
            notes = [row["note"] for row in await found(driver, "kit_pair")]
            assert sorted(notes) == ["n", "x"]

    async def test_the_prepared_put_replaces_the_whole_row(
        self, db: Database, driver: DbDriver
    ) -> None:
        """The prepared way to put one row does the same as `put`: of the old row nothing stays.

        Troubleshooting: its columns are all of the table.
        """
        if not (driver.can.columns and driver.shape.nulls):
            return
        items = table("kit_item")
        row = dict.fromkeys(items.columns)
        put = driver.setter("put", items, tuple(items.columns))
        for values in ({**ITEMS[0]}, {"id": "a", "num": 9}, {"id": "b"}):
            assert await put(list({**row, **values}.values())) == 1
            assert await stored(driver, "kit_item", id=values["id"]) == values

    async def test_rows_of_one_kind_are_written_as_each_by_itself(
        self, db: Database, driver: DbDriver
    ) -> None:
        """The prepared way to write many rows gives the outcome of each, in order, and what fails
        harms no other.

        Troubleshooting: where all of them at once fail, write each by itself.
        """
        items = table("kit_item")
        add = driver.many_setter("add", items, ("num", "id")) if driver.can.add else None
        if add is not None:
            assert await add([[1, "a"], [2, "b"]]) == [None] * 2
            errors = await add([[3, "c"], [4, "b"], [5, "d"], [6, "d"]])
            assert [type(error) for error in errors] == [
                type(None), AlreadyExists, type(None), AlreadyExists,
            ]  # fmt: skip
            rows = sorted(await found(driver, "kit_item"), key=lambda row: row["id"])
            assert [(row["id"], row["num"]) for row in rows] == [
                ("a", 1),
                ("b", 2),
                ("c", 3),
                ("d", 5),
            ]
            change = driver.many_setter("update", items, ("num", "id"))
            if change is not None:
                assert await change([[7, "a"], [8, "zz"], [9, "a"]]) == [None] * 3
                assert (await stored(driver, "kit_item", id="a") or {})["num"] == 9
        put = driver.many_setter("put", items, tuple(items.columns))
        if put is not None:
            row: Row = dict.fromkeys(items.columns)
            some: list[Row] = [{"id": "a", "num": 1}, {"id": "e"}, {"id": "a", "name": "x"}]
            assert await put([[*{**row, **values}.values()] for values in some]) == [None] * 3
            assert await stored(driver, "kit_item", id="a") == some[2]
            assert await stored(driver, "kit_item", id="e") == some[1]

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

    async def test_upsert_makes_nothing_that_was_expected(
        self, db: Database, driver: DbDriver
    ) -> None:
        """With `upsert` and an expectation a missing row stays missing: it is not as expected."""
        need(driver, "update", "conditional")
        for expected in (where(Condition("num", "eq", 1)), where(Condition("tag", "null"))):
            change = request(
                "update",
                "kit_item",
                key={"id": "u"},
                changes=sets(name="n"),
                upsert=True,
                expected=expected,
            )
            assert (await driver.update(change)).affected == 0
            assert await stored(driver, "kit_item", id="u") is None
        await store(driver, "kit_item", {"id": "u", "num": 2})
        for value, affected in ((1, 0), (2, 1)):
            again = replace(change, expected=where(Condition("num", "eq", value)))
            assert (await driver.update(again)).affected == affected

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

    @pytest.mark.parametrize("first", ["put", "update", "delete"])
    async def test_writes_with_an_expectation_exclude_one_another(
        self, db: Database, driver: DbDriver, first: str
    ) -> None:
        """Of puts, updates and deletes at once that expect the same value one happens.

        Troubleshooting: look and write in one step of the engine, with no `await` between.
        """
        need(driver, "conditional")
        verbs = [first, *(verb for verb in ("put", "update", "delete") if verb != first)]
        if not driver.can.update:
            verbs = [verb for verb in verbs if verb != "update"]
        expected = where(Condition("num", "eq", 0))
        for _ in range(3):
            await store(driver, "kit_item", {"id": "a", "num": 0})
            writes = [
                request(
                    verb,
                    "kit_item",
                    key={"id": "a"},
                    values={"id": "a", "num": 1} if verb == "put" else {},
                    changes=sets(num=2) if verb == "update" else (),
                    expected=expected,
                )
                for verb in verbs * 5
            ]
            done = await asyncio.gather(*(getattr(driver, w.verb)(w) for w in writes))
            assert sum(written.affected for written in done) == 1
            winner = next(w for w, written in zip(writes, done, strict=True) if written.affected)
            left = {"put": {"id": "a", "num": 1}, "update": {"id": "a", "num": 2}, "delete": None}
            assert await stored(driver, "kit_item", id="a") == left[winner.verb]

    COMPARED: ClassVar[dict[str, tuple[Any, Any]]] = {
        "whole": (2**53 + 1, 2**53),
        "real": (0.1, 0.5),
        "flag": (True, False),
        "text": ("e\u0301", "é"),
        "mail": ("", " "),
        "raw": (b"\0\xff", b"\0"),
        "doc": ({"a": [1, {"b": None}]}, {"a": [1, {}]}),
        "obj": ({"n": 1}, {"n": 2}),
        "arr": ([1, 2], [2, 1]),
        "words": (["a", "b"], ["b", "a"]),
        "exact": (Decimal("0.1"), Decimal("0.11")),
        "at": (datetime(2018, 3, 2, 1, 2, 3, 4, UTC), datetime(2018, 3, 2, 1, 2, 3, 5, UTC)),
        "day": (date(2018, 3, 2), date(2018, 3, 3)),
    }

    @pytest.mark.parametrize("name", sorted(COMPARED))
    async def test_expected_value_of_each_type(
        self, db: Database, driver: DbDriver, name: str
    ) -> None:
        """An expectation holds for the value that is stored, and for no other.

        Troubleshooting: `comparable` says no to columns whose values the engine cannot compare.
        """
        need(driver, "conditional")
        column = table("kit_value").columns[name]
        if not driver.comparable(column):
            pytest.skip("does not compare such values")
        if name == "whole":
            wide(driver)
        encode = encoder(column, driver.shape) or (lambda value: value)
        mine, other = map(encode, self.COMPARED[name])
        await store(driver, "kit_value", {"id": "a", name: mine})
        for value, holds in ((other, 0), (mine, 1)):
            put = request(
                "put",
                "kit_value",
                values={"id": "a", name: mine},
                expected=where(Condition(name, "eq", value)),
            )
            assert (await driver.put(put)).affected == holds, value
        gone = request(
            "delete", "kit_value", key={"id": "a"}, expected=where(Condition(name, "null"))
        )
        assert (await driver.delete(gone)).affected == 0

    async def test_native_versions(self, db: Database, driver: DbDriver) -> None:
        """Each write makes another version, and one with an old version happens to no row, also
        when the row was deleted and made again meanwhile.

        Troubleshooting: count on where the deleted row ended, or take a number from all rows.
        """
        need(driver, "versions")
        get = request("get", "kit_item", key={"id": "a"})
        assert await driver.versioned(get) is None
        versions = []
        for again in (False, False, True):
            if again:
                await driver.delete(request("delete", "kit_item", key={"id": "a"}))
            await store(driver, "kit_item", {"id": "a", "num": 1})
            row, version = await driver.versioned(get) or ({}, None)
            assert clean(row) == {"id": "a", "num": 1}
            assert version not in versions
            versions.append(version)
        put = request("put", "kit_item", values={"id": "a", "num": 2})
        for version, affected in ((versions[0], 0), (versions[2], 1), (versions[2], 0)):
            assert (await driver.put(replace(put, version=version))).affected == affected
        gone = request("delete", "kit_item", key={"id": "a"}, version=versions[2])
        assert (await driver.delete(gone)).affected == 0
        assert await stored(driver, "kit_item", id="a") == {"id": "a", "num": 2}

    # -- schema -----------------------------------------------------------------

    async def test_create_says_whether_something_changed(
        self, db: Database, driver: DbDriver
    ) -> None:
        """True for a new table, False when it is as described, True when a column is added.

        Troubleshooting: an existing table with all columns and indexes must not count as changed,
        and rows survive an upgrade.
        """
        need(driver, "tables")
        await driver.drop("kit_item")
        try:
            assert await driver.create(table("kit_item")) is True
            assert await driver.create(table("kit_item")) is False
            need(driver, "columns")
            await store(driver, "kit_item", ITEMS[0])
            db.describe_tables({"kit_item": {"extra": {"type": "int"}}})
            upgraded = db.schema.table("kit_item")
            assert await driver.create(upgraded) is True
            assert await driver.create(upgraded) is False
            assert await stored(driver, "kit_item", id="a") == ITEMS[0]
        finally:
            await driver.drop("kit_item")

    async def test_drop_takes_the_rows(self, db: Database, driver: DbDriver) -> None:
        """A table of the name that is made again begins empty; others keep theirs."""
        await store(driver, "kit_item", *ITEMS)
        await store(driver, "kit_item2", {"id": "a", "select": "s"})
        await driver.drop("kit_item")
        await driver.create(table("kit_item"))
        if not driver.can.fresh:
            await driver.refresh("kit_item")
        assert await found(driver, "kit_item") == [], "`drop` removes the rows with the table"
        assert await stored(driver, "kit_item", id="a") is None
        assert await stored(driver, "kit_item2", id="a") == {"id": "a", "select": "s"}

    async def test_describe_names_what_is_there(self, db: Database, driver: DbDriver) -> None:
        """`describe` tells tables, columns and which of them are the key, in order."""
        need(driver, "tables")
        real = await driver.describe()
        assert set(real["kit_pair"]) >= {"owner", "pos"}
        if driver.can.columns:
            assert set(real["kit_pair"]) >= {"note", "rank"}
        primary = {c["primary"]: n for n, c in real["kit_pair"].items() if c.get("primary")}
        assert [primary[place] for place in sorted(primary)] == ["owner", "pos"]

    async def test_fits_knows_the_types_that_are_made(self, db: Database, driver: DbDriver) -> None:
        """The type of each column that `create` made holds what is described; that of a text holds
        no number.

        Troubleshooting: `fits` gets a type as `describe` names it.
        """
        need(driver, "columns")
        real = (await driver.describe())["kit_value"]
        columns = table("kit_value").columns
        for name, column in columns.items():
            assert driver.fits(column, str(real[name]["type"])), f"{name} of {real[name]}"
        if real["whole"]["type"] != real["text"]["type"]:
            assert not driver.fits(columns["whole"], str(real["text"]["type"]))

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
