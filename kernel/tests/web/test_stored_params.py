"""Fields of parameters as they are stored: each type of pydantic by its JSON value, or refused."""

import re
import uuid
from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from fractions import Fraction
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pydantic
import pytest
from pydantic import BaseModel

from bkjs.db.pools.memory import MemoryDriver
from bkjs.errors import BadRequest
from bkjs.testing.db.opened import database, opened
from bkjs.testing.servers import NotHere, postgres
from bkjs.web.input.params import Params
from bkjs_db_pgsql.database import PgsqlDriver
from bkjs_db_sqlite.database import SqliteDriver


class Colour(Enum):
    RED = "red"


class Size(IntEnum):
    SMALL = 1


class Word(StrEnum):
    YES = "y"


class Inner(BaseModel):
    day: date = date(2024, 5, 15)
    amount: Decimal = Decimal("0.10")


class Point(NamedTuple):
    x: int
    y: int


@dataclass
class Plain:
    n: int = 1


REFUSED = "refused"
DAY = date(2024, 5, 15)
MOMENT = datetime(2024, 5, 15, 1, 2, 3, 4, UTC)
ID = uuid.UUID("12345678-1234-5678-1234-567812345678")

CASES = [
    # the field, what is given, the column, what is read
    (str, "é", "text", "é"),
    (pydantic.StrictStr, "a", "text", "a"),
    (pydantic.constr(max_length=3), "abc", "text", "abc"),
    (int, "5", "int", 5),
    (pydantic.PositiveInt, 5, "int", 5),
    (pydantic.ByteSize, "1kib", "int", 1024),
    (float, 1.5, "real", 1.5),
    (pydantic.FiniteFloat, 1.5, "real", 1.5),
    (bool, "true", "bool", True),
    (Decimal, "0.10", "decimal", Decimal("0.1")),
    (Decimal, "12345678901234567890.12", "decimal", Decimal("12345678901234567890.12")),
    (Decimal, "12345678901234567890.12", "text", "12345678901234567890.12"),
    (Decimal, "0.1", "json", "0.1"),
    (date, DAY, "date", DAY),
    (date, DAY, "text", "2024-05-15"),
    (date, DAY, "timestamp", datetime(2024, 5, 15, tzinfo=UTC)),
    (pydantic.PastDate, DAY, "date", DAY),
    (datetime, MOMENT, "timestamp", MOMENT),
    (datetime, MOMENT, "text", "2024-05-15T01:02:03.000004Z"),
    (datetime, MOMENT, "mtime", 1715734923000),
    (datetime, MOMENT, "date", REFUSED),
    (pydantic.AwareDatetime, MOMENT, "timestamp", MOMENT),
    (pydantic.NaiveDatetime, MOMENT.replace(tzinfo=None), "timestamp", MOMENT),
    (time, time(1, 2, 3), "text", "01:02:03"),
    (time, time(1, 2, 3), "timestamp", REFUSED),
    (timedelta, timedelta(hours=1), "int", 3600),
    (timedelta, timedelta(seconds=1.5), "real", 1.5),
    (timedelta, timedelta(seconds=1.5), "int", REFUSED),
    (timedelta, timedelta(seconds=1.5), "json", 1.5),
    (Colour, "red", "text", "red"),
    (Size, 1, "int", 1),
    (Size, 1, "text", "1"),
    (Word, "y", "text", "y"),
    (Literal["a", "b"], "a", "text", "a"),
    (uuid.UUID, ID, "text", str(ID)),
    (uuid.UUID, ID, "uuid", str(ID)),
    (pydantic.UUID4, uuid.UUID(int=5, version=4), "text", str(uuid.UUID(int=5, version=4))),
    (IPv4Address, "127.0.0.1", "text", "127.0.0.1"),
    (IPv6Address, "::1", "text", "::1"),
    (IPv4Network, "10.0.0.0/8", "text", "10.0.0.0/8"),
    (IPv4Interface, "10.0.0.1/8", "text", "10.0.0.1/8"),
    (pydantic.IPvAnyAddress, "::1", "text", "::1"),
    (Path, "/tmp/x", "text", "/tmp/x"),
    (pydantic.AnyUrl, "http://a.b/c", "text", "http://a.b/c"),
    (pydantic.HttpUrl, "http://a.b/c", "url", "http://a.b/c"),
    (pydantic.PostgresDsn, "postgresql://u@h/d", "text", "postgresql://u@h/d"),
    (pydantic.RedisDsn, "redis://h:1/0", "json", "redis://h:1/0"),
    (re.Pattern, "a+", "text", "a+"),
    (pydantic.SecretStr, "geheim", "text", REFUSED),
    (pydantic.SecretStr, "geheim", "json", REFUSED),
    (pydantic.SecretBytes, b"geheim", "bytes", REFUSED),
    (pydantic.Secret[int], 5, "int", REFUSED),
    (dict[str, pydantic.SecretStr], {"a": "geheim"}, "json", REFUSED),
    (bytes, b"\0\xff", "bytes", b"\0\xff"),
    (bytes, b"x", "text", REFUSED),
    (bytes, b"x", "json", REFUSED),
    (pydantic.Base64Bytes, b"AP8=", "bytes", b"\0\xff"),
    (pydantic.Base64Str, "YWI=", "text", "ab"),
    (list[str], ["a", "b"], "list", ["a", "b"]),
    (tuple[str, ...], ("a", "b"), "list", ["a", "b"]),
    (set[str], {"a"}, "list", ["a"]),
    (frozenset[int], {1}, "list", ["1"]),
    (list[Decimal], ["0.10"], "list", ["0.10"]),
    (list[date], [DAY], "list", ["2024-05-15"]),
    (deque[int], [1, 2], "array", [1, 2]),
    (list[int], [1, 2], "json", [1, 2]),
    (list[int], [1], "int", REFUSED),
    (list[str], ["a"], "text", REFUSED),
    (set[int], {1}, "json", [1]),
    (dict[str, int], {"a": 1}, "json", {"a": 1}),
    (dict[str, int], {"a": 1}, "obj", {"a": 1}),
    (dict[str, int], {"a": 1}, "text", REFUSED),
    (dict[int, str], {1: "a"}, "json", REFUSED),
    (OrderedDict[str, int], {"a": 1}, "obj", {"a": 1}),
    (dict[str, datetime], {"a": MOMENT}, "json", {"a": "2024-05-15T01:02:03.000004+00:00"}),
    (Point, (1, 2), "json", [1, 2]),
    (Plain, {"n": 2}, "json", {"n": 2}),
    (Inner, {}, "json", {"day": "2024-05-15", "amount": "0.10"}),
    (list[Inner], [{}], "json", [{"day": "2024-05-15", "amount": "0.10"}]),
    (Inner, {}, "text", REFUSED),
    (pydantic.Json, '{"a":[1]}', "json", {"a": [1]}),
    (pydantic.Json[list[int]], "[1]", "array", [1]),
    (pydantic.JsonValue, {"a": None}, "json", {"a": None}),
    (Any, {"a": 1}, "json", {"a": 1}),
    (object, object(), "json", REFUSED),
    (int | None, None, "int", None),
    (pydantic.ImportString, "math.pi", "real", 3.141592653589793),
    (pydantic.ImportString, "math.cos", "text", REFUSED),
    (complex, 1j, "text", REFUSED),
    (Fraction, "1/3", "real", REFUSED),
    (type[int], int, "text", REFUSED),
]


