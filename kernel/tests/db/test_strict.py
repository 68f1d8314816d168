"""What a given value becomes in a column of each type, or why it is refused; see also test_values,
where values are random."""

import enum
import math
import random
from collections import deque
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import PurePosixPath

import pytest

from bkjs.db.contract import Request, Shape
from bkjs.db.pools.memory import MemoryDriver
from bkjs.db.tables.objects import check_key, nested
from bkjs.db.tables.types import decode, make_column
from bkjs.db.tables.values import EXACT
from bkjs.errors import BadRequest
from bkjs.testing.db import database, opened

NOON = datetime(2018, 3, 2, 12, tzinfo=UTC)
ALSO_NOON = NOON.astimezone(timezone(timedelta(hours=5)))


def convert(column, value, use="write"):
    props = {"type": column} if isinstance(column, str) else column
    made = decode(make_column("c", props), Shape(), use, lenient=False)
    return value if made is None else made(value)


@pytest.mark.parametrize("value", [-5, 5, "-5", "5", -5.0, 5.0, Decimal(5)])
@pytest.mark.parametrize("of", ["int", "mtime"])
def test_whole_numbers_have_the_limits_of_the_driver(of, value):
    made = decode(make_column("c", {"type": of}), Shape(ints=(-5, 5)), "write", lenient=False)
    assert made(value) == int(value)
    for beyond in (6, -6, "6", 6.0, Decimal(-6)):
        with pytest.raises(BadRequest, match="c: number out of range"):
            made(beyond)


@pytest.mark.parametrize(
    ("just", "beyond"),
    [("a" * 8, "a" * 9), ("é" * 4, "é" * 4 + "a"), ("😀" * 2, "😀" * 2 + "a"), (b"a" * 8, b"a" * 9),
     (["abcd"], ["abcde"]), ("", "é" * 8)],
)  # fmt: skip
def test_a_key_has_so_many_bytes(just, beyond):
    assert check_key("id", just, 8) == just
    with pytest.raises(BadRequest, match="id: longer than 8 bytes, which a key may have"):
        check_key("id", beyond, 8)
    assert check_key("id", 10**20, 8) == 10**20


class Word(str):
    __slots__ = ()


class Color(enum.Enum):
    RED = "red"
    NESTED = Word("word")


