"""The database of an application over drivers that fail, refuse or see each other's writes."""

import asyncio
import base64
import contextvars
import gc
import warnings
from dataclasses import replace

import pytest

from bkjs.db.contract import ABSENT, Page, Shape
from bkjs.db.database import Database
from bkjs.db.pools.memory import MemoryDriver
from bkjs.db.results import Rows
from bkjs.errors import (
    AlreadyExists,
    BadRequest,
    Conflict,
    DriverError,
    StartError,
    Unavailable,
    Unsupported,
)
from bkjs.testing.db.opened import database, limited

TABLES = {
    "t": {
        "id": {"primary": 1},
        "num": {"type": "int"},
        "name": {"pub": 1},
        "likes": {"type": "counter"},
        "owner": {"type": "uid"},
    },
    "log": {"line": {}, "num": {"type": "int"}},
}


def make(driver=MemoryDriver, **options):
    db = database(driver("memory", "", options))
    db.describe_tables(TABLES)
    return db


@pytest.fixture
def db():
    return make()


# -- tables ----------------------------------------------------------------------------------------


def test_definitions_are_merged_property_by_property(db):
    db.describe_tables({"T": {"num": {"pub": 1}, "extra": {}}})
    assert db.get_columns("t")["num"] == {"type": "int", "pub": 1}
    assert list(db.get_columns("t"))[-1] == "extra"


def test_a_changed_table_is_a_new_object(db):
    before = db.schema.table("t")
    db.describe_tables({"t": {"extra": {}}})
    assert db.schema.table("t") is not before


async def test_all_columns_that_must_not_be_empty_are_named(db):
    db.describe_tables({"need": {"id": {"primary": 1}, "a": {"notempty": 1}, "b": {"notempty": 1}}})
    with pytest.raises(BadRequest, match=r"^a cannot be empty$") as error:
        await db.add("need", {"id": "1"})
    assert error.value.reply()["errors"] == [
        {"field": name, "message": "cannot be empty", "code": "missing"} for name in "ab"
    ]


async def test_new_columns_count_at_once(db):
    await db.put("t", {"id": "1", "extra": 1})
    db.describe_tables({"t": {"extra": {"type": "int"}}})
    await db.put("t", {"id": "2", "extra": "2"})
    assert await db.get("t", {"id": "1"}) == {"id": "1", "likes": 0}
    assert (await db.get("t", {"id": "2"}))["extra"] == 2


@pytest.mark.parametrize("name", ["_private", "$or", "", 5])
def test_reserved_column_names_are_refused(db, name):
    with pytest.raises(BadRequest, match="column cannot be named"):
        db.describe_tables({"t": {name: {}}})


@pytest.mark.parametrize(
    ("tables", "text"),
    [
        ({"new": {}}, "table new has no columns"),
        ({"new": None}, "table new: columns are wanted"),
        ({5: {"id": {}}}, "table 5: columns are wanted"),
        ({"new": {"id": 5}}, "table new: column id: properties are wanted"),
    ],
)
def test_what_is_no_table_is_refused(db, tables, text):
    with pytest.raises(BadRequest, match=text):
        db.describe_tables(tables)


def test_lookups_of_unknown_tables_are_empty(db):
    assert db.get_columns("nosuch") == {}
    assert db.get_keys("nosuch") == []
    assert db.get_indexes("nosuch") == {}
    assert db.get_index_columns("nosuch") == []
    assert db.get_index_for_keys("nosuch", {}) is None
    assert db.get_selected_columns("nosuch", select="a") is None
    assert db.get_filtered_columns("nosuch", "pub") == {}


def test_filters_of_columns(db):
    assert list(db.get_filtered_columns("t", "pub")) == ["name"]
    assert "name" not in db.get_filtered_columns("t", {"!pub": True})
    assert list(db.get_filtered_columns("t", {"type": ["int", "uid"]})) == ["num", "owner"]


def test_search_query_takes_the_key_or_named_columns(db):
    assert db.get_search_query("t", {"id": 1, "num": 2}) == {"id": 1}
    assert db.get_search_query("t", {"id": 1, "num": 2}, ["num", "name"]) == {"num": 2}


# -- errors ----------------------------------------------------------------------------------------


class Failing(MemoryDriver):
    async def get(self, req):
        raise OSError("secret host")

    put = delete = select = add = update = get