@pytest.fixture(scope="module")
def pgsql_url():
    try:
        with postgres() as url:
            yield url
    except NotHere as reason:
        pytest.skip(f"PostgreSQL is not here: {reason}")


@pytest.fixture(params=["memory", "sqlite", "pgsql"])
async def db(request):
    driver, url = {
        "memory": (MemoryDriver, lambda: ""),
        "sqlite": (SqliteDriver, lambda: ":memory:"),
        "pgsql": (PgsqlDriver, lambda: request.getfixturevalue("pgsql_url")),
    }[request.param]
    async with opened(driver, url()) as made:
        yield database(made)


async def test_each_type_of_pydantic_is_stored_by_its_value_or_refused_by_name(db):
    for number, (kind, given, column, wanted) in enumerate(CASES):
        case, table = (kind, column), f"stored_{number}"
        model = pydantic.create_model("Model", __base__=Params, id=(str, "1"), c=(kind, ...))
        db.describe_tables({table: {"id": {"primary": 1}, "c": {"type": column}}})
        await db.drop(table)
        await db.create(table)
        try:
            params = model(c=given)
            if wanted == REFUSED:
                with pytest.raises(BadRequest, match=r"^c: ") as refused:
                    await db.add(table, params)
                assert "geheim" not in str(refused.value), case
                assert await db.select(table) == [], case
                continue
            await db.add(table, params)
            (row,) = await db.select(table)
            assert (type(row["c"]), row["c"]) == (type(wanted), wanted), case
            assert await db.update(table, params)
            assert (await db.get(table, {"id": "1"}) or {})["c"] == wanted, case
        finally:
            await db.drop(table)


@pytest.mark.parametrize("value", [pydantic.SecretStr("geheim"), object(), len, 1j])
async def test_what_cannot_be_stored_is_refused_by_its_type(value):
    async with opened(MemoryDriver) as driver:
        db = database(driver)
        db.describe_tables({"t": {"id": {"primary": 1}, "c": {}}})
        with pytest.raises(BadRequest, match=f"a value of type {type(value).__name__} cannot"):
            await db.put("t", {"id": "1", "c": value})