@dataclass
class Point:
    x: float


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("int", " 5 ", 5),
        ("int", 5.0, 5),
        ("int", Decimal("5.0"), 5),
        ("int", "5e3", 5000),
        ("int", "", None),
        ("int", timedelta(seconds=7), 7),
        ("int", float(2**53), 2**53),
        ("int", float(-(2**53)), -(2**53)),
        ("int", " " * 399 + "5", 5),
        ({"type": "now", "clock": 1}, 1.5, 1.5),
        ("real", Decimal("0.1"), 0.1),
        ("real", "0.1000000000000000055511", 0.1),
        ("real", 2**53, 2**53),
        ("real", timedelta(milliseconds=1500), 1.5),
        ("decimal", "1.50", Decimal("1.5")),
        ("decimal", 0.1, Decimal("0.1")),
        ("decimal", 123456789012.345, Decimal("123456789012.345")),
        ("decimal", 999999999999999.0, Decimal("999999999999999")),
        ("decimal", 10**100 - 1, Decimal(10**100 - 1)),
        ("decimal", "9.9e99", Decimal("99e98").quantize(Decimal(1), context=EXACT)),
        ("decimal", "-0", Decimal(0)),
        ("decimal", "1e-100", Decimal("1e-100")),
        ("bool", 1, True),
        ("bool", 0.0, False),
        ("bool", " Yes ", True),
        ("bool", "", None),
        ("bool", "NO", False),
        ("timestamp", 2147483646, datetime(2038, 1, 19, 3, 14, 6, tzinfo=UTC)),
        ("timestamp", 2147483647, datetime(1970, 1, 25, 20, 31, 23, 647000, tzinfo=UTC)),
        ("timestamp", 1520000000, datetime(2018, 3, 2, 14, 13, 20, tzinfo=UTC)),
        ("timestamp", 1520000000000, datetime(2018, 3, 2, 14, 13, 20, tzinfo=UTC)),
        ("timestamp", date(2018, 3, 2), datetime(2018, 3, 2, tzinfo=UTC)),
        ("timestamp", ALSO_NOON, NOON),
        ("mtime", 1520000000, 1520000000),
        ("mtime", 5, 5),
        ("mtime", -5, -5),
        ("mtime", -(2**63), -(2**63)),
        ("mtime", "5", 5),
        ("mtime", 5.7, 5),
        ("mtime", -5.2, -6),
        ("mtime", 2**63 - 1, 2**63 - 1),
        ("mtime", "", None),
        ("mtime", NOON, 1519992000000),
        ("mtime", "1970-01-01T00:00:00.005Z", 5),
        ("datetime", "2018-03-02T14:13:20Z", "2018-03-02T14:13:20Z"),
        ("datetime", "2018-03-02", "2018-03-02"),
        ("datetime", 1520000000, "1520000000"),
        ("datetime", NOON, "2018-03-02T12:00:00.000000Z"),
        ("datetime", "", ""),
        ("datetime", None, None),
        ("mtime", 1520000000000, 1520000000000),
        ("date", datetime(2018, 3, 2, tzinfo=UTC), date(2018, 3, 2)),
        ("date", "2018-03-02T00:00:00.000Z", date(2018, 3, 2)),
        ("text", Color.NESTED, "word"),
        ("text", Decimal("1E+3"), "1000"),
        ("text", time(14, 5), "14:05:00"),
        ("text", PurePosixPath("/a"), "/a"),
        ("text", True, "true"),
        ("regexp", "A|b", "A|b"),
        ("email", "Bob <Bob@Example.com>", "bob@example.com"),
        ("bytes", "aGk=", b"hi"),
        ("bytes", bytearray(b"hi"), b"hi"),
        ("list", deque(["a", Color.RED]), ["a", "red"]),
        ("json", {"p": Point(1.5), "c": {Color.RED}, "d": Decimal("1E+3")}, {
            "p": {"x": 1.5}, "c": ["red"], "d": "1000"
        }),
        ("json", "\\u0000", "\\u0000"),
        ({"type": "json", "list": 1}, [{"a": [1]}], [{"a": [1]}]),
        ({"type": "list", "datatype": "INT"}, ["1", 2], [1, 2]),
    ],
)  # fmt: skip
def test_what_a_value_becomes(column, value, expected):
    found = convert(column, value)
    assert (found, type(found)) == (expected, type(expected))
    if isinstance(found, datetime):
        assert found.tzinfo is UTC  # what else is equal sorts otherwise as text


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("int", True, "a whole number is expected"),
        ("int", 5.5, "a whole number is expected"),
        ("int", "5.5", "a whole number is expected"),
        ("int", float(2**53 + 2), "number out of range"),
        ("int", float(-(2**53) - 2), "number out of range"),
        ("int", "1e101", "number out of range"),
        ("int", " " * 400 + "5", "a whole number is expected"),
        ("int", "1e9999", "number out of range"),
        ("int", math.inf, "number out of range"),
        ("real", False, "a number is expected"),
        ("real", 2**53 + 1, "more digits than the column holds"),
        ("real", Decimal("0.1000000000000000055511"), "more digits than the column holds"),
        ("real", "1e400", "number out of range"),
        ("real", math.nan, "number out of range"),
        ("decimal", True, "a number is expected"),
        ("decimal", 0.1234567890123456, "more than 15 digits are expected as text"),
        ("decimal", 1e300, "more than 15 digits are expected as text"),
        ("decimal", 1e15, "more than 15 digits are expected as text"),
        ("decimal", "1e-101", "more than 100 digits after the point"),
        ("decimal", 1234567890123.456, "more than 15 digits are expected as text"),
        ("decimal", 10**100, "number out of range"),
        ("decimal", -(10**100), "number out of range"),
        ("decimal", "1e100", "number out of range"),
        ("decimal", math.inf, "number out of range"),
        ("decimal", Decimal("sNaN"), "number out of range"),
        ("bool", 2, "true or false is expected"),
        ("bool", 0.5, "true or false is expected"),
        ("bool", " ", "true or false is expected"),
        ("bool", "maybe", "true or false is expected"),
        ("timestamp", "15.05.2024", "a time is expected"),
        ("timestamp", True, "a time is expected"),
        ("timestamp", 1e300, "number out of range"),
        ("mtime", 2**63, "number out of range"),
        ("mtime", False, "a time is expected"),
        ("mtime", "15.05.2024", "a time is expected"),
        ("mtime", math.nan, "number out of range"),
        ("mtime", 1e300, "number out of range"),
        ("mtime", "-1e19", "number out of range"),
        ("datetime", "yesterday", "a time is expected"),
        ("datetime", "2018-02-30", "a time is expected"),
        ("datetime", True, "a time is expected"),
        ("datetime", [], "must be text"),
        ("date", NOON, "a date is expected"),
        ("date", "2018-03-02T12:00:00Z", "a date is expected"),
        ("date", "2018-02-30", "a date is expected"),
        ("text", math.inf, "number out of range"),
        ("text", -math.inf, "number out of range"),
        ("text", {"a": 1}, "must be text"),
        ("text", "a\0", "text without NUL"),
        ("text", Word("a\0"), "text without NUL"),
        ("text", "é\0", "text without NUL"),
        ("text", "é\ud800", "text without NUL"),
        ("email", "nobody", "not a valid email"),
        ("bytes", "aGk=!", "bytes are expected"),
        ("bytes", 5, "bytes are expected"),
        ("list", ["a", ""], "an item is empty"),
        ("list", ["a", " b"], "an item is empty"),
        ("list", 5, "a list is expected"),
        ("obj", [], "an object is expected"),
        ("array", {}, "a list is expected"),
        ("json", {"a": "x\0"}, "text without NUL"),
        ("json", {"a": [{"b": math.nan}]}, "not a JSON value"),
        ("json", {"a": ({1.5, math.inf},)}, "not a JSON value"),
        ("json", {"a": b"x"}, "bytes cannot be part of JSON"),
        ("text", object(), "a value of type object cannot be stored"),
    ],
)
def test_what_is_refused(column, value, problem):
    with pytest.raises(BadRequest, match=f"^c: {problem}") as caught:
        convert(column, value)
    assert caught.value.extra["field"] == "c"


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("mtime", 5, 5),
        ("mtime", "5", 5),
        ("mtime", "2018-03-02T14:13:20Z", 1520000000000),
        ("bytes", "6869", b"hi"),
        ("obj", {}, {}),
        ("array", [], []),
    ],
)
def test_what_stood_in_a_file(column, value, expected):
    assert convert(column, value, "import") == expected