async def test_errors_of_the_client_are_wrapped_and_counted():
    db = make(Failing)
    calls = [
        lambda: db.get("t", {"id": "1"}),
        lambda: db.get("t", {"id": "1"}, quiet=True),
        lambda: db.select("t"),
        lambda: db.put("t", {"id": "1"}),
    ]
    for call in calls:
        with pytest.raises(DriverError) as caught:
            await call()
        assert isinstance(caught.value.__cause__, OSError)
        assert "secret" not in str(caught.value.reply())
    assert db.pool().stats()["errors"] == len(calls)


async def test_where_the_database_is_is_not_told_to_clients():
    class Away(MemoryDriver):
        async def get(self, req):
            raise Unavailable("no connection to db.internal:5432", host="db.internal")

    with pytest.raises(Unavailable, match=r"db\.internal") as caught:
        await make(Away).get("t", {"id": "1"})
    reply = caught.value.reply()
    assert (reply["status"], reply["code"]) == (503, "Unavailable")
    assert "internal:" not in str(reply)


async def test_ignored_errors_are_logged_unless_quiet(caplog):
    db = make(Failing)
    assert await db.get("t", {"id": "1"}, ignore_error=True) is None
    assert await db.select("t", ignore_error=True) == []
    assert (await db.put("t", {"id": "1"}, ignore_error=True)).affected == 0
    assert len(caplog.records) == 3
    caplog.clear()
    with caplog.at_level("INFO"):
        assert await db.list("t", ["1"], ignore_error=True, quiet=True) == []
    assert caplog.records == []


async def test_what_is_unsupported_is_never_ignored():
    db = make(limited(MemoryDriver, add=False, conditional=False))
    with pytest.raises(Unsupported, match="driver 'memory' has no atomic add"):
        await db.add("t", {"id": "1"}, ignore_error=True)


async def test_input_that_is_no_object_is_refused(db):
    with pytest.raises(BadRequest, match="invalid"):
        await db.put("t", 5)
    with pytest.raises(BadRequest, match="invalid query"):
        await db.select("t", "name")


async def test_anything_that_dict_accepts_is_an_object(db):
    class Model:
        def __iter__(self):
            return iter([("id", "1"), ("num", "5")])

    await db.put("t", Model())
    assert (await db.get("t", Model()))["num"] == 5


@pytest.mark.parametrize("count", [-1, "x", 1.5, [1]])
async def test_wrong_counts_are_refused(db, count):
    with pytest.raises(BadRequest, match="count"):
        await db.select("t", count=count)


async def test_unknown_operator_names_the_column(db):
    with pytest.raises(BadRequest, match="num: unknown operator 'bogus'"):
        await db.select("t", {"num": 1}, ops={"num": "bogus"})


async def test_patterns_are_checked(db):
    for pattern in ("(", "x" * 1001):
        with pytest.raises(BadRequest, match="name"):
            await db.select("t", {"name": pattern}, ops={"name": "regexp"})


@pytest.mark.parametrize("op", ["eq", "in", "contains"])
async def test_text_that_is_no_unicode_is_refused_in_conditions(op):
    db = make(limited(MemoryDriver, operators=frozenset()))
    db.pool().driver.__class__.shape = Shape()
    db.describe_tables({"t": {"doc": {"type": "json"}}})
    with pytest.raises(BadRequest, match=r"doc: text without NUL"):
        await db.select("t", {"doc": "\ud800"}, ops={"doc": op})


async def test_stored_text_that_is_no_unicode_matches_no_pattern(db):
    await db.put("t", {"id": "1", "name": "x"})
    db.pool().driver.tables["t"]["1",]["name"] = "\ud800"
    assert await db.select("t", {"name": "."}, ops={"name": "regexp"}) == []
    assert len(await db.select("t", {"name": "."}, ops={"name": "not regexp"})) == 1


async def test_patterns_take_linear_time(db):
    await db.put("t", {"id": "1", "name": "a" * 5000})
    assert await db.select("t", {"name": "(a*)*(a*)*b$"}, ops={"name": "regexp"}) == []


async def test_strict_refuses_unknown_selected_columns(db):
    with pytest.raises(BadRequest, match="unknown column 'colour'"):
        await db.select("t", select="id,colour", strict=True)


# -- reads -----------------------------------------------------------------------------------------


