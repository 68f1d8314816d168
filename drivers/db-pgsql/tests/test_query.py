"""What PostgreSQL is asked, as text; no server is needed."""

import math

import asyncpg
import pytest

from bkjs.db.contract import Condition, Group, Order
from bkjs.db.tables.described import build
from bkjs.db.tables.types import make_column
from bkjs.errors import BkError, StartError, Unavailable
from bkjs_db_pgsql.connect import Connector, dsn, number, place
from bkjs_db_pgsql.database import PgsqlDriver
from bkjs_db_pgsql.dialect import PgsqlDialect
from bkjs_sql import create_table, indexes
from bkjs_sql import statements as make
from bkjs_sql.where import Draft, condition, outline

D = PgsqlDialect()
T = build(
    "t",
    {
        "id": {"primary": 1},
        "n": {"primary": 2, "type": "int"},
        "num": {"type": "real", "index": 1},
        "name": {"len": 30, "index": 2},
        "data": {"type": "json", "index1": 1},
        "ok": {"type": "bool", "notnull": 1},
    },
)


@pytest.mark.parametrize(
    ("test", "text"),
    [
        (Condition("num", "in", [1.0, 2.0]), '"num"::double precision = ANY($1)'),
        (Condition("num", "not in", [1.0]), 'NOT ("num"::double precision = ANY($1))'),
        (
            Condition("name", "begins_with", "a"),
            '("name" COLLATE "C" >= $1 AND "name" COLLATE "C" < $2)',
        ),
        (Condition("name", "contains", "a"), 'strpos("name", $1) > 0'),
        (
            Condition("name", "ilike%", "a"),
            """replace(lower("name" COLLATE "und-x-icu"), 'ς', 'σ') LIKE $1""",
        ),
        (Condition("name", "not regexp", "a"), 'NOT ("name" ~ $1)'),
        (Condition("data", "eq", "{}"), '"data"::text = $1'),
    ],
)  # fmt: skip
def test_conditions(test, text):
    draft = Draft(D, T)
    assert condition(draft, outline(Group("AND", (test,)), D, [])) == text


def test_pattern_of_a_prefix_is_escaped():
    values = []
    outline(Group("AND", (Condition("name", "ilike%", "5%_"),)), D, values)
    assert values == [r"5\%\_%"]


def test_list_is_one_value_without_nulls():
    values = []
    outline(Group("AND", (Condition("num", "in", [1, None, 2, 3]),)), D, values)
    assert values == [[1, 2, 3]]


def test_nulls_come_first():
    sort = (Order("num"), Order("name", True), Order("ok"), Order("id"), Order("data"))
    text = make.select(D, T, ("id",), ("AND", ()), sort).text
    assert text.partition(" ORDER BY ")[2] == (
        '"num"::double precision NULLS FIRST, "name" COLLATE "C" DESC NULLS LAST, "ok", '
        '"id" COLLATE "C", "data"::text COLLATE "C" NULLS FIRST'
    )


def test_many_keys_are_arrays():
    assert make.many(D, T, ("ok",), 1).text == (
        'SELECT "ok" FROM "t" WHERE ("id", "n") IN (SELECT * FROM unnest($1::text[], $2::bigint[]))'
    )
    single = build("s", {"id": {"primary": 1}})
    assert make.many(D, single, ("id",), 1).text == 'SELECT "id" FROM "s" WHERE "id" = ANY($1)'


def test_table():
    assert create_table(D, T) == (
        'CREATE TABLE IF NOT EXISTS "t" ("id" text COLLATE "C" NOT NULL, "n" bigint NOT NULL, '
        '"num" double precision, "name" varchar(30) COLLATE "C", "data" json, '
        '"ok" boolean NOT NULL, PRIMARY KEY ("id", "n"))'
    )
    assert [text.partition(" ON ")[2] for text in indexes(D, T).values()] == [
        '"t" (("data"::text COLLATE "C") NULLS FIRST)',
        '"t" ("num" NULLS FIRST, "name" NULLS FIRST)',
    ]


def test_declared_types():
    assert D.type(make_column("c", {"type": "now"})) == "bigint"
    assert D.type(make_column("c", {"type": "obj"})) == "json"


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("", "postgresql://postgres@127.0.0.1/backend"),
        ("default", "postgresql://postgres@127.0.0.1/backend"),
        ("billing", "postgresql://postgres@127.0.0.1/billing"),
        ("pgsql://u:p@h:1/d", "postgresql://u:p@h:1/d"),
        ("postgres://h/d", "postgresql://h/d"),
    ],
)
def test_urls(url, wanted):
    assert dsn(url, "backend") == wanted


def test_secrets_of_a_url_are_not_shown():
    assert place("postgresql://user:secret@host:5432/db?password=secret") == "host:5432/db"


@pytest.mark.parametrize(
    ("exc", "kind", "text"),
    [
        (
            asyncpg.InvalidPasswordError("of u"),
            StartError,
            "h:5/d refuses the user or the password",
        ),
        (asyncpg.InvalidCatalogNameError("d"), StartError, "there is no database h:5/d"),
        (asyncpg.TooManyConnectionsError("too many"), Unavailable, "no connection to h:5/d: too"),
        (ConnectionRefusedError(111, "x"), Unavailable, "no connection to h:5/d: Connection ref"),
        (ValueError("odd"), StartError, "cannot connect to h:5/d: odd"),
    ],
)
async def test_why_there_is_no_connection(monkeypatch, exc, kind, text):
    """What does not pass by itself stops the start; no text has the password."""

    async def refuse(*args, **kwargs):
        raise exc

    monkeypatch.setattr(asyncpg, "connect", refuse)
    with pytest.raises(BkError) as caught:
        await Connector("pgsql", "postgres://u:secret@h:5/d", {}, 1, 1)()
    assert (type(caught.value), text in caught.value.message) == (kind, True)
    assert "secret" not in caught.value.message


def test_making_a_driver_does_nothing():
    assert PgsqlDriver("pgsql", "", {}).stats() == {"open": 0, "busy": 0, "waiting": 0}


@pytest.mark.parametrize(
    ("text", "value"),
    [("5", 5), ("-1.50", -1.5), ("9" * 30, 1e30), ("-" + "9" * 19, -1e19), ("Infinity", math.inf)],
)
def test_numeric_as_a_number(text, value):
    assert number(text) == value
    assert type(number(text)) is type(value)
