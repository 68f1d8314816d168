"""What is special about PostgreSQL: types, order, errors, cancellation, transactions, tables."""

import asyncio
import contextlib
import gc
import json
import random

import orjson
import pytest

from bkjs.db.contract import Change, Condition, Group, Order, Request
from bkjs.db.many.files import import_rows
from bkjs.db.tables.described import build
from bkjs.db.tables.drift import differences
from bkjs.errors import (
    AlreadyExists,
    BadRequest,
    Conflict,
    Denied,
    DriverError,
    Timeout,
    Unavailable,
)
from bkjs.testing.db.opened import database, opened
from bkjs_db_pgsql import pool as pools
from bkjs_db_pgsql.database import PgsqlDriver

ITEM = build(
    "item",
    {
        "id": {"primary": 1},
        "num": {"type": "int", "index": 1},
        "price": {"type": "real"},
        "name": {},
        "email": {"unique": 1},
        "cnt": {"type": "counter"},
        "data": {"type": "json"},
        "short": {"len": 5},
        "raw": {"type": "bytes"},
        "must": {"notnull": 1, "value": "x"},
    },
)


def item(verb, **fields):
    return Request(verb=verb, table=ITEM, **fields)


def put(operations, key, **values):
    return operations.put(item("put", values={"id": str(key), "must": "x", **values}))


async def ids(driver, **fields):
    return [row["id"] for row in (await driver.select(item("select", **fields))).rows]


def every(*tests):
    return Group("AND", tests)


@pytest.fixture
async def items(driver):
    await driver.create(ITEM)
    return driver


@pytest.mark.parametrize(
    "text",
    [
        "select * into t2 from item",
        "with a as (delete from item returning *) select * from a",
        "select lo_create(4711)",
        "select set_config('application_name', 'changed', false)",
        "set application_name = 'changed'",
        "select setval(pg_get_serial_sequence('counted', 'id'), 99)",
        "do $$ begin delete from item; end $$",
        "do $$ begin commit; delete from item; end $$",
        "do $$ begin set transaction read write; delete from item; end $$",
        "set transaction read write",
        "set session characteristics as transaction read only",
        "commit and chain",
        "commit",
        "vacuum",
        "select 1; delete from item",
        "explain analyze delete from item",
    ],
)
async def test_a_text_that_has_to_read_changes_nothing(pgsql_url, schema, text):
    """It is refused or undone, and the connection, the only one, is as it was."""
    async with opened(PgsqlDriver, pgsql_url, schema=schema, max=1) as driver:
        await driver.create(ITEM)
        await driver.query("create table counted (id serial)")
        await put(driver, 1)
        facts = (
            "select current_setting('application_name') as name, count(*) as rows,"
            " (select count(*) from pg_largeobject_metadata) as objects,"
            " current_setting('default_transaction_read_only') as kind,"
            " (select last_value from counted_id_seq) as number,"
            " to_regclass('t2') as made from item"
        )
        before = await driver.query(facts)
        writes = "delete" in text or "into" in text or "setval" in text
        kind = (
            DriverError
            if text.startswith(("select 1;", "vacuum", "do $$ begin commit", "do $$ begin set"))
            else Denied
        )
        with pytest.raises(kind) if writes or kind is DriverError else contextlib.suppress(kind):
            await driver.read_query(text)
        assert await driver.query(facts) == before
        await put(driver, 2)
        assert driver.stats() == {"open": 1, "busy": 0, "waiting": 0}


@pytest.mark.parametrize(
    "text",
    [
        "-- note\nselect 'x' as a",
        "/* x */ values ('x')",
        "with x as (select 'delete' as a) select 'x' as a from x",
        "select must as a from item where id = $1",
    ],
)
async def test_a_text_that_reads_is_told_by_the_server(items, text):
    await put(items, 1)
    rows = await items.read_query(text, ["1"] if "$" in text else [])
    assert [list(row.values()) for row in rows] == [["x"]]
    with pytest.raises(DriverError):
        await items.read_query("select nothing")
    assert items.stats()["busy"] == 0