async def test_rows_know_their_first(db):
    assert (await db.select("t")).first is None
    await db.put("t", {"id": "1"})
    await db.put("t", {"id": "2"})
    rows = await db.select("t", sort="id", first=True)
    assert len(rows) == 1
    assert rows.first == rows[0]
    assert rows.next_token is None
    assert Rows([{"a": 1}], info={"x": 1}).info == {"x": 1}


async def test_post_filter_and_post_process(db):
    for n in range(4):
        await db.put("t", {"id": str(n), "num": n})
    rows = await db.select(
        "t",
        postfilter=lambda req, row, options: row["num"] % 2,
        postprocess=lambda req, rows, options: [{"op": req.op, **row} for row in rows],
        select="num",
        sort="id",
    )
    assert rows == [{"op": "select", "num": 1}, {"op": "select", "num": 3}]


async def test_partial_keys_of_a_list(db):
    db.describe_tables({"pair": {"a": {"primary": 1}, "b": {"primary": 2}}})
    for a, b in (("x", "1"), ("x", "2"), ("y", "1")):
        await db.put("pair", {"a": a, "b": b})
    rows = await db.list("pair", ["x"])
    assert [(row["a"], row["b"]) for row in rows] == [("x", "1"), ("x", "2")]


async def test_tables_without_a_key():
    class Lines(MemoryDriver):
        async def put(self, req):
            self.tables.setdefault(req.table.name, {})[len(self.tables["log"])] = req.values

        async def select(self, req):
            return Page([dict(row) for row in self.tables.get("log", {}).values()])

    db = make(limited(Lines, sort=False))
    db.pool().driver.tables["log"] = {n: {"line": f"l{n}", "num": n} for n in range(5)}
    assert await db.get("log", {"line": "l1"}) is None
    first = await db.select("log", {}, count=3, sort="num", desc=True)
    assert [row["num"] for row in first] == [4, 3, 2]
    rest = await db.select("log", {}, count=3, sort="num", desc=True, start=first.next_token)
    assert [row["num"] for row in rest] == [1, 0]
    assert rest.next_token is None
    with pytest.raises(BadRequest, match="invalid keys"):
        await db.list("log", ["x"])


async def test_tokens_hide_what_they_hold(db):
    for n in range(3):
        await db.put("t", {"id": str(n), "name": f"very secret {n}"})
    page = await db.select("t", {}, count=1, sort="name", select="id")
    raw = base64.urlsafe_b64decode(page.next_token + "==")
    assert b"secret" not in raw
    assert page == [{"id": "0"}]


async def test_queries_of_the_database_itself_may_be_refused(db):
    with pytest.raises(Unsupported):
        await db.query("SELECT 1")
    with pytest.raises(Unsupported, match="full-text"):
        await db.search("t", "words")
    assert await db.search("t", {"num": 1}) == []


# -- writes ----------------------------------------------------------------------------------------


async def test_account_fills_its_columns(db):
    await db.put("t", {"id": "1", "owner": "forged"}, account={"id": "me"})
    assert (await db.get("t", {"id": "1"}))["owner"] == "me"


async def test_update_by_other_columns(db):
    for n in range(4):
        await db.put("t", {"id": str(n), "num": n % 2})
    done = await db.update("t", {"num": 1, "name": "odd"}, keys=["num"])
    assert done.affected == 2
    assert [row["id"] for row in await db.select("t", {"name": "odd"}, sort="id")] == ["1", "3"]
    assert (await db.del_("t", {"num": 1}, keys=["num"])).affected == 2
    assert (await db.del_("t", {}, keys=["num"])).affected == 0
    assert len(await db.select("t")) == 2


async def test_other_columns_may_have_other_names(db):
    await db.put("t", {"id": "1", "num": 1})
    done = await db.update("t", {"nr": 1, "name": "x"}, keys=["nr"], aliases={"nr": "num"})
    assert done.affected == 1
    assert (await db.del_("t", {"nr": 1}, keys=["nr"], aliases={"nr": "num"})).affected == 1


async def test_returning_must_be_known(db):
    with pytest.raises(BadRequest, match="returning"):
        await db.update("t", {"id": "1", "num": 1}, returning="all")
    with pytest.raises(BadRequest, match="returning"):
        await db.put("t", {"id": "1"}, returning="old")


async def test_row_before_an_update(db):
    await db.put("t", {"id": "1", "num": 1})
    done = await db.update("t", {"id": "1", "num": 2}, returning="old")
    assert done.row["num"] == 1


