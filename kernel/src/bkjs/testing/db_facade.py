"""Conformance tests that talk through the kernel and hold for every driver.

Whether the database or the kernel does the work, the answer is the same. Where a guarantee needs
what the driver does not have, the test asserts that the request is refused.
"""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime
from typing import Any

import pytest

from bkjs.core.errors import AlreadyExists, BadRequest, BkError, Unsupported
from bkjs.db.contract import DbDriver, Row
from bkjs.db.database import Database
from bkjs.db.hooks import RowRequest

from .db_base import KitBase
from .db_tables import CONDITIONS, HOSTILE, ITEMS, UGLY_KEYS, clean, ids
from .dbs import database


def possible(db: Database, flag: str) -> bool:
    """Whether a guarantee is there, natively or by conditional writes."""
    can = db.pool().can
    return bool(getattr(can, flag) or can.conditional)


async def fill(db: Database, name: str = "kit_item", rows: list[Row] | None = None) -> None:
    for row in ITEMS if rows is None else rows:
        await db.put(name, row)


async def walk(db: Database, name: str, count: int, **options: Any) -> list[Row]:
    """All rows, page by page."""
    rows: list[Row] = []
    start: str | None = None
    while True:
        page = await db.select(name, {}, count=count, start=start, **options)
        assert len(page) <= count
        rows += page
        start = page.next_token
        if start is None:
            return rows