@pytest.mark.parametrize("value", ["text", "5", '{"a":1}', 5, 1.5, False, [1, "x"], {"é": None}])
async def test_json_values_come_back_as_they_were(driver, value):
    db = database(driver)
    db.describe_tables({"j": {"id": {"primary": 1}, "data": {"type": "json"}}})
    await db.create("j")
    await db.put("j", {"id": "1", "data": value})
    assert (await db.get("j", {"id": "1"}))["data"] == value


async def test_bytes_and_floats_come_back_as_they_were(items):
    await put(items, 1, raw=b"\0\xff", price=0.1)
    row = await items.get(item("get", key={"id": "1"}))
    assert (row["raw"], row["price"]) == (b"\0\xff", 0.1)


async def test_text_is_ordered_by_code_point_also_in_foreign_tables(driver):
    await driver.query("CREATE TABLE item (id varchar(20) PRIMARY KEY, num int)")
    for name in ("b", "B", "a", "Z", "é", "_"):
        await driver.query("INSERT INTO item (id) VALUES ($1)", [name])
    table = build("item", {"id": {"primary": 1}})
    page = await driver.select(Request(verb="select", table=table, sort=(Order("id"),)))
    assert [row["id"] for row in page.rows] == ["B", "Z", "_", "a", "b", "é"]
    where = every(Condition("id", "gt", "Z"))
    page = await driver.select(Request(verb="select", table=table, where=where))
    assert {row["id"] for row in page.rows} == {"_", "a", "b", "é"}


@pytest.mark.parametrize(
    ("op", "value", "found"),
    [
        ("ilike", "%É%", ["1"]),
        ("like", "A%", []),
        ("like", r"a\%b", ["2"]),
        ("ilike%", "A%", ["2"]),
        ("regexp", "^.$", ["3"]),
        ("iregexp", "É", ["1"]),
        ("contains", "%", ["2"]),
        ("begins_with", "\ud7ff", ["3"]),
        ("not regexp", ".", ["4"]),
    ],
)
async def test_text_operators(items, op, value, found):
    for number, name in enumerate(["café é", "a%b", "\ud7ff", "", None], 1):
        await put(items, number, name=name)
    assert await ids(items, where=every(Condition("name", op, value))) == found


@pytest.mark.parametrize(
    ("values", "message", "field"),
    [
        ({"num": 2**63}, "num: number out of range", "num"),
        ({"num": "x"}, "num: invalid value", "num"),
        ({"name": {"a": 1}}, "name: invalid value", "name"),
        ({"name": "a\0b"}, "name: invalid text", "name"),
        ({"name": "\ud800"}, "name: invalid text", "name"),
        ({"must": None}, "must cannot be empty", "must"),
        ({"short": "too long"}, "too long", None),
    ],
)
async def test_value_that_cannot_be_stored_names_its_column(items, values, message, field):
    with pytest.raises(BadRequest, match=message) as error:
        await put(items, 1, **values)
    assert error.value.extra.get("field") == field
    assert await ids(items) == []


async def test_a_statement_that_is_no_text_is_the_callers_fault(driver):
    with pytest.raises(BadRequest, match=r"^invalid text$"):
        await driver.query("SELECT '\ud800'")


async def test_condition_with_a_bad_value_names_its_column(items):
    for test in (Condition("name", "in", ["ok", "a\0b"]), Condition("name", "eq", "a\0b")):
        with pytest.raises(BadRequest, match="name: invalid text"):
            await items.select(item("select", where=every(test)))
    with pytest.raises(BadRequest, match="invalid pattern"):
        await items.select(item("select", where=every(Condition("name", "regexp", "("))))


async def test_counter_at_its_end_is_a_bad_request(items):
    await put(items, 1, cnt=2**63 - 1)
    with pytest.raises(BadRequest, match="out of range"):
        await items.update(item("update", key={"id": "1"}, changes=[Change("cnt", "incr", 1)]))


async def test_unique_column_is_named_and_the_value_is_not(items):
    await put(items, 1, email="secret@b")
    with pytest.raises(AlreadyExists, match="with the same email") as error:
        await put(items, 2, email="secret@b")
    assert "secret" not in str(error.value)


async def test_missing_table_is_not_told_to_clients(driver):
    with pytest.raises(DriverError) as error:
        await driver.get(item("get", key={"id": "1"}))
    assert "item" not in error.value.reply()["message"]