async def test_lossy_emulation_must_be_asked_for(caplog):
    driver = limited(MemoryDriver, add=False, update=False, counters=False, conditional=False)
    with pytest.raises(Unsupported):
        await make(driver).update("t", {"id": "1", "num": 1})
    db = make(driver, emulate="lossy")
    assert caplog.messages == [
        "memory: emulate=lossy, of writes at the same moment some may be lost"
    ]
    await db.add("t", {"id": "1", "likes": 1})
    with pytest.raises(AlreadyExists):
        await db.add("t", {"id": "1"})
    await db.incr("t", {"id": "1", "likes": 2})
    await db.update("t", {"id": "1", "name": "n"}, expected={"likes": 3})
    assert await db.get("t", {"id": "1"}) == {"id": "1", "likes": 3, "name": "n"}
    assert (await db.del_("t", {"id": "1"}, expected={"likes": 4})).affected == 0
    assert (await db.incr("t", {"id": "2", "likes": 4}, upsert=True)).affected == 1


def test_lossy_is_all_that_emulate_can_be(caplog):
    with pytest.raises(StartError, match="emulate is 'losy', it can only be 'lossy'"):
        make(emulate="losy")
    make(emulate="lossy")  # nothing is lost: the driver has conditional writes
    assert caplog.messages == []


class Contended(MemoryDriver):
    """Another writer is always first."""

    async def put(self, req):
        if req.expected is None:
            return await super().put(req)
        return await super().put(
            type(req)(verb="put", table=req.table, key=req.key, expected=ABSENT)
        )


async def test_endless_contention_is_given_up(monkeypatch):
    async def no_pause(attempt):
        await asyncio.sleep(0)

    monkeypatch.setattr("bkjs.db.request.emulate._pause", no_pause)
    db = make(limited(Contended, update=False, counters=False))
    await db.put("t", {"id": "1", "likes": 0})
    with pytest.raises(Unavailable, match="too many writers"):
        await db.incr("t", {"id": "1", "likes": 1})


@pytest.mark.parametrize("update_all", [True, False])
async def test_update_all_and_del_all_call_back(update_all):
    db = make(limited(MemoryDriver, update_all=update_all, delete_all=update_all))
    for n in range(6):
        await db.put("t", {"id": str(n), "num": n})
    done = await db.update_all(
        "t",
        {"num": 3},
        {"name": "x"},
        ops={"num": "ge"},
        update_filter=lambda row, options: row["num"] == 4,
        process=lambda row, options: row.update(likes=row["num"]),
        concurrency=2,
    )
    assert done == 2
    rows = await db.select("t", {"name": "x"}, sort="num", select="num,likes")
    assert rows == [{"num": 3, "likes": 3}, {"num": 5, "likes": 5}]
    assert await db.update_all("t", {}, {"likes": 1}, update_ops={"likes": "incr"}) == 6
    assert (await db.get("t", {"id": "5"}))["likes"] == 6
    assert await db.del_all("t", {}, del_filter=lambda row, options: row["num"] < 4) == 2
    assert await db.del_all("t", {}, limit=1) == 1
    assert len(await db.select("t")) == 3


async def test_update_all_writes_only_what_its_callback_has_changed():
    seen = []

    class Seen(MemoryDriver):
        async def update(self, req):
            seen.append({change.column: change.value for change in req.changes})
            return await super().update(req)

    db = make(Seen)
    await db.put("t", {"id": "1", "num": 1, "name": "a"})

    def process(row, options):
        row["num"] += 1

    assert await db.update_all("t", {}, {"owner": "me"}, process=process) == 1
    assert seen == [{"num": 2, "owner": "me"}]  # others may have changed the rest since


async def test_update_all_may_put(db):
    await db.put("t", {"id": "1", "num": 1, "name": "n"})
    assert await db.update_all("t", {"num": 1}, {"num": 2}, op="put") == 1
    assert await db.get("t", {"id": "1"}) == {"id": "1", "num": 2, "name": "n", "likes": 0}
    with pytest.raises(BadRequest, match="invalid op"):
        await db.update_all("t", {}, {"num": 2}, op="drop")


async def test_only_rows_that_still_match_are_changed():
    class Late(MemoryDriver):
        """Between the search and the write another one changes the row."""

        async def select(self, req):
            page = await super().select(req)
            for row in self.tables["t"].values():
                row["num"] = 9
            return page

    db = make(limited(Late, update_all=False, delete_all=False))
    await db.put("t", {"id": "1", "num": 1})
    assert await db.del_all("t", {"num": 1}) == 0
    assert len(await db.select("t")) == 1


