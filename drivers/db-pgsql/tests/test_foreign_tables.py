"""Tables that somebody else made: values are exchanged in the types that the columns have."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from bkjs.db.tables.drift import differences
from bkjs.errors import BadRequest
from bkjs.testing.db.base import walk
from bkjs.testing.db.opened import database, opened
from bkjs_db_pgsql.database import PgsqlDriver

CREATE = """
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN short AS text CHECK (length(value) < 9);
CREATE TABLE leg (
    id uuid PRIMARY KEY, at timestamp, ts timestamptz(3), day date, amount numeric(10,2),
    state mood, tags text[], nums integer[], moods mood[], ip inet, net cidr, name varchar(20),
    code char(3), dom short, span interval, doc jsonb, big numeric, num integer, small smallint,
    fl real, made timestamp
);
CREATE TABLE pair (id uuid, day date, note text, PRIMARY KEY (id, day));
"""
LEG = {
    "id": {"primary": 1},
    "at": {"type": "timestamp"},
    "ts": {"type": "timestamp"},
    "day": {"type": "date"},
    "amount": {"type": "numeric"},
    "state": {},
    "tags": {"type": "list"},
    "nums": {"type": "list", "datatype": "int"},
    "moods": {"type": "list"},
    "ip": {},
    "net": {"type": "text"},
    "name": {},
    "code": {},
    "dom": {},
    "span": {},
    "doc": {"type": "json"},
    "big": {"type": "decimal"},
    "num": {"type": "int"},
    "small": {"type": "smallint"},
    "fl": {"type": "real"},
    "made": {"type": "datetime"},
}
ONE = "00000000-0000-0000-0000-00000000000a"
TWO = "00000000-0000-0000-0000-00000000000b"
ROW = {
    "id": ONE,
    "at": datetime(2024, 5, 15, 12, 0, 0, 123456, UTC),
    "ts": datetime(2024, 5, 15, 12, 0, 0, 123000, UTC),
    "day": date(2024, 5, 15),
    "amount": Decimal("12.50"),
    "state": "happy",
    "tags": ["a", "é"],
    "nums": [1, 2],
    "moods": ["ok", "sad"],
    "ip": "10.0.0.1",
    "net": "10.0.0.0/8",
    "name": "Größe",
    "code": "abc",
    "dom": "short",
    "span": "1 day",
    "doc": {"a": [1, None]},
    "big": Decimal("12345678901234567890.123456789"),
    "num": 5,
    "small": -1,
    "fl": 1.5,
    "made": "2024-05-15T12:00:00.000001Z",
}
OTHER = {
    "id": TWO,
    "at": datetime(1969, 1, 1, tzinfo=UTC),
    "ts": datetime(1969, 1, 1, tzinfo=UTC),
    "day": date(1, 1, 1),
    "amount": Decimal("-1.25"),
    "state": "sad",
    "ip": "::1",
    "big": Decimal("-0.1"),
    "made": "1969-01-01T00:00:00.000000Z",
}


@pytest.fixture
async def db(pgsql_url, schema):
    """Opened when the tables are there already; nobody has to look at them."""
    async with opened(PgsqlDriver, pgsql_url, schema=schema) as driver:
        for text in CREATE.split(";"):
            if text.strip():
                await driver.query(text)
    async with opened(PgsqlDriver, pgsql_url, schema=schema) as driver:
        yield await described(driver)


async def described(driver):
    db = database(driver)
    keys = {"id": {"primary": 1}, "day": {"type": "date", "primary": 2}, "note": {}}
    db.describe_tables({"leg": LEG, "pair": keys})
    return db


def full(row):
    return {**dict.fromkeys(LEG), **row}


async def test_the_start_finds_nothing_wrong(db):
    await db.cache_columns()
    pool = db.pool()
    found = list(differences(db.tables_of(pool), pool.real, pool.driver.fits))
    assert found == []


@pytest.mark.parametrize(
    ("name", "type"),
    [
        ("at", "int"),
        ("day", "timestamp"),
        ("at", "date"),
        ("tags", ""),
        ("num", ""),
        ("fl", "decimal"),
    ],
)
async def test_the_start_finds_what_does_not_fit(db, name, type):
    db.describe_tables({"leg": {name: {"type": type}}})
    await db.cache_columns()
    pool = db.pool()
    (text,) = differences(db.tables_of(pool), pool.real, pool.driver.fits)
    assert f"column {name} is " in text


async def test_every_value_is_written_and_read(db):
    assert (await db.add("leg", ROW)).affected == 1
    assert await db.get("leg", {"id": ONE}) == ROW
    await db.put("leg", {**ROW, "state": "ok"})
    assert (await db.get("leg", {"id": ONE}))["state"] == "ok"
    changed = await db.update("leg", ROW, returning="*")
    assert changed.row == ROW
    assert await db.list("leg", [{"id": ONE}]) == [ROW]
    nothing = full({"id": ONE})
    await db.put("leg", nothing)
    assert await db.get("leg", {"id": ONE}) == nothing
    outcome = await db.bulk([{"op": "put", "table": "leg", "obj": row} for row in (ROW, OTHER)])
    assert [error for error, _ in outcome] == [None, None]
    assert await db.select("leg", sort="id") == [ROW, full(OTHER)]


async def test_moments_are_the_same_in_every_zone_of_the_server(pgsql_url, schema, db):
    await db.put("leg", ROW)
    away = {"server_settings": {"TimeZone": "Asia/Tokyo"}}
    async with opened(PgsqlDriver, pgsql_url, schema=schema, connect=away) as driver:
        other = await described(driver)
        assert (await driver.query("SHOW TimeZone"))[0] == {"TimeZone": "Asia/Tokyo"}
        assert await other.get("leg", {"id": ONE}) == ROW
        await other.put("leg", {**ROW, "id": TWO})
    assert await db.get("leg", {"id": TWO}) == {**ROW, "id": TWO}


async def test_what_others_wrote_is_read(db):
    await db.query(
        f"INSERT INTO leg (id, at, ts, day, amount, tags, ip) VALUES ('{ONE}', '2024-05-15 12:00',"
        " '2024-05-15 12:00+02', '2024-05-15', 1.5, '{\"a,b\",c}', '10.0.0.0/8')"
    )
    row = await db.get("leg", {"id": ONE})
    assert {name: value for name, value in row.items() if value is not None} == {
        "id": ONE,
        "at": datetime(2024, 5, 15, 12, tzinfo=UTC),
        "ts": datetime(2024, 5, 15, 10, tzinfo=UTC),
        "day": date(2024, 5, 15),
        "amount": Decimal("1.50"),
        "tags": ["a,b", "c"],
        "ip": "10.0.0.0/8",
    }


@pytest.mark.parametrize("name", list(OTHER))
async def test_columns_are_found_and_sorted_by(db, name):
    await db.put("leg", ROW)
    await db.put("leg", OTHER)

    async def found(value, op="eq"):
        rows = await db.select("leg", {name: value}, ops={name: op})
        return sorted(row["id"] for row in rows)

    low, high = (OTHER, ROW) if name not in ("ip", "id") else (ROW, OTHER)
    assert await found(ROW[name]) == [ONE]
    assert await found(str(ROW[name])) == [ONE]
    assert await found([ROW[name], OTHER[name]], "in") == [ONE, TWO]
    assert await found([ROW[name]], "not in") == [TWO]
    assert await found(ROW[name], "ne") == [TWO]
    assert await found(high[name], "lt") == [low["id"]]
    assert await found(low[name], "gt") == [high["id"]]
    assert await found([low[name], high[name]], "between") == [ONE, TWO]
    assert await db.select("leg", {name: ROW[name]}, total=True) == [{"count": 1}]
    pages = await walk(db, "leg", 1, sort=name)
    assert [row["id"] for row in pages] == [low["id"], high["id"]]
    pages = await walk(db, "leg", 1, sort=name, desc=True)
    assert [row["id"] for row in pages] == [high["id"], low["id"]]


@pytest.mark.parametrize(
    ("name", "value", "op"),
    [
        ("state", "HAP", "ilike%"),
        ("state", "a", "contains"),
        ("ip", "10.%", "like"),
        ("id", ONE[:-1], "begins_with"),
        ("at", "2024-05-15", "begins_with"),
        ("tags", "é", "contains"),
        ("name", "GRÖSSE", "not ilike"),
        ("name", "GRÖSS|GRÖß", "iregexp"),
    ],
)
async def test_text_is_looked_into(db, name, value, op):
    await db.put("leg", ROW)
    rows = await db.select("leg", {name: value}, ops={name: op})
    assert [row["id"] for row in rows] == ([] if name == "id" and value == ONE else [ONE])


@pytest.mark.parametrize(
    ("name", "value"),
    [("state", "nope"), ("id", "nope"), ("ip", "nope"), ("net", "10.0.0.1/8"), ("span", "nope")],
)
async def test_what_the_type_does_not_have_is_refused_by_name(db, name, value):
    await db.put("leg", ROW)
    with pytest.raises(BadRequest, match=f"^{name}: invalid value$"):
        await db.put("leg", {**ROW, name: value})
    if name != "id":
        with pytest.raises(BadRequest, match=f"^{name}: invalid value$"):
            await db.update("leg", {"id": ONE, name: value})
    with pytest.raises(BadRequest, match=f"^{name}: invalid value$"):
        await db.select("leg", {name: value})
    with pytest.raises(BadRequest, match=f"^{name}: invalid value$"):
        await db.select("leg", {name: [value]}, ops={name: "in"})


EXACT = """CREATE TABLE exact (id integer PRIMARY KEY, price numeric(10,2), hundreds numeric(4,-2),
    whole integer, big bigint, fl real, dbl double precision, num numeric(5,2), re numeric(5,2),
    at timestamp(3), ts timestamptz(0), name varchar(3))"""
EXACTLY = {
    "id": {"type": "decimal", "primary": 1},
    **{name: {"type": "decimal"} for name in ("price", "hundreds", "whole", "big", "fl", "dbl")},
    "num": {"type": "int"},
    "re": {"type": "real"},
    "at": {"type": "timestamp"},
    "ts": {"type": "timestamp"},
    "name": {},
}
HELD = {
    "id": 1, "price": "12345678.25", "hundreds": 1200, "whole": "2147483647", "big": -(2**63),
    "fl": "0.1", "dbl": "0.1", "num": 999, "re": 1.25, "at": "2024-05-15T12:00:00.123Z",
    "ts": "2024-05-15T12:00:00Z", "name": "é b",
}  # fmt: skip


@pytest.fixture
async def exact(db):
    await db.query(EXACT)
    db.describe_tables({"exact": EXACTLY})
    await db.cache_columns()
    return db


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("price", "1.005", "more digits"),
        ("price", "123456789", "number out of range"),
        ("hundreds", 1250, "more digits"),
        ("whole", "1.5", "more digits"),
        ("whole", 2**31, "number out of range"),
        ("big", 2**63, "number out of range"),
        ("fl", "0.1234567", "more digits"),
        ("dbl", "0.12345678901234567", "more digits"),
        ("num", 1000, "number out of range"),
        ("re", 1.255, "more digits"),
        ("at", "2024-05-15T12:00:00.123456Z", "more digits"),
        ("ts", "2024-05-15T12:00:00.5Z", "more digits"),
        ("name", "abc  ", "longer than 3"),
        ("id", "1.5", "more digits"),
    ],
)
async def test_what_a_column_would_round_or_cut_is_refused_by_name(exact, name, value, problem):
    db, wrong = exact, {**HELD, name: value}
    await db.put("exact", HELD)
    stored = await db.get("exact", HELD)
    assert (await db.put("exact", stored)).affected == 1
    assert await db.get("exact", HELD) == stored

    async def inside(tx):
        await tx.put("exact", wrong)

    calls = [
        lambda: db.add("exact", wrong),
        lambda: db.put("exact", wrong),
        lambda: db.update("exact", wrong, upsert=True),
        lambda: db.transact(inside),
    ]
    if name == "id":
        calls += [lambda: db.get("exact", wrong), lambda: db.list("exact", [wrong, HELD])]
    else:
        calls += [
            lambda: db.update("exact", wrong),
            lambda: db.update_all("exact", {"id": 1}, {name: value}),
        ]
    if name in ("whole", "big", "fl", "dbl"):  # cast, so that an index serves
        calls += [
            lambda: db.select("exact", {name: value}),
            lambda: db.select("exact", {name: [1, value]}),
        ]
    for call in calls:
        with pytest.raises(BadRequest, match=rf"^{name}: {problem}") as caught:
            await call()
        assert caught.value.extra == {"field": name}
    done = await db.bulk([{"op": "put", "table": "exact", "obj": row} for row in (wrong, HELD)])
    assert [str(error or "").partition(":")[0] for error, _ in done] == [name, ""]
    assert await db.select("exact", {}) == [stored]
    if name in ("price", "num", "re"):
        assert len(await db.select("exact", {name: HELD[name]}, ops={name: "ge"})) == 1
    if name == "price":
        assert await db.select("exact", {name: "0.005"}, ops={name: "gt"}) == [stored]


async def test_moments_that_python_does_not_have_are_read_as_text(db):
    for n, text in enumerate(("-infinity", "0044-03-15 BC", "10000-01-01", "infinity")):
        values = ", ".join([f"'{text}'"] * 4)
        await db.query(
            f"INSERT INTO leg (id, at, ts, day, made) VALUES ('{ONE[:-1]}{n}', {values})"
        )
    rows = await db.select("leg", sort="at", select="id,at,ts,day,made")
    assert [(row["at"], row["day"]) for row in rows] == [
        ("-infinity", "-infinity"), ("0044-03-15 00:00:00 BC", "0044-03-15 BC"),
        ("10000-01-01 00:00:00", "10000-01-01"), ("infinity", "infinity"),
    ]  # fmt: skip
    assert all(row["ts"] == row["at"] == row["made"] for row in rows)
    for sort in ("at", "ts", "day", "made"):
        for desc in (False, True):
            pages = await walk(db, "leg", 1, sort=sort, desc=desc, select="id,at,ts,day,made")
            assert pages == (rows[::-1] if desc else rows)
    with pytest.raises(BadRequest, match=r"^at: a time is expected"):
        await db.put("leg", {**ROW, "at": "infinity"})


async def test_changes_and_transactions(db):
    await db.put("leg", ROW)
    ops = {"update_ops": {"amount": "incr", "big": "incr"}}
    await db.incr("leg", {"id": ONE, "amount": "0.05", "big": "0.000000001"}, **ops)
    row = await db.get("leg", {"id": ONE})
    assert row["amount"] == Decimal("12.55")
    assert row["big"] == Decimal("12345678901234567890.12345679")
    await db.update("leg", {"id": ONE, "at": "2025-01-01"}, expected={"ts": ROW["ts"]})
    await db.update("leg", {"id": ONE, "day": "2025-01-01"}, upsert=True)
    assert await db.update_all("leg", {"state": "happy"}, {"ip": "::2", "tags": []}) == 1
    async with db.transaction() as tx:
        await tx.update("leg", {"id": ONE, "state": "sad"})
        assert (await tx.get("leg", {"id": ONE}))["state"] == "sad"
    row = await db.get("leg", {"id": ONE})
    assert (row["at"], row["day"], row["ip"], row["tags"]) == (
        datetime(2025, 1, 1, tzinfo=UTC), date(2025, 1, 1), "::2", [],
    )  # fmt: skip
    assert await db.del_all("leg", {"at": "2025-01-01"}) == 1


async def test_a_column_that_changes_its_type_is_noticed(db):
    await db.put("leg", ROW)
    assert await db.get("leg", {"id": ONE}) == ROW
    await db.query("ALTER TABLE leg ALTER day TYPE text, ALTER state TYPE text")
    await db.cache_columns()
    assert await db.get("leg", {"id": ONE}) == ROW
    await db.update("leg", {"id": ONE, "state": "any"})
    assert (await db.select("leg", {"state": "an"}, ops={"state": "begins_with"}))[0]["id"] == ONE


async def test_keys_of_several_types(db):
    rows = [{"id": i, "day": date(2024, 1, d), "note": "x"} for i in (ONE, TWO) for d in (1, 2)]
    for row in rows:
        await db.add("pair", row)
    assert await db.list("pair", rows) == rows
    assert await db.get("pair", rows[2]) == rows[2]
    assert await walk(db, "pair", 1) == rows
    assert (await db.del_("pair", rows[0])).affected == 1


async def test_the_key_of_a_foreign_table_is_found_by_its_index(db):
    await db.query("SET enable_seqscan = off")
    table = db.schema.table("leg")
    from bkjs_sql.statements import select
    from bkjs_sql.where import by_key

    text = select(db.pool().driver.dialect, table, ("id",), by_key(table)).text
    plan = await db.query("EXPLAIN " + text.replace("$1", f"'{ONE}'"))
    assert "leg_pkey" in str(plan)


async def test_figures_go_by_the_values_that_are_read(pgsql_url, schema):
    """Types that are equal where ours are not, or have another order, the kernel groups itself."""
    async with opened(PgsqlDriver, pgsql_url, schema=schema) as driver:
        await driver.query(
            "CREATE TABLE odd (id int PRIMARY KEY, code char(3), words text, day timestamp,"
            ' cents numeric(10,2), amount numeric, state text COLLATE "und-x-icu")'
        )
    async with opened(PgsqlDriver, pgsql_url, schema=schema) as driver:
        db = database(driver)
        columns = {"id": {"type": "int", "primary": 1}, "code": {}, "words": {}, "state": {}}
        more = {"day": {"type": "date"}, "cents": {"type": "decimal"}, "amount": {"type": "int"}}
        db.describe_tables({"odd": columns | more})
        for number, code in enumerate(("a", "B", "a")):
            row = {"id": number, "code": code, "state": code, "day": date(2024, 1, 1 + number % 2)}
            await db.put("odd", {**row, "cents": "1.10", "amount": number})
        (found,) = await db.aggregate(
            "odd", min="code,state,day", max="state,day", sum="cents,amount", distinct="code,day"
        )
        assert found == {
            "sum_cents": Decimal("3.3"), "sum_amount": 3, "min_code": "B  ", "min_state": "B",
            "min_day": date(2024, 1, 1), "max_state": "a", "max_day": date(2024, 1, 2),
            "distinct_code": 2, "distinct_day": 2,
        }  # fmt: skip
        groups = await db.aggregate("odd", by="day,cents", count=True, sort="count", desc=True)
        assert [(row["day"].day, row["count"]) for row in groups] == [(1, 2), (2, 1)]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("fl", "'NaN'"),
        ("fl", "'-Infinity'"),
        ("big", "'NaN'"),
        ("amount", "'NaN'"),
        ("doc", "'{\"a\": [1e400]}'"),
        ("plain", "'1e400'"),
    ],
)
async def test_what_a_file_cannot_hold_is_named_by_a_backup(db, tmp_path, column, value):
    await db.query("ALTER TABLE leg ADD plain json")
    db.describe_tables({"leg": {**LEG, "plain": {"type": "json"}}})
    await db.cache_columns()
    await db.query(f"INSERT INTO leg (id, {column}) VALUES ('{ONE}', NULL)")
    await db.query(f"INSERT INTO leg (id, {column}) VALUES ('{TWO}', {value})")
    with pytest.raises(BadRequest, match=f"leg: the row id={TWO}: {column}: .*correct it first"):
        await db.backup(str(tmp_path / "copy"))
    assert not (tmp_path / "copy").exists()
    await db.query(f"UPDATE leg SET {column} = NULL")
    if column in ("doc", "plain"):
        await db.query(f"UPDATE leg SET {column} = 'null'")
    await db.backup(str(tmp_path / "copy"))