async def test_key_that_the_database_makes_may_be_left_out(driver):
    db = database(driver)
    db.describe_tables({"log": {"id": {"primary": 1, "type": "int", "auto": 1}, "text": {}}})
    await db.create("log")
    for verb in (db.add, db.put):
        written = await verb("log", {"text": "x"}, info_obj=True)
        assert written.obj == {"id": written.oid, "text": "x"}
    lines = [(1, {"text": "imported"}), (2, {"id": 2, "text": "replaced"})]
    assert await import_rows(db, "log", lines, pool=None, bad=print, progress=print) == 2
    rows = await db.select("log", {}, sort="id", select="text")
    assert [row["text"] for row in rows] == ["x", "replaced", "imported"]


async def test_counter_of_keys_goes_on_after_rows_that_came_with_theirs(driver):
    db = database(driver)
    columns = {"Id": {"primary": 1, "type": "int", "auto": 1}, "name": {"unique": 1}}
    db.describe_tables({"log": columns})
    await db.create("log")
    for number in (1, 2, 7):
        await db.put("log", {"Id": number, "name": str(number)})
    added = await asyncio.gather(*(db.add("log", {"name": f"n{n}"}) for n in range(5)))
    assert len({written.oid for written in added} | {1, 2, 7}) == 8
    with pytest.raises(AlreadyExists, match="same name"):
        await db.add("log", {"name": "1"})


async def test_counted_key_is_reported(driver):
    table = build("log", {"id": {"primary": 1, "type": "int", "auto": 1}, "text": {}})
    await driver.create(table)
    for number in (1, 2):
        written = await driver.add(Request(verb="add", table=table, values={"text": "x"}))
        assert (written.oid, written.row) == (number, None)


async def test_value_that_cannot_be_sent_harms_no_other_of_its_bulk(items):
    reqs = [item("put", values={"id": name, "must": "x"}) for name in ("a", "\ud800", "b")]
    outcomes = await items.bulk(reqs)
    assert [type(outcome).__name__ for outcome in outcomes] == [
        "NoneType",
        "BadRequest",
        "NoneType",
    ]
    assert await ids(items, sort=(Order("id"),)) == ["a", "b"]


async def test_bulk_finds_the_guilty_and_keeps_the_others(items):
    await put(items, 5)
    reqs = [item("add", values={"id": str(i), "must": "x"}) for i in range(10)]
    reqs.insert(3, item("add", values={"id": "3"}))
    reqs.append(item("delete", key={"id": "0"}))
    errors = await items.bulk(reqs)
    assert [i for i, error in enumerate(errors) if error] == [4, 6]
    assert all(isinstance(error, AlreadyExists) for error in errors if error)
    assert len(await ids(items)) == 9


async def test_statement_is_prepared_again_after_a_change_of_the_table(items):
    get = items.getter(ITEM, ("id", "num"))
    await put(items, 1, num=5)
    assert await get(("1",)) == {"id": "1", "num": 5}
    await items.query("ALTER TABLE item ALTER COLUMN num TYPE double precision")
    assert await get(("1",)) == {"id": "1", "num": 5}


async def test_works_behind_a_pooler(pgsql_url, schema):
    """Without named statements and settings, as PgBouncer in transaction mode needs it."""
    url = f"{pgsql_url}{'&' if '?' in pgsql_url else '?'}search_path={schema}"
    async with opened(PgsqlDriver, url, statement_cache_size=0) as driver:
        await driver.create(ITEM)
        await put(driver, 1)
        await driver.bulk([item("put", values={"id": str(i), "must": "x"}) for i in range(2, 5)])
        assert sorted(await ids(driver)) == ["1", "2", "3", "4"]
        rows = await driver.query("SELECT count(*) AS n FROM pg_prepared_statements")
        assert rows == [{"n": 0}]


async def test_wrong_number_of_values_is_no_lost_connection(pgsql_url):
    async with opened(PgsqlDriver, pgsql_url) as driver:
        with pytest.raises(DriverError, match="expects 0 arguments"):
            await driver.query("SELECT 1", [1])


# -- time and cancellation ---------------------------------------------------------------------