async def test_batch_runs_tables_and_names_wrong_items(db):
    items = [
        {"op": "put", "table": "t", "obj": {"id": "1"}},
        {"op": "drop", "table": "t", "obj": {"id": "1"}},
        {"op": "incr", "table": "t", "obj": {"id": "1", "likes": 5}},
        {"op": "update", "table": "t", "obj": {"id": "1", "num": 5}, "options": {"quiet": 1}},
    ]
    for run in (db.batch, db.bulk):
        outcomes = await run(items)
        assert [str(error or "") for error, _ in outcomes] == ["", "invalid op 'drop'", "", ""]
        assert (await db.get("t", {"id": "1"}))["likes"] == 5
    with pytest.raises(BadRequest, match="invalid op"):
        await db.batch(items, no_errors=True)


async def test_an_item_of_a_batch_may_name_its_pool(db):
    for name in ("memory2", "memory3"):
        db.add_pool(name, MemoryDriver(name, "", {}))
    items = [
        {"op": "put", "table": "t", "obj": {"id": "1"}},
        {"op": "put", "table": "t", "obj": {"id": "2"}, "options": {"pool": "memory3"}},
    ]
    for run in (db.batch, db.bulk):
        await run(items, pool="memory2")
        for pool, ids in (("memory", []), ("memory2", ["1"]), ("memory3", ["2"])):
            assert [row["id"] for row in await db.select("t", pool=pool)] == ids
            await db.del_all("t", {}, pool=pool)


async def test_a_scan_may_search(db):
    ops = []
    db.set_process_row("post", "t", lambda req, row, options: ops.append(req.op))
    await db.put("t", {"id": "1"})
    assert await db.scan("t", {"id": "1"}, lambda row: None, search=True) == 1
    assert "search" in ops


async def test_bulk_keeps_the_order_of_one_key(db):
    items = [
        {"op": "put", "table": "t", "obj": {"id": "1", "likes": 1}},
        {"op": "incr", "table": "t", "obj": {"id": "1", "likes": 5}},
        {"op": "update", "table": "t", "obj": {"id": "1", "name": "n"}},
        {"op": "del", "table": "t", "obj": {"id": "1"}},
        {"op": "add", "table": "t", "obj": {"id": "1", "likes": 7}},
    ]
    assert all(error is None for error, _ in await db.bulk(items))
    assert await db.get("t", {"id": "1"}) == {"id": "1", "likes": 7}


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize(("verb", "bulk"), [("batch", 0), ("bulk", 0), ("bulk", 1000)])
async def test_cancelled_at_any_moment_it_has_reported_what_is_stored(verb, bulk, again):
    """Also when it is cancelled twice, and no record is left half begun."""

    class Slow(MemoryDriver):
        can = replace(MemoryDriver.can, bulk=bulk)

        async def put(self, req):
            written = await super().put(req)
            await asyncio.sleep(0)
            return written

    items = [{"op": "put", "table": "t", "obj": {"id": str(n)}} for n in range(8)]
    for turns in range(1, 40):
        db, done = make(Slow), []
        task = asyncio.ensure_future(getattr(db, verb)(items, done=done))
        with warnings.catch_warnings(record=True) as warned:
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            if again:
                await asyncio.sleep(0)
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            gc.collect()
        assert not warned, f"{turns} turns: {warned[0].message}"
        stored = {row["id"] for row in await db.select("t")}
        assert stored == {item["obj"]["id"] for _, item in done}, f"{turns} turns"


# -- pools, hooks, transactions --------------------------------------------------------------------


async def test_unknown_pool_falls_back_and_none_is_empty(db):
    await db.put("t", {"id": "1"}, pool="nosuch")
    assert await db.get("t", {"id": "1"}, pool="none") is None
    assert await Database().pools.none.driver.select(None) == Page([])
    assert db.pool("pgsql12").name == "memory"


@pytest.mark.parametrize("missing", [{}, {"id": None}, {"id": ""}])
async def test_without_a_key_nothing_is_updated_or_created(db, missing):
    for verb in (db.update, db.incr):
        written = await verb("t", {"num": 1, "likes": 1, **missing}, upsert=True)
        assert written.affected == 0
    assert await db.select("t") == []


