"""Conformance tests of writes through the kernel: one row, many rows, transactions.

Whether the database or the kernel does the work, the answer is the same. Where a guarantee needs
what the driver does not have, the test asserts that the request is refused.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from bkjs.db.contract import ABSENT, Row
from bkjs.db.database import Database
from bkjs.db.request.emulate import same
from bkjs.db.request.hooks import RowRequest
from bkjs.db.transaction import DbTransaction
from bkjs.errors import AlreadyExists, BadRequest, BkError, Conflict, Unsupported

from .base import KitBase, checks, compares, fill, need_facade, possible
from .tables import ITEMS, clean, ids


class WriteTests(KitBase):
    """What `app.db` promises of writes over any driver."""

    # -- writes ----------------------------------------------------------------------------

    async def test_add_lets_one_of_many_win(self, db: Database) -> None:
        """Of 20 adds of one key exactly one happens, the others raise AlreadyExists."""
        rows = [{"id": "a", "num": number} for number in range(20)]
        done = await asyncio.gather(
            *(db.add("kit_item", row) for row in rows), return_exceptions=True
        )
        if not possible(db, "add"):
            assert all(isinstance(result, Unsupported) for result in done)
            assert await db.select("kit_item") == []
            return
        errors = [result for result in done if isinstance(result, BaseException)]
        assert len(errors) == 19
        for error in errors:
            assert isinstance(error, AlreadyExists)
            assert str(error) == "Record already exists"
        winner = next(n for n, result in enumerate(done) if not isinstance(result, BaseException))
        assert clean(await db.get("kit_item", {"id": "a"})) == rows[winner]

    async def test_increments_lose_nothing(self, db: Database) -> None:
        """20 tasks that add to one counter end at 20."""
        await db.put("kit_count", {"id": "a", "likes": 0})
        done = await asyncio.gather(
            *(db.incr("kit_count", {"id": "a", "likes": 1}) for _ in range(20)),
            return_exceptions=True,
        )
        row = await db.get("kit_count", {"id": "a"})
        assert row is not None
        if not possible(db, "counters"):
            assert all(isinstance(result, Unsupported) for result in done)
            assert row["likes"] == 0
            return
        assert [result for result in done if isinstance(result, BaseException)] == []
        assert row["likes"] == 20

    async def test_what_is_removed_is_not_made_by_upsert(self, db: Database) -> None:
        """A row that is made has the other columns, one that is there loses this one."""
        need_facade(db, "update")
        row = {"id": "n", "name": "gone", "tag": "x"}
        for made in (True, False):
            if not made:
                await db.put("kit_item", {"id": "n", "name": "old", "num": 1})
            done = await db.update("kit_item", row, upsert=True, update_ops={"name": "remove"})
            assert done.affected == 1
            wanted = {"id": "n", "tag": "x"} if made else {"id": "n", "tag": "x", "num": 1}
            assert clean(await db.get("kit_item", {"id": "n"})) == wanted

    async def test_incr_creates_with_upsert(self, db: Database) -> None:
        """A missing row is created only with `upsert`, also by many at once."""
        if not possible(db, "counters"):
            with pytest.raises(Unsupported):
                await db.incr("kit_count", {"id": "n", "likes": 1}, upsert=True)
            return
        assert (await db.incr("kit_count", {"id": "n", "likes": 1})).affected == 0
        await asyncio.gather(
            *(db.incr("kit_count", {"id": "n", "likes": 2}, upsert=True) for _ in range(10))
        )
        assert clean(await db.get("kit_count", {"id": "n"})) == {"id": "n", "likes": 20}

    async def test_an_expectation_creates_nothing(self, db: Database) -> None:
        """With `upsert` and `expected` a row that is missing stays so: it is not as expected."""
        if not possible(db, "conditional"):
            pytest.skip("no conditional writes")
        row = {"id": "n", "likes": 1}
        written = await db.incr("kit_count", row, upsert=True, expected={"likes": 0})
        assert written.affected == 0
        assert await db.get("kit_count", {"id": "n"}) is None

    async def test_list_changes_lose_nothing(self, db: Database) -> None:
        """20 tasks that add an item to one list leave 20 items."""
        await db.put("kit_count", {"id": "a", "words": ["w"]})
        done = await asyncio.gather(
            *(
                db.update("kit_count", {"id": "a", "words": [f"w{n}"]}, update_ops={"words": "add"})
                for n in range(20)
            ),
            return_exceptions=True,
        )
        row = await db.get("kit_count", {"id": "a"})
        assert row is not None
        can = db.pool().can
        if not (compares(db, "kit_count", "words") or (can.update and "add" in can.changes)):
            assert all(isinstance(result, Unsupported) for result in done)
            return
        assert [result for result in done if isinstance(result, BaseException)] == []
        assert sorted(row["words"]) == sorted(["w", *(f"w{n}" for n in range(20))])

    async def test_update_operations(self, db: Database) -> None:
        """concat, not_exists, append, prepend, del and remove, native or not."""
        if not checks(db):
            pytest.skip("has them natively or refuses; see test_claimed_change")
        await db.put("kit_count", {"id": "a", "words": ["a", "b"], "likes": 1})

        async def change(op: str, **values: Any) -> Row:
            ops = dict.fromkeys(values, op)
            done = await db.update("kit_count", {"id": "a", **values}, update_ops=ops)
            assert done.affected == 1
            return clean(await db.get("kit_count", {"id": "a"})) or {}

        assert (await change("concat", name="n"))["name"] == "n"
        assert (await change("concat", name="-x"))["name"] == "n-x"
        assert (await change("not_exists", name="other", total=5))["total"] == 5
        if not compares(db, "kit_count", "words"):
            with pytest.raises(Unsupported, match="comparison of 'words'"):
                await change("append", words=["c"])
            return
        assert (await change("append", words=["c"]))["words"] == ["a", "b", "c"]
        assert (await change("prepend", words=["z"]))["words"] == ["z", "a", "b", "c"]
        assert (await change("del", words=["z", "b"]))["words"] == ["a", "c"]
        row = await change("remove", name="ignored", words="ignored")
        assert row == {"id": "a", "likes": 1, "total": 5}
        with pytest.raises(BadRequest, match="name"):
            await change("$inc", name=1)

    async def test_only_numbers_are_increased(self, db: Database) -> None:
        """An `incr` of any other column is refused, and the column named."""
        await fill(db)
        with pytest.raises(BadRequest, match="name: not a column of numbers"):
            await db.update("kit_item", {"id": "a", "name": 1}, update_ops={"name": "incr"})

    async def test_only_one_expected_update_wins(self, db: Database) -> None:
        """Of 20 tasks that take a lock exactly one gets it."""
        await db.put("kit_item", {"id": "lock", "num": 0})
        done = await asyncio.gather(
            *(
                db.update("kit_item", {"id": "lock", "num": n}, expected={"num": 0})
                for n in range(1, 21)
            ),
            return_exceptions=True,
        )
        if not checks(db):
            assert all(isinstance(result, Unsupported) for result in done)
            return
        errors = [result for result in done if isinstance(result, BaseException)]
        assert errors == []
        assert sum(r.affected for r in done if not isinstance(r, BaseException)) == 1

    async def test_expected_takes_all_conditions(self, db: Database) -> None:
        """Operators, groups and null in `expected`, for update and del."""
        if not checks(db):
            with pytest.raises(Unsupported):
                await db.del_("kit_item", {"id": "a"}, expected={"num": 1})
            return
        await fill(db)
        cases: list[tuple[dict[str, Any], dict[str, Any], int]] = [
            ({"num": 0}, {"ops": {"num": "gt"}}, 1),
            ({"num": 5}, {"ops": {"num": "gt"}}, 0),
            ({"name": "^al"}, {"ops": {"name": "regexp"}}, 1),
            ({"$or": {"tag": "zz", "num": 1}}, {}, 1),
            ({"tag": "zz", "num": 1}, {"expected_join": "OR"}, 1),
            ({"tag": None}, {}, 0),
            ({"tag": ""}, {}, 0),
        ]
        for expected, options, affected in cases:
            done = await db.update(
                "kit_item", {"id": "a", "price": 9}, expected=expected, **options
            )
            assert done.affected == affected, expected
        assert (await db.del_("kit_item", {"id": "a"}, expected={"num": 2})).affected == 0
        assert (await db.del_("kit_item", {"id": "a"}, expected={"num": 1})).affected == 1
        assert (
            await db.update("kit_item", {"id": "a", "num": 1}, expected={"num": None})
        ).affected == 0

    async def test_put_replaces_what_is_expected(self, db: Database) -> None:
        """As update and del do; `ABSENT` expects no row."""
        if not checks(db):
            with pytest.raises(Unsupported):
                await db.put("kit_item", {"id": "a"}, expected={"num": 1})
            return
        await fill(db)
        cases: list[tuple[Any, dict[str, Any], int]] = [
            ({"num": 2}, {}, 0),
            ({"num": 0}, {"ops": {"num": "lt"}}, 0),
            ({"name": "^zz"}, {"ops": {"name": "regexp"}}, 0),
            (ABSENT, {}, 0),
            ({"num": 0, "tag": "zz"}, {"ops": {"num": "gt"}, "expected_join": "OR"}, 1),
            ({"num": 7}, {}, 1),
        ]
        for expected, options, affected in cases:
            done = await db.put("kit_item", {"id": "a", "num": 7}, expected=expected, **options)
            assert done.affected == affected, expected
        assert clean(await db.get("kit_item", {"id": "a"})) == {"id": "a", "num": 7}
        assert (await db.put("kit_item", {"id": "z"}, expected={"num": None})).affected == 0
        assert await db.get("kit_item", {"id": "z"}) is None
        for number, affected in enumerate((1, 0)):
            done = await db.put("kit_item", {"id": "z", "num": number}, expected=ABSENT)
            assert done.affected == affected
        assert clean(await db.get("kit_item", {"id": "z"})) == {"id": "z", "num": 0}
        new = {"id": "z", "num": 1}
        for expected, row in (({"num": 5}, None), (ABSENT, None), ({"num": 0}, new)):
            done = await db.put("kit_item", new, expected=expected, returning="*")
            assert clean(done.row) == row, "a row that was not written is not given back"

    async def test_expected_json_is_compared_as_a_whole(self, db: Database) -> None:
        """As in queries: whatever the order of keys, and 1 is 1.0.

        Troubleshooting: say no to columns of JSON in `comparable`, or in `expects`.
        """
        if not checks(db):
            pytest.skip("has no conditional writes")
        column = db.target("kit_kinds").table.columns["doc"]
        row = {"id": "1", "doc": {"a": 1, "b": 2}, "big": 0}
        await db.put("kit_kinds", row)
        for doc, affected in (({"b": 2, "a": 1.0}, 1), ({"a": 1}, 0), (["a"], 0)):
            for write, new in ((db.put, row), (db.update, {"id": "1", "big": 1})):
                try:
                    done = await write("kit_kinds", new, expected={"doc": doc})
                except Unsupported:
                    assert not db.pool().driver.comparable(column)
                    pytest.skip("does not compare such values")
                assert done.affected == affected, doc

    @pytest.mark.parametrize("full", [True, False])
    async def test_a_row_that_was_read_is_expected(self, db: Database, full: bool) -> None:
        """Whatever the types of its columns, and where they have nothing.

        Troubleshooting: `eq` and `null` of `Request.expected` compare with the stored values, also
        those of json, lists and bytes.
        """
        if not checks(db):
            return
        row: Row = {"id": "1"}
        if full:
            row |= {"flag": True, "big": 2**40, "real": 0.1, "at": "2024-05-15T10:00:00.123Z"}
            row |= {"stamp": 1520000000123, "doc": [1, {"a": None}], "obj": {"a": {"b": [1]}}}
            row |= {"arr": [1, "x"], "words": ["a", "b"], "text": "ä"}
        if full and not all(compares(db, "kit_kinds", name) for name in row):
            row = {name: value for name, value in row.items() if compares(db, "kit_kinds", name)}
        for name, value in {"flag": False, "obj": {"a": 1}, "words": ["c"], "text": "b"}.items():
            await db.put("kit_kinds", row)
            seen = await db.get_stored("kit_kinds", {"id": "1"})
            assert seen is not None
            assert clean(seen[0]) == clean(await db.get("kit_kinds", {"id": "1"}))
            expected = same(db.target("kit_kinds"), seen[1])
            change = {"id": "1", name: value}
            for affected in (1, 0):
                done = await db.update("kit_kinds", change, expected=expected)
                assert done.affected == affected, name
            for write in (db.put, db.del_):
                assert (await write("kit_kinds", {"id": "1"}, expected=expected)).affected == 0
        assert await db.get_stored("kit_kinds", {"id": "2"}) is None
        assert await db.get_stored("kit_kinds", {}) is None

    async def test_returning(self, db: Database) -> None:
        """`returning="*"` gives each of 10 tasks its own value of a counter: a sequence; `old`
        gives what was there."""
        can = db.pool().can
        await db.put("kit_count", {"id": "s", "likes": 0})
        if not (checks(db) or (can.returning and can.counters)):
            with pytest.raises(Unsupported):
                await db.incr("kit_count", {"id": "s", "likes": 1}, returning="*")
            return
        done = await asyncio.gather(
            *(db.incr("kit_count", {"id": "s", "likes": 1}, returning="*") for _ in range(10))
        )
        assert sorted((w.row or {})["likes"] for w in done) == list(range(1, 11))
        was = await db.incr("kit_count", {"id": "s", "likes": 5}, returning="old")
        assert (was.row or {})["likes"] == 10
        gone = await db.del_("kit_count", {"id": "s"}, returning="old")
        assert (gone.row or {})["likes"] == 15

    async def test_generated_values(self, db: Database) -> None:
        """A new key, a default and times are made on insert; an update renews only `mtime`."""
        made = await db.put("kit_made", {"mtime": 5}, info_obj=True)
        assert made.obj is not None
        row = await db.get("kit_made", {"id": made.obj["id"]})
        assert row == made.obj
        assert row is not None
        assert row["id"].startswith("k_")
        assert row["status"] == "ok"
        if possible(db, "update"):
            db.now = lambda: 2_000_000_000.5
            await db.update("kit_made", {"id": row["id"], "ctime": 1, "status": "new"})
            changed = await db.get("kit_made", {"id": row["id"]})
            assert changed == {**row, "status": "new", "mtime": 2_000_000_000_500}

    async def test_writes_without_a_key(self, db: Database) -> None:
        """An insert without its key is refused; an update or del without one does nothing."""
        await fill(db)
        with pytest.raises(BadRequest, match="id is required"):
            await db.put("kit_item", {"num": 1})
        if possible(db, "update"):
            assert (await db.update("kit_item", {"num": 1})).affected == 0
            assert (await db.update("kit_item", {"id": "a"})).affected == 0
        assert (await db.del_("kit_item", {"num": 1})).affected == 0
        assert len(await db.select("kit_item")) == 6

    # -- many rows -----------------------------------------------------------------------------

    @pytest.mark.parametrize("text", ["k", "é", "\1", "中"])
    async def test_a_key_has_its_length(self, db: Database, text: str) -> None:
        """1,024 bytes of a key column are taken, one more is refused by name, on every engine that
        has no limit of its own."""
        size = min(1024, db.pool().driver.shape.longest_key or 1024)
        longest = "x" * (size % len(text.encode())) + text * (size // len(text.encode()))
        await db.put("kit_item", {"id": longest, "num": 1})
        await db.put("kit_pair", {"owner": longest, "pos": 1})
        assert (await db.get("kit_item", {"id": longest}) or {})["num"] == 1
        for write in (db.add, db.put, db.update):
            with pytest.raises(BadRequest, match=f"^id: longer than {size} bytes") as caught:
                await write("kit_item", {"id": longest + "x", "num": 1})
            assert caught.value.extra["field"] == "id"
        assert await db.get("kit_item", {"id": longest + "x"}) is None
        assert await db.list("kit_item", [longest + "x" * 9000]) == []

    async def test_update_all(self, db: Database) -> None:
        """Every matching row of more than one page is changed once; none without a usable
        condition."""
        rows = [{"id": f"r{n:03}", "num": n, "tag": "t"} for n in range(250)]
        await fill(db, rows=rows)
        if not possible(db, "update"):
            with pytest.raises(Unsupported):
                await db.update_all("kit_item", {"tag": "t"}, {"tag": "u"})
            return
        assert await db.update_all("kit_item", {"tag": "t"}, {"tag": "u"}) == 250
        assert await db.update_all("kit_item", {"tag": "t"}, {"tag": "v"}) == 0
        ops = {"num": "lt"}
        assert await db.update_all("kit_item", {"num": 10}, {"name": "low"}, ops=ops) == 10
        collected = await db.update_all(
            "kit_item", {"name": "low"}, {"price": 1}, update_collect=True
        )
        assert len(collected) == 10
        assert len(await db.select("kit_item", {"price": 1, "tag": "u"})) == 10

    async def test_del_all(self, db: Database) -> None:
        """The same for deletions; an empty query means all rows, a useless one none."""
        rows = [{"id": f"r{n:03}", "num": n} for n in range(250)]
        await fill(db, rows=rows)
        with pytest.raises(BadRequest, match="no usable condition"):
            await db.del_all("kit_item", {"nosuch": 1})
        for empty in (
            {"id": ""},
            {"num": ""},
            {"num": 1, "tag": ""},
            {"$or": {"tag": "", "num": 1}},
        ):
            with pytest.raises(BadRequest, match="is empty, which is no condition"):
                await db.del_all("kit_item", empty)
        assert await db.del_all("kit_item", {"num": []}) == 0
        assert await db.del_all("kit_item", {"num": 200}, ops={"num": "ge"}) == 50
        match = {"id": "^r00"}
        gone = await db.del_all("kit_item", match, ops={"id": "regexp"}, del_collect=True)
        assert len(gone) == 10
        assert await db.del_all("kit_item", {}) == 190
        assert await db.select("kit_item") == []

    async def test_update_all_reports_what_is_stored(self, db: Database) -> None:
        """Collected rows are those that are stored now, whichever way they were changed; of rows
        that were left alone none is reported.

        Troubleshooting: `returning` "*" is the row after the update; `put` of a row that is there
        affects one.
        """
        await fill(db)
        if not possible(db, "update"):
            return

        def tripled(row: Row, options: Any) -> None:
            row["num"] = row["num"] * 3

        cases: list[tuple[dict[str, Any], dict[str, Any], str]] = [
            ({"name": "new"}, {}, "ab"),
            ({"name": "put"}, {"op": "put"}, "ab"),
            ({}, {"process": tripled}, "ab"),
            ({"name": "both"}, {"process": tripled, "op": "put"}, "ab"),
            ({"name": "one"}, {"update_filter": lambda row, options: row["id"] == "a"}, "b"),
            ({"name": "few"}, {"limit": 1}, "a"),
            ({"name": "not"}, {"update_options": {"expected": {"num": -7}}}, ""),
        ]
        if possible(db, "counters"):
            cases.append(({"num": 2}, {"update_ops": {"num": "incr"}}, "ab"))
        for obj, options, written in cases:
            if "update_options" in options and not checks(db):
                continue
            before = {row["id"]: row for row in await db.select("kit_item")}
            for collect in (True, False):
                rows = await db.update_all(
                    "kit_item", {"tag": "x"}, obj, update_collect=collect, **options
                )
                if not collect:
                    assert rows == len(written), obj
                    continue
                stored = {row["id"]: row for row in await db.select("kit_item")}
                assert ids(rows) == written, obj
                assert [clean(row) for row in rows] == [clean(stored[r["id"]]) for r in rows], obj
                changed = [id for id, row in stored.items() if clean(row) != clean(before[id])]
                assert "".join(sorted(changed)) == written, obj

    async def test_update_all_changes_only_what_is_new(self, db: Database) -> None:
        """A column that another writer changes meanwhile keeps what that one wrote."""
        await fill(db)
        if not possible(db, "update"):
            return
        later: list[Any] = []

        def rename(row: Row, options: Any) -> None:
            later.append(asyncio.ensure_future(db.update("kit_item", {"id": row["id"], "num": 77})))
            row["name"] = "renamed"

        await db.update_all("kit_item", {"tag": "y"}, {}, process=rename)
        await asyncio.gather(*later)
        rows = await db.select("kit_item", {"tag": "y"})
        assert [(row["name"], row["num"]) for row in rows] == [("renamed", 77)] * 2

    async def test_del_all_reports_what_is_gone(self, db: Database) -> None:
        """Collected rows are those that were deleted, as they were."""
        await fill(db)

        def spoil(row: Row, options: Any) -> None:
            row.clear()

        first = await db.del_all("kit_item", {"tag": "x"}, del_collect=True, process=spoil)
        assert [clean(row) for row in first] == [clean(row) for row in ITEMS[:2]]
        rest = await db.del_all(
            "kit_item", {}, del_collect=True, del_filter=lambda row, options: row["id"] == "c"
        )
        assert ids(rest) == "def"
        assert ids(await db.select("kit_item")) == "c"

    async def test_batch_and_bulk(self, db: Database) -> None:
        """Each item has its own outcome, in the order given; a failure stops no other."""
        items: list[dict[str, Any]] = [
            {"op": "put", "table": "kit_item", "obj": {"id": "p", "num": 1}},
            {"op": "add", "table": "kit_item", "obj": {"id": "a", "num": 2}},
            {"op": "put", "table": "kit_item", "obj": {"num": 3}},
            {"op": "put", "table": "nosuch", "obj": {"id": "x"}},
            {"op": "del", "table": "kit_item", "obj": {"id": "b"}},
            {"op": "put", "table": "kit_pair", "obj": {"owner": "o", "pos": 1}},
        ]
        for run in (db.batch, db.bulk):
            await db.del_all("kit_pair", {})
            await fill(db)
            outcomes = await run(items)
            add = AlreadyExists if possible(db, "add") else Unsupported
            kinds = [type(error) for error, _ in outcomes]
            assert kinds == [type(None), add, BadRequest, BadRequest, type(None), type(None)]
            assert [item for _, item in outcomes] == items
            assert ids(await db.select("kit_item")) == "acdefp"
            assert len(await db.select("kit_pair")) == 1
            await db.del_("kit_item", {"id": "p"})

    async def test_bulk_of_many(self, db: Database) -> None:
        """Each of 2,501 records has its own outcome, in their order; what is reported as stored is
        there, and nothing else.

        Troubleshooting: a `bulk` that raises reports all of its records as failed, and so none of
        them may be stored.
        """
        await db.put("kit_item", {"id": "b7", "num": -1})
        bad = {7: AlreadyExists, 600: BadRequest, 2500: BadRequest}
        if not possible(db, "add"):
            bad[7] = Unsupported
        items = [
            {
                "op": "add" if n == 7 else "put",
                "table": "kit_item",
                "obj": {"id": f"b{n}", "num": n, "name": {"a": 1} if n in (600, 2500) else "é" * 9},
            }
            for n in range(2501)
        ]
        done: list[Any] = []
        outcomes = await db.bulk(items, done=done)
        assert [item for _, item in outcomes] == items
        assert {n: type(error) for n, (error, _) in enumerate(outcomes) if error} == bad
        assert done == outcomes
        rows = {row["id"]: row["num"] for row in await db.select("kit_item")}
        assert rows == {f"b{n}": n for n in range(2501) if n not in bad} | {"b7": -1}

    async def test_a_cancelled_bulk_has_reported_what_is_stored(self, db: Database) -> None:
        """Whenever it is cancelled: the list `done` then has an outcome for each stored record, and
        for no other."""
        items = [
            {"op": "put", "table": "kit_item", "obj": {"id": f"b{n}", "num": n}}
            for n in range(1200)
        ]
        for run in (db.bulk, db.batch):
            for turns in (1, 5, 40):
                await db.del_all("kit_item", {})
                done: list[Any] = []
                task = asyncio.ensure_future(run(items, done=done))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                stored = {row["id"] for row in await db.select("kit_item")}
                assert stored == {item["obj"]["id"] for error, item in done if error is None}

    async def test_scan_and_replace(self, db: Database) -> None:
        """scan calls back once per row; replace updates, adds or skips."""
        await fill(db)
        seen: list[Row] = []
        assert await db.scan("kit_item", {}, seen.append, count=4) == 6
        assert ids(seen) == "abcdef"
        assert await db.scan("kit_item", {}, seen.append, count=4, limit=5) == 5
        if not (possible(db, "add") and possible(db, "update")):
            with pytest.raises(Unsupported):
                await db.replace("kit_item", {"id": "a", "name": "n"})
            return
        assert (await db.replace("kit_item", {"id": "a", "name": "n"})).affected == 1
        assert (await db.replace("kit_item", {"id": "n", "name": "n"})).affected == 1
        same = await db.replace("kit_item", {"id": "a", "name": "n"}, check_data=True)
        assert same.affected == 0
        assert (await db.get("kit_item", {"id": "a"}) or {})["num"] == 1

    async def test_transaction(self, db: Database) -> None:
        """All or nothing, with the same verbs, or Unsupported."""
        if not db.pool().can.transactions:
            with pytest.raises(Unsupported):
                async with db.transaction():
                    pass
            return

        async def fail() -> None:
            async with db.transaction() as tx:
                await tx.put("kit_item", ITEMS[0])
                assert clean(await tx.get("kit_item", {"id": "a"})) == ITEMS[0]
                raise BkError("stop")

        with pytest.raises(BkError, match="stop"):
            await fail()
        assert await db.select("kit_item") == []
        async with db.transaction() as tx:
            await tx.put("kit_item", ITEMS[0])
            await tx.put("kit_pair", {"owner": "a", "pos": 1})
        assert ids(await db.select("kit_item")) == "a"
        assert len(await db.select("kit_pair")) == 1

    async def test_transactions_lose_no_update(self, db: Database) -> None:
        """Ten that add one to what they have read make ten, however many got in each other's way.

        Troubleshooting: `begin` needs an isolation where a row that another transaction changed
        since cannot be written (REPEATABLE READ, SERIALIZABLE), or locks what it reads; the error
        of the database for that must become `Conflict`.
        """
        if not db.pool().can.transactions:
            return
        await db.put("kit_item", {"id": "a", "num": 0})

        async def add_one(tx: DbTransaction) -> None:
            row = await tx.get("kit_item", {"id": "a"})
            assert row is not None
            await asyncio.sleep(0)
            await tx.update("kit_item", {"id": "a", "num": row["num"] + 1})

        await asyncio.gather(*(db.transact(add_one, tries=100) for _ in range(10)))
        assert (await db.get("kit_item", {"id": "a"}) or {})["num"] == 10

    async def test_calls_of_one_transaction_run_one_after_the_other(self, db: Database) -> None:
        """Also when they are made at the same time: most connections can do one thing at once."""
        if not db.pool().can.transactions:
            return
        async with db.transaction() as tx:
            await asyncio.gather(*(tx.put("kit_item", {"id": str(n), "num": n}) for n in range(20)))
            rows = await asyncio.gather(*(tx.get("kit_item", {"id": str(n)}) for n in range(20)))
            assert [row and row["num"] for row in rows] == list(range(20))
        assert len(await db.select("kit_item")) == 20

    async def test_a_call_that_is_no_part_of_the_transaction_is_refused(self, db: Database) -> None:
        """It would not see its writes, or wait for its end; the text says what to call."""
        if not db.pool().can.transactions:
            return
        await db.put("kit_item", {"id": "a"})
        assert await db.get("kit_item", {"id": "a"})
        async with db.transaction() as tx:
            await tx.put("kit_item", {"id": "b"})
            for call in (
                lambda: db.get("kit_item", {"id": "a"}),
                lambda: db.put("kit_item", {"id": "c"}),
                lambda: db.add("kit_item", {"id": "c"}),
                lambda: db.update("kit_item", {"id": "a", "num": 1}),
                lambda: db.select("kit_item"),
                lambda: db.select("kit_item", {"id": "a"}),
                lambda: db.list("kit_item", "a"),
                lambda: db.del_all("kit_item", {}),
                lambda: db.transaction().__aenter__(),
            ):
                with pytest.raises(RuntimeError, match=r"tx\.get"):
                    await call()
                with pytest.raises(RuntimeError, match=r"tx\.get"):  # a task that it begins, too
                    await asyncio.create_task(call())
        assert ids(await db.select("kit_item")) == "ab"

    async def test_hooks_see_and_change_rows(self, db: Database) -> None:
        """Pre hooks change a copy of the input, post hooks the rows; True drops one."""

        def stamp(req: RowRequest, row: Row, options: Any) -> None:
            if req.op == "put":
                row["tag"] = "hooked"

        def drop(req: RowRequest, row: Row, options: Any) -> bool:
            row["seen"] = req.op
            return row.get("id") == "b"

        db.set_process_row("pre", "kit_item", stamp)
        db.set_process_row("post", "kit_item", drop)
        await fill(db)
        assert ITEMS[0]["tag"] == "x"
        rows = await db.select("kit_item")
        assert ids(rows) == "acdef"
        assert {(row["tag"], row["seen"]) for row in rows} == {("hooked", "select")}
        assert await db.get("kit_item", {"id": "b"}) is None

    # -- errors ------------------------------------------------------------------------------

    async def test_errors_read_the_same_on_every_driver(self, db: Database) -> None:
        """Status, code and text do not tell which database it is; a column is named where one is
        to blame.

        Troubleshooting: raise the classes of `bkjs.errors` without a text where they have one.
        """
        await db.put("kit_item", ITEMS[0])
        made = {"id": "a", "num": 1}
        cases: list[tuple[Any, int, str, str]] = [
            (lambda: db.put("kit_item", {"num": 1}), 400, "", "id is required"),
            (lambda: db.put("kit_item", {**made, "name": {}}), 400, "", "name: "),
        ]
        if possible(db, "add"):
            taken = "Record already exists"
            cases.append((lambda: db.add("kit_item", made), 409, "AlreadyExists", taken))
        for call, status, code, text in cases:
            with pytest.raises(BkError) as raised:
                await call()
            error = raised.value
            assert (error.status, error.code) == (status, code), error
            assert str(error) == text or (text.endswith(": ") and str(error).startswith(text))
        if not db.pool().can.transactions:
            return

        async def add_one(tx: DbTransaction) -> None:
            row = await tx.get("kit_item", {"id": "a"})
            await asyncio.sleep(0)
            await tx.update("kit_item", {"id": "a", "num": (row or {})["num"] + 1})

        done = await asyncio.gather(
            *(db.transact(add_one, tries=1) for _ in range(10)), return_exceptions=True
        )
        again = "Another transaction got in the way, run this one again"
        failed = [result for result in done if result is not None]
        assert {(type(error), str(error)) for error in failed} <= {(Conflict, again)}

    async def test_a_backup_brings_back_what_was_there_or_is_refused(
        self, db: Database, tmp_path: Path
    ) -> None:
        """Into a new file or folder only; nothing is restored over rows without being told."""
        await fill(db)
        folder = tmp_path / "backups"
        folder.mkdir()
        target = str(folder / "copy")
        if not (db.pool().can.copies or db.pool().can.transactions):
            with pytest.raises(Unsupported, match="backups"):
                await db.backup(target)
            assert os.listdir(folder) == []
            return
        before = await db.select("kit_item", sort="id")
        heard: list[str] = []
        await db.backup(target, progress=heard.append)
        with pytest.raises(BadRequest, match="is there already"):
            await db.backup(target)
        assert os.listdir(folder) == ["copy"]
        with pytest.raises(AlreadyExists, match="is not empty: table kit_item has rows"):
            await db.restore(target)
        await db.put("kit_item", {"id": "new", "num": 1})
        await db.del_("kit_item", {"id": before[0]["id"]})
        await db.restore(target, overwrite=True, progress=heard.append)
        assert await db.select("kit_item", sort="id") == before
        await db.del_all("kit_item", {})
        await db.restore(target)
        assert await db.select("kit_item", sort="id") == before
        with pytest.raises(BadRequest, match="nowhere"):
            await db.restore(str(folder / "nowhere"), overwrite=True)
        assert await db.select("kit_item", sort="id") == before

    # -- life --------------------------------------------------------------------------------

    async def test_cancelled_requests_leave_the_pool_working(self, db: Database) -> None:
        """A request that is cancelled gives its connection back.

        Troubleshooting: release in `finally`; a connection in the middle of a reply is not reused.
        """
        await fill(db)
        for number in range(40):
            task = asyncio.ensure_future(db.select("kit_item", {"num": number % 3}))
            for _ in range(number % 4):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        for row in ITEMS:
            assert clean(await db.get("kit_item", {"id": row["id"]})) == clean(row)

    async def test_many_requests_at_once(self, db: Database) -> None:
        """More requests than connections wait for their turn; none fails or gets another's rows."""
        await fill(db)
        wanted = [ITEMS[n % 6] for n in range(100)]
        rows = await asyncio.gather(*(db.get("kit_item", {"id": row["id"]}) for row in wanted))
        assert [clean(row) for row in rows] == [clean(row) for row in wanted]