async def test_slow_statement_is_ended_by_the_server(pgsql_url):
    async with opened(PgsqlDriver, pgsql_url, statement_timeout=50) as driver:
        with pytest.raises(Timeout, match="took too long"):
            await driver.query("SELECT pg_sleep(10)")
        assert driver.stats() == {"open": 1, "busy": 0, "waiting": 0}


async def test_silent_server_is_given_up(pgsql_url, monkeypatch):
    monkeypatch.setattr(pools, "TICK", 0.01)
    patient = {"server_settings": {"statement_timeout": "0"}}
    async with opened(PgsqlDriver, pgsql_url, statement_timeout=50, connect=patient) as driver:
        with pytest.raises(Timeout, match=r"no answer in 0\.05 s"):
            await driver.query("SELECT pg_sleep(10)")
        assert await driver.query("SELECT 1 AS one") == [{"one": 1}]


async def test_storm_of_cancellations_gives_no_wrong_answer(items, pgsql_url, schema):
    unheard = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, what: unheard.append(what))
    for number in range(50):
        await put(items, number, num=number)
    chance = random.Random(11)
    async with opened(PgsqlDriver, pgsql_url, schema=schema, max=4) as driver:
        get = driver.getter(ITEM, ("id", "num"))

        async def read(number):
            row = await (
                get((str(number),))
                if number % 2
                else driver.get(item("get", key={"id": str(number)}))
            )
            assert row["num"] == number

        async def storm(number):
            task = asyncio.ensure_future(read(number))
            await asyncio.sleep(chance.random() * 0.004)
            if chance.random() < 0.5:
                task.cancel()
            (outcome,) = await asyncio.gather(task, return_exceptions=True)
            assert outcome is None or isinstance(outcome, asyncio.CancelledError)

        for _ in range(6):
            await asyncio.gather(*(storm(number) for number in range(50)))
        rows = await asyncio.gather(*(driver.query("SELECT 1 AS one") for _ in range(20)))
        assert rows == [[{"one": 1}]] * 20
        for _ in range(1000):  # cancelled ones are closed in the background
            if not driver.stats()["busy"]:
                break
            await asyncio.sleep(0.01)
        assert driver.stats()["busy"] == driver.stats()["waiting"] == 0
        assert driver.stats()["open"] <= 4
    gc.collect()
    assert unheard == []  # nothing of the client's for the log


# -- transactions ------------------------------------------------------------------------------


async def test_transaction_sees_its_writes_and_others_do_not(items):
    transaction = await items.begin()
    await put(transaction, "t")
    get = item("get", key={"id": "t"})
    assert (await transaction.get(get))["id"] == "t"
    assert await items.get(get) is None
    await transaction.commit()
    assert (await items.get(get))["id"] == "t"
    with pytest.raises(Unavailable, match="has ended"):
        await transaction.get(get)


async def test_existing_key_does_not_end_a_transaction(items):
    await items.add(item("add", values={"id": "t", "must": "x"}))  # whose statement is another
    transaction = await items.begin()
    with pytest.raises(AlreadyExists):
        await transaction.add(item("add", values={"id": "t", "must": "x"}))
    written = await transaction.add(
        item("add", values={"id": "u", "must": "x"}, returning="*", columns=("id",))
    )
    assert written.row == {"id": "u"}
    await transaction.commit()
    assert sorted(await ids(items)) == ["t", "u"]


async def test_failed_transaction_cannot_be_committed(items):
    transaction = await items.begin()
    await put(transaction, "t")
    with pytest.raises(BadRequest):
        await put(transaction, "u", must=None)
    with pytest.raises(Unavailable, match="rolled back by an earlier error"):
        await put(transaction, "v")
    with pytest.raises(Unavailable, match="rolled back by an earlier error"):
        await transaction.commit()
    assert await ids(items) == []
    assert items.stats()["busy"] == 0


async def test_a_lock_is_waited_for_no_longer_than_it_may_be(pgsql_url, schema):
    async with opened(PgsqlDriver, pgsql_url, schema=schema, lock_timeout=50) as driver:
        await driver.create(ITEM)
        await put(driver, "a")
        first, second = await driver.begin(), await driver.begin()
        change = item("update", key={"id": "a"}, changes=[Change("num", "set", 1)])
        await first.update(change)
        with pytest.raises(Conflict):
            async with asyncio.timeout(0.8):  # before the server looks for deadlocks
                await second.update(change)
        await second.rollback()
        await first.commit()
        assert (await driver.query("SHOW lock_timeout", ()))[0]["lock_timeout"] == "0"