@pytest.mark.parametrize("b", [None, ""])
async def test_without_its_whole_key_no_row_is_asked_for(b):
    class Silent(MemoryDriver):
        def getter(self, table, columns):
            async def get(key):
                raise AssertionError(f"asked for {key}")

            return get

    db = make(Silent)
    db.describe_tables({"pair": {"a": {"primary": 1}, "b": {"primary": 1}}})
    assert await db.get("pair", {"a": "1", "b": b}) is None


async def test_noupsert_wins(db):
    for more, done in (({"noupsert": True}, 0), ({}, 1)):
        written = await db.update("t", {"id": "1", "num": 1}, upsert=True, **more)
        assert (written.affected, await db.get("t", {"id": "1"}) is not None) == (done, bool(done))


async def test_adding_nothing_is_no_write(db):
    assert (await db.incr("t", {"id": "1", "likes": 0}, upsert=True)).affected == 0
    assert await db.get("t", {"id": "1"}) is None
    nothing = {"update_ops": {"num": "incr"}, "upsert": True}
    assert (await db.update("t", {"id": "1", "num": 0}, **nothing)).affected == 0
    assert await db.get("t", {"id": "1"}) is None


@pytest.mark.parametrize("key", [{}, {"id": None}, {"id": ""}])
async def test_nothing_is_no_key(db, key):
    for call in (db.add, db.put):
        with pytest.raises(BadRequest, match="id is required"):
            await call("t", {"num": 1, **key})
    for call in (db.update, db.incr, db.del_):
        assert (await call("t", {"likes": 1, **key})).affected == 0
    assert await db.get("t", key) is None


async def test_key_is_required_where_the_database_makes_none(db):
    db.describe_tables({"log2": {"id": {"type": "int", "primary": 1, "auto": 1}}})
    for verb in (db.add, db.put):
        with pytest.raises(BadRequest, match="id is required"):
            await verb("log2", {})


@pytest.mark.parametrize("option", [{"allow_pools": ["pgsql"]}, {"skip_pools": ["memory"]}])
async def test_requests_for_other_pools_do_nothing(db, option):
    await db.put("t", {"id": "1", "num": 1})
    assert await db.get("t", {"id": "1"}, **option) is None
    assert await db.select("t", {"id": "1"}, **option) == []
    assert await db.list("t", ["1"], **option) == []
    for write in (db.add, db.put, db.update, db.incr, db.del_):
        assert (await write("t", {"id": "1", "num": 2}, **option)).affected == 0
    assert await db.update_all("t", {"id": "1"}, {"num": 2}, **option) == 0
    assert await db.del_all("t", {}, **option) == 0
    mine = {"allow_pools": ["memory"], "skip_pools": ["pgsql"]}
    assert await db.get("t", {"id": "1"}, **mine) == {"id": "1", "num": 1, "likes": 0}


async def test_pools_by_table_and_by_name(db):
    other = MemoryDriver("memory2", "", {})
    db.add_pool("memory2", other, tables=["LOG"])
    assert db.pools.find("log").name == "memory2"
    assert db.get_pools() == [
        {"name": "memory", "type": "memory"},
        {"name": "memory2", "type": "memory"},
    ]
    await db.put("t", {"id": "1"}, pool="memory2")
    assert await db.get("t", {"id": "1"}) is None
    assert await db.get("t", {"id": "1"}, pool="memory2") is not None


async def test_replace_looks_where_it_writes(db):
    db.add_pool("memory2", MemoryDriver("memory2", "", {}))
    await db.put("t", {"id": "1", "num": 1})
    assert (await db.replace("t", {"id": "1", "num": 2}, pool="memory2")).affected == 1
    assert (await db.replace("t", {"id": "1", "num": 3}, pool="memory2")).affected == 1
    assert (await db.get("t", {"id": "1"}))["num"] == 1
    assert (await db.get("t", {"id": "1"}, pool="memory2"))["num"] == 3


async def test_what_is_expected_knows_other_names_of_operators(db):
    await db.put("t", {"id": "1", "num": 5})
    for least, done in ((5, 0), (4, 1)):
        wanted = {"expected": {"num": least}, "ops": {"num": "above"}, "ops_map": {"above": "gt"}}
        written = await db.update("t", {"id": "1", "name": "x"}, **wanted)
        assert written.affected == done


