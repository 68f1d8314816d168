"""Conformance tests of values: what is stored is read back equal, everything else is refused."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest

from bkjs.db.database import Database
from bkjs.errors import BadRequest, Unsupported
from bkjs.lib.json import wire_json

from .base import KitBase, fill, possible, walk
from .tables import ids


class _Colour(Enum):
    RED = "red"


NO_VALUES: dict[str, list[Any]] = {
    "whole": [
        "five", "5x", "1.5", 1.5, True, "null", "0x10", "٥", [1], {"a": 1}, 2**63,
        "9223372036854775808", 1e19, 2.0**53 + 2, "1e400", "5\0", "5\ud800",
    ],
    "real": ["five", True, [1.5], "nan", float("nan"), "1e400", 2**53 + 1, "1\0"],
    "exact": [
        "1,5", "abc", True, 0.1 + 0.2, 1e300, "nan", "1e200", "1e-200", [1], "1\0", "1\ud800",
    ],
    "flag": ["maybe", "null", 2, -1, 0.5, [True], {}, "1\0", "\ud800"],
    "at": [
        "tomorrow", "2024-02-30", "15.05.2024", "15/05/2024", True, [1], {}, "2024-05-15\0",
        "2016-12-31T23:59:61Z", "10000-01-01", 1e300, float("nan"), "\ud800",
    ],
    "stamp": ["tomorrow", "2024-02-30", "15.05.2024", True, [1], {}, 1e300, "\0", "\ud800"],
    "day": [
        "tomorrow", "2024-02-30", "15.05.2024", "2024-05", 20240515, [1], "2024-05-15T10:00:00Z",
        datetime(2024, 5, 15, 10, tzinfo=UTC), "٢٠٢٤-٠٥-١٥", "2024-05-15\0", "\ud800",
    ],
    "doc": [
        float("nan"), {"a": [float("inf")]}, 2**70, b"x", object(), "\0", {"a": ["\0"]},
        {"\0": 1}, "\ud800", {"\udfff": 1},
    ],
    "obj": ["text", [1], 5, {"a": "\0"}, {"a": "\ud800"}],
    "arr": ["text", {"a": 1}, 5, ["\0"]],
    "words": [
        {"a": 1}, 5, [["a"]], ["", "a"], [" a"], [None], ["\0"], ["a\ud800"], "a,\0",
    ],
    "text": [[1], {"a": 1}, b"x", object(), float("nan"), {1}, "a\0b", "a\ud800b", "\0"],
    "mail": ["nobody", "a..b@c", ["a@b"], "a@b\0"],
    "raw": ["é", "not base64", 5, [1], "\0"],
    "likes": ["x", "1x", 1.5, [1]],
}  # fmt: skip
"""What is no value of the columns of `kit_value`."""

VALUES: list[tuple[str, Any, Any]] = [
    *[("whole", v, 5) for v in (5, "5", 5.0, "5.0", " 5 ", Decimal(5), "+5", "5e0")],
    ("whole", "-9223372036854775808", -(2**63)),
    ("whole", timedelta(hours=1), 3600),
    *[("real", v, 1.5) for v in (1.5, "1.5", Decimal("1.5"), "15e-1", timedelta(seconds=1.5))],
    ("real", 2**60, 2.0**60),
    ("real", 3.0, 3.0),
    ("real", "-0.1", -0.1),
    ("exact", "0.1", Decimal("0.1")),
    ("exact", 0.1, Decimal("0.1")),
    ("exact", 12345678901234567890123, Decimal("12345678901234567890123")),
    ("exact", "-12345678901234567.890123456789", Decimal("-12345678901234567.890123456789")),
    ("exact", Decimal("1E-90"), Decimal("1E-90")),
    ("exact", Decimal("-0.00"), Decimal(0)),
    *[("flag", v, True) for v in (True, 1, "1", "true", "Yes", "on", 1.0)],
    *[("flag", v, False) for v in (False, 0, "0", "false", "NO", "off")],
    ("at", "2018-03-02T14:13:20+02:00", datetime(2018, 3, 2, 12, 13, 20, tzinfo=UTC)),
    ("at", datetime(2018, 3, 2, 1, 2, 3, 4), datetime(2018, 3, 2, 1, 2, 3, 4, UTC)),  # noqa: DTZ001
    ("at", datetime(2018, 3, 2, tzinfo=timezone(timedelta(hours=5))),
     datetime(2018, 3, 1, 19, tzinfo=UTC)),
    ("at", date(2018, 3, 2), datetime(2018, 3, 2, tzinfo=UTC)),
    ("at", 1520000000, datetime(2018, 3, 2, 14, 13, 20, tzinfo=UTC)),
    ("at", "1520000000123", datetime(2018, 3, 2, 14, 13, 20, 123000, UTC)),
    ("stamp", "2018-03-02T14:13:20Z", 1520000000000),
    ("stamp", 1520000000, 1520000000),
    ("stamp", datetime(2018, 3, 2, 14, 13, 20, 5999, UTC), 1520000000005),
    ("day", "2024-02-29", date(2024, 2, 29)),
    ("day", date(1, 1, 1), date(1, 1, 1)),
    ("day", "2024-02-29T00:00:00.000Z", date(2024, 2, 29)),
    ("day", datetime(2024, 2, 29, tzinfo=UTC), date(2024, 2, 29)),
    ("doc", {"a": Decimal("0.1"), "b": date(2024, 1, 1), "c": (1,)},
     {"a": "0.1", "b": "2024-01-01", "c": [1]}),
    ("doc", "", ""),
    ("doc", False, False),
    ("doc", {"a": None, "\\u0000": "\\u0000"}, {"a": None, "\\u0000": "\\u0000"}),
    ("arr", (1, None, "x"), [1, None, "x"]),
    ("words", "a, b", ["a", "b"]),
    ("words", ("a", "é"), ["a", "é"]),
    ("text", 5, "5"),
    ("text", True, "true"),
    ("text", Decimal("1.10"), "1.10"),
    ("text", date(2024, 1, 1), "2024-01-01"),
    ("text", _Colour.RED, "red"),
    ("text", " a\r\nb\u2028é ", " a\r\nb\u2028é "),
    ("mail", "Bob <Bob@Example.com>", "bob@example.com"),
    ("raw", b"\0\xff", b"\0\xff"),
    ("raw", bytearray(b"x"), b"x"),
    ("raw", "AP8=", b"\0\xff"),
    *[(c, "", None) for c in ("whole", "real", "exact", "flag", "at", "stamp", "day")],
]  # fmt: skip
"""`(column, value, the value that is read)`."""

DECIMALS = ["-1E+3", "-10", "-9.75", "-9.5", "-0.001", "0", "0.001", "0.1", "0.11", "9", "10",
            "10.5", "99999999999999999999.1", "99999999999999999999.2"]  # fmt: skip
"""In their order."""


LETTERS = {
    "a": "DÉLTA", "b": "délta", "c": "ΟΔΟΣ", "d": "οδος", "e": "οδοσ", "f": "ПРИВЕТ мир",
    "g": "Straße", "h": "STRASSE", "i": "İzmir", "j": "I", "k": "ı", "l": "DZ\u01c5",
    "m": "e\u0301", "n": "𐐀", "o": "𐐨", "p": "a\nB",
}  # fmt: skip
"""Texts of `kit_item` by their ids: letters of one and two cases, in one and more characters."""

CASELESS = [
    ("ilike", "dÉl%", "ab"),
    ("ilike", "délta", "ab"),
    ("like", "d%", "b"),
    ("ilike", "οδοσ", "cde"),
    ("ilike", "ΟΔΟΣ%", "cde"),
    ("ilike", "%Σ", "cde"),
    ("ilike", "привет%", "f"),
    ("ilike", "straße", "g"),
    ("ilike", "STRASSE", "h"),
    ("ilike", "i_zmir", "i"),
    ("ilike", "İZMİR", ""),
    ("ilike", "i", "j"),
    ("ilike", "dz\u01c6", "l"),
    ("ilike", "É", ""),
    ("ilike", "𐐨", "no"),
    ("ilike", "A\nb", "p"),
    ("ilike%", "DÉ", "ab"),
    ("ilike%", "ΟΔΟΣ", "cde"),
    ("ilike%", "ПРИ", "f"),
    ("iregexp", "^délta$", "ab"),
    ("iregexp", "ПРИвет", "f"),
    ("begins_with", "d", "b"),
    ("contains", "É", "a"),
    ("regexp", "É", "a"),
]
"""`(operator, pattern, ids of the rows that match)`."""


def same(found: Any, wanted: Any) -> bool:
    """Whether a value is equal and of the same type, and all that is in it: 1 is neither True nor
    1.0."""
    if isinstance(wanted, dict):
        return (
            isinstance(found, dict)
            and found.keys() == wanted.keys()
            and all(same(found[key], wanted[key]) for key in wanted)
        )
    if isinstance(wanted, list):
        return (
            isinstance(found, list) and len(found) == len(wanted) and all(map(same, found, wanted))
        )
    return type(found) is type(wanted) and bool(found == wanted)


def _conditions(column: str, value: Any) -> list[tuple[dict[str, Any], dict[str, str]]]:
    """Queries for a value, where a list is not taken for several of them."""
    many = isinstance(value, (list, set)) and column not in ("doc", "obj", "arr")
    if many or column == "words":  # the condition is for an item
        return []
    return [
        ({column: value}, {}),
        ({column: [value]}, {column: "in"}),
        ({column: [value, value]}, {column: "between"}),
        ({"$or": {column: value}}, {}),
    ]


class ValueTests(KitBase):
    """Every type of column holds its values, and nothing else."""

    async def test_a_moment_is_found_by_its_text(self, db: Database) -> None:
        """What replies have of a row finds it again, and stays the same when it is put back."""
        for n, micro in enumerate((0, 123000, 123456, 1)):
            at = datetime(2018, 3, 2, 14, 13, 20, micro, UTC)
            await db.put("kit_value", {"id": f"v{n}", "at": at, "stamp": 5 * n})
        for n in range(4):
            row = json.loads(wire_json(await db.get("kit_value", {"id": f"v{n}"})))
            found = await db.select("kit_value", {"at": row["at"], "stamp": row["stamp"]})
            assert ids(found) == f"v{n}"
            await db.put("kit_value", row)
            assert json.loads(wire_json(await db.get("kit_value", {"id": f"v{n}"}))) == row

    @pytest.mark.parametrize("column", NO_VALUES)
    async def test_what_is_no_value_is_refused(self, db: Database, column: str) -> None:
        """400 that names the column, in every write and condition; what is stored stays."""
        await db.put("kit_value", {"id": "a", "text": "kept", "likes": 7})
        stored = await db.get("kit_value", {"id": "a"})
        verbs = [verb for verb in ("add", "update") if possible(db, verb)]
        counts = possible(db, "counters") and column in ("whole", "real", "exact", "likes")
        least, most = db.pool().driver.shape.ints or (-(10**40), 10**40)
        large = (2**63, str(2**63)) if least <= 2**63 <= most else ()
        for value in NO_VALUES[column]:
            if value in large:
                continue
            for verb in ("put", *verbs):
                obj = {"id": "b" if verb == "add" else "a", column: value}
                with pytest.raises(BadRequest, match=f"^{column}: ") as refused:
                    await getattr(db, verb)("kit_value", obj)
                assert refused.value.extra["field"] == column
            item = {"op": "put", "table": "kit_value", "obj": {"id": "b", column: value}}
            assert isinstance((await db.bulk([item]))[0][0], BadRequest)
            if counts:
                ops = {column: "incr"}
                with pytest.raises(BadRequest, match=f"^{column}: "):
                    await db.incr("kit_value", {"id": "a", column: value}, update_ops=ops)
            for query, ops in _conditions(column, value):
                with pytest.raises(BadRequest, match=f"^{column}: "):
                    await db.select("kit_value", query, ops=ops)
        assert await db.select("kit_value") == [stored]

    @pytest.mark.parametrize("column", list(dict.fromkeys(column for column, *_ in VALUES)))
    async def test_a_value_is_read_back(self, db: Database, column: str) -> None:
        """Equal and of the same type, and found by what was given.

        Troubleshooting: `Shape` says which values a driver stores as they are.
        """
        for name, value, wanted in VALUES:
            if name != column:
                continue
            await db.put("kit_value", {"id": "a", column: value})
            row = await db.get("kit_value", {"id": "a"})
            assert row is not None
            stored = row.get(column)
            if column == "real" and type(stored) is int:  # a whole number may be of either type
                stored = float(stored)
            assert same(stored, wanted), f"{value!r} was read back as {row.get(column)!r}"
            assert (await db.put("kit_value", row)).affected == 1
            assert await db.get("kit_value", {"id": "a"}) == row
            if wanted is not None and column not in ("doc", "obj", "arr", "words", "raw"):
                assert len(await db.select("kit_value", {column: value})) == 1
                query, ops = {column: [value, wanted]}, {column: "in"}
                assert len(await db.select("kit_value", query, ops=ops)) == 1

    async def test_keys_are_of_their_type(self, db: Database) -> None:
        """Also dates and decimals: equal ones are the same key however they are written."""
        await db.put("kit_dated", {"day": "2024-05-15", "exact": "1.50", "note": "a"})
        key = {"day": date(2024, 5, 15), "exact": Decimal("1.5")}
        assert await db.get("kit_dated", key) == {**key, "note": "a"}
        assert await db.list("kit_dated", [key]) == [{**key, "note": "a"}]
        await db.put("kit_dated", {"day": "2024-05-15", "exact": 1.5, "note": "b"})
        assert await db.select("kit_dated") == [{**key, "note": "b"}]
        for bad in ({"day": "x"}, {"exact": "x"}, {"exact": "1\0"}):
            with pytest.raises(BadRequest, match=f"^{next(iter(bad))}: "):
                await db.get("kit_dated", {**key, **bad})
            with pytest.raises(BadRequest, match=f"^{next(iter(bad))}: "):
                await db.del_("kit_dated", {**key, **bad})
        assert (await db.del_("kit_dated", {"day": "2024-05-15", "exact": "1.500"})).affected == 1

    async def test_keys_hold_no_nul_and_no_half_characters(self, db: Database) -> None:
        """Some engines end a text there, others refuse it: all of them do."""
        for bad in ("a\0", "\0", "\ud800", "a\udfff"):
            for call in (
                lambda bad=bad: db.get("kit_item", {"id": bad}),
                lambda bad=bad: db.put("kit_item", {"id": bad}),
                lambda bad=bad: db.del_("kit_item", {"id": bad}),
                lambda bad=bad: db.list("kit_item", [{"id": bad}]),
                lambda bad=bad: db.select("kit_item", {"id": bad}),
                lambda bad=bad: db.select("kit_item", {"id": bad}, ops={"id": "begins_with"}),
                lambda bad=bad: db.select("kit_item", {"id": bad}, ops={"id": "contains"}),
            ):
                with pytest.raises(BadRequest, match=r"^id: "):
                    await call()

    async def test_names_hold_no_nul_and_no_half_characters(self, db: Database) -> None:
        """Tables and columns that no engine can have are refused where they are described."""
        for bad in ("a\0", "a\ud800"):
            with pytest.raises(BadRequest):
                db.describe_tables({bad: {"id": {"primary": 1}}})
            with pytest.raises(BadRequest):
                db.describe_tables({"kit_bad": {"id": {"primary": 1}, bad: {}}})

    # -- decimals and dates ----------------------------------------------------------------------

    async def test_decimals_have_the_order_of_numbers(self, db: Database) -> None:
        """Sorted, paged and compared by their value, whatever their text looks like."""
        await fill(db, "kit_value", [{"id": d, "exact": d} for d in reversed(DECIMALS)])
        rows = await db.select("kit_value", sort="exact")
        assert [row["id"] for row in rows] == DECIMALS
        assert [row["id"] for row in await walk(db, "kit_value", 4, sort="exact")] == DECIMALS
        down = await walk(db, "kit_value", 5, sort="exact", desc=True)
        assert [row["id"] for row in down] == DECIMALS[::-1]
        for op, limit, wanted in (
            ("lt", "-9.5", DECIMALS[:3]),
            ("ge", 9, DECIMALS[9:]),
            ("gt", Decimal("99999999999999999999.1"), DECIMALS[13:]),
            ("between", ["-0.01", "0.100"], DECIMALS[4:8]),
            ("in", "-1000,9.00,7", ["-1E+3", "9"]),
            ("not in", DECIMALS[1:], ["-1E+3"]),
        ):
            rows = await db.select("kit_value", {"exact": limit}, ops={"exact": op}, sort="exact")
            assert [row["id"] for row in rows] == wanted, op
        rows = await db.select("kit_value", {"exact": "%.1"}, ops={"exact": "like"}, sort="exact")
        assert [row["id"] for row in rows] == ["0.1", "99999999999999999999.1"]

    async def test_decimals_are_added_exactly(self, db: Database) -> None:
        """Also by many at once, and beyond the digits of a double."""
        big = Decimal("12345678901234567890.01")
        await db.put("kit_value", {"id": "a", "exact": big})
        ops: Any = {"update_ops": {"exact": "incr"}}
        if not possible(db, "counters"):
            with pytest.raises(Unsupported):
                await db.incr("kit_value", {"id": "a", "exact": "0.01"}, **ops)
            return
        for amount in ("0.01", 0.02, Decimal("-0.005")):
            await db.incr("kit_value", {"id": "a", "exact": amount}, **ops)
        await db.update("kit_value", {"id": "a", "exact": "0.005"}, **ops)
        row = await db.get("kit_value", {"id": "a"})
        assert row is not None
        assert row["exact"] == big + Decimal("0.03")
        try:
            await asyncio.gather(
                *(db.incr("kit_value", {"id": "a", "exact": "0.1"}, **ops) for _ in range(10))
            )
        except Unsupported:  # nothing atomic where decimals are text
            return
        assert await db.update_all("kit_value", {"id": "a"}, {"exact": "-1"}, **ops) == 1
        row = await db.get("kit_value", {"id": "a"})
        assert row is not None
        assert row["exact"] == big + Decimal("0.03")
        assert len(await db.select("kit_value", {"exact": big + Decimal("0.03")})) == 1

    async def test_dates_sort_by_time(self, db: Database) -> None:
        """Dates of the calendar and moments, in pages, too."""
        days = [date(1, 1, 1), date(999, 12, 31), date(1969, 12, 31), date(2024, 2, 29)]
        moments = [datetime(d.year, d.month, d.day, 23, 59, 59, 999999, UTC) for d in days]
        rows = [
            {"id": str(n), "day": d, "at": m}
            for n, (d, m) in enumerate(zip(days, moments, strict=True))
        ]
        await fill(db, "kit_value", rows[::-1])
        for name in ("day", "at"):
            found = await walk(db, "kit_value", 3, sort=name)
            assert [row[name] for row in found] == [row[name] for row in rows]
            found = await db.select("kit_value", {name: rows[1][name]}, ops={name: "gt"}, sort=name)
            assert [row["id"] for row in found] == ["2", "3"]
            found = await db.select("kit_value", {name: rows[2][name]}, ops={name: "le"}, sort=name)
            assert [row["id"] for row in found] == ["0", "1", "2"]

    # -- looking into text -----------------------------------------------------------------------

    @pytest.mark.parametrize(("op", "pattern", "wanted"), CASELESS)
    async def test_the_case_of_all_letters(
        self, db: Database, op: str, pattern: str, wanted: str
    ) -> None:
        """`ilike`, `ilike%` and `iregexp` know the letters of every script, nothing else does.

        Troubleshooting: `bkjs.lib.wildcards.fold` says what is compared. A database that folds by
        its own rules leaves these operators to the kernel.
        """
        await fill(db, "kit_item", [{"id": k, "name": name} for k, name in LETTERS.items()])
        assert ids(await db.select("kit_item", {"name": pattern}, ops={"name": op})) == wanted
        rest = "".join(sorted(LETTERS.keys() - set(wanted)))
        assert (
            ids(await db.select("kit_item", {"name": pattern}, ops={"name": f"not {op}"})) == rest
        )
