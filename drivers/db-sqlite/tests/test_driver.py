"""What is special about SQLite: its types, its functions, its errors, where reads run."""

import asyncio
from functools import partial

import pytest

from bkjs.db.contract import Change, Condition, Group, Order, Request
from bkjs.db.many.files import import_rows
from bkjs.db.tables.described import build
from bkjs.errors import AlreadyExists, BadRequest, Denied, DriverError, Timeout
from bkjs.testing.db.opened import database, opened
from bkjs_db_sqlite.database import SqliteDriver
from bkjs_db_sqlite.dialect import SqliteDialect
from bkjs_sql import FEW

ENDLESS = (
    "SELECT * FROM (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x FROM c) SELECT * FROM c)"
)


def every(*tests):
    return Group("AND", tests)


async def put(driver, item, **values):
    return await driver.put(item("put", values={"must": "x", **values}))


@pytest.mark.parametrize(
    "text",
    [
        "with a as (select 1) replace into item (id, must) values ('2', 'y')",
        "/* select */ delete from item",
        "select 1; delete from item",
        "create temp table t (a)",
        "create temp view v as select 1",
        "begin",
        "savepoint s",
        "attach 'new.db' as new",
        "vacuum into 'new.db'",
        "pragma case_sensitive_like = 1",
        "pragma user_version = 5",
        "pragma query_only = 0",
        "reindex",
        "pragma writable_schema = 1",
        "explain delete from item",
    ],
)
async def test_a_text_that_does_not_only_read_is_refused_where_it_has_to(
    driver, item, text, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    files = set(tmp_path.iterdir())
    await put(driver, item, id="1", must="x")
    with pytest.raises(DriverError if ";" in text else Denied):
        await driver.read_query(text)
    assert await driver.query("select id, must from item") == [{"id": "1", "must": "x"}]
    assert set(tmp_path.iterdir()) == files


@pytest.mark.parametrize(
    "text",
    [
        "-- note\nselect 'x' as a",
        "with x as (select 'delete' as b) select 'x' as a from x",
        "with recursive c(n) as (select 1 union all select n + 1 from c where n < 3)"
        " select 'x' as a from c limit 1",
        "select 'x' as a from pragma_table_info('item') where name = 'id'",
        "select must as a from item where id = ? and lower(id) = '1'",
    ],
)
async def test_a_text_that_reads_is_told_by_the_engine(driver, item, text):
    await put(driver, item, id="1", must="x")
    assert await driver.read_query(text, ["1"] if "?" in text else []) == [{"a": "x"}]


async def test_bools_are_read_as_bools(driver, item):
    await put(driver, item, id="1", ok=True)
    await put(driver, item, id="2", ok=False)
    await put(driver, item, id="3")
    page = await driver.select(item("select", columns=("ok",), sort=(Order("id"),)))
    assert [row["ok"] for row in page.rows] == [True, False, None]
    row = await driver.getter(item("get").table, ("ok",))(("2",))
    assert row == {"ok": False}


async def test_name_of_a_missing_column_is_no_text(driver):
    """In double quotes SQLite would answer with the name itself."""
    wrong = build("item", {"id": {"primary": 1}, "missing": {}})
    with pytest.raises(DriverError, match="no such column"):
        await driver.select(Request(verb="select", table=wrong))


@pytest.mark.parametrize(
    ("op", "value", "found"),
    [
        ("ilike", "%É%", ["1"]),
        ("like", "%é%", ["1"]),
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
async def test_text_operators(driver, item, op, value, found):
    for number, name in enumerate(["café é", "a%b", "\ud7ff", "", None], 1):
        await put(driver, item, id=str(number), name=name)
    page = await driver.select(item("select", where=every(Condition("name", op, value))))
    assert [row["id"] for row in page.rows] == found


async def test_pattern_cannot_stop_the_process(driver, item):
    await put(driver, item, id="1", name="a" * 5000 + "b")
    where = every(Condition("name", "regexp", "^(a+)+$"))
    async with asyncio.timeout(5):
        assert (await driver.select(item("select", where=where))).rows == []


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (2**63, "num: number out of range"),
        (-(2**63) - 1, "num: number out of range"),
        ({"a": 1}, "num: a dict cannot be stored"),
        ("\ud800", "num: invalid text"),
    ],
)
async def test_value_that_cannot_be_stored_names_its_column(driver, item, value, message):
    with pytest.raises(BadRequest, match=message) as error:
        await put(driver, item, id="1", num=value)
    assert error.value.extra == {"field": "num"}
    assert await driver.get(item("get", key={"id": "1"})) is None


async def test_counter_does_not_turn_into_a_float(driver, item):
    await put(driver, item, id="1", cnt=2**63 - 2)
    step = item("update", key={"id": "1"}, changes=[Change("cnt", "incr", 1)])
    assert (await driver.update(step)).affected == 1
    with pytest.raises(BadRequest, match="out of range"):
        await driver.update(step)
    assert (await driver.get(item("get", key={"id": "1"})))["cnt"] == 2**63 - 1


async def test_unique_column_is_named(driver, item):
    await put(driver, item, id="1", email="a@b")
    with pytest.raises(AlreadyExists, match="with the same email"):
        await put(driver, item, id="2", email="a@b")


async def test_null_in_a_required_column_is_a_bad_request(driver, item):
    with pytest.raises(BadRequest, match="must cannot be empty"):
        await put(driver, item, id="1", must=None)


async def test_expectation_of_a_list_asks_for_a_whole_item(driver):
    db = database(driver)
    db.describe_tables({"l": {"id": {"primary": 1}, "words": {"list": 1}, "num": {"type": "int"}}})
    await db.create("l")
    await db.put("l", {"id": "1", "words": ["a", "bc"]})
    for word, affected in (("b", 0), ("bc", 1)):
        written = await db.update(
            "l", {"id": "1", "num": 1}, expected={"words": word}, ops={"words": "contains"}
        )
        assert written.affected == affected


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


async def test_counted_key_is_reported(driver):
    table = build("log", {"id": {"primary": 1, "type": "int", "auto": 1}, "text": {}})
    await driver.create(table)
    for number in (1, 2):
        written = await driver.add(Request(verb="add", table=table, values={"text": "x"}))
        assert (written.oid, written.row) == (number, None)


async def test_names_differing_by_case_are_one_column(driver, item):
    """So that a table made by somebody else is not upgraded for ever."""
    await driver.query("CREATE TABLE other (ID text PRIMARY KEY, Name text)")
    table = build("other", {"id": {"primary": 1}, "name": {}, "new": {}})
    assert await driver.create(table) is True
    assert await driver.create(table) is False
    assert set((await driver.describe())["other"]) == {"ID", "Name", "new"}


HOSTILE = [
    'a"b', "a`b", "a'b", "a;b", "a--b", "a.b", "a$b", "a b", "select", "ключ", "[a]", "{c}{o}{p}",
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
    await driver.drop(name)
    assert "item" in await driver.describe()


async def test_long_read_leaves_the_event_loop_and_is_remembered(driver, item):
    await driver.bulk([item("put", values={"id": f"{i:04}", "must": "x"}) for i in range(500)])
    driver._inline.set_progress_handler(driver._tick, 100)
    tests = every(Condition("id", "gt", ""), Condition("name", "not null"))
    req = item("select", where=tests, count=10)
    assert (await driver.select(req)).rows == []
    assert len(driver._long) == 1
    before = driver.readers.open
    assert (await driver.select(req)).rows == []
    assert driver.readers.open == before == 1


async def test_short_reads_need_no_thread(driver, item):
    await put(driver, item, id="1")
    for _ in range(3000):  # the engine's steps add up from one statement to the next
        assert await driver.get(item("get", key={"id": "1"}))
    await driver.many(item("many", keys=[{"id": "1"}, {"id": "2"}]))
    await driver.select(item("select", where=every(Condition("num", "eq", 1)), count=5))
    assert driver.readers.open == 0


@pytest.mark.parametrize(("sort", "desc"), [("id", False), ("id", True), ("num", False)])
async def test_following_pages_need_no_thread(driver, item, sort, desc):
    db = database(driver)
    db.describe_tables({"paged": {"id": {"primary": 1}, "num": {"type": "int", "index": 1}}})
    await db.create_tables()
    for number in range(9):
        await db.add("paged", {"id": str(number), "num": number // 2})
    driver.readers.fetch = None
    seen, start = [], None
    while True:
        page = await db.select("paged", {}, sort=sort, desc=desc, count=2, start=start)
        seen += [row["id"] for row in page]
        start = page.next_token
        if start is None:
            break
    assert seen == sorted(map(str, range(9)), reverse=desc)


async def test_endless_read_ends_at_the_limit(tmp_path):
    async with opened(SqliteDriver, dir=tmp_path, statement_timeout=50) as driver:
        with pytest.raises(Timeout, match=r"longer than 0\.05 s"):
            await driver.query(ENDLESS)
        assert await driver.query("SELECT 1 AS one") == [{"one": 1}]


async def test_endless_write_ends_at_the_limit_and_harms_no_other(tmp_path, item):
    async with opened(SqliteDriver, dir=tmp_path, statement_timeout=50) as driver:
        await driver.create(item("put").table)
        endless = "CREATE TABLE e AS " + ENDLESS
        outcomes = await asyncio.gather(
            put(driver, item, id="1"),
            driver.query(endless),
            put(driver, item, id="2"),
            return_exceptions=True,
        )
        assert isinstance(outcomes[1], Timeout)
        assert outcomes[0].affected == outcomes[2].affected == 1
        assert await driver.total(item("total")) == 2


async def test_cancelled_read_frees_its_thread(tmp_path):
    async with opened(SqliteDriver, dir=tmp_path, max=1) as driver:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await driver.query(ENDLESS)
        async with asyncio.timeout(2):
            assert await driver.query("SELECT 1 AS one") == [{"one": 1}]


def test_which_selects_are_short():
    table = build("t", {"a": {"primary": 1}, "b": {"index": 1}, "c": {}})
    short = partial(SqliteDialect().short, limit=True)
    assert short(table, ("AND", ()), (Order("a"),))
    assert short(table, ("AND", (("b", "eq", 1), ("c", "eq", 1))), ())
    assert short(table, ("AND", ((("b", "a"), "gt", 2),)), (Order("b"), Order("a")))
    assert not short(table, ("AND", ((("c", "a"), "gt", 2),)), (Order("c"), Order("a")))
    assert not short(table, ("AND", (("c", "eq", 1),)), ())
    assert not short(table, ("AND", (("b", "eq", 1), ("c", "regexp", 1))), ())
    assert not short(table, ("OR", (("a", "eq", 1), ("c", "eq", 1))), ())
    assert not short(table, ("AND", ()), (Order("c"),))
    assert not short(table, ("AND", ()), (Order("a"),), limit=False)
    assert short(table, ("AND", (("b", "eq", 1),)), (), limit=False)


@pytest.mark.parametrize("options", [{}, {"sort": "id"}, {"count": 300}])
async def test_lists_are_short_until_they_have_many_rows(driver, options):
    db = database(driver)
    db.describe_tables({"list": {"id": {"type": "int", "primary": 1}, "num": {"type": "int"}}})
    await db.create_tables()
    await db.bulk([{"op": "add", "table": "list", "obj": {"id": n}} for n in range(1000)])
    fetch, asked = driver.readers.fetch, []

    async def count(*args):
        asked.append(args)
        return await fetch(*args)

    driver.readers.fetch = count
    for last, threads in ((9, 0), (FEW - 1, 0), (FEW, 1), (999, 2), (9, 3)):
        rows = await db.select("list", {"id": [0, last]}, ops={"id": "between"}, **options)
        found = min(last + 1, options.get("count", 1000))
        assert sorted(row["id"] for row in rows) == list(range(found))
        assert len(asked) == (threads if "count" not in options else len(asked))
    if "count" in options:
        assert len(asked) == 5


async def test_sums_of_a_column_that_holds_what_it_should_not(driver):
    db = database(driver)
    db.describe_tables({"odd": {"id": {"primary": 1}, "num": {"type": "int"}}})
    await driver.query("CREATE TABLE odd (id text PRIMARY KEY, num)")
    assert await db.aggregate("odd", sum="num") == [{"sum_num": None}]
    for key, num in (("a", 1), ("b", 2.5), ("c", None)):
        await driver.query("INSERT INTO odd VALUES (?, ?)", [key, num])
    assert await db.aggregate("odd", sum="num", avg="num") == [{"sum_num": 3.5, "avg_num": 1.75}]
    assert await db.aggregate("odd", {"id": "a"}, sum="num") == [{"sum_num": 1}]
    assert await db.aggregate("odd", {"id": "c"}, sum="num") == [{"sum_num": None}]


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
