"""One thread writes: shared commits, separate failures, transactions, cancellation."""

import asyncio
import random
import sqlite3
from contextlib import closing

import pytest

from bkjs.db.tables.described import build
from bkjs.errors import AlreadyExists, BadRequest, Timeout, Unavailable
from bkjs.testing.db.opened import opened
from bkjs_db_sqlite.batch import Runner
from bkjs_db_sqlite.database import SqliteDriver


def put(driver, item, key, **values):
    return driver.put(item("put", values={"id": str(key), "must": "x", **values}))


async def ids(driver, item):
    return sorted(row["id"] for row in (await driver.select(item("select"))).rows)


async def test_writes_of_one_moment_share_a_commit(driver, item, monkeypatch):
    sizes = []
    run = Runner.run

    def spy(runner, batch):
        sizes.append(len(batch))
        return run(runner, batch)

    monkeypatch.setattr(Runner, "run", spy)
    await asyncio.gather(*(put(driver, item, number) for number in range(50)))
    assert sizes == [50]


async def test_failing_write_fails_only_its_caller(driver, item):
    await put(driver, item, "there")
    outcomes = await asyncio.gather(
        put(driver, item, "a"),
        driver.add(item("add", values={"id": "there", "must": "x"})),
        put(driver, item, "b", must=None),
        put(driver, item, "c"),
        return_exceptions=True,
    )
    assert [type(outcome).__name__ for outcome in outcomes] == [
        "Written", AlreadyExists.__name__, BadRequest.__name__, "Written",
    ]  # fmt: skip
    assert await ids(driver, item) == ["a", "c", "there"]


async def test_failing_statement_undoes_all_its_rows(driver, item):
    for number in range(3):
        await put(driver, item, number, email=str(number))
    with pytest.raises(AlreadyExists):
        await driver.query("UPDATE item SET email = 'same'")
    rows = await driver.query("SELECT email FROM item ORDER BY id")
    assert [row["email"] for row in rows] == ["0", "1", "2"]


async def test_a_table_that_cannot_be_changed_is_as_it_was(driver, item):
    for number in range(2):
        await put(driver, item, number, name="same")
    columns = {"id": {"primary": 1}, "extra": {}, "name": {"unique": 2}}
    before = await driver.describe()
    with pytest.raises(AlreadyExists):
        await driver.create(build("item", columns))
    assert await driver.describe() == before


async def test_full_disk_refuses_writes_and_answers_reads(driver, item):
    await put(driver, item, "before")
    await driver.query("PRAGMA max_page_count = 12")
    outcomes = await asyncio.gather(
        put(driver, item, "big", name="x" * 100_000),
        put(driver, item, "small"),
        return_exceptions=True,
    )
    assert isinstance(outcomes[0], Unavailable)
    assert "disk is full" in str(outcomes[0])
    assert outcomes[1].affected == 1
    assert await ids(driver, item) == ["before", "small"]
    await driver.query("PRAGMA max_page_count = 100000")
    await put(driver, item, "big", name="x" * 100_000)
    assert await driver.query("PRAGMA integrity_check") == [{"integrity_check": "ok"}]


async def test_cancelled_write_that_has_not_begun_does_not_happen(driver, item):
    kept = asyncio.ensure_future(put(driver, item, "kept"))
    gone = asyncio.ensure_future(put(driver, item, "gone"))
    await asyncio.sleep(0)  # both are waiting for the thread
    gone.cancel()
    await asyncio.gather(kept, gone, return_exceptions=True)
    assert await ids(driver, item) == ["kept"]


async def test_storm_of_cancellations_leaves_the_writer_whole(driver, item):
    chance = random.Random(7)
    done, tries = [], range(300)

    async def write(number):
        if chance.random() < 0.1:
            transaction = await driver.begin()
            try:
                await put(transaction, item, number)
                await transaction.commit()
            finally:
                await transaction.rollback()
        else:
            await put(driver, item, number)
        done.append(str(number))

    async def storm(number):
        task = asyncio.ensure_future(write(number))
        for _ in range(chance.randrange(12)):
            await asyncio.sleep(0)
        if chance.random() < 0.5:
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    for start in range(0, len(tries), 30):
        await asyncio.gather(*(storm(number) for number in tries[start : start + 30]))
    assert set(done) <= set(await ids(driver, item))
    assert await put(driver, item, "after")
    assert driver.stats()["busy"] == driver.stats()["waiting"] == 0


async def test_transaction_sees_its_writes_and_others_do_not(driver, item):
    transaction = await driver.begin()
    await put(transaction, item, "t")
    get = item("get", key={"id": "t"})
    assert (await transaction.get(get))["id"] == "t"
    assert await driver.get(get) is None
    await transaction.commit()
    assert (await driver.get(get))["id"] == "t"


async def test_writes_behind_many_transactions_wait_no_longer_than_the_timeout(driver, item):
    """Each of them is short, but together they hold the writer for longer than the 200 ms."""
    begun = asyncio.Event()

    async def hold(number):
        transaction = await driver.begin()
        begun.set()
        await put(transaction, item, number)
        await asyncio.sleep(0.06)
        await transaction.commit()

    holders = [asyncio.create_task(hold(number)) for number in range(12)]
    await begun.wait()
    with pytest.raises(Timeout, match="waiting for the end of a transaction"):
        await put(driver, item, "late")
    outcomes = await asyncio.gather(*holders, return_exceptions=True)
    assert {type(o) for o in outcomes if o is not None} == {Timeout}
    # who began is whole, who gave up has left nothing
    assert len(await ids(driver, item)) == sum(outcome is None for outcome in outcomes) >= 1


