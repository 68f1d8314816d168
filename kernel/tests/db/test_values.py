"""Values at random: stored and read back equal, or refused by name; files give the same rows."""

import asyncio
import io
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bkjs.db.contract import Shape
from bkjs.db.database import Database
from bkjs.db.many.files import (
    csv_writer,
    export_rows,
    import_rows,
    jsonl_writer,
    read_csv,
    read_jsonl,
)
from bkjs.db.pools.memory import MemoryDriver
from bkjs.db.tables.values import decimal_text, read_decimal
from bkjs.errors import BadRequest
from bkjs.lib.json import wire_json
from bkjs.testing.db.opened import database, opened
from bkjs.testing.db.tables import TABLES, clean
from bkjs.testing.servers import NotHere, postgres
from bkjs_db_pgsql.database import PgsqlDriver
from bkjs_db_sqlite.database import SqliteDriver

COLUMNS = TABLES["kit_value"]


class PlainDriver(MemoryDriver):
    shape = Shape()


@pytest.fixture(scope="module")
def pgsql_url():
    try:
        with postgres() as url:
            yield url
    except NotHere as reason:
        pytest.skip(f"PostgreSQL is not here: {reason}")


@pytest.fixture(params=["memory", "plain", "sqlite", "pgsql"])
def connect(request):
    """Opens the driver."""
    driver = {
        "memory": MemoryDriver, "plain": PlainDriver, "sqlite": SqliteDriver, "pgsql": PgsqlDriver
    }[request.param]  # fmt: skip
    url = request.getfixturevalue("pgsql_url") if request.param == "pgsql" else ":memory:"
    return lambda: opened(driver, url)


async def fresh(driver):
    db = database(driver)
    db.describe_tables({"kit_value": COLUMNS})
    await db.drop("kit_value")
    await db.create("kit_value")
    return db


# -- one value ---------------------------------------------------------------------------------

texts = st.text(
    st.one_of(st.characters(), st.sampled_from("\0\ud800\udfff0123456789.-+eE:TZ,| ")), max_size=12
)
plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.decimals(),
    texts,
    st.integers().map(str),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    st.dates().map(str),
    st.datetimes().map(lambda d: d.isoformat() + "Z"),
    st.sampled_from(["true", "no", "off", "null", "2024-02-30", "15.05.2024", "five", "1e5", ""]),
)
python = st.one_of(
    plain,
    st.dates(),
    st.datetimes(timezones=st.sampled_from([None, UTC])),
    st.timedeltas(timedelta(-1000), timedelta(1000)),
    st.binary(max_size=5),
    st.uuids(),
    st.lists(plain, max_size=3),
    st.sets(st.integers(), max_size=2),
    st.dictionaries(texts, plain, max_size=2),
)


