"""Conformance tests of what engines do differently, through the kernel: keys of two columns, odd
texts and numbers, conditions that hold for nothing, long tables and limits."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from bkjs.db.contract import ABSENT, DbDriver, Row
from bkjs.db.database import Database
from bkjs.errors import BadRequest, Unsupported

from .base import KitBase, checks, compares, fill, possible, stored, walk
from .select import wide
from .tables import (
    EDGE_CONDITIONS,
    EDGES,
    ITEMS,
    PAIR_CONDITIONS,
    PAIRS,
    PATH_CONDITIONS,
    PATHS,
    UGLY_KEYS,
    UGLY_TEXTS,
    clean,
    ids,
)


def query_of(conditions: list[tuple[str, str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A query and its options for these conditions, each column in any number of them."""
    query: dict[str, Any] = {}
    options: dict[str, Any] = {"ops": {}, "aliases": {}}
    for number, (column, op, value) in enumerate(conditions):
        name = column if column not in query else f"more{number}"
        if name != column:
            options["aliases"][name] = column
        query[name] = value
        options["ops"][name] = op
    return query, options


def _value(name: str, row: Row) -> tuple[bool, Any]:
    return row[name] is not None, row[name]


def refused_for(error: BadRequest, *columns: str) -> None:
    """A value may be refused if the error names its column."""
    assert error.extra.get("field") in columns, f"{error} names none of {columns}"