class FacadeTests(KitBase):
    """What `app.db` promises over any driver."""

    # -- values ----------------------------------------------------------------------------

    async def test_tables_are_empty_at_first(self, db: Database) -> None:
        """Each test begins with empty tables, so no test sees the rows of another.

        Troubleshooting: `drop` must remove the rows.
        """
        assert await db.select("kit_item") == []

    KINDS: dict[str, list[Any]] = {  # noqa: RUF012 - read only
        "flag": [True, False],
        "big": [0, 1, -1, 2**31, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)],
        "real": [0.0, 0.5, -1.25, 1e15, 1e-9, 123456.789],
        "at": [datetime(2018, 3, 2, 14, 13, 20, 123456, UTC), datetime(1, 1, 1, tzinfo=UTC)],
        "stamp": [1519862400000, 0],
        "doc": [{"a": [1, {"b": None}]}, [1, 2], "text", '{"a":1}', 5, True, {"é.$": "中"}],
        "obj": [{"n": 1, "deep": {"x": [1, {"y": "z"}]}}, {"$gt": 1, "a.b": 2, "": 3}],
        "arr": [[1, 2, 3], [{"n": 1}, {"n": 2}], ["a,b", "c|d"], [[1], [2]]],
        "words": [["a", "b"], ["one"], ["é", "a b"]],
        "text": ["", " ", "0", "null", "é中😀", "a'b\"c\\d%_;--", "line\nbreak\ttab", "x" * 50_000],
    }

    @pytest.mark.parametrize("kind", sorted(KINDS))
    async def test_values_come_back_as_they_were(self, db: Database, kind: str) -> None:
        """A value of every type is read as it was written, whatever the database stores.

        Troubleshooting: look at `shape`: what is False there is converted by the kernel.
        """
        for value in self.KINDS[kind]:
            await db.put("kit_kinds", {"id": "v", kind: value})
            row = await db.get("kit_kinds", {"id": "v"})
            assert row is not None
            assert row.get(kind) == value
            assert isinstance(row[kind], bool) == isinstance(value, bool)

    async def test_empty_nested_values_are_null(self, db: Database) -> None:
        """An empty object or array is stored as null."""
        await db.put("kit_kinds", {"id": "e", "doc": {}, "obj": {}, "arr": []})
        assert clean(await db.get("kit_kinds", {"id": "e"})) == {"id": "e"}

    @pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**30, float("inf"), float("nan")])
    async def test_numbers_out_of_range_are_refused(self, db: Database, value: Any) -> None:
        """A number that the column cannot hold is a 400 that names the column, on every engine."""
        if isinstance(value, int) and db.pool().driver.shape.ints is None:
            pytest.skip("holds whole numbers of any size")
        with pytest.raises(BadRequest, match="big"):
            await db.put("kit_kinds", {"id": "n", "big": value})

    @pytest.mark.parametrize("key", UGLY_KEYS)
    async def test_keys_may_hold_anything(self, db: Database, key: str) -> None:
        """Separators, wildcards, quotes and letters of any script are just text in a key.

        Troubleshooting: escape what the database gives a meaning in keys.
        """
        await fill(db, rows=[{"id": k, "name": k} for k in UGLY_KEYS])
        assert (await db.get("kit_item", {"id": key}) or {}).get("name") == key
        assert [row["id"] for row in await db.select("kit_item", {"id": key})] == [key]
        assert [row["id"] for row in await db.list("kit_item", [{"id": key}])] == [key]
        assert (await db.del_("kit_item", {"id": key})).affected == 1
        assert len(await db.select("kit_item")) == len(UGLY_KEYS) - 1

    async def test_minus_zero_is_zero(self, db: Database) -> None:
        """-0.0 is found by 0 and the other way round."""
        await fill(db, rows=[{"id": "a", "price": -0.0}, {"id": "b", "price": 0}])
        assert ids(await db.select("kit_item", {"price": 0})) == "ab"
        assert ids(await db.select("kit_item", {"price": -0.0})) == "ab"

    async def test_number_text_is_converted(self, db: Database) -> None:
        """Text of a number is stored and compared as a number, "" as null."""
        await db.put("kit_item", {"id": "a", "num": "42", "price": "1.25", "tag": 7})
        row = {"id": "a", "num": 42, "price": 1.25, "tag": "7"}
        assert clean(await db.get("kit_item", {"id": "a"})) == row
        assert ids(await db.select("kit_item", {"num": "5"}, ops={"num": "gt"})) == "a"
        await db.put("kit_item", {"id": "a", "num": "", "price": "null"})
        assert clean(await db.get("kit_item", {"id": "a"})) == {"id": "a"}

    # -- reads -----------------------------------------------------------------------------

    async def test_get(self, db: Database) -> None:
        """By the whole key, other properties ignored; None without a row or with half a key."""
        await fill(db)
        await db.put("kit_pair", {"owner": "o", "pos": 1, "note": "n"})
        assert clean(await db.get("kit_item", {"id": "a", "name": "other"})) == ITEMS[0]
        assert clean(await db.get("KIT_ITEM", {"id": "a"}, select="name")) == {"name": "alpha"}
        assert await db.get("kit_item", {"id": "zz"}) is None
        assert await db.get("kit_item", {"id": ""}) is None
        assert await db.get("kit_item", {}) is None
        assert await db.get("kit_pair", {"owner": "o"}) is None
        assert (await db.get("kit_pair", {"owner": "o", "pos": "1"}) or {})["note"] == "n"

    @pytest.mark.parametrize("case", CONDITIONS, ids=lambda c: f"{c[0]} {c[1]} {c[2]!r}")
    async def test_operator(self, db: Database, case: tuple[str, str, Any, str]) -> None:
        """Every operator selects the rows of the truth table.

        Troubleshooting: when the same case of `test_native_condition` passes, look at the kernel.
        """
        column, op, value, expected = case
        await fill(db)
        value = list(value) if isinstance(value, tuple) else value
        rows = await db.select("kit_item", {column: value}, ops={column: op})
        assert ids(rows) == expected
        assert await db.select("kit_item", {column: value}, ops={column: op}, total=True) == [
            {"count": len(expected)}
        ]

    async def test_conditions_are_joined(self, db: Database) -> None:
        """All properties by AND, by OR with `join`, and groups that nest."""
        await fill(db)
        select = db.select
        assert ids(await select("kit_item", {"tag": "x", "num": 2})) == "b"
        assert ids(await select("kit_item", {"num": 1, "name": "Beta"}, join="OR")) == "ab"
        group = {"$or": {"num": 1, "$and": {"tag": "y", "price": 3.5}}}
        assert ids(await select("kit_item", group)) == "ac"
        twice = {"$or": {"tag": "x", "t2": None}}
        assert ids(await select("kit_item", twice, aliases={"t2": "tag"})) == "abe"
        two = {"$or1": {"num": 1, "name": "Beta"}, "$or2": {"price": 2.5, "tag": "zz"}}
        assert ids(await select("kit_item", two)) == "b"

    async def test_empty_lists_match_nothing(self, db: Database) -> None:
        """`in []` matches nothing; `not in []` and an empty text are no condition."""
        await fill(db)
        assert await db.select("kit_item", {"num": []}) == []
        assert await db.select("kit_item", {"num": ""}, ops={"num": "in"}) == []
        assert len(await db.select("kit_item", {"num": []}, ops={"num": "not in"})) == 6
        assert len(await db.select("kit_item", {"name": ""})) == 6
        assert await db.select("kit_item", {"name": ""}, noscan=True) == []

    async def test_list_keeps_the_order_of_the_keys(self, db: Database) -> None:
        """A thousand keys in one call; missing rows are left out, repeated ones given once."""
        await fill(db)
        keys = ["c", "zz", "a", "c", *(f"no{n}" for n in range(1000)), "b"]
        assert [row["id"] for row in await db.list("kit_item", keys)] == ["c", "a", "b"]
        assert await db.list("kit_item", []) == []
        pairs = [{"owner": "o", "pos": n} for n in (3, 1, 2)]
        await fill(db, "kit_pair", pairs)
        assert [row["pos"] for row in await db.list("kit_pair", pairs)] == [3, 1, 2]
        with pytest.raises(BadRequest, match="invalid list"):
            await db.list("kit_item", {"id": "a"})  # type: ignore[arg-type]

    # -- order and pages -----------------------------------------------------------------------

    async def test_sort(self, db: Database) -> None:
        """Nulls first, text by code point, several columns, each with its direction."""
        await fill(db)

        async def sorted_ids(**options: Any) -> str:
            return "".join(row["id"] for row in await db.select("kit_item", **options))

        assert await sorted_ids(sort="num") == "feabcd"
        assert await sorted_ids(sort="name") == "fdbace"
        assert await sorted_ids(sort="name", desc=True) == "ecabdf"
        assert await sorted_ids(sort="tag", sort1="num", desc1=True) == "efbadc"
        assert await sorted_ids(sort="num", count=2) == "fe"
        assert await sorted_ids(sort="num", count=2, page=2) == "ab"
        assert await sorted_ids(sort="num", count=2, start=3) == "bc"
        assert await sorted_ids(sort="num", select="id") == "feabcd"

    @pytest.mark.parametrize("count", [1, 2, 5, 6, 7, 100])
    async def test_pages_end_exactly(self, db: Database, count: int) -> None:
        """Pages of n-1, n and n+1 rows: `next_token` is None exactly when nothing follows."""
        await fill(db)
        rows: list[Row] = []
        start: str | None = None
        for left in range(6, -1, -count):
            page = await db.select("kit_item", {}, count=count, start=start)
            rows += page
            assert len(page) == min(count, left)
            assert (page.next_token is None) == (left <= count)
            start = page.next_token
            if start is None:
                break
        assert ids(rows) == "abcdef"

    @pytest.mark.parametrize("sort", ["", "id", "num", "tag", "name", "price"])
    @pytest.mark.parametrize("desc", [False, True])
    async def test_pages_visit_each_row_once(self, db: Database, sort: str, desc: bool) -> None:
        """Whatever the sort, with equal and null values in it.

        Troubleshooting: see `test_native_seek`.
        """
        await fill(db)
        rows = await walk(db, "kit_item", 2, sort=sort, desc=desc)
        assert ids(rows) == "abcdef"
        if sort:
            whole = await db.select("kit_item", sort=sort, desc=desc)
            assert [r.get(sort) for r in rows] == [r.get(sort) for r in whole]

    async def test_pages_with_a_filter(self, db: Database) -> None:
        """Conditions that the kernel checks itself make no short or double pages."""
        rows = [{"id": f"r{n:03}", "num": n, "name": f"n{n % 3}"} for n in range(100)]
        await fill(db, rows=rows)
        wanted = [row["id"] for row in rows if row["name"] == "n1"]
        for count in (1, 7, 33, 34):
            found: list[str] = []
            start: str | None = None
            while True:
                page = await db.select(
                    "kit_item",
                    {"name": "^n1"},
                    ops={"name": "regexp"},
                    count=count,
                    start=start,
                    sort="id",
                )
                found += [row["id"] for row in page]
                start = page.next_token
                if start is None:
                    break
                assert len(page) == count
            assert found == wanted

    async def test_pages_are_stable_while_others_write(self, db: Database) -> None:
        """Rows that are there at the start are seen exactly once while others come and go."""
        rows = [{"id": f"m{n:02}", "num": n} for n in range(20)]
        await fill(db, rows=rows)
        seen: list[str] = []
        start: str | None = None
        for number in itertools.count():
            page = await db.select("kit_item", {}, count=3, start=start, sort="num")
            seen += [row["id"] for row in page]
            await db.put("kit_item", {"id": f"a{number}", "num": -number - 1})
            await db.del_("kit_item", {"id": f"a{number - 1}"})
            start = page.next_token
            if start is None:
                break
        assert [key for key in seen if key[0] == "m"] == [row["id"] for row in rows]

    async def test_tokens_are_good_for_one_query(self, db: Database, driver: DbDriver) -> None:
        """A changed token, or one of another query, table or server, is refused."""
        await fill(db)
        page = await db.select("kit_item", {"tag": "x"}, count=1, sort="num")
        token = page.next_token
        assert token
        other = database(driver)
        other.describe_tables(db.schema.definitions)
        queries: list[tuple[Database, str, dict[str, Any], str]] = [
            (db, "kit_item", {"tag": "y"}, token),
            (db, "kit_item", {}, token),
            (db, "kit_pair", {}, token),
            (other, "kit_item", {"tag": "x"}, token),
            (db, "kit_item", {"tag": "x"}, token[:-2] + ("AA" if token[-2:] != "AA" else "BB")),
            (db, "kit_item", {"tag": "x"}, token[2:]),
            (db, "kit_item", {"tag": "x"}, "nonsense"),
        ]
        for facade, name, query, start in queries:
            sort = "num" if name == "kit_item" else "pos"
            with pytest.raises(BadRequest, match="start: invalid token"):
                await facade.select(name, query, count=1, sort=sort, start=start)

    async def test_unique_and_select(self, db: Database) -> None:
        """`unique` keeps the first of each value; `select` gives these columns and no other."""
        await fill(db)
        rows = await db.select("kit_item", sort="num", unique="tag", select="id")
        assert [row["id"] for row in rows] == ["f", "e", "a", "c"]
        assert all(row.keys() == {"id"} for row in rows)
        rows = await db.select("kit_item", {"num": 1}, select="name", count=1, sort="price")
        assert rows == [{"name": "alpha"}]

    # -- names ---------------------------------------------------------------------------------

    @pytest.mark.parametrize("name", HOSTILE)
    async def test_hostile_names_reach_no_database(self, db: Database, name: str) -> None:
        """Names come from the described schema or are refused or ignored: never sent on.

        Troubleshooting: a driver quotes the names of the request and uses no others.
        """
        await fill(db)
        row = {"id": "a", name: "x"}
        with pytest.raises(BadRequest):
            await db.select("kit_item", sort=name)
        with pytest.raises(BadRequest):
            await db.select(name)
        with pytest.raises(BadRequest):
            await db.select("kit_item", {"num": 1}, ops={"num": name})
        with pytest.raises(BadRequest):
            await db.select("kit_item", unique=name)
        assert len(await db.select("kit_item", {name: 1})) == 6
        assert len(await db.select("kit_item", {"$or": {name: 1}})) == 6
        assert len((await db.select("kit_item", {"num": 1}, select=name))[0]) > 1
        with pytest.raises(BadRequest):
            await db.del_all("kit_item", {name: "x"})
        with pytest.raises(BadRequest):
            await db.update_all("kit_item", {name: "x"}, {"name": "n"})
        await db.put("kit_item", row)
        assert clean(await db.get("kit_item", {"id": "a"})) == {"id": "a"}
        if db.pool().can.conditional:
            with pytest.raises(BadRequest):
                await db.update("kit_item", {"id": "a", "num": 1}, expected={name: "x"})
        assert len(await db.select("kit_item")) == 6

    async def test_hostile_values_are_just_values(self, db: Database) -> None:
        """Text that looks like a language matches only itself, with every text operator."""
        texts = ["' OR 1=1 --", '"; DROP TABLE kit_item; --', "%", "_", "\\", "{$ne: 1}", "*", "."]
        await fill(db, rows=[{"id": str(n), "name": text} for n, text in enumerate(texts)])
        for number, text in enumerate(texts):
            for op in ("eq", "begins_with", "ilike%", "contains"):
                rows = await db.select("kit_item", {"name": text}, ops={"name": op})
                wanted = {
                    str(n)
                    for n, t in enumerate(texts)
                    if text in t and (op == "contains" or n == number)
                }
                assert {row["id"] for row in rows} == wanted, (op, text)
        assert len(await db.select("kit_item")) == len(texts)

    async def test_undescribed_properties_are_dropped(self, db: Database) -> None:
        """What is no column is not stored; names with an underscore never are."""
        await db.put("kit_item", {"id": "a", "admin": 1, "_id": 5, "num": 1})
        assert clean(await db.get("kit_item", {"id": "a"})) == {"id": "a", "num": 1}

    async def test_columns_may_be_named_like_a_language(self, db: Database) -> None:
        """Reserved words and capitals in column names work everywhere."""
        row = {"id": "a", "select": "s", "order": 2, "from": "f", "Mixed": "m"}
        await db.put("kit_item2", row)
        assert clean(await db.get("kit_item2", {"id": "a"})) == row
        query = {"select": "s", "from": "f", "Mixed": "m"}
        assert await db.select("kit_item2", query, sort="order", select="order") == [{"order": 2}]
        if possible(db, "update"):
            await db.update("kit_item2", {"id": "a", "from": "g", "Mixed": "n"})
            changed = {**row, "from": "g", "Mixed": "n"}
            assert clean(await db.get("kit_item2", {"id": "a"})) == changed

    async def test_unknown_option_is_an_error(self, db: Database) -> None:
        """A misspelled option never changes what a request means."""
        with pytest.raises(TypeError, match="cuont"):
            await db.select("kit_item", cuont=1)  # type: ignore[call-arg]

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
        if not (can.conditional or (can.update and "add" in can.changes)):
            assert all(isinstance(result, Unsupported) for result in done)
            return
        assert [result for result in done if isinstance(result, BaseException)] == []
        assert sorted(row["words"]) == sorted(["w", *(f"w{n}" for n in range(20))])

    async def test_update_operations(self, db: Database) -> None:
        """concat, not_exists, append, prepend, del and remove, native or not."""
        if not db.pool().can.conditional:
            pytest.skip("has them natively or refuses; see test_claimed_change")
        await db.put("kit_count", {"id": "a", "name": "n", "words": ["a", "b"], "likes": 1})

        async def change(op: str, **values: Any) -> Row:
            ops = dict.fromkeys(values, op)
            done = await db.update("kit_count", {"id": "a", **values}, update_ops=ops)
            assert done.affected == 1
            return clean(await db.get("kit_count", {"id": "a"})) or {}

        assert (await change("concat", name="-x"))["name"] == "n-x"
        assert (await change("not_exists", name="other", total=5))["total"] == 5
        assert (await change("append", words=["c"]))["words"] == ["a", "b", "c"]
        assert (await change("prepend", words=["z"]))["words"] == ["z", "a", "b", "c"]
        assert (await change("del", words=["z", "b"]))["words"] == ["a", "c"]
        row = await change("remove", name="ignored", words="ignored")
        assert row == {"id": "a", "likes": 1, "total": 5}
        with pytest.raises(BadRequest, match="name"):
            await change("$inc", name=1)

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
        if not db.pool().can.conditional:
            assert all(isinstance(result, Unsupported) for result in done)
            return
        errors = [result for result in done if isinstance(result, BaseException)]
        assert errors == []
        assert sum(r.affected for r in done if not isinstance(r, BaseException)) == 1

    async def test_expected_takes_all_conditions(self, db: Database) -> None:
        """Operators, groups and null in `expected`, for update and del."""
        if not db.pool().can.conditional:
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

    async def test_returning(self, db: Database) -> None:
        """`returning="*"` gives each of 10 tasks its own value of a counter: a sequence."""
        can = db.pool().can
        await db.put("kit_count", {"id": "s", "likes": 0})
        if not (can.conditional or (can.returning and can.counters)):
            with pytest.raises(Unsupported):
                await db.incr("kit_count", {"id": "s", "likes": 1}, returning="*")
            return
        done = await asyncio.gather(
            *(db.incr("kit_count", {"id": "s", "likes": 1}, returning="*") for _ in range(10))
        )
        assert sorted((w.row or {})["likes"] for w in done) == list(range(1, 11))
        gone = await db.del_("kit_count", {"id": "s"}, returning="old")
        assert (gone.row or {})["likes"] == 10

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
        with pytest.raises(BadRequest, match="no usable condition"):
            await db.del_all("kit_item", {"id": ""})
        assert await db.del_all("kit_item", {"num": []}) == 0
        assert await db.del_all("kit_item", {"num": 200}, ops={"num": "ge"}) == 50
        match = {"id": "^r00"}
        gone = await db.del_all("kit_item", match, ops={"id": "regexp"}, del_collect=True)
        assert len(gone) == 10
        assert await db.del_all("kit_item", {}) == 190
        assert await db.select("kit_item") == []

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
        """A thousand records in one call are all there."""
        items = [
            {"op": "put", "table": "kit_item", "obj": {"id": f"b{n}", "num": n, "name": "é" * 9}}
            for n in range(1000)
        ]
        outcomes = await db.bulk(items)
        assert [error for error, _ in outcomes if error] == []
        assert await db.select("kit_item", {}, total=True) == [{"count": 1000}]

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