def test_hooks_run_in_order_until_one_says_so(db):
    calls = []

    def hook(name, answer):
        def run(req, row, options):
            calls.append((name, req.op, dict(row)))
            return answer

        return run

    for name, answer in (("a", 1), ("b", True), ("c", None)):
        db.set_process_row("post", "t", hook(name, answer))
    db.set_process_row("post", "*", hook("all", None))
    assert asyncio.run(db.select("t")) == []
    assert [call[:2] for call in calls] == [("a", "select"), ("b", "select")]
    assert calls[0][2] == {}


async def test_hooks_count_from_their_registration(db):
    await db.put("t", {"id": "1"})
    assert await db.get("t", {"id": "1"}) is not None
    db.set_process_row("post", "t", lambda req, row, options: True)
    assert await db.get("t", {"id": "1"}) is None
    assert await db.get("t", {"id": "1"}, noprocessrows=True) is not None


async def test_hooks_are_called_for_their_verbs_only(db):
    seen = []
    for verbs in (None, ("add", "put", "add"), "get", ()):

        def hook(req, row, options, verbs=verbs):
            seen.append((req.op, verbs))

        db.set_process_row("pre", "t", hook, verbs=verbs)
    await db.put("t", {"id": "1"})
    await db.get("t", {"id": "1"})
    await db.update_all("t", {"id": "1"}, {"num": 1})
    names = [(op, None) for op in ("put", "get", "update")]
    names[1:1] = [("put", ("add", "put", "add"))]
    names[3:3] = [("get", "get")]
    assert seen == names
    with pytest.raises(ValueError, match="hook of t: unknown verb 'gett'; did you mean 'get'"):
        db.set_process_row("pre", "t", print, verbs=["gett"])


def outside(call):
    """The call as another request makes it, which knows nothing of our transactions."""
    return asyncio.create_task(call, context=contextvars.Context())


async def test_a_transaction_that_another_one_gets_in_the_way_of_is_run_again(db):
    await db.put("t", {"id": "1", "num": 1})
    runs = []

    async def work(tx):
        runs.append(await tx.get("t", {"id": "1"}))
        if len(runs) < 3:
            await outside(db.update("t", {"id": "1", "num": len(runs) * 10}))
        await tx.update("t", {"id": "1", "num": runs[-1]["num"] + 1})
        return "done"

    assert await db.transact(work) == "done"
    assert [row["num"] for row in runs] == [1, 10, 20]
    assert (await db.get("t", {"id": "1"}))["num"] == 21
    runs.clear()
    with pytest.raises(Conflict):
        await db.transact(work, tries=2)
    assert len(runs) == 2
    with pytest.raises(ValueError, match="tries"):
        await db.transact(work, tries=0)


async def test_a_task_is_free_again_when_its_transaction_is_over(db):
    async def fail():
        async with db.transaction() as tx:
            await asyncio.create_task(tx.put("t", {"id": "1"}))
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    await db.put("t", {"id": "2"})
    assert [row["id"] for row in await db.select("t")] == ["2"]


async def test_transaction_runs_what_waits_for_the_commit(db):
    done = []

    async def later():
        done.append("async")

    async with db.transaction() as tx:
        await tx.put("t", {"id": "1", "num": 1})
        tx.after_commit(lambda: done.append("sync"))
        tx.after_commit(later)
        assert (await tx.select("t")).first["num"] == 1
        assert (await tx.incr("t", {"id": "1", "likes": 2})).affected == 1
        assert await outside(db.get("t", {"id": "1"})) is None
        assert done == []
    assert done == ["sync", "async"]
    assert (await db.get("t", {"id": "1"}))["likes"] == 2
    with pytest.raises(RuntimeError, match="over"):
        await tx.get("t", {"id": "1"})


async def test_transaction_that_loses_the_race_fails(db):
    await db.put("t", {"id": "1", "num": 1})

    async def lose():
        async with db.transaction() as tx:
            await tx.update("t", {"id": "1", "num": 2})
            await outside(db.update("t", {"id": "1", "num": 3}))

    with pytest.raises(Conflict, match="Another transaction got in the way"):
        await lose()
    assert (await db.get("t", {"id": "1"}))["num"] == 3


async def test_migrate_stops_before_it_loses_rows(db):
    for n in range(3):
        await db.put("t", {"id": str(n), "num": n})

    def fail(row):
        raise BadRequest("stop")

    with pytest.raises(BadRequest, match="stop"):
        await db.migrate("t", preprocess=fail, delay=0)
    assert len(await db.select("t")) == 3
    dropped = await db.migrate("t", preprocess=lambda row: row["num"] == 1, delay=0)
    assert dropped == 2
    assert [row["num"] for row in await db.select("t", sort="id")] == [0, 2]
    assert db.get_columns("t_tmp") == {}