async def test_rolled_back_transaction_leaves_nothing(driver, item):
    transaction = await driver.begin()
    await put(transaction, item, "t")
    await transaction.rollback()
    await transaction.rollback()
    assert await ids(driver, item) == []
    with pytest.raises(Unavailable, match="has ended"):
        await put(transaction, item, "t")


async def test_existing_key_does_not_end_a_transaction(driver, item):
    await put(driver, item, "t")
    transaction = await driver.begin()
    with pytest.raises(AlreadyExists):
        await transaction.add(item("add", values={"id": "t", "must": "x"}))
    await put(transaction, item, "u")
    await transaction.commit()
    assert await ids(driver, item) == ["t", "u"]


async def test_other_writes_wait_for_a_transaction_in_order(driver, item):
    transaction = await driver.begin()
    order = []

    async def write(name):
        await put(driver, item, name)
        order.append(name)

    async def transact(name):
        other = await driver.begin()
        order.append(name)
        await other.commit()

    tasks = [asyncio.ensure_future(c) for c in (write("a"), transact("b"), write("c"))]
    await put(transaction, item, "t")
    assert order == []
    await transaction.commit()
    await asyncio.gather(*tasks)
    assert order == ["a", "b", "c"]


async def test_write_does_not_wait_for_ever_for_a_transaction(driver, item):
    transaction = await driver.begin()
    with pytest.raises(Timeout, match="end of a transaction"):
        await put(driver, item, "waits")
    await transaction.rollback()
    await put(driver, item, "goes")
    assert await ids(driver, item) == ["goes"]


async def test_cancelled_begin_gives_the_writer_back(driver, item):
    begin = asyncio.ensure_future(driver.begin())
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # handed to the thread
    begin.cancel()
    await asyncio.gather(begin, return_exceptions=True)
    await put(driver, item, "next")


async def test_begin_that_fails_gives_the_writer_back(driver, item):
    with closing(sqlite3.connect(driver.file.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="locked by another process"):
            await driver.begin()
    await put(driver, item, "next")
    await (await driver.begin()).commit()


async def test_begin_cancelled_in_the_moment_of_its_success_gives_the_writer_back(driver, item):
    writer = driver.writer
    begin = asyncio.ensure_future(writer.begin())
    done = writer._done

    def done_and_cancelled(batch, outcomes):
        done(batch, outcomes)
        begin.cancel()

    writer._done = done_and_cancelled
    with pytest.raises(asyncio.CancelledError):
        await begin
    writer._done = done
    await put(driver, item, "next")


async def test_too_many_waiting_writes_are_refused(tmp_path, item):
    async with opened(SqliteDriver, dir=tmp_path, max_queue=5) as driver:
        await driver.create(item("put").table)
        writes = [put(driver, item, number) for number in range(8)]
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        refused = [o for o in outcomes if isinstance(o, Unavailable)]
        assert len(refused) == 3
        assert "no more resources" in str(refused[0])


async def test_close_finishes_what_waits(tmp_path, item):
    async with opened(SqliteDriver, "test", dir=tmp_path) as driver:
        await driver.create(item("put").table)
        writes = [asyncio.ensure_future(put(driver, item, number)) for number in range(5)]
        await asyncio.sleep(0)
        await driver.close()
        assert [(await write).affected for write in writes] == [1] * 5
        with pytest.raises(Unavailable, match="closed"):
            await put(driver, item, "late")


async def test_close_rolls_back_an_abandoned_transaction(tmp_path, item):
    async with opened(SqliteDriver, "test", dir=tmp_path, timeout=50) as driver:
        await driver.create(item("put").table)
        await put(await driver.begin(), item, "lost")
    async with opened(SqliteDriver, "test", dir=tmp_path) as driver:
        assert await ids(driver, item) == []


async def test_bulk_of_any_size_waits_for_the_writer(tmp_path, item):
    """More records than may wait: all are stored, and single writes keep their limit."""
    async with opened(SqliteDriver, dir=tmp_path, max_queue=5) as driver:
        await driver.create(item("create").table)
        reqs = [item("add", values={"id": str(i % 10_000), "must": "x"}) for i in range(10_001)]
        errors = await driver.bulk(reqs)
        assert [i for i, error in enumerate(errors) if error] == [10_000]
        assert isinstance(errors[-1], AlreadyExists)
        assert await driver.total(item("total")) == 10_000


async def test_bulk_that_ends_early_says_so_for_the_rest(tmp_path, item, monkeypatch):
    """What was stored before the file went away counts, the rest does not."""
    async with opened(SqliteDriver, dir=tmp_path) as driver:
        await driver.create(item("create").table)
        piece, calls = driver._piece, []

        async def lose(reqs):
            if calls:
                raise Unavailable("gone")
            calls.append(reqs)
            return await piece(reqs)

        monkeypatch.setattr(driver, "_piece", lose)
        reqs = [item("put", values={"id": str(i), "must": "x"}) for i in range(2500)]
        errors = await driver.bulk(reqs)
        assert errors[:1000] == [None] * 1000
        assert {str(error) for error in errors[1000:]} == {"gone"}
        assert len(errors) == 2500
        assert await driver.total(item("total")) == 1000


async def test_cancelled_bulk_leaves_what_has_not_begun(tmp_path, item):
    async with opened(SqliteDriver, dir=tmp_path) as driver:
        await driver.create(item("create").table)
        tx = await driver.begin()
        reqs = [item("put", values={"id": str(i), "must": "x"}) for i in range(50)]
        task = asyncio.ensure_future(driver.bulk(reqs))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await tx.rollback()
        assert await driver.total(item("total")) == 0
