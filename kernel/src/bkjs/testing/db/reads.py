"""Conformance tests of reads through the kernel: values, conditions, pages, names.

Whether the database or the kernel does the work, the answer is the same. Where a guarantee needs
what the driver does not have, the test asserts that the request is refused.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

import pytest

from bkjs.db.contract import DbDriver, Row
from bkjs.db.database import Database
from bkjs.errors import BadRequest, Unsupported
from bkjs.lib.given import Given

from .base import KitBase, checks, fill, possible, walk
from .opened import database
from .tables import CONDITIONS, HOSTILE, ITEMS, PAIRS, UGLY_KEYS, clean, ids
from .values import same


class ReadTests(KitBase):
    """What `app.db` promises of reads over any driver."""

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
        "doc": [
            {"a": [1, {"b": None}]},
            [1, 2],
            "text",
            '{"a":1}',
            5,
            True,
            {"é.$": "中"},
            {"n": [1, 0.5, 2**53 + 1, True, None, ""]},
            {"a": None},
            {"b": {"c": [None]}},
            0.5,
        ],
        "obj": [{"n": 1, "deep": {"x": [1, {"y": "z"}]}}, {"$gt": 1, "a.b": 2, "": 3}],
        "arr": [[1, 2, 3], [{"n": 1}, {"n": 2}], ["a,b", "c|d"], [[1], [2]]],
        "words": [["a", "b"], ["one"], ["é", "a b"], ["b", "a"], ["007", "7"]],
        "raw": [b"\0\xff", b"x", bytes(range(256)) * 20],
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
            assert same(row.get(kind), value), f"{value!r} came back as {row.get(kind)!r}"
            found = await db.list("kit_kinds", "v")
            assert same(found[0].get(kind), value)
            assert same((await db.select("kit_kinds"))[0].get(kind), value)

    async def test_empty_nested_values_are_kept(self, db: Database) -> None:
        """An empty object or array is not null."""
        row = {"id": "e", "doc": {}, "obj": {}, "arr": []}
        await db.put("kit_kinds", row)
        assert clean(await db.get("kit_kinds", {"id": "e"})) == row

    async def test_numbers_out_of_range_are_refused(self, db: Database) -> None:
        """A number that the column cannot hold is a 400 that names the column, on every engine; the
        least and the largest of `Shape.ints` are stored."""
        limits = db.pool().driver.shape.ints
        bad: list[Any] = [float("inf"), float("nan")]
        for number, more in zip(limits or (), (-1, 1), strict=False):
            await db.put("kit_kinds", {"id": "n", "big": number})
            assert same((await db.get("kit_kinds", {"id": "n"}) or {})["big"], number)
            bad += [number + more, number * 10]
        for value in bad:
            with pytest.raises(BadRequest, match=r"^big: "):
                await db.put("kit_kinds", {"id": "n", "big": value})
            with pytest.raises(BadRequest, match=r"^big: "):
                await db.select("kit_kinds", {"big": value})

    async def test_rows_belong_to_who_reads_them(self, db: Database) -> None:
        """Changing a row, also what is nested in it, changes neither what is stored nor what was
        given."""
        row: Row = {"id": "v", "doc": {"a": [1, {"b": 2}]}, "arr": [[1], {"c": 3}], "words": ["x"]}
        given = copy.deepcopy(row)
        await db.put("kit_kinds", given)
        for change in (given, *[await db.get("kit_kinds", {"id": "v"}) for _ in range(2)]):
            assert change is not None
            change["doc"]["a"][1]["b"] = "changed"
            change["arr"][0].append(2)
            change["words"].append("y")
        (found,) = await db.select("kit_kinds")
        assert clean(found) == row
        found["doc"]["a"].clear()
        assert clean((await db.list("kit_kinds", "v"))[0]) == row

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
        await db.put("kit_item", {"id": "a", "num": "", "price": None})
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

    async def test_json_is_compared_as_a_whole(self, db: Database) -> None:
        """Equal are values whatever the order of their keys; 1 and 1.0 are, true and 1 are not.
        `contains` asks for an item of a list, and orders and texts in it there are none.

        Troubleshooting: leave conditions on such columns to the kernel.
        """
        docs = [{"a": 1, "b": [True]}, [1, "x"], "x", "1", 1, 1.5, True, [], {"a": {"b": 1}}, None]
        for number, doc in enumerate(docs):
            row = {"id": str(number), "doc": doc, "arr": doc if isinstance(doc, list) else None}
            await db.put("kit_kinds", row)

        async def found(column: str, op: str, value: Any) -> str:
            rows = await db.select("kit_kinds", {column: value}, ops={column: op})
            return ids(rows)

        assert await found("doc", "eq", {"b": [True], "a": 1.0}) == "0"
        assert await found("doc", "in", [[1, "x"], "1", {}]) == "13"
        assert await found("doc", "eq", 1) == "4"
        assert await found("doc", "eq", True) == "6"
        assert await found("doc", "in", [[]]) == "7"
        for column in ("doc", "arr"):
            assert await found(column, "eq", [1.0, "x"]) == "1"
            assert await found(column, "eq", []) == "7"
        assert await found("doc", "ne", []) == "01234568"
        assert await found("doc", "eq", "") == "0123456789", "empty text is no condition"
        assert await found("doc", "ne", "x") == "01345678"
        assert await found("doc", "not in", [1.5, "x", [1.0, "x"]]) == "034678"
        assert await found("doc", "contains", "x") == "1"
        assert await found("arr", "contains", 1) == "1"
        assert await found("arr", "not contains", "x") == "7"
        assert await found("doc", "null", "") == "9"
        for op in ("gt", "between", "begins_with", "like", "regexp"):
            with pytest.raises(BadRequest, match="a column of JSON has"):
                await found("doc", op, "x")

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
        for sort in ("tag,-num", " tag, -num", ["tag", "-num"], ("tag", "-num", "-tag")):
            assert await sorted_ids(sort=sort) == "efbadc"
        assert await sorted_ids(sort="-name") == "ecabdf"
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
        for left in [*range(6, -1, -count), 0]:
            page = await db.select("kit_item", {}, count=count, start=start)
            rows += page
            assert len(page) == min(count, left)
            if db.pool().can.exact or left < count or not left:
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

    @pytest.mark.parametrize("sort", ["tag,-num", "-tag,name", "num,-price,-id", ["-name", "tag"]])
    @pytest.mark.parametrize("count", [1, 2])
    async def test_pages_of_several_sort_columns(self, db: Database, sort: Any, count: int) -> None:
        """Each in its own direction, with equal and null values in all of them.

        Troubleshooting: see `test_native_seek`.
        """
        await fill(db)
        rows = await walk(db, "kit_item", count, sort=sort)
        assert ids(rows) == "abcdef"
        whole = await db.select("kit_item", sort=sort)
        names = [n.lstrip("-") for n in (sort.split(",") if isinstance(sort, str) else sort)]
        assert [[r.get(n) for n in names] for r in rows] == [
            [r.get(n) for n in names] for r in whole
        ]

    @pytest.mark.parametrize("sort", ["owner,-pos", "-owner,pos", "pos,-owner", "-pos,owner"])
    @pytest.mark.parametrize("count", [1, 5])
    async def test_pages_of_a_key_in_two_directions(
        self, db: Database, sort: str, count: int
    ) -> None:
        """Columns that are never null, which some engines compare as a row.

        Troubleshooting: rows compare as such only where all columns go one way.
        """
        await fill(db, "kit_pair", PAIRS)
        wanted = list(PAIRS)
        for name in reversed(sort.split(",")):
            wanted.sort(key=itemgetter(name.lstrip("-")), reverse=name.startswith("-"))
        rows = await walk(db, "kit_pair", count, sort=sort)
        keys = [(row["owner"], row["pos"]) for row in rows]
        assert keys == [(row["owner"], row["pos"]) for row in wanted]

    async def test_what_is_no_sort_is_refused(self, db: Database) -> None:
        """By its name; so are too many columns, and one direction for several."""
        for sort, problem in {
            "tag,nmae": "'nmae'", "tag,,num": "''", "--tag": "'-tag'", "-": "''",
            ",".join(["tag"] * 9): "more than 8",
        }.items():  # fmt: skip
            with pytest.raises(BadRequest, match=problem) as error:
                await db.select("kit_item", sort=sort)
            assert error.value.extra["field"] == "sort"
        with pytest.raises(BadRequest, match="direction"):
            await db.select("kit_item", sort="tag,num", desc=True)

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
                assert len(page) == count or not db.pool().can.exact
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
        others: list[Any] = [{}, {"sort": "-num"}, {"sort": "name"}, {"sort": "num,name"}]
        for options in (*others, {"sort": "num", "ops": {"tag": "ge"}}):
            with pytest.raises(BadRequest, match="start: invalid token"):
                await db.select("kit_item", {"tag": "x"}, count=1, start=token, **options)

    async def test_conditions_on_lists(self, db: Database) -> None:
        """A list is the text of its items with separators; `contains` asks for whole items.

        Troubleshooting: leave to the kernel what the database compares otherwise.
        """
        at = datetime(2018, 3, 2, 14, 13, 20, tzinfo=UTC)
        rows: list[Row] = [
            {"id": "a", "words": ["x", "y"], "nums": [1, 2], "parts": ["x,1", "y"], "times": [at]},
            {"id": "b", "words": ["x"], "nums": [12], "parts": ["x"]},
            {"id": "c", "words": ["xy", "z"], "nums": [2], "parts": ["y", "x,1"]},
            {"id": "d", "words": [], "nums": [-5, 1], "parts": ["Y"]},
            {"id": "e"},
        ]
        await fill(db, "kit_list", rows)
        for name, op, value, wanted in (
            ("words", "eq", "x,y", "a"), ("words", "eq", "x", "b"), ("words", "ne", "x", "acd"),
            ("words", "in", ["x", "xy,z"], "bc"), ("words", "not in", ["x"], "acd"),
            ("words", "gt", "x", "ac"), ("words", "le", "x", "bd"), ("words", "null", None, "e"),
            ("words", "between", ["x", "x,z"], "ab"), ("words", "begins_with", "x", "abc"),
            ("words", "contains", "x", "ab"), ("words", "not contains", "x", "cd"),
            ("words", "contains", ["x", "y"], "a"), ("words", "regexp", "^x,", "a"),
            ("words", "ilike%", "X", "abc"), ("words", "like", "%z", "c"),
            ("nums", "eq", 12, "b"), ("nums", "eq", "2", "c"), ("nums", "in", [2, 12], "bc"),
            ("nums", "contains", 2, "ac"), ("nums", "contains", "1", "ad"),
            ("nums", "ne", 12, "acd"), ("nums", "begins_with", "1", "ab"),
            ("parts", "eq", "x", "b"), ("parts", "contains", "x,1", "ac"),
            ("parts", "ilike", "y", "d"), ("parts", "regexp", r"\|", "ac"),
            ("times", "contains", at, "a"), ("times", "contains", "2018-03-02T14:13:20Z", "a"),
            ("times", "eq", at, "a"), ("times", "begins_with", "2018-03-02T14:13:20.000000Z", "a"),
        ):  # fmt: skip
            found = await db.select("kit_list", {name: value}, ops={name: op})
            assert ids(found) == wanted, (name, op, value)

    @pytest.mark.parametrize("desc", [False, True])
    async def test_no_row_makes_a_token_long(self, db: Database, desc: bool) -> None:
        """Tokens go into headers and addresses: what is long in a row is no part of them.

        Troubleshooting: `get` must give the value of a column as `select` does.
        """
        texts = ["\1" * 9000, "é" * 5000, "x" * 9000, "x" * 9001, "y", "", None]
        rows: list[Row] = [{"id": f"k{n}", "name": text} for n, text in enumerate(texts)]
        size = min(1024, db.pool().driver.shape.longest_key or 1024)
        rows += [{"id": text * (size // len(text.encode()))} for text in ("\1", '"', "中", "k")]
        await fill(db, rows=rows)
        for options in ({"sort": "name"}, {}, {"sort": "name", "ops": {"id": "not regexp"}}):
            query = {"id": "^$"} if "ops" in options else {}
            seen: list[str] = []
            start: str | None = None
            while True:
                page = await db.select(
                    "kit_item", query, count=1, start=start, desc=desc, **options
                )
                seen += [row["id"] for row in page]
                start = page.next_token
                if start is None:
                    break
                assert len(start) < 3000
            assert sorted(seen) == sorted(row["id"] for row in rows)

    async def test_a_token_of_a_long_row_that_is_gone(self, db: Database) -> None:
        """Its place cannot be found again: that is said, and no row left out in silence."""
        rows = [{"id": f"k{n}", "num": n, "name": "x" * 900 + str(n)} for n in range(3)]
        for change in (db.del_, db.put):
            await fill(db, rows=rows)
            page = await db.select("kit_item", {}, count=1, sort="name")
            await change("kit_item", {"id": "k0"})
            start = page.next_token
            if start and len(start) > 1000:  # a place of the driver's own, with all that it needs
                rest = await db.select("kit_item", {}, count=9, sort="name", start=start)
                assert ids(rest) == "k1k2"
                continue
            with pytest.raises(BadRequest, match="begin again"):
                await db.select("kit_item", {}, count=1, sort="name", start=start)
            short = await db.select("kit_item", {}, count=1, sort="num")
            await db.put("kit_item", {"id": short[0]["id"]})
            assert await db.select("kit_item", {}, count=9, sort="num", start=short.next_token)
        seen: list[str] = []

        async def gone(row: Row) -> None:
            seen.append(row["id"])
            await db.del_("kit_item", {"id": row["id"]})

        await fill(db, rows=rows)
        assert await db.scan("kit_item", {}, gone, sort="name", count=1) == 3
        assert seen == ["k0", "k1", "k2"]

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
        if checks(db):
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

    async def test_the_program_is_told_which_column_is_not_there(
        self, db: Database, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A misspelled column is refused while the program is developed and warned of later, with
        the nearest one; what a client chose (`Given`) is dropped without a word."""
        await fill(db)
        for name, call in _misspelled(db, dict).items():
            caplog.clear()
            with contextlib.suppress(Unsupported):
                await call()
                assert "has no column 'nmae'; did you mean 'name'?; it is dropped" in caplog.text, (
                    name
                )
            db.forget()
        caplog.clear()
        await fill(db)
        db.pool().strict = db.pool().hints = db.schema.hints = True
        db.forget()
        for name, call in _misspelled(db, dict).items():
            with pytest.raises((BadRequest, Unsupported)) as refused:
                await call()
            if not isinstance(refused.value, Unsupported):
                assert (
                    str(refused.value) == "kit_item has no column 'nmae'; did you mean 'name'?"
                ), name
        assert len(await db.select("kit_item")) == 6
        caplog.clear()
        for call in _misspelled(db, Given).values():
            with contextlib.suppress(Unsupported):
                await call()
        assert caplog.text == ""
        for word, hint, call in (
            ("prcie", "price", lambda: db.select("kit_item", sort="prcie")),
            ("betwen", "between", lambda: db.select("kit_item", {"num": 1}, ops={"num": "betwen"})),
            ("kit_itme", "kit_item", lambda: db.select("kit_itme")),
        ):
            with pytest.raises(BadRequest, match=f"'{word}'; did you mean '{hint}"):
                await call()

    async def test_a_list_is_in_the_order_of_its_keys(self, db: Database) -> None:
        """Whatever the database makes of it, also without the key among what is selected."""
        await fill(db)
        for select in (None, "num", "id,num"):
            rows = await db.list("kit_item", ["c", "a", "zz", "f", "b"], select=select)
            assert [row["num"] for row in rows] == [3, 1, -5, 2]
            assert ["id" in row for row in rows] == [select != "num"] * 4

    async def test_either_of_two_key_columns(self, db: Database) -> None:
        """Is no key, although both columns of one are named."""
        await fill(db, "kit_pair", PAIRS)
        for query, ops in (
            ({"owner": "a", "pos": 2}, {}),
            ({"owner": ["a", "ab"], "pos": [2, 3]}, {}),
            ({"owner": "ab", "pos": 3}, {"pos": "ge"}),
        ):
            rows = await db.select("kit_pair", {"$or": query}, ops=ops)

            def either(row: Row, query: Any = query, ops: Any = ops) -> bool:
                given = {n: v if isinstance(v, list) else [v] for n, v in query.items()}
                if ops:
                    return row["owner"] in given["owner"] or row["pos"] >= query["pos"]
                return row["owner"] in given["owner"] or row["pos"] in given["pos"]

            wanted = {(row["owner"], row["pos"]) for row in PAIRS if either(row)}
            assert {(row["owner"], row["pos"]) for row in rows} == wanted
        await fill(db)
        assert ids(await db.select("kit_item", {"$or": {"id": "a", "num": 3}})) == "ac"

    async def test_a_range_has_two_ends(self, db: Database) -> None:
        """One value is equality, as ever; what is open at one end, or has more, is no range."""
        await fill(db)
        for op, one, two in (("between", "b", "abc"), ("not between", "acdef", "def")):
            assert ids(await db.select("kit_item", {"num": [2]}, ops={"num": op})) == one
            assert ids(await db.select("kit_item", {"num": [1, 3]}, ops={"num": op})) == two
            for ends in ([None, 3], [1, None], [None, None], [1, 2, 3], ["", 3]):
                with pytest.raises(BadRequest, match=f"num: {op} needs two values, or one"):
                    await db.select("kit_item", {"num": ends}, ops={"num": op})

    async def test_null_needs_no_value(self, db: Database) -> None:
        """An operator alone is a condition where it has nothing to compare with."""
        await fill(db)
        for op, found in (("null", "e"), ("not null", "abcdf"), ("NOT_NULL", "abcdf")):
            assert ids(await db.select("kit_item", ops={"tag": op})) == found
            assert ids(await db.select("kit_item", {}, ops={"tag": op}, sort="id")) == found
            total = await db.select("kit_item", {}, ops={"tag": op}, total=True)
            assert total == [{"count": len(found)}]
        assert ids(await db.select("kit_item", {"num": 0}, ops={"tag": "null", "num": "ge"})) == "e"
        groups = {"$or": {"tag": None, "num": 2}}
        assert ids(await db.select("kit_item", groups, ops={"tag": "null"})) == "be"

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
        with pytest.raises(TypeError, match="'cuont'; did you mean 'count'"):
            await db.select("kit_item", cuont=1)  # type: ignore[call-arg]