async def test_transactions_leave_connections_for_other_requests(pgsql_url, schema):
    options = {"schema": schema, "max": 4, "timeout": 200, "max_queue": 1}
    async with opened(PgsqlDriver, pgsql_url, **options) as driver:
        running = [await driver.begin() for _ in range(3)]
        waiting = asyncio.create_task(driver.begin())
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="no more resources"):
            await driver.begin()
        async with asyncio.timeout(0.15):
            assert await driver.query("SELECT 1 AS n", ())
        with pytest.raises(Timeout, match="waiting for a transaction"):
            await waiting
        waiting = asyncio.create_task(driver.begin())
        await asyncio.sleep(0)
        await running.pop().rollback()
        running.append(await waiting)
        for transaction in running:
            await transaction.commit()
            await transaction.rollback()  # which gives no second turn back
        held = [await driver.begin() for _ in range(3)]
        with pytest.raises(Timeout):
            await driver.begin()
        for transaction in held:
            await transaction.rollback()


async def test_a_turn_comes_back_however_a_transaction_ends(pgsql_url, schema):
    options = {"schema": schema, "max": 1, "timeout": 500}
    async with opened(PgsqlDriver, pgsql_url, **options) as driver:
        for _ in range(2):
            transaction = await driver.begin()
            with pytest.raises(Unavailable):
                await transaction.query("SELECT pg_terminate_backend(pg_backend_pid())", ())
            await transaction.rollback()
            transaction = await driver.begin()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await transaction.query("SELECT pg_sleep(5)", ())
            await transaction.rollback()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await driver.begin()


async def test_two_transactions_that_change_what_they_read_lose_no_update(items):
    await put(items, "n", num=0)
    get = item("get", key={"id": "n"})
    conflicts = 0

    async def add_one():
        nonlocal conflicts
        transaction = await items.begin()
        try:
            row = await transaction.get(get)
            await asyncio.sleep(0)
            await transaction.update(
                item("update", key={"id": "n"}, changes=[Change("num", "set", row["num"] + 1)])
            )
            await transaction.commit()
        except Conflict:
            conflicts += 1
            await transaction.rollback()

    await asyncio.gather(*(add_one() for _ in range(20)))
    assert (await items.get(get))["num"] == 20 - conflicts
    assert 0 < conflicts < 20
    assert items.stats()["busy"] == 0


async def test_cancelled_transaction_leaves_nothing(items):
    async def work():
        transaction = await items.begin()
        try:
            await put(transaction, "t")
            await transaction.query("SELECT pg_sleep(10)")
        finally:
            await transaction.rollback()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await work()
    assert await ids(items) == []


async def test_a_transaction_may_rest_longer_than_any_statement(items):
    pool = items.pool
    transaction = await items.begin()
    for _ in range(2):
        pool._timer.cancel()
        pool._ticks += 1000
        pool._tick()
        await put(transaction, "t")
    await transaction.commit()
    assert await ids(items) == ["t"]


async def test_a_statement_that_was_given_up_ends_its_transaction(items):
    transaction = await items.begin()
    given_up = asyncio.create_task(transaction.query("SELECT pg_sleep(10)"))
    await asyncio.sleep(0.05)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    with pytest.raises(Unavailable, match="has ended"):
        await put(transaction, "t")
    await transaction.rollback()
    assert await ids(items) == []


# -- tables ------------------------------------------------------------------------------------


KINDS = {
    "id": {"primary": 1}, "i": {"type": "bigint"}, "r": {"type": "real"}, "b": {"type": "bool"},
    "j": {"type": "json"}, "l": {"type": "list"}, "x": {"type": "bytes"}, "m": {"type": "mtime"},
    "t": {"type": "timestamp"}, "len": {"len": 5}, "n": {"type": "now", "clock": 1},
}  # fmt: skip