def test_json_is_a_copy():
    given = {"a": [1]}
    found = nested("c", given)
    given["a"].append(2)
    assert found == {"a": [1]}


async def test_parts_of_a_key_and_many_columns_have_their_length():
    """A joined key is checked as it becomes; more than two columns share what a token can hold."""
    async with opened(MemoryDriver) as driver:
        db = database(driver)
        db.describe_tables({
            "joined": {"id": {"primary": 1, "join": ["a", "b"]}, "a": {}, "b": {}},
            "wide": {name: {"primary": n} for n, name in enumerate("abcd", 1)} | {"n": {}},
        })  # fmt: skip
        half = "x" * 512
        await db.add("joined", {"a": half, "b": half[1:]})
        with pytest.raises(BadRequest, match=r"^id: longer than 1024 bytes"):
            await db.add("joined", {"a": half, "b": half})
        for n in "12":
            await db.add("wide", dict.fromkeys("abcd", n + "\x01" * 511))
        with pytest.raises(BadRequest, match=r"^b: longer than 512 bytes"):
            await db.put("wide", {**dict.fromkeys("acd", "x"), "b": half + "x"})
        first = await db.select("wide", {}, count=1)
        assert len(first.next_token) < 3000
        assert len(await db.select("wide", {}, count=1, start=first.next_token)) == 1
        table = db.schema.table("wide")
        for n in "34":  # by somebody else
            row = {name: n + random.Random(name).randbytes(2000).hex() for name in "abcd"}
            await driver.put(Request(verb="put", table=table, key=row, values=row))
        page = await db.select("wide", {}, count=3)
        with pytest.raises(BadRequest, match="too long to go on behind it"):
            assert page.next_token