def _misspelled(db: Database, kind: type[dict[str, Any]]) -> dict[str, Any]:
    """Calls that name the column `nmae`, each of them in another way."""
    whole = {"id": "f", "nmae": "x"}
    options: Any = {} if kind is dict else {"strict": False}
    calls = {
        "select": lambda: db.select("kit_item", kind(nmae=1)),
        "group": lambda: db.select("kit_item", kind({"$or": kind(nmae=1)})),
        "columns": lambda: db.select("kit_item", {}, select="id,nmae", **options),
        "one column": lambda: db.get("kit_item", {"id": "a"}, select=["nmae"], **options),
        "ops": lambda: db.select("kit_item", {"num": 1}, ops={"nmae": "gt"}, **options),
        "get": lambda: db.get("kit_item", kind(nmae=1)),
        "aggregate": lambda: db.aggregate("kit_item", kind(nmae=1), count=True, **options),
        "list": lambda: db.list("kit_item", [kind(nmae=1)]),
        "put": lambda: db.put("kit_item", kind(whole)),
        "update": lambda: db.update("kit_item", kind(whole)),
        "del": lambda: db.del_("kit_item", kind(nmae=1)),
        "update_all": lambda: db.update_all("kit_item", {"num": 1}, kind(nmae=1)),
        "del_all": lambda: db.del_all("kit_item", kind(nmae=1, num=-99)),
    }
    if kind is dict:
        changed = {"id": "a", "num": 1}
        calls["update_ops"] = lambda: db.update("kit_item", changed, update_ops={"nmae": "incr"})
    return calls