async def test_own_tables_are_as_described_and_others_are_not(driver):
    table = build("own", KINDS)
    await driver.create(table)
    await driver.query("CREATE TABLE other (id int, i text, r int, b int, x jsonb, t time)")
    real = await driver.describe()
    assert list(differences([table], real, driver.fits)) == []
    others = {name: KINDS[name] for name in real["other"]}
    found = list(differences([build("other", others)], real, driver.fits))
    assert found.pop(0) == "table other: the key is none, described as id"
    assert [text.split("column ")[1].split()[0] for text in found] == list(others)


async def test_numeric_columns_of_others_are_numbers(driver):
    await driver.query("CREATE TABLE f (id text PRIMARY KEY, price numeric, size numeric(30))")
    prices = ["1.10", "0.30000000000000000001", "0.3", "-2", "1e30", "0.30000000000000000002"]
    for number, price in enumerate(prices):
        await driver.query("INSERT INTO f VALUES ($1, $2, $3)", [str(number), price, number])
    db = database(driver)
    columns = {"id": {"primary": 1}, "price": {"type": "real"}, "size": {"type": "bigint"}}
    db.describe_tables({"f": columns})
    assert await db.get("f", {"id": "0"}) == {"id": "0", "price": 1.1, "size": 0}
    assert [row["id"] for row in await db.select("f", {"price": 0.3}, sort="id")] == ["1", "2", "5"]
    seen, start = [], None
    while start is not None or not seen:
        page = await db.select("f", {}, sort="price", count=1, start=start)
        seen += [row["id"] for row in page]
        start = page.next_token
    assert seen == ["3", "1", "2", "5", "0", "4"]
    await db.incr("f", {"id": "0", "price": 0.2}, update_ops={"price": "incr"})
    (row,) = await db.query("SELECT price, sum(size) AS total FROM f WHERE id = '0' GROUP BY price")
    assert row == {"price": 1.3, "total": 0}
    assert json.loads(orjson.dumps(row)) == row


async def test_text_too_long_for_an_index_names_its_column(items):
    for write in (items.add, items.put):
        with pytest.raises(BadRequest, match="id: too long, an index takes 2704 bytes"):
            await write(item("put", values={"id": random.randbytes(4000).hex(), "must": "x"}))


async def test_two_starters_make_the_tables_once(pgsql_url, schema):
    async def start():
        async with opened(PgsqlDriver, pgsql_url, schema=schema) as driver:
            return await driver.create(ITEM)

    assert sorted(await asyncio.gather(*(start() for _ in range(6)))) == [False] * 5 + [True]


async def test_two_starters_upgrade_once(pgsql_url, schema, driver):
    await driver.create(build("item", {"id": {"primary": 1}, "must": {}}))

    async def start():
        async with opened(PgsqlDriver, pgsql_url, schema=schema) as driver:
            return await driver.create(ITEM)

    assert sorted(await asyncio.gather(*(start() for _ in range(4)))) == [False] * 3 + [True]
    assert set((await driver.describe())["item"]) == set(ITEM.columns)


async def test_index_serves_the_order_of_rows(items):
    await items.query(
        "INSERT INTO item (id, num) SELECT g::text, g FROM generate_series(1, 9999) g"
    )
    await items.query("ANALYZE item")
    for desc in (False, True):
        term = "num DESC NULLS LAST" if desc else "num NULLS FIRST"
        plan = await items.query(f"EXPLAIN SELECT id FROM item ORDER BY {term} LIMIT 5")
        assert "item_num_idx" in str(plan)


async def test_prefix_and_key_order_use_the_primary_key(items):
    await items.query("INSERT INTO item (id) SELECT g::text FROM generate_series(1, 9999) g")
    await items.query("ANALYZE item")
    plan = await items.query(
        "EXPLAIN SELECT id FROM item WHERE id COLLATE \"C\" >= '77' AND id COLLATE \"C\" < '78' "
        'ORDER BY id COLLATE "C" LIMIT 5'
    )
    assert "item_pkey" in str(plan)
    assert "Sort" not in str(plan)


