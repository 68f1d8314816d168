"""What is special about tables in an ordered store."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager, closing, contextmanager
from contextvars import Context

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bkjs.db.conditions.match import matcher
from bkjs.db.conditions.order import comes_after, sort_rows
from bkjs.db.contract import Condition, Group, Order, Request
from bkjs.db.tables.described import build
from bkjs.errors import (
    AlreadyExists,
    BadRequest,
    Conflict,
    DriverError,
    StartError,
    Unavailable,
)
from bkjs.testing.db import database, opened
from bkjs_kv import KvDriver, MemoryStore, Overlay, Reader, Store

PAIR = {"owner": {"primary": 1}, "pos": {"type": "int", "primary": 2}, "tag": {}}


class SharedDriver(KvDriver):
    """Drivers of one URL are processes that share a store."""

    stores: dict = {}  # noqa: RUF012

    def connect(self):
        return self.stores.setdefault(self.url, MemoryStore())


class InlineDriver(SharedDriver):
    threads = False


@pytest.fixture(autouse=True)
def forget():
    SharedDriver.stores.clear()


@asynccontextmanager
async def pairs(driver=InlineDriver, description=PAIR, name="pair", **options):
    async with opened(driver, "one", **options) as made:
        db = database(made)
        db.describe_tables({name: description})
        yield db


# -- selects -------------------------------------------------------------------------------------

T = build("pair", {**PAIR, "num": {"type": "real"}})
VALUES = {
    "owner": ["a", "ab", "b", "é"],
    "pos": [-(2**70), -1, 0, 3, 2**70],
    "tag": ["x", "y", None],
    "num": [0.5, -1.5, None],
}
ROWS = st.lists(
    st.fixed_dictionaries({name: st.sampled_from(values) for name, values in VALUES.items()}),
    max_size=20,
    unique_by=lambda row: (row["owner"], row["pos"]),
)


@st.composite
def conditions(draw):
    column = draw(st.sampled_from(["owner", "owner", "pos", "tag", "num"]))
    values = st.sampled_from([value for value in VALUES[column] if value is not None])
    op = draw(st.sampled_from(["eq", "eq", "ne", "gt", "ge", "lt", "le", "between", "in", "null"]))
    if op == "between":
        return Condition(column, op, (draw(values), draw(values)))
    if op == "in":
        return Condition(column, op, draw(st.lists(values, min_size=1, max_size=3)))
    return Condition(column, op, None if op == "null" else draw(values))


CONDITIONS = st.lists(conditions(), max_size=3)
SORTS = st.lists(
    st.builds(Order, st.sampled_from(list(VALUES)), st.booleans()),
    max_size=3,
    unique_by=lambda order: order.column,
)
KEY = st.booleans().map(lambda desc: [Order("owner", desc), Order("pos", desc)])


async def answer(driver, request, **more):
    """All rows of a select and how many pages they took."""
    found, resume, pages = [], None, 0
    while True:
        fields = {"after": None} if resume is not None else {}
        asked = Request(verb="select", **{**request, **fields, **more}, resume=resume)
        page = await driver.select(asked)
        found += page.rows
        pages += 1
        resume = page.resume
        if resume is None:
            return found, pages


@settings(max_examples=200, deadline=None)
@given(ROWS, CONDITIONS, SORTS | KEY, st.integers(1, 4), st.data())
async def test_selects_are_what_the_kernel_would_make_of_all_rows(stored, items, sort, count, data):
    where, order = Group("AND", tuple(items)), tuple(sort)
    driver = InlineDriver("one", "given", {})
    driver.stores.clear()
    await driver.open()
    for row in stored:
        key = {name: row[name] for name in T.keys}
        await driver.put(Request(verb="put", table=T, key=key, values=row))
    plan = driver.plan(T, where, order)
    assert plan.native == where
    if not plan.ordered:
        return
    request = {"table": T, "where": where, "sort": order}
    passes = data.draw(st.sampled_from([None, lambda row: row["num"] is not None]))
    wanted = [row for row in stored if matcher(where, T)(row) and (not passes or passes(row))]
    wanted.sort(key=lambda row: (row["owner"], row["pos"]), reverse=bool(order) and order[-1].desc)
    sort_rows(wanted, order)
    found, _ = await answer(driver, request, match=passes)
    key = [o for o in order if o.column in T.keys]
    if {o.column for o in key} == set(T.keys):
        assert found == wanted
        if stored:
            start = data.draw(st.sampled_from(stored))
            after = tuple(start[o.column] for o in order)
            rest, _ = await answer(driver, request, match=passes, after=after)
            assert rest == list(filter(comes_after(order, after), wanted))
    assert sorted(map(str, found)) == sorted(map(str, wanted))
    paged, _ = await answer(driver, request, match=passes, count=count)
    assert paged == found
    asked = Request(verb="select", **request)
    for number, row in enumerate(found):
        resume = driver.behind(asked, row)
        page = await driver.select(Request(verb="select", **request, match=passes, resume=resume))
        assert page.rows == found[number + 1 :]


@pytest.mark.parametrize("desc", [False, True])
@pytest.mark.parametrize("owner", ["a", "b", "c"])
@pytest.mark.parametrize("pos", [1, 2, 3, 4])
async def test_a_place_where_no_row_can_be(desc, owner, pos):
    """The column that all rows have alike comes second in the order."""
    async with pairs() as db:
        for number in (1, 2, 3):
            await db.add("pair", {"owner": "b", "pos": number})
        where = Group("AND", (Condition("owner", "eq", "b"),))
        for sort in (
            (Order("pos", desc), Order("owner", desc)),
            (Order("pos", desc), Order("owner", not desc)),
            (Order("owner", desc), Order("pos", desc)),
        ):
            after = tuple(owner if order.column == "owner" else pos for order in sort)
            fields = {"table": T, "where": where, "sort": sort, "after": after}
            page = await db.pool().driver.select(Request(verb="select", **fields))
            rows = [{"owner": "b", "pos": number} for number in (1, 2, 3)]
            rows = list(filter(comes_after(sort, after), rows))
            sort_rows(rows, sort)
            assert [row["pos"] for row in page.rows] == [row["pos"] for row in rows]


async def test_an_answer_looks_at_so_many_rows_and_no_more(monkeypatch):
    monkeypatch.setattr("bkjs_kv.driver.STEP", 10)
    async with pairs() as db:
        for pos in range(25):
            await db.put("pair", {"owner": "o", "pos": pos, "tag": "x" if pos == 24 else "y"})
        driver = db.pool().driver
        request = {"table": db.schema.table("pair")}
        found, pages = await answer(driver, request)
        assert (len(found), pages) == (25, 3)
        where = Group("AND", (Condition("tag", "eq", "x"),))
        found, pages = await answer(driver, {**request, "where": where}, count=1)
        assert ([row["pos"] for row in found], pages) == ([24], 3)
        assert [row["pos"] for row in await db.select("pair", {"tag": "x"}, count=1)] == [24]
        assert len(await db.select("pair", {}, count=21)) == 21


@pytest.mark.parametrize("desc", [False, True])
async def test_several_owners_and_starts_among_others(desc):
    async with pairs() as db:
        driver = db.pool().driver
        stored = [{"owner": o, "pos": p} for o in ("a", "b", "c") for p in (1, 2)]
        for row in stored:
            await db.put("pair", row)
        sort = (Order("owner", desc), Order("pos", desc))
        for op, value in (("in", ["c", "a"]), ("eq", "b"), ("ge", "b")):
            where = Group("AND", (Condition("owner", op, value),))
            wanted = [row for row in stored if matcher(where, T)(row)]
            sort_rows(wanted, sort)
            request = {"table": T, "where": where, "sort": sort}
            assert driver.plan(T, where, sort) == (where, True, True)
            assert (await answer(driver, request))[0] == wanted
            assert (await answer(driver, request, count=1))[0] == wanted
            for start in [*stored, {"owner": "bb", "pos": 0}]:
                after = (start["owner"], start["pos"])
                rest, _ = await answer(driver, request, after=after)
                assert rest == list(filter(comes_after(sort, after), wanted))


# -- unique columns ------------------------------------------------------------------------------


async def test_unique_columns_that_are_described_later_are_kept_for_old_rows():
    async with pairs() as db:
        await db.put("pair", {"owner": "a", "pos": 1, "tag": "x"})
        await db.put("pair", {"owner": "a", "pos": 2})
    async with pairs(description={**PAIR, "tag": {"unique": 1}}) as db:
        with pytest.raises(AlreadyExists, match="same tag"):
            await db.put("pair", {"owner": "b", "pos": 1, "tag": "x"})
        await db.put("pair", {"owner": "a", "pos": 1, "tag": "y"})
        await db.put("pair", {"owner": "b", "pos": 1, "tag": "x"})


@pytest.mark.parametrize("column", ["tag", "mail"])
async def test_a_write_that_is_refused_late_changes_nothing_beside_others(column):
    two = {**PAIR, "tag": {"unique": 1}, "mail": {"unique1": 1}}
    async with pairs(SharedDriver, description=two) as db:
        await db.put("pair", {"owner": "a", "pos": 1, "tag": "x", "mail": "x"})
        refused = {"owner": "a", "pos": 2, "tag": "y", "mail": "y", column: "x"}
        fine = {"owner": "a", "pos": 3}
        done = await asyncio.gather(
            db.put("pair", refused), db.put("pair", fine), return_exceptions=True
        )
        assert isinstance(done[0], AlreadyExists)
        await db.bulk([{"op": "put", "table": "pair", "obj": row} for row in (refused, fine)])
        async with db.transaction() as tx:
            with pytest.raises(AlreadyExists):
                await tx.put("pair", refused)
        await db.put("pair", {"owner": "a", "pos": 4, "tag": "y", "mail": "y"})


async def test_further_unique_columns_are_kept_beside_those_that_are():
    async with pairs(description={**PAIR, "tag": {"unique": 1}, "mail": {}}) as db:
        for pos in (1, 2):
            await db.put("pair", {"owner": "a", "pos": pos, "tag": f"t{pos}", "mail": f"m{pos}"})
    two = {**PAIR, "tag": {"unique": 1}, "mail": {"unique1": 1}}
    async with pairs(description=two) as db:
        for column in ("tag", "mail"):
            with pytest.raises(AlreadyExists, match=f"same {column}"):
                await db.put("pair", {"owner": "a", "pos": 3, column: f"{column[0]}1"})


async def test_a_unique_column_that_is_described_no_more_is_forgotten():
    async with pairs(description={**PAIR, "tag": {"unique": 1}}) as db:
        await db.put("pair", {"owner": "a", "pos": 1, "tag": "x"})
    async with pairs() as db:
        await db.put("pair", {"owner": "a", "pos": 2, "tag": "x"})
        (store,) = SharedDriver.stores.values()
        assert [key[:1] for key, _ in store.snapshot().range(b"", None)] == [b"r", b"r", b"t"]


@pytest.mark.parametrize("driver", [InlineDriver, SharedDriver])
@pytest.mark.parametrize("way", ["alone", "beside others", "in bulk", "in a transaction"])
async def test_it_is_forgotten_too_when_the_first_write_is_refused(driver, way):
    async with pairs(driver, {**PAIR, "tag": {"unique": 1}}) as db:
        await db.put("pair", {"owner": "a", "pos": 1, "tag": "x"})
    refused, free = {"owner": "a", "pos": 1}, {"owner": "a", "pos": 2, "tag": "x"}
    async with pairs(driver) as db:
        if way == "in bulk":
            items = [{"op": "add", "table": "pair", "obj": row} for row in (refused, free)]
            done = [error for error, _ in await db.bulk(items)]
        elif way == "in a transaction":
            with pytest.raises(AlreadyExists):
                async with db.transaction() as tx:
                    await tx.add("pair", refused)
            done = [None, await db.add("pair", free)]
        elif way == "beside others":
            writes = (db.add("pair", refused), db.add("pair", free))
            done = await asyncio.gather(*writes, return_exceptions=True)
        else:
            with pytest.raises(AlreadyExists):
                await db.add("pair", refused)
            done = [None, await db.add("pair", free)]
        assert not isinstance(done[1], Exception)
        assert len(await db.select("pair", {"tag": "x"})) == 2


async def test_rows_that_are_equal_where_they_must_not_be_are_named_and_can_be_deleted():
    async with pairs() as db:
        for pos in (1, 2):
            await db.put("pair", {"owner": "a", "pos": pos, "tag": "x"})
    async with pairs(description={**PAIR, "tag": {"unique": 1}}) as db:
        for _ in range(2):
            with pytest.raises(DriverError, match="two rows have the same tag, which is unique"):
                await db.put("pair", {"owner": "a", "pos": 3})
        await db.del_("pair", {"owner": "a", "pos": 2})
        await db.put("pair", {"owner": "a", "pos": 3})


async def test_processes_with_an_older_description_keep_what_a_newer_one_needs():
    async with pairs() as old, pairs(description={**PAIR, "tag": {"unique": 1}}) as new:
        await old.put("pair", {"owner": "a", "pos": 1})
        await new.put("pair", {"owner": "a", "pos": 2, "tag": "x"})
        with pytest.raises(AlreadyExists):
            await old.put("pair", {"owner": "a", "pos": 3, "tag": "x"})
        await old.put("pair", {"owner": "a", "pos": 4, "tag": "y"})
        with pytest.raises(AlreadyExists):
            await new.put("pair", {"owner": "a", "pos": 5, "tag": "y"})
        async with pairs() as older:  # starts later, drops them and they are made again
            await older.put("pair", {"owner": "a", "pos": 6, "tag": "z"})
            with pytest.raises(AlreadyExists):
                await new.put("pair", {"owner": "a", "pos": 7, "tag": "z"})


async def test_nothing_is_left_of_a_table_that_is_dropped():
    unique = {**PAIR, "tag": {"unique": 1}}
    async with pairs(description=unique) as db:
        db.describe_tables({"pair": unique, "pair2": unique})
        for name in ("pair", "pair2"):
            await db.put(name, {"owner": "a", "pos": 1, "tag": "x"})
        await db.drop("pair")
        (store,) = SharedDriver.stores.values()
        assert len(list(store.snapshot().range(b"", None))) == 3
        assert len(await db.select("pair2")) == 1
        await db.put("pair", {"owner": "a", "pos": 2, "tag": "x"})


@pytest.mark.parametrize("columns", [{"doc": {"type": "json", "unique": 1}}, {}])
async def test_tables_that_cannot_be_kept_are_refused_at_the_start(columns):
    driver = InlineDriver("kv", "", {})
    with pytest.raises(StartError, match="no primary key" if not columns else "t.doc: json can be"):
        driver.check(build("t", {**({"id": {"primary": 1}} if columns else {"id": {}}), **columns}))


class ShortDriver(InlineDriver):
    longest = 64


async def test_keys_that_are_too_long_are_refused_by_name_and_not_found():
    async with pairs(ShortDriver) as db:
        long = {"owner": "x" * 100, "pos": 1}
        with pytest.raises(BadRequest, match="owner, pos: the key takes more than the 64 bytes"):
            await db.put("pair", long)
        assert await db.get("pair", long) is None
        driver = db.pool().driver
        table = db.schema.table("pair")
        assert await driver.get(Request(verb="get", table=table, key=long)) is None
        assert (await db.del_("pair", long)).affected == 0


# -- one transaction for many writes -------------------------------------------------------------


class Held(Store):
    """A store whose first write transaction waits, and that counts them."""

    def __init__(self):
        self.inner = MemoryStore()
        self.written = 0
        self.begun, self.open = threading.Event(), threading.Event()
        self.fail = False

    def snapshot(self):
        return self.inner.snapshot()

    @contextmanager
    def write(self):
        self.begun.set()
        assert self.open.wait(20)
        self.written += 1
        with self.inner.write() as writer:
            yield writer
            if self.fail:
                raise OSError("no space left")


class HeldDriver(SharedDriver):
    def connect(self):
        return self.stores.setdefault(self.url, Held())


async def test_writes_that_wait_share_one_transaction_and_each_has_its_outcome():
    async with pairs(HeldDriver) as db:
        (store,) = SharedDriver.stores.values()
        first = asyncio.ensure_future(db.add("pair", {"owner": "a", "pos": 0}))
        await asyncio.to_thread(store.begun.wait, 20)
        others = [
            asyncio.ensure_future(db.add("pair", {"owner": "a", "pos": n % 30})) for n in range(60)
        ]
        await asyncio.sleep(0)
        assert db.pool().stats()["waiting"] == 60
        store.open.set()
        done = await asyncio.gather(first, *others, return_exceptions=True)
        assert sum(isinstance(error, AlreadyExists) for error in done) == 31
        assert store.written == 2
        assert len(await db.select("pair")) == 30


async def test_all_writes_of_a_transaction_that_fails_hear_of_it_and_none_is_stored():
    async with pairs(HeldDriver) as db:
        (store,) = SharedDriver.stores.values()
        store.fail = True
        adds = [asyncio.ensure_future(db.add("pair", {"owner": "a", "pos": n})) for n in range(5)]
        await asyncio.sleep(0)
        store.open.set()
        done = await asyncio.gather(*adds, return_exceptions=True)
        assert [type(error) for error in done] == [DriverError] * 5
        assert "no space left" in str(done[0])
        store.fail = False
        assert await db.select("pair") == []


class Narrow(Overlay):
    """What refuses large values, as a store does that is nearly full."""

    def put(self, key, value):
        if len(value) > 1000:
            raise OSError("no space left")
        super().put(key, value)


class NarrowStore(Held):
    @contextmanager
    def write(self):
        with super().write() as writer:
            changes = Narrow(writer)
            yield changes
            changes.apply(writer)


class NarrowDriver(SharedDriver):
    def connect(self):
        return self.stores.setdefault(self.url, NarrowStore())


async def test_a_change_that_the_store_refuses_stops_no_other():
    async with pairs(NarrowDriver) as db:
        (store,) = SharedDriver.stores.values()
        first = asyncio.ensure_future(db.add("pair", {"owner": "a", "pos": 0}))
        await asyncio.to_thread(store.begun.wait, 20)
        tags = ["small", "large" * 1000, "small", "large" * 1000, "small"]
        adds = [
            asyncio.ensure_future(db.add("pair", {"owner": "b", "pos": n, "tag": tag}))
            for n, tag in enumerate(tags)
        ]
        await asyncio.sleep(0)
        store.open.set()
        done = await asyncio.gather(first, *adds, return_exceptions=True)
        assert [n for n, error in enumerate(done) if isinstance(error, DriverError)] == [2, 4]
        assert [row["pos"] for row in await db.select("pair", {"owner": "b"})] == [0, 2, 4]


async def test_a_write_whose_caller_has_gone_is_whole_or_never_begins():
    async with pairs(HeldDriver) as db:
        (store,) = SharedDriver.stores.values()
        runs = asyncio.ensure_future(db.add("pair", {"owner": "a", "pos": 1}))
        await asyncio.to_thread(store.begun.wait, 20)
        waits = asyncio.ensure_future(db.add("pair", {"owner": "a", "pos": 2}))
        await asyncio.sleep(0)
        for task in (runs, waits):
            task.cancel()
        store.open.set()
        await asyncio.gather(runs, waits, return_exceptions=True)
        await db.put("pair", {"owner": "a", "pos": 3})
        assert [row["pos"] for row in await db.select("pair")] == [1, 3]


async def test_a_full_queue_is_unavailable():
    async with pairs(HeldDriver, max_queue=3) as db:
        (store,) = SharedDriver.stores.values()
        first = asyncio.ensure_future(db.add("pair", {"owner": "a", "pos": 0}))
        await asyncio.to_thread(store.begun.wait, 20)
        others = [asyncio.ensure_future(db.add("pair", {"owner": "b", "pos": n})) for n in range(9)]
        await asyncio.sleep(0)
        store.open.set()
        done = await asyncio.gather(first, *others, return_exceptions=True)
        assert [type(error) for error in done if isinstance(error, Exception)] == [Unavailable] * 6


async def test_no_thread_is_left_after_closing():
    async with pairs(SharedDriver) as db:
        await db.put("pair", {"owner": "a", "pos": 1})
        await asyncio.gather(*(db.select("pair") for _ in range(20)))
        assert 2 <= db.pool().stats()["threads"] <= 9
    left = [t.name for t in threading.enumerate() if t.name.startswith(("shared", "Shared"))]
    assert left == []


@pytest.mark.parametrize("driver", [InlineDriver, SharedDriver])
async def test_a_closed_store_is_unavailable(driver):
    async with pairs(driver) as db:
        pass
    key = {"owner": "a", "pos": 1}
    for call in (db.get("pair", key), db.put("pair", key), db.select("pair"), db.transact(len)):
        with pytest.raises(Unavailable, match="is closed"):
            await call


# -- transactions --------------------------------------------------------------------------------


def elsewhere(call):
    """A task that is no part of the transaction around it."""
    return asyncio.get_running_loop().create_task(call, context=Context())


@pytest.mark.parametrize("driver", [SharedDriver, InlineDriver])
async def test_transactions_read_one_state_and_lose_no_update(driver):
    async with pairs(driver) as db:
        for pos in range(3):
            await db.put("pair", {"owner": "a", "pos": pos, "tag": "x"})
        tx = db.transaction()
        await tx.__aenter__()
        assert len(await tx.select("pair")) == 3
        await tx.put("pair", {"owner": "a", "pos": 5})
        await elsewhere(db.put("pair", {"owner": "a", "pos": 4}))
        await elsewhere(db.put("pair", {"owner": "a", "pos": 0, "tag": "theirs"}))
        rows = await tx.select("pair", sort="pos")
        assert [(row["pos"], row.get("tag")) for row in rows] == [
            (0, "x"), (1, "x"), (2, "x"), (5, None)
        ]  # fmt: skip
        await tx.put("pair", {"owner": "a", "pos": 0, "tag": "mine"})
        with pytest.raises(Conflict):
            await tx.__aexit__(None, None, None)
        rows = await db.select("pair", sort="pos")
        assert [(row["pos"], row.get("tag")) for row in rows] == [
            (0, "theirs"), (1, "x"), (2, "x"), (4, None)
        ]  # fmt: skip


def nobody_reads(store):
    """Whether a store is changed in place: no snapshot of it is left."""

    def keys():
        with closing(store.snapshot()) as reader:
            return reader.keys

    before = keys()
    with store.write() as writer:
        writer.put(b"z", b"")
    return keys() is before


async def test_no_snapshot_is_left_of_transactions():
    async with pairs(SharedDriver) as db:
        (store,) = SharedDriver.stores.values()

        async def fail():
            async with db.transaction() as tx:
                await tx.put("pair", {"owner": "a", "pos": 2})
                raise KeyError

        for _ in range(3):
            async with db.transaction() as tx:
                await tx.put("pair", {"owner": "a", "pos": 1})
            with pytest.raises(KeyError):
                await fail()
        driver = db.pool().driver
        running = await driver.begin()
        await running.rollback()
        await running.rollback()
        with pytest.raises(Conflict, match="the transaction is over"):
            await running.commit()
        table = db.schema.table("pair")
        with pytest.raises(Conflict, match="the transaction is over"):
            await running.get(Request(verb="get", table=table, key={"owner": "a", "pos": 1}))
        assert nobody_reads(store)


async def test_transactions_end_when_the_queue_is_full_and_after_closing():
    async with pairs(SharedDriver, max=1, max_queue=0) as db:
        driver = db.pool().driver
        ended, left = await driver.begin(), await driver.begin()
        gate = threading.Event()
        busy = asyncio.ensure_future(driver.blocking(lambda: gate.wait(20)))
        await asyncio.sleep(0)
        ending = asyncio.ensure_future(ended.rollback())
        await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await driver.blocking(lambda: None)
        gate.set()
        await asyncio.gather(busy, ending)
        with pytest.raises(Conflict, match="the transaction is over"):
            await ended.many(Request(verb="many", table=T))
        (store,) = SharedDriver.stores.values()
        assert not nobody_reads(store)
    await left.rollback()
    assert nobody_reads(store)


class SlowStore(Held):
    def snapshot(self):
        self.begun.set()
        assert self.open.wait(20)
        return self.inner.snapshot()


class SlowDriver(SharedDriver):
    def connect(self):
        return self.stores.setdefault(self.url, SlowStore())


async def test_no_snapshot_is_left_of_a_transaction_whose_caller_went_while_it_began():
    async with pairs(SlowDriver) as db:
        (store,) = SharedDriver.stores.values()
        beginning = asyncio.ensure_future(db.pool().driver.begin())
        await asyncio.to_thread(store.begun.wait, 20)
        beginning.cancel()
        store.open.set()
    assert nobody_reads(store.inner)


async def test_claims_that_were_made_meanwhile_are_a_conflict():
    unique = {**PAIR, "tag": {"unique": 1}}
    async with pairs() as old, pairs(description=unique) as new:
        await old.put("pair", {"owner": "a", "pos": 1})
        tx = old.transaction()
        await tx.__aenter__()
        await tx.put("pair", {"owner": "a", "pos": 2, "tag": "x"})
        await elsewhere(new.put("pair", {"owner": "a", "pos": 3, "tag": "x"}))
        with pytest.raises(Conflict):
            await tx.__aexit__(None, None, None)


# -- round trips ---------------------------------------------------------------------------------


class Counting(Reader):
    def __init__(self, inner, counts):
        self.inner, self.counts = inner, counts
        counts["calls"] += 1

    def get(self, key):
        self.counts["rows"] += 1
        return self.inner.get(key)

    def range(self, start, end, *, reverse=False, limit=None):
        for entry in self.inner.range(start, end, reverse=reverse, limit=limit):
            self.counts["rows"] += 1
            yield entry

    def close(self):
        self.inner.close()


class CountingStore(Store):
    def __init__(self):
        self.inner = MemoryStore()
        self.counts = {"calls": 0, "rows": 0, "writes": 0}

    def snapshot(self):
        return Counting(self.inner.snapshot(), self.counts)

    @contextmanager
    def write(self):
        self.counts["writes"] += 1
        with self.inner.write() as writer:
            mine = Overlay(Counting(writer, {**self.counts}))
            yield mine
            mine.apply(writer)


class CountingDriver(InlineDriver):
    def connect(self):
        return self.stores.setdefault(self.url, CountingStore())


BIG = {**PAIR, "n": {"type": "int"}}


async def walk(db, query, options, pages):
    start, found = None, []
    for _ in range(pages):
        page = await db.select("pair", query, start=start, **options)
        found += page
        start = page.next_token
    return found


PART, BETWEEN = {"owner": "o1"}, {"pos": "between"}
REQUESTS = {
    # what is asked of the database: rows given, calls of the store, keys read there; the kernel
    # asks for one row more to know whether it is the last page, the driver looks at one key more
    "1 % match": (({"tag": "rare"}, {"count": 10}), 10, 1, 1047),
    "9 match": (({"tag": "nine"}, {"count": 10}), 9, 1, 2000),
    "none match": (({"tag": "no"}, {"count": 10}), 0, 1, 2000),
    "first of 1 in 222": (({"tag": "nine"}, {"first": True}), 1, 1, 207),
    "whole key": (({"owner": "o1", "pos": 700}, {}), 1, 1, 1),
    "5 pages": (({}, {"count": 10}), 50, 5, 60),
    "5 pages by key": (({}, {"count": 10, "sort": "owner,pos"}), 50, 5, 60),
    "5 pages backwards": (({}, {"count": 10, "sort": "-owner,-pos"}), 50, 5, 60),
    "5 pages of a partition": ((PART, {"count": 10, "sort": "pos"}), 50, 5, 60),
    "latest of a partition": ((PART, {"count": 1, "sort": "pos", "desc": 1}), 1, 1, 3),
    "range of a partition": (({**PART, "pos": [10, 19]}, {"ops": BETWEEN}), 10, 1, 10),
    "in of a partition": (({**PART, "pos": [10, 19]}, {}), 2, 1, 2),
    "pattern": (({**PART, "tag": "^r"}, {"ops": {"tag": "regexp"}, "count": 5}), 5, 1, 547),
    "total": (({"tag": "rare"}, {"total": True}), 1, 1, 2000),
}


@pytest.mark.parametrize("name", REQUESTS)
async def test_calls_and_rows(name):
    request, size, calls, moved = REQUESTS[name]
    async with pairs(CountingDriver, BIG) as db:
        (store,) = SharedDriver.stores.values()
        await fill(db)
        store.counts.update(calls=0, rows=0, writes=0)
        found = await walk(db, *request, calls)
        assert len(found) == size
        assert store.counts == {"calls": calls, "rows": moved, "writes": 0}


async def fill(db):
    """2,000 rows in two partitions; every 100th is rare, every 222th one of nine."""
    numbers = [(owner, pos) for owner in ("o1", "o2") for pos in range(1000)]
    tags = dict.fromkeys(range(45, 2000, 100), "rare")
    tags |= dict.fromkeys(range(205, 2000, 222), "nine")
    for start in range(0, 2000, 500):
        part = list(enumerate(numbers))[start : start + 500]
        records = [{"owner": o, "pos": p, "tag": tags.get(n, "-"), "n": n} for n, (o, p) in part]
        await db.bulk([{"op": "put", "table": "pair", "obj": record} for record in records])


async def test_calls_and_rows_of_writes_to_many():
    async with pairs(CountingDriver, BIG) as db:
        (store,) = SharedDriver.stores.values()
        counts = store.counts
        await fill(db)
        assert counts["writes"] == 4
        counts.update(calls=0, rows=0, writes=0)
        assert await db.update_all("pair", {}, {"tag": "new"}, limit=5) == 5
        assert counts["writes"] == 5
        assert counts["rows"] <= 102
        counts.update(calls=0, rows=0, writes=0)
        assert await db.update_all("pair", {"owner": "o1"}, {"tag": "new"}) == 1000
        assert counts == {"calls": 0, "rows": 0, "writes": 1}
        assert await db.del_all("pair", {"owner": "o1"}) == 1000
        assert counts["writes"] == 2
        counts.update(calls=0, rows=0, writes=0)
        seen = []
        await db.scan("pair", {}, seen.append, count=100)
        assert len(seen) == 1000
        assert counts["calls"] <= 11