def exactly(value):
    """The number that a value is, None for none; a float is what it is written as."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        return None
    try:
        found = Decimal(repr(value) if isinstance(value, float) else value)
    except ArithmeticError:
        return None
    return found if found.is_finite() else None


def kept(column, value, found):
    """Whether a stored value is what was given, by a naive reading."""
    if value is None or (value == "" and column not in ("text", "mail", "doc")):
        return found is None or (column == "words" and found == [])
    match column:
        case "whole" | "likes" | "exact":
            return not isinstance(found, bool) and Decimal(found) == exactly(value)
        case "real":
            return exactly(value) is not None and float(exactly(value)) == found
        case "flag":
            meant = {"true": True, "1": True, "no": False, "off": False, "0": False}
            text = str(value).strip().lower()
            return isinstance(found, bool) and (value == found or meant.get(text, found) is found)
        case "day":
            return isinstance(found, date) and str(value).startswith(str(found))
        case "at" | "stamp":
            return found is not None  # whether it is the right one the kit tells
        case "text":
            return isinstance(found, str) and (
                found == value or not isinstance(value, (str, bytes, list, dict, set))
            )
        case "raw":
            return found == value or isinstance(value, str)
        case "words":
            return isinstance(value, (str, UUID)) or len(found) == len(value)
        case "doc" | "obj" | "arr":
            if isinstance(value, (list, tuple, set)):
                return len(found) == len(value)
            if isinstance(value, dict):
                return found.keys() == value.keys()
            return isinstance(value, (Decimal, timedelta, date, UUID)) or found == value
    return True


@given(column=st.sampled_from(list(COLUMNS)[1:]), value=python)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_value_is_kept_or_refused_by_name(connect, column, value):
    async def run():
        async with connect() as driver:
            db = await fresh(driver)
            given = {"id": "1", column: value}
            outcome = await db.bulk([{"op": "put", "table": "kit_value", "obj": given}])
            error = outcome[0][0]
            if error is not None:
                assert isinstance(error, BadRequest)
                assert error.message.startswith(f"{column}: ")
                assert await db.get("kit_value", {"id": "1"}) is None
                return
            row = await db.get("kit_value", {"id": "1"})
            assert kept(column, value, row[column]), (value, row[column])
            if column != "stamp":  # where a small number is one of seconds
                await db.put("kit_value", row)
                assert await db.get("kit_value", {"id": "1"}) == row

    asyncio.run(run())


# -- files -------------------------------------------------------------------------------------

ints = st.integers(-(2**63), 2**63 - 1)
good = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=8)
leaf = st.one_of(
    st.none(), st.booleans(), ints, st.floats(allow_nan=False, allow_infinity=False), good
)
nested = st.recursive(
    leaf, lambda x: st.lists(x, max_size=2) | st.dictionaries(good, x, max_size=2), max_leaves=4
)
moments = st.datetimes(timezones=st.just(UTC))
words = good.map(lambda t: t.replace(",", "").replace("|", "").strip()).filter(bool)
ROWS = st.lists(
    st.fixed_dictionaries(
        {"id": st.text(st.sampled_from("abcé'%"), min_size=1, max_size=4)},
        optional={
            "whole": ints,
            "real": st.floats(allow_nan=False, allow_infinity=False),
            "exact": st.one_of(ints, st.decimals(-(10**30), 10**30, places=20).map(str)),
            "flag": st.booleans(),
            "at": moments.map(datetime.isoformat),
            "stamp": st.one_of(st.integers(-5, 2**31 + 5), ints),
            "day": st.dates().map(date.isoformat),
            "doc": nested,
            "obj": st.dictionaries(good, nested, max_size=2),
            "arr": st.lists(nested, max_size=2),
            "words": st.lists(words, min_size=1, max_size=3),
            "text": good,
            "raw": st.binary(min_size=1, max_size=5).map(bytes.hex),
            "likes": ints,
        },
    ),
    max_size=4,
    unique_by=lambda row: row["id"],
)


async def load(db, lines):
    bad = []
    await import_rows(
        db, "kit_value", lines, pool=None, bad=lambda *b: bad.append(b), progress=lambda n: None
    )
    return bad


async def dump(db, kind):
    file = io.StringIO(newline="")
    table = db.schema.table("kit_value")
    write = jsonl_writer(file) if kind == "jsonl" else csv_writer(file, table)
    await export_rows(db, "kit_value", write, pool=None, progress=lambda n: None)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
@given(rows=ROWS)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_table_that_was_exported_is_imported_byte_for_byte(connect, kind, rows):
    async def run():
        async with connect() as driver:
            db = await fresh(driver)
            lines = io.StringIO("".join(json.dumps(row) + "\n" for row in rows))
            assert await load(db, read_jsonl(lines)) == []
            stored = await db.select("kit_value", sort="id")
            first = await dump(db, kind)
            for row in rows:
                found = next(r for r in stored if r["id"] == row["id"])
                for name in ("whole", "real", "flag", "stamp", "doc", "obj", "arr", "words"):
                    assert found.get(name) == row.get(name), name
            db = await fresh(driver)
            file = io.StringIO(first, newline="")
            table = db.schema.table("kit_value")
            read = read_jsonl(file) if kind == "jsonl" else read_csv(file, table)
            assert await load(db, read) == []
            again = await db.select("kit_value", sort="id")
            assert list(map(clean, again)) == list(map(clean, stored))
            assert await dump(db, kind) == first

    asyncio.run(run())


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"words": ["", "a", " "]}, "words: an item is empty or has blanks around it"),
        ({"real": 1234567890123456789}, "real: more digits than the column holds"),
        ({"exact": 12345678901234567890123}, "exact: more than 15 digits are expected as text"),
        ({"raw": "xyz"}, "raw: hexadecimal digits are expected"),
        ({"stamp": "tomorrow"}, "stamp: a time is expected, such as 2018-03-02T14:13:20Z"),
        ({"obj": []}, "obj: an object is expected"),
    ],
)
async def test_what_a_file_cannot_mean_is_refused(row, problem):
    async with opened(MemoryDriver) as driver:
        db = await fresh(driver)
        lines = io.StringIO(json.dumps({"id": "1", **row}) + "\n")
        assert await load(db, read_jsonl(lines)) == [(1, problem)]
        assert await db.select("kit_value") == []


# -- decimals ----------------------------------------------------------------------------------

numbers = st.decimals(
    -(Decimal(10) ** 99), Decimal(10) ** 99, allow_nan=False, allow_infinity=False
)


near = st.integers(-2000, 2000).map(lambda number: Decimal(number) / 100)
"""Numbers of which many begin as another one does."""


@given(a=numbers | near, b=numbers | near)
@example(a=Decimal("-1.5"), b=Decimal("-1.55"))
def test_the_text_of_a_decimal_sorts_as_it_does(a, b):
    first, second = decimal_text(a), decimal_text(b)
    assert (first < second, first == second) == (a < b, a == b)
    assert read_decimal(first) == a


def test_decimals_leave_with_all_of_their_digits():
    row = {"a": Decimal("12345678901234567890.123"), "b": Decimal("1E-7"), "c": Decimal("NaN")}
    assert wire_json(row) == b'{"a":12345678901234567890.123,"b":0.0000001,"c":null}'


async def test_leniency_is_the_references():
    async with opened(MemoryDriver) as driver:
        db = Database(lenient=True)
        db.add_pool("memory", driver)
        db.describe_tables({"kit_value": COLUMNS})
        given = {"whole": "5x", "real": "x", "flag": "maybe", "at": "tomorrow", "stamp": "tomorrow"}
        more = {"day": "2024-02-30", "obj": 5, "doc": {}, "exact": "2.5x", "text": ["a"]}
        await db.put("kit_value", {"id": "1", **given, **more})
        assert await db.get("kit_value", {"id": "1"}) == {
            "id": "1", "whole": 5, "real": 0, "flag": True, "at": None, "stamp": 0, "day": None,
            "doc": None, "exact": Decimal("2.5"), "text": "a", "likes": 0,
        }  # fmt: skip
        with pytest.raises(BadRequest, match="text: "):  # with the switch, too
            await db.put("kit_value", {"id": "1", "text": "\0"})