async def test_create_tables_counts_changes(db):
    class Real(MemoryDriver):
        can = limited(MemoryDriver, columns=True).can

        async def create(self, table):
            return self.tables.setdefault(table.name, None) is None and not self.tables.update(
                {table.name: {}}
            )

        async def describe(self):
            return {name: {} for name in self.tables}

    db = make(Real)
    assert await db.create_tables() == 2
    assert await db.create_tables() == 0
    assert db.exists_table("T")
    assert not db.exists_table("nosuch")
    assert db.get_pool_tables("memory") == ["log", "t"]
    await db.drop_tables(["t", "nosuch"])
    await db.refresh_columns()
    assert not db.exists_table("t")


class FakeCache:
    """Keeps rows in a dict and forgets those that are written."""

    def __init__(self):
        self.rows = {}
        self.writes = []

    async def get(self, target, key, options, load):
        name = (target.table.name, key["id"])
        if name not in self.rows or options.get("nocache"):
            self.rows[name] = await load(options)
        return self.rows[name]

    async def written(self, verb, target, request, written):
        self.writes.append((verb, request.key["id"]))
        self.rows.pop((target.table.name, request.key["id"]), None)


async def test_cache_is_asked_by_get_and_told_of_every_write(db):
    await db.put("t", {"id": "1", "num": 1})
    await db.get("t", {"id": "1"})
    cache = FakeCache()
    db.set_cache(cache)
    assert (await db.get("t", {"id": "1"}))["num"] == 1
    db.pool().driver.tables["t"]["1",]["num"] = 2
    assert (await db.get("t", {"id": "1"}))["num"] == 1
    assert (await db.get("t", {"id": "1"}, nocache=True))["num"] == 2
    await db.update_all("t", {}, {"num": 3})
    await db.bulk([{"op": "put", "table": "t", "obj": {"id": "2"}}])
    await db.incr("t", {"id": "2", "likes": 1})
    async with db.transaction() as tx:
        await tx.put("t", {"id": "3"})
        assert cache.writes[-1] == ("incr", "2")
    await db.del_all("t", {"id": "3"})
    wanted = [("update", "1"), ("put", "2"), ("incr", "2"), ("put", "3"), ("del", "3")]
    assert cache.writes == wanted
    db.set_cache(None)
    assert (await db.get("t", {"id": "1"}))["num"] == 3


async def test_a_pool_that_does_not_close_keeps_no_other_open(db, caplog):
    class Stuck(MemoryDriver):
        async def close(self):
            raise OSError("stuck")

    closed = []

    class Closing(MemoryDriver):
        async def close(self):
            closed.append(self.name)

    db.add_pool("memory2", Stuck("memory2", "", {}))
    db.add_pool("memory3", Closing("memory3", "", {}))
    await db.close()
    assert closed == ["memory3"]
    assert "memory2 did not close" in caplog.text
    assert db.get_pools() == []


@pytest.mark.parametrize("group", ["k=x", [[{"k": "x"}]], ["x"], 1, None])
async def test_a_group_that_is_none_is_refused(db, group):
    """Dropped it would leave a query without its conditions."""
    with pytest.raises(BadRequest, match=r"\$or: a group"):
        await db.select("t", {"$or": group})


async def test_a_group_and_a_time_are_not_expected_together(db):
    with pytest.raises(BadRequest, match="check_mtime"):
        await db.replace("t", {"id": "1", "num": 1}, check_mtime="num", expected=ABSENT)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"sum": "nmu"}, "sum: t has no column 'nmu'"),
        ({"by": "nmae"}, "by: t has no column 'nmae'"),
        ({"by": "name", "sort": "nmae"}, "sort: the answer has no column 'nmae'"),
    ],
)
async def test_figures_hint_at_names_to_developers_only(options, text):
    for hints in (False, True):
        db = Database(hints=hints)
        db.add_pool("memory", MemoryDriver("memory", "", {}))
        db.describe_tables(TABLES)
        with pytest.raises(BadRequest) as refused:
            await db.aggregate("t", **options)
        hint = f"; did you mean '{'num' if 'nmu' in text else 'name'}'?" if hints else ""
        assert str(refused.value) == text + hint
