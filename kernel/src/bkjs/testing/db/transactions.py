"""Conformance tests of a driver's own transactions, where they are claimed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bkjs.db.contract import Change, Condition, DbDriver, Operations, Row
from bkjs.db.database import Database
from bkjs.errors import AlreadyExists, Conflict

from .base import KitBase, answer, empty, found, need, store, stored
from .tables import ITEMS, clean, ids, request, sets, where

KEY = {"id": "a"}


async def _all(ops: Operations, **fields: Any) -> str:
    return ids(await answer(ops, request("select", "kit_item", **fields)))


async def _row(ops: Operations, id: str) -> Row | None:
    return clean(await ops.get(request("get", "kit_item", key={"id": id})))


class TransactionTests(KitBase):
    """Writes take effect together, or none of them."""

    async def test_commit_and_rollback(self, db: Database, driver: DbDriver) -> None:
        """All writes of a transaction happen at its commit, none after a rollback.

        Troubleshooting: the transaction needs a connection of its own until it ends.
        """
        need(driver, "transactions")
        running = await driver.begin()
        await running.put(request("put", "kit_item", values=ITEMS[0]))
        assert await _row(running, "a") == ITEMS[0]
        await running.rollback()
        assert await found(driver, "kit_item") == []
        running = await driver.begin()
        await running.put(request("put", "kit_item", values=ITEMS[0]))
        await running.put(request("put", "kit_item", values=ITEMS[1]))
        await running.commit()
        assert ids(await found(driver, "kit_item")) == "ab"

    @pytest.mark.parametrize("commit", [True, False])
    async def test_every_verb_inside(self, db: Database, driver: DbDriver, commit: bool) -> None:
        """Each write is seen by the transaction's own reads at once, and outside when it is
        committed; after a rollback nothing of it is left.

        Troubleshooting: every method of the transaction has to go to its own connection.
        """
        need(driver, "transactions")
        can, rows = driver.can, ITEMS[:4]
        await store(driver, "kit_item", *rows)
        await store(driver, "kit_count", {"id": "a", "likes": 5})
        running = await driver.begin()
        inside = {row["id"]: dict(row) for row in rows}
        counted: Row | None = {"id": "a", "likes": 5}

        async def same() -> None:
            assert await _all(running) == "".join(sorted(inside))
            for row in ITEMS:
                assert await _row(running, row["id"]) == inside.get(row["id"])
            if can.total:
                assert await running.total(request("total", "kit_item")) == len(inside)
            if can.many:
                keys = [{"id": row["id"]} for row in ITEMS]
                many = await running.many(request("many", "kit_item", keys=keys))
                assert ids(many) == "".join(sorted(inside))

        try:
            await same()
            await running.put(request("put", "kit_item", values={"id": "a", "num": 50}))
            inside["a"] = {"id": "a", "num": 50}
            await same()
            assert (
                await running.delete(request("delete", "kit_item", key={"id": "b"}))
            ).affected == 1
            del inside["b"]
            await same()
            if can.add:
                await running.add(request("add", "kit_item", values=clean(ITEMS[5])))
                inside["f"] = clean(ITEMS[5]) or {}
                await same()
            if can.update:
                change = request(
                    "update", "kit_item", key={"id": "c"}, changes=sets(name="changed")
                )
                assert (await running.update(change)).affected == 1
                inside["c"]["name"] = "changed"
                await same()
            if can.update_all:
                await running.update_all(request("update_all", "kit_item", changes=sets(tag="all")))
                for row in inside.values():
                    row["tag"] = "all"
                await same()
            if can.counters:
                changes = [Change("likes", "incr", 2)]
                await running.update(request("update", "kit_count", key=KEY, changes=changes))
                counted = {"id": "a", "likes": 7}
            if can.conditional:
                for value, affected in ((1, 0), (50, 1)):
                    put = request(
                        "put",
                        "kit_item",
                        values={"id": "a", "num": 51},
                        expected=where(Condition("num", "eq", value)),
                    )
                    assert (await running.put(put)).affected == affected
                inside["a"] = {"id": "a", "num": 51}
                await same()
            if can.delete_all and driver.native(
                request("select", "kit_item").table, Condition("num", "eq", 51)
            ):
                gone = request("delete_all", "kit_item", where=where(Condition("num", "eq", 51)))
                assert await running.delete_all(gone) == 1
                del inside["a"]
                await same()
        finally:
            await (running.commit if commit else running.rollback)()
        left = inside if commit else {row["id"]: clean(row) for row in rows}
        assert {r["id"]: clean(r) for r in await found(driver, "kit_item")} == left
        wanted = counted if commit else {"id": "a", "likes": 5}
        assert await stored(driver, "kit_count", id="a") == wanted

    async def test_nobody_sees_what_is_not_committed(self, db: Database, driver: DbDriver) -> None:
        """Reads outside give the rows as they are stored, or wait for the end.

        Troubleshooting: reads must not share the connection of a transaction.
        """
        need(driver, "transactions")
        await store(driver, "kit_item", ITEMS[0], ITEMS[1])
        running = await driver.begin()
        await running.put(request("put", "kit_item", values={"id": "a", "num": 50}))
        await running.delete(request("delete", "kit_item", key={"id": "b"}))
        await running.put(request("put", "kit_item", values={"id": "z", "num": 50}))
        reads: list[Any] = [
            asyncio.ensure_future(driver.get(request("get", "kit_item", key=KEY))),
            asyncio.ensure_future(driver.select(request("select", "kit_item"))),
        ]
        await asyncio.wait(reads, timeout=0.1)
        await running.rollback()
        row, page = await asyncio.gather(*reads)
        assert clean(row) == ITEMS[0]
        assert ids(page.rows) == "ab"

    @pytest.mark.parametrize("second", ["put", "update", "delete"])
    async def test_of_two_that_change_a_row_one_is_told(
        self, db: Database, driver: DbDriver, second: str
    ) -> None:
        """Both have read it; a call or the commit of one raises Conflict, and its writes are not
        there.

        Troubleshooting: see `test_transactions_lose_no_update`.
        """
        need(driver, "transactions", *(["update"] if second == "update" else []))
        await store(driver, "kit_item", ITEMS[0])
        together = asyncio.Barrier(2)

        async def change(verb: str, num: int) -> Any:
            running = await driver.begin()
            try:
                row = await _row(running, "a")
                try:
                    await asyncio.wait_for(together.wait(), 0.2)
                except (TimeoutError, asyncio.BrokenBarrierError):
                    row = await _row(running, "a")  # they run one after the other
                if row is None:
                    raise Conflict
                fields: Any = {"put": {"values": {**row, "num": row["num"] + num}}}
                fields["update"] = {"key": KEY, "changes": sets(num=row["num"] + num)}
                fields["delete"] = {"key": KEY}
                await getattr(running, verb)(request(verb, "kit_item", **fields[verb]))
                await running.put(request("put", "kit_item", values={"id": verb, "num": num}))
            except BaseException:
                await running.rollback()
                raise
            await running.commit()

        try:
            done = await asyncio.wait_for(
                asyncio.gather(change("put", 10), change(second, 100), return_exceptions=True), 20
            )
        except TimeoutError:
            pytest.fail("two transactions wait for each other")
        errors = [driver.error(e) for e in done if isinstance(e, Exception)]
        assert all(isinstance(error, Conflict) for error in errors), errors
        row = await stored(driver, "kit_item", id="a")
        if not errors:  # one began when the other was over
            wanted: Any = None if second == "delete" else 111
        elif isinstance(done[0], Exception):
            wanted = None if second == "delete" else 101
        else:
            wanted = 11
        assert (row and row["num"]) == wanted, f"an update is lost: {row}, {done}"

    async def test_a_failed_write_inside(self, db: Database, driver: DbDriver) -> None:
        """An add of a key that is there is AlreadyExists, and nothing of the transaction is left
        after its rollback."""
        need(driver, "transactions", "add")
        await store(driver, "kit_item", ITEMS[0])
        running = await driver.begin()
        await running.put(request("put", "kit_item", values=ITEMS[1]))
        with pytest.raises(Exception) as caught:  # noqa: PT011 - the client's own class
            await running.add(request("add", "kit_item", values=ITEMS[0]))
        assert isinstance(driver.error(caught.value), AlreadyExists)
        await running.rollback()
        assert ids(await found(driver, "kit_item")) == "a"

    @pytest.mark.parametrize("end", ["commit", "rollback"])
    async def test_nothing_works_after_the_end(
        self, db: Database, driver: DbDriver, end: str
    ) -> None:
        """A write after the end is an error or does nothing, and never changes what is stored.

        Troubleshooting: the connection is somebody else's by then.
        """
        need(driver, "transactions")
        running = await driver.begin()
        await running.put(request("put", "kit_item", values=ITEMS[0]))
        await getattr(running, end)()
        await _refused(running.put(request("put", "kit_item", values=ITEMS[1])))
        await _refused(running.delete(request("delete", "kit_item", key=KEY)))
        other = await driver.begin()
        await _refused(running.put(request("put", "kit_item", values=ITEMS[2])))
        await other.commit()
        await _refused(running.commit())
        await _refused(running.rollback())
        assert ids(await found(driver, "kit_item")) == ("a" if end == "commit" else "")

    async def test_cancelled_in_the_middle(self, db: Database, driver: DbDriver) -> None:
        """A transaction whose task is cancelled leaves nothing, and the next one works.

        Troubleshooting: a connection in the middle of a reply is not reused.
        """
        need(driver, "transactions")

        async def work() -> None:
            async with db.transaction() as tx:
                for number in range(1000):
                    await tx.put("kit_item", {"id": f"r{number}", "num": number})
                    await asyncio.sleep(0)

        for turns in (1, 2, 3, 7, 30):
            task = asyncio.ensure_future(work())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert await db.select("kit_item") == []
            running = await driver.begin()
            await running.put(request("put", "kit_item", values=ITEMS[0]))
            await running.commit()
            assert ids(await found(driver, "kit_item")) == "a"
            await driver.delete(request("delete", "kit_item", key=KEY))

    async def test_an_interrupted_commit_is_whole(self, db: Database, driver: DbDriver) -> None:
        """A commit that is cancelled has stored everything or nothing, and gives its connection
        back.

        Troubleshooting: what is not known to have ended must not be used again.
        """
        need(driver, "transactions")
        for turns in (*range(12), *[1] * 30):
            running = await asyncio.wait_for(driver.begin(), 20)
            for row in ITEMS[:3]:
                await running.put(request("put", "kit_item", values=row))
            commit = asyncio.ensure_future(running.commit())
            for _ in range(turns):
                await asyncio.sleep(0)
            commit.cancel()
            await asyncio.gather(commit, return_exceptions=True)
            await asyncio.gather(running.rollback(), return_exceptions=True)
            seen = ids(await asyncio.wait_for(found(driver, "kit_item"), 20))
            assert seen in ("", "abc"), "a part of what was committed is there"
            await empty(driver, "kit_item")

    async def test_commits_that_fail_leave_nothing(self, db: Database, driver: DbDriver) -> None:
        """Of many transactions at once that change one row those whose commit fails have stored
        nothing, and the next one works, however many have failed.

        Troubleshooting: a transaction whose commit raised is over, and its connection free.
        """
        need(driver, "transactions")
        await store(driver, "kit_count", {"id": "a", "total": 0})
        done = 0

        async def add(number: int) -> None:
            nonlocal done
            running = await driver.begin()
            try:
                row = await running.get(request("get", "kit_count", key=KEY))
                assert row is not None
                new = {"id": "a", "total": row["total"] + 1}
                await running.put(request("put", "kit_count", values=new))
                await running.put(
                    request("put", "kit_item", values={"id": f"r{number:03}", "num": number})
                )
                await running.commit()
            except BaseException:
                await running.rollback()
                raise
            done += 1

        for start in range(0, 40, 4):
            many = (asyncio.wait_for(add(start + n), 20) for n in range(4))
            ends = await asyncio.gather(*many, return_exceptions=True)
            errors = [driver.error(end) for end in ends if isinstance(end, Exception)]
            assert all(isinstance(error, Conflict) for error in errors), errors
        row = await stored(driver, "kit_count", id="a")
        assert row is not None
        assert row["total"] == done
        assert len(await found(driver, "kit_item")) == done


async def _refused(call: Any) -> None:
    try:
        await asyncio.wait_for(call, 5)
    except Exception:  # any error of the client's is good
        return