HOSTILE = [
    'a"b', "a`b", "a'b", "a;b", "a--b", "a.b", "a$1b", "a b", "select", "ключ", "[a]", "{c}{o}{p}",
    "__class__", "%s", "?1", ":a", "\\", "\n",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_names(driver, name):
    table = build(name, {name: {"primary": 1}, "x" + name: {"type": "counter", "index": 1}})
    assert await driver.create(table) is True
    assert await driver.create(table) is False
    key, other = {name: "k"}, "x" + name
    await driver.add(Request(verb="add", table=table, values={**key, other: 1}))
    changes = [Change(other, "incr", 2)]
    await driver.update(Request(verb="update", table=table, key=key, changes=changes))
    where = every(Condition(name, "begins_with", "k"), Condition(other, "between", (3, 3)))
    page = await driver.select(
        Request(verb="select", table=table, where=where, sort=(Order(other),))
    )
    assert page.rows == [{name: "k", other: 3}]
    with pytest.raises(AlreadyExists):
        await driver.add(Request(verb="add", table=table, values={**key, other: 1}))
    await driver.drop(name)
    assert await driver.describe() == {}


async def test_rows_of_one_kind_are_written_together_or_else_each_by_itself(driver):
    db = database(driver)
    db.describe_tables({"kind": {"id": {"primary": 1}, "num": {"type": "int"}}})
    await db.create_tables()
    adds = [{"op": "add", "table": "kind", "obj": {"id": str(n), "num": n}} for n in range(9)]
    assert [error for error, _ in await db.bulk(adds[:3])] == [None] * 3
    outcomes = await db.bulk([*adds[5:], adds[1], *adds[3:5], adds[3]])
    assert [type(error) for error, _ in outcomes] == [
        *[type(None)] * 4, AlreadyExists, type(None), type(None), AlreadyExists,
    ]  # fmt: skip
    assert [row["num"] for row in await db.select("kind", {}, sort="num")] == list(range(9))
    puts = [{"op": "put", "table": "kind", "obj": {"id": str(n)}} for n in range(2)]
    ups = [{"op": "update", "table": "kind", "obj": {"id": str(n), "num": 7}} for n in (3, 99)]
    assert [error for error, _ in await db.bulk(puts)] == [None] * 2
    assert [error for error, _ in await db.bulk([*ups, puts[0], ups[0]])] == [None] * 4
    found = {row["id"]: row["num"] for row in await db.select("kind", {})}
    assert found == {"0": None, "1": None, "2": 2, "3": 7, **{str(n): n for n in range(4, 9)}}


@pytest.mark.parametrize("more", [{}, {"data": {"type": "json"}}])
async def test_many_at_once_are_what_they_are_one_by_one(driver, more):
    """As arrays where the server has them, with json as statements together."""
    columns = {"whole": "int", "part": "real", "exact": "decimal", "on": "bool", "at": "date"}
    kinds = {name: {"type": kind} for name, kind in columns.items()}
    db = database(driver)
    db.describe_tables(
        {n: {"id": {"primary": 1}, "short": {"len": 5}, **kinds, **more} for n in ("many", "one")}
    )
    await db.create_tables()
    rows = [
        {"id": "a", "whole": 2**62, "part": 0.1, "exact": "1.10", "on": True, "at": "2018-03-02"},
        {"id": "b", "whole": None, "part": None, "exact": None, "on": None, "at": None},
        {"id": 'é{,}"\\', "whole": -1, "part": 1e300, "exact": "-0", "on": False, "at": None},
        {"id": "c", "whole": 1, "part": 1, "exact": 1, "on": True, "at": None},
    ]
    rows = [{**row, "short": "{}", **({"data": [row["id"]]} if more else {})} for row in rows]
    again = [{**rows[0], "whole": 1}, {**rows[0], "whole": 2}, {**rows[1], "short": "too long"}]
    for verb, some in (("add", rows), ("put", again), ("put", rows[1:]), ("add", rows[2:])):
        outcomes = await db.bulk([{"op": verb, "table": "many", "obj": row} for row in some])
        alone = [await db.bulk([{"op": verb, "table": "one", "obj": row}]) for row in some]
        assert [str(error) for error, _ in outcomes] == [str(one[0][0]) for one in alone]
    found = [await db.select(name, {}, sort="id") for name in ("many", "one")]
    assert found[0] == found[1]
    assert [row["whole"] for row in found[0]] == [2, None, 1, -1]