class EdgeTests(KitBase):
    """Where engines differ, answers do not."""

    # -- conditions ----------------------------------------------------------------------------

    @pytest.mark.parametrize("case", EDGE_CONDITIONS, ids=lambda c: f"{c[0]} {c[1]} {c[2]!r:.30}")
    async def test_operator_where_engines_differ(
        self, db: Database, driver: DbDriver, case: tuple[str, str, Any, str]
    ) -> None:
        """Numbers beyond 2**53, empty text, several lines, letters of any plane and case, long
        lists.

        Troubleshooting: see `test_native_condition_where_engines_differ`.
        """
        wide(driver)
        column, op, value, expected = case
        await fill(db, rows=EDGES)
        assert ids(await db.select("kit_item", {column: value}, ops={column: op})) == expected
        group, aliases = {"$or": {column: value, "none": []}}, {"none": "price"}
        rows = await db.select("kit_item", group, ops={column: op}, aliases=aliases)
        assert ids(rows) == expected

    @pytest.mark.parametrize("number", range(len(PAIR_CONDITIONS)))
    async def test_conditions_on_a_key(self, db: Database, number: int) -> None:
        """On both columns of a key of text and number, beside one another and others; sorted, by
        pages and counted.

        Troubleshooting: `plan` sees all conditions of a query together.
        """
        conditions, expected = PAIR_CONDITIONS[number]
        query, options = query_of(conditions)
        await fill(db, "kit_pair", PAIRS)
        wanted = [(PAIRS[n]["owner"], PAIRS[n]["pos"]) for n in expected]

        def keys(rows: list[Row]) -> list[tuple[str, int]]:
            return [(row["owner"], row["pos"]) for row in rows]

        assert sorted(keys(await db.select("kit_pair", query, **options))) == sorted(wanted)
        total = await db.select("kit_pair", query, **options, total=True)
        assert total == [{"count": len(wanted)}]
        for sort in ("owner,pos", "-owner,-pos", "pos", "-pos", "note"):
            by = [(name.lstrip("-"), name.startswith("-")) for name in sort.split(",")]
            mine = [PAIRS[n] for n in expected]
            for name, down in [("pos", by[-1][1]), ("owner", by[-1][1]), *reversed(by)]:
                mine.sort(key=partial(_value, name), reverse=down)
            rows = await db.select("kit_pair", query, **options, sort=sort)
            names = [name for name, _ in by]
            assert [[r.get(n) for n in names] for r in rows] == [
                [r[n] for n in names] for r in mine
            ]
            for count in (1, 3):
                found = await walk(db, "kit_pair", count, query, **options, sort=sort)
                assert sorted(keys(found)) == sorted(wanted), (sort, count)
                assert [[r.get(n) for n in names] for r in found] == [
                    [r[n] for n in names] for r in mine
                ]
        for first in (True, False):
            rows = await db.select("kit_pair", query, **options, first=first, select="pos")
            assert len(rows) == (min(1, len(wanted)) if first else len(wanted))
            assert all(row.keys() == {"pos"} for row in rows)

    @pytest.mark.parametrize("number", range(len(PATH_CONDITIONS)))
    async def test_conditions_on_a_key_of_texts(self, db: Database, number: int) -> None:
        """The same for a key of two texts."""
        conditions, expected = PATH_CONDITIONS[number]
        query, options = query_of(conditions)
        await fill(db, "kit_path", PATHS)
        for rows in (
            await db.select("kit_path", query, **options),
            await walk(db, "kit_path", 2, query, **options),
            await walk(db, "kit_path", 2, query, **options, sort="folder,name"),
            await walk(db, "kit_path", 1, query, **options, sort="-name"),
        ):
            assert "".join(sorted(row["note"] for row in rows)) == expected

    async def test_keys_of_two_texts_are_apart(self, db: Database) -> None:
        """`("a|b", "c")` is not `("a", "b|c")`, in any verb.

        Troubleshooting: parts that are joined with a separator need it escaped.
        """
        await fill(db, "kit_path", PATHS)
        keys = [{name: path[name] for name in ("folder", "name")} for path in PATHS]
        for key, path in zip(keys, PATHS, strict=True):
            assert await db.get("kit_path", key) == path
            assert await db.select("kit_path", key) == [path]
        assert await db.list("kit_path", keys[::-1]) == PATHS[::-1]
        for number, key in enumerate(keys):
            assert (await db.del_("kit_path", key)).affected == 1
            left = sorted(row["note"] for row in await db.select("kit_path"))
            assert left == [path["note"] for path in PATHS[number + 1 :]]

    async def test_queries_of_a_whole_key(self, db: Database) -> None:
        """They find its row, if it matches the rest, like any other query."""
        await fill(db)
        await fill(db, "kit_pair", PAIRS)
        whole = {"owner": "a", "pos": 2}
        assert await db.select("kit_pair", whole) == [PAIRS[1]]
        assert await db.select("kit_pair", whole, count=1) == [PAIRS[1]]
        if db.pool().can.exact:
            assert (await db.select("kit_pair", whole, count=1)).next_token is None
        assert await db.select("kit_pair", whole, start=1, count=1) == []
        assert await db.select("kit_pair", {**whole, "note": "xy"}, select="note") == [
            {"note": "xy"}
        ]
        assert await db.select("kit_pair", {**whole, "note": "y"}) == []
        assert await db.select("kit_pair", {**whole, "pos": "2"}, sort="note") == [PAIRS[1]]
        assert await db.select("kit_pair", {"owner": "b", "pos": 2}) == []
        assert await db.select("kit_pair", whole, total=True) == [{"count": 1}]
        regexp: Any = {"ops": {"name": "regexp"}}
        assert ids(await db.select("kit_item", {"id": "a", "name": "^al"}, **regexp)) == "a"
        assert ids(await db.select("kit_item", {"id": "b", "name": "^al"}, **regexp)) == ""
        several = {"id": ["a", "b", "zz", "c", "a"], "name": "^al"}
        assert ids(await db.select("kit_item", several, **regexp)) == "ac"
        rows = await db.select("kit_item", several, **regexp, sort="-num", select="id")
        assert rows == [{"id": "c"}, {"id": "a"}]
        found = await walk(db, "kit_item", 1, several, **regexp, sort="-num")
        assert [row["id"] for row in found] == ["c", "a"]
        found = await walk(db, "kit_item", 2, {"id": list("fedcba")}, sort="num")
        assert "".join(row["id"] for row in found) == "feabcd"

    async def test_what_holds_for_nothing_touches_nothing(self, db: Database) -> None:
        """No row is in an empty list: nothing is found, changed or deleted by that, in a group
        either; as an expectation it never holds, whether the row is there or not."""
        await fill(db)
        never: list[tuple[Any, Any]] = [
            ({"num": []}, {}),
            ({"id": []}, {}),
            ({"id": "a", "num": []}, {}),
            ({"$or": {"num": [], "tag": []}}, {}),
            ({"$and": {"$or": {"num": []}, "tag": "x"}}, {}),
            ({"num": None}, {"num": "gt"}),
        ]
        for query, ops in never:
            for how in ({}, {"count": 2}, {"sort": "num"}, {"sort": "num", "count": 2}):
                assert await db.select("kit_item", query, ops=ops, **how) == [], query
            assert await db.select("kit_item", query, ops=ops, total=True) == [{"count": 0}]
            assert await db.aggregate("kit_item", query, ops=ops, count=True) == [{"count": 0}]
            assert await db.scan("kit_item", query, lambda row: None, ops=ops) == 0
            assert await db.del_all("kit_item", query, ops=ops) == 0
            if possible(db, "update"):
                assert await db.update_all("kit_item", query, {"name": "n"}, ops=ops) == 0
        if checks(db):
            for key in ("a", "new"):
                for expected, ops in (({"num": []}, {}), ({"num": None}, {"num": "gt"})):
                    options: dict[str, Any] = {"expected": expected, "ops": ops}
                    for done in (
                        await db.update("kit_item", {"id": key, "name": "n"}, **options),
                        await db.update(
                            "kit_item", {"id": key, "name": "n"}, **options, upsert=True
                        ),
                        await db.incr(
                            "kit_item", {"id": key, "num": 1}, **options, update_ops={"num": "incr"}
                        ),
                        await db.put("kit_item", {"id": key, "name": "n"}, **options),
                        await db.del_("kit_item", {"id": key}, **options),
                    ):
                        assert done.affected == 0
        assert [clean(row) for row in await db.select("kit_item", sort="id")] == [
            clean(row) for row in ITEMS
        ]

    async def test_upsert_of_what_was_expected_makes_nothing(self, db: Database) -> None:
        """A missing row is not as expected, whatever that is."""
        if not checks(db):
            with pytest.raises(Unsupported):
                await db.update("kit_item", {"id": "u", "num": 1}, upsert=True, expected={"num": 1})
            return
        for expected in ({"num": 1}, {"num": None}, {"$or": {"num": None, "tag": "x"}}):
            for ops in ({}, {"name": "concat"}):
                change = {"id": "u", "name": "n"}
                options: Any = {"upsert": True, "expected": expected, "update_ops": ops}
                assert (await db.update("kit_item", change, **options)).affected == 0
                assert await db.get("kit_item", {"id": "u"}) is None
        change = {"id": "u", "name": "n"}
        for affected in (1, 0):
            done = await db.update("kit_item", change, upsert=True, expected=ABSENT)
            assert done.affected == affected

    async def test_writes_that_expect_the_same_exclude_one_another(self, db: Database) -> None:
        """Of puts, updates and deletes at once that expect one value one happens."""
        if not checks(db):
            return
        for verbs in ("pud", "dup", "udp", "dddd", "uuuu"):
            await db.put("kit_item", {"id": "a", "num": 0, "name": "old"})
            calls = {
                "p": lambda: db.put("kit_item", {"id": "a", "num": 1}, expected={"num": 0}),
                "u": lambda: db.update("kit_item", {"id": "a", "num": 2}, expected={"num": 0}),
                "d": lambda: db.del_("kit_item", {"id": "a"}, expected={"num": 0}),
            }
            done = await asyncio.gather(*(calls[verb]() for verb in verbs * 4))
            assert sum(written.affected for written in done) == 1
            winner = next(v for v, w in zip(verbs * 4, done, strict=True) if w.affected)
            left = {
                "p": {"id": "a", "num": 1},
                "u": {"id": "a", "num": 2, "name": "old"},
                "d": None,
            }
            assert clean(await db.get("kit_item", {"id": "a"})) == left[winner]

    async def test_writers_of_different_columns_lose_nothing(self, db: Database) -> None:
        """Ten tasks that each add to a column of their own or to a list: all of it is there."""
        if not checks(db):
            return
        await db.put("kit_count", {"id": "a", "likes": 0, "name": ""})
        ops: list[tuple[Any, dict[str, str]]] = [
            ({"likes": 1}, {"likes": "incr"}),
            ({"total": 2}, {"total": "incr"}),
            ({"name": "x"}, {"name": "concat"}),
            ({"words": ["w"]}, {"words": "append"}),
        ][: 4 if compares(db, "kit_count", "words") else 3]
        await asyncio.gather(
            *(
                db.update("kit_count", {"id": "a", **change}, update_ops=op)
                for change, op in ops * 5
            )
        )
        row = clean(await db.get("kit_count", {"id": "a"}))
        words = {"words": ["w"] * 5} if len(ops) == 4 else {}
        assert row == {"id": "a", "likes": 5, "total": 10, "name": "xxxxx", **words}

    async def test_an_expectation_of_another_column_holds_when_it_is_written(
        self, db: Database
    ) -> None:
        """A change of what was expected comes before or after the write that expects it."""
        if not checks(db):
            return
        for query, ops in (({"num": 1}, {}), ({"num": 2}, {"num": "lt"}), ({"tag": None}, {})):
            for _ in range(3):
                await db.put("kit_item", {"id": "a", "num": 1, "name": "n"})
                expected: Any = {"expected": query, "ops": ops}
                one, _, two = await asyncio.gather(
                    db.update(
                        "kit_item",
                        {"id": "a", "name": "-x"},
                        update_ops={"name": "concat"},
                        **expected,
                    ),
                    db.update("kit_item", {"id": "a", "num": 5, "tag": "t", "price": 1}),
                    db.del_("kit_item", {"id": "a"}, **expected),
                )
                row = await db.get("kit_item", {"id": "a"})
                if two.affected:
                    assert row is None
                else:
                    assert row is not None
                    assert (row["num"], row["tag"]) == (5, "t")
                    assert row["name"] == ("n-x" if one.affected else "n")

    # -- texts and keys ------------------------------------------------------------------------

    async def test_texts_are_stored_as_they_are(self, db: Database) -> None:
        """Of any length, with any letters, blanks and line ends; or refused with a 400 that names
        the column.

        Troubleshooting: no normalising, trimming, cutting or guessing; `Shape.longest` says how
        long a text may be.
        """
        for text in UGLY_TEXTS:
            try:
                await db.put("kit_item", {"id": "a", "name": text, "tag": "t"})
            except BadRequest as error:
                refused_for(error, "name")
                continue
            row = await db.get("kit_item", {"id": "a"})
            assert row is not None
            assert row["name"] == text, repr(text[:100])
            assert type(row["name"]) is str
            if text and len(text) < 1000:
                found = await db.select("kit_item", {"name": text})
                assert [r["name"] for r in found] == [text], repr(text[:100])

    async def test_texts_are_apart(self, db: Database) -> None:
        """Each is found by itself alone, by `eq` and `in`, and sorted by code point.

        Troubleshooting: engines may compare without case, accents or blanks at the end.
        """
        texts = [text for text in UGLY_TEXTS if text and len(text) < 1000]
        kept = []
        for number, text in enumerate(texts):
            try:
                await db.put("kit_item", {"id": f"{number:03}", "name": text})
                kept.append(text)
            except BadRequest as error:
                refused_for(error, "name")
        for text in kept:
            assert [r["name"] for r in await db.select("kit_item", {"name": text})] == [text]
            found = await db.select("kit_item", {"name": [text, "nosuch"]})
            assert [row["name"] for row in found] == [text]
        rows = await db.select("kit_item", sort="name")
        assert [row["name"] for row in rows] == sorted(kept)
        assert [r["name"] for r in await walk(db, "kit_item", 7, sort="-name")] == sorted(kept)[
            ::-1
        ]

    async def test_nested_texts_and_names_are_stored_as_they_are(self, db: Database) -> None:
        """In objects and lists, as values and as names."""
        for text in UGLY_TEXTS:
            row = {"id": "a", "doc": {"v": text, "l": [text]}, "obj": {text[:200]: {text[:200]: 1}}}
            try:
                await db.put("kit_kinds", row)
            except BadRequest as error:
                refused_for(error, "doc")
                continue
            assert clean(await db.get("kit_kinds", {"id": "a"})) == row, repr(text[:100])

    async def test_keys_are_stored_as_they_are(self, db: Database) -> None:
        """Each is a row of its own, read by itself, in the order of code points; or it is refused
        with a 400 that names the column.

        Troubleshooting: no normalising, trimming, cutting, no numbers made of digits;
        `Shape.longest_key` says how long a key may be.
        """
        kept, pairs = [], []
        for key in UGLY_KEYS:
            try:
                await db.put("kit_item", {"id": key, "name": f"={key}"})
                kept.append(key)
            except BadRequest as error:
                refused_for(error, "id")
            try:
                await db.put("kit_path", {"folder": key, "name": key, "note": f"={key}"})
                pairs.append(key)
            except BadRequest as error:  # there may be less room for each of two
                refused_for(error, "folder", "name")
        assert len(kept) >= len(pairs) > len(UGLY_KEYS) / 2
        for key in kept:
            assert (await db.get("kit_item", {"id": key}) or {})["name"] == f"={key}"
            assert [r["id"] for r in await db.select("kit_item", {"id": key})] == [key]
        for key in pairs:
            pair = {"folder": key, "name": key}
            assert await db.get("kit_path", pair) == {**pair, "note": f"={key}"}
            assert [r["name"] for r in await db.select("kit_path", {"folder": key})] == [key]
        rows = await db.list("kit_item", kept)
        assert [row["id"] for row in rows] == kept
        assert [row["id"] for row in await db.select("kit_item", sort="id")] == sorted(kept)
        assert [r["id"] for r in await walk(db, "kit_item", 7, sort="-id")] == sorted(kept)[::-1]
        assert sorted(r["id"] for r in await walk(db, "kit_item", 7)) == sorted(kept)
        for number, key in enumerate(kept):
            assert (await db.del_("kit_item", {"id": key})).affected == 1
            if number % 10 == 0:
                assert len(await db.select("kit_item")) == len(kept) - number - 1

    # -- limits --------------------------------------------------------------------------------

    async def test_limits_of_the_driver_are_told(self, db: Database) -> None:
        """What is beyond `longest`, `longest_key` and `reals` of a shape is a 400 that names the
        column, in writes and conditions; what is just within is stored."""
        shape = db.pool().driver.shape
        bad: list[tuple[str, Any, str]] = []
        if shape.longest is not None:
            for text in ("x" * shape.longest, "é" * (shape.longest // 2)):
                await db.put("kit_item", {"id": "a", "name": text})
                assert (await db.get("kit_item", {"id": "a"}) or {})["name"] == text
                bad.append(("name", text + "xx", "longer than"))
        if shape.reals is not None:
            near, far = shape.reals
            for number in (0.0, near, far, -near, -far):
                await db.put("kit_item", {"id": "a", "price": number})
                assert (await db.get("kit_item", {"id": "a"}) or {})["price"] == number
            bad += [("price", n, "out of range") for n in (far * 2, near / 2, -far * 2, -near / 2)]
        for column, value, text in bad:
            if value in (0.0, float("inf"), float("-inf")):
                continue
            calls: list[Any] = [lambda row: db.put("kit_item", row)]
            calls += [lambda row: db.add("kit_item", row)] if possible(db, "add") else []
            calls += [lambda row: db.update("kit_item", row)] if possible(db, "update") else []
            calls.append(lambda row: db.select("kit_item", row))
            calls.append(lambda row: db.select("kit_item", {"$or": row}))
            for call in calls:
                with pytest.raises(BadRequest, match=f"{column}: .*{text}") as refused:
                    await call({"id": "a", column: value})
                assert refused.value.extra["field"] == column
        if shape.longest_key is not None:
            await db.put("kit_item", {"id": "k" * shape.longest_key})
            with pytest.raises(BadRequest, match="id: longer than"):
                await db.put("kit_item", {"id": "k" * (shape.longest_key + 1)})

    # -- many rows -----------------------------------------------------------------------------

    async def test_long_tables_are_read_whole(self, db: Database) -> None:
        """1,500 rows by select, pages, total, scan, and by their keys with those that exist last.

        Troubleshooting: many engines stop at a number of rows or bytes; `Page.resume` says where.
        """
        rows = [{"id": f"r{n:04}", "num": n % 7, "name": "x" * 100} for n in range(1500)]
        await db.bulk([{"op": "put", "table": "kit_item", "obj": row} for row in rows])
        wanted = [row["id"] for row in rows]
        assert sorted(row["id"] for row in await db.select("kit_item")) == wanted
        assert sorted(row["id"] for row in await walk(db, "kit_item", 333)) == wanted
        ordered = await walk(db, "kit_item", 400, sort="id")
        assert [row["id"] for row in ordered] == wanted
        assert await db.select("kit_item", {}, total=True) == [{"count": 1500}]
        seen: list[Row] = []
        assert await db.scan("kit_item", {}, seen.append, count=700) == 1500
        assert sorted(row["id"] for row in seen) == wanted
        regexp: Any = {"ops": {"id": "regexp"}}
        assert len(await db.select("kit_item", {"id": "7$"}, **regexp)) == 150
        assert len(await walk(db, "kit_item", 40, {"id": "7$"}, **regexp)) == 150
        keys = [f"no{n}" for n in range(1100)] + wanted[-3:]
        assert [row["id"] for row in await db.list("kit_item", keys)] == wanted[-3:]
        assert len(await db.list("kit_item", wanted)) == 1500

    async def test_updates_name_keys_of_any_type(self, db: Database) -> None:
        """Keys are encoded as they are stored, in every write of one row."""
        key = {"day": "2024-05-15", "exact": "1.50"}
        if possible(db, "update"):
            done = await db.update("kit_dated", {**key, "note": "u"}, upsert=True)
            assert done.affected == 1
            assert (await db.update("kit_dated", {**key, "note": "v"})).affected == 1
            assert (await db.get("kit_dated", key) or {})["note"] == "v"
            assert await db.update_all("kit_dated", {"note": "v"}, {"note": "w"}) == 1
        if possible(db, "add"):
            await db.add("kit_dated", {"day": "2024-05-16", "exact": 1})
            assert len(await db.select("kit_dated", {"day": "2024-05-16"})) == 1
        await db.put("kit_dated", key)
        assert await db.del_all("kit_dated", {"day": "2024-05-15"}) == 1
        assert await stored(db.pool().driver, "kit_item", id="none") is None
