"""Transactions: whose calls are part of one, what waits for its end, and what is left after it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any

import pytest

from bkjs.db.database import Database
from bkjs.db.pools.inside import INSIDE
from bkjs.db.pools.memory import MemoryDriver
from bkjs.testing.db.opened import database

TABLES = {"t": {"id": {"primary": 1}, "num": {"type": "int"}}}


@pytest.fixture
def db() -> Database:
    made = database(MemoryDriver("memory", "", {}))
    made.add_pool("memory2", MemoryDriver("memory2", "", {}))
    made.describe_tables(TABLES)
    return made


def outside(call: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """The call as another request makes it, which knows nothing of our transactions."""
    return asyncio.create_task(call, context=contextvars.Context())


async def begin(db: Database) -> None:
    async with db.transaction():
        pass


@pytest.mark.parametrize("planned", [False, True])
async def test_a_call_inside_that_is_no_part_of_it_is_refused(db: Database, planned: bool):
    calls = {
        "get": lambda: db.get("t", {"id": "1"}),
        "select": lambda: db.select("t", {"num": 1}),
        "add": lambda: db.add("t", {"id": "1"}),
        "update": lambda: db.update("t", {"id": "1", "num": 1}),
        "del": lambda: db.del_("t", {"id": "1"}),
        "begin": lambda: begin(db),
    }
    if planned:
        for call in calls.values():
            await call()
    async with db.transaction() as tx:
        for call in calls.values():
            with pytest.raises(RuntimeError, match="inside of a transaction of pool 'memory'"):
                await call()
            with pytest.raises(RuntimeError, match="inside of a transaction"):
                await asyncio.create_task(call())
        assert await tx.get("t", {"id": "1"}) is None
        assert await outside(db.get("t", {"id": "1"})) is None
    for call in calls.values():
        await call()


async def test_other_pools_are_not_concerned(db: Database):
    async with db.transaction() as tx:
        await db.add("t", {"id": "1"}, pool="memory2")
        assert await db.get("t", {"id": "1"}, pool="memory2") is not None
        async with db.transaction(pool="memory2") as other:
            await other.update("t", {"id": "1", "num": 2})
            for pool in ("memory", "memory2"):
                with pytest.raises(RuntimeError, match=f"of pool '{pool}'"):
                    await db.get("t", {"id": "1"}, pool=pool)
        row = await db.get("t", {"id": "1"}, pool="memory2")
        assert row == {"id": "1", "num": 2}
        assert await tx.get("t", {"id": "1"}) is None


async def test_nothing_is_told_of_what_was_rolled_back(db: Database):
    told: list[str] = []

    class Cache:
        async def get(self, target: Any, key: Any, options: Any, load: Any) -> Any:
            return await load(options)

        async def written(self, verb: str, *arguments: Any) -> None:
            told.append(verb)

    async def fail() -> None:
        async with db.transaction() as tx:
            await tx.add("t", {"id": "1"})
            tx.after_commit(lambda: told.append("commit"))
            raise KeyError

    db.set_cache(Cache())
    with pytest.raises(KeyError):
        await fail()
    assert told == []
    assert await db.get("t", {"id": "1"}) is None
    async with db.transaction() as tx:
        await tx.add("t", {"id": "1"})
        assert told == []
    assert told == ["add"]


async def test_its_operations_run_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch, db: Database
):
    running, most = 0, 0
    async with db.transaction() as tx:
        operations = type(tx.target("t").ops)
        get = operations.get

        async def slow(self: Any, req: Any) -> Any:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            if req.key["id"] == "2":
                running -= 1
                raise ValueError("no such key")
            found = await get(self, req)
            running -= 1
            return found

        monkeypatch.setattr(operations, "get", slow)
        found = await asyncio.gather(
            *(tx.get("t", {"id": str(n)}) for n in range(5)), return_exceptions=True
        )
    assert most == 1
    assert [isinstance(item, Exception) for item in found] == [n == 2 for n in range(5)]


async def test_an_operation_that_is_given_up_before_its_turn_leaves_nothing(db: Database):
    async with db.transaction() as tx:
        turn = tx.target("t").pool._turn  # type: ignore[attr-defined]
        await turn.acquire()
        waiting = asyncio.create_task(tx.get("t", {"id": "1"}))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        turn.release()
        assert await tx.get("t", {"id": "1"}) is None


async def test_plans_are_back_when_the_last_of_several_is_over(db: Database):
    await db.get("t", {"id": "1"})
    plans = db.plans
    release = asyncio.Event()

    async def hold() -> None:
        async with db.transaction():
            await release.wait()

    for _ in range(2):
        held = [outside(hold()) for _ in range(3)]
        for _ in range(20):
            await asyncio.sleep(0)
        assert db.plans is not plans
        release.set()
        await asyncio.gather(*held)
        release.clear()
        assert (db.held, db.plans) == (0, plans)
        assert db.plans is plans


async def test_a_hook_that_comes_meanwhile_is_called(db: Database):
    await db.add("t", {"id": "1"})
    assert await db.get("t", {"id": "1"}) is not None
    async with db.transaction():
        db.set_process_row("post", "t", lambda req, row, options: True)
        assert await outside(db.get("t", {"id": "1"})) is None
    assert await db.get("t", {"id": "1"}) is None


async def test_what_was_begun_inside_is_free_when_it_is_over(db: Database):
    """Also while others are open, when somebody looks who is inside of which."""
    over, release = asyncio.Event(), asyncio.Event()

    async def later() -> Any:
        await over.wait()
        return await db.get("t", {"id": "1"})

    async def hold() -> None:
        async with db.transaction():
            await release.wait()

    other = outside(hold())
    async with db.transaction():
        begun = asyncio.create_task(later())
    assert INSIDE.get() == ()
    over.set()
    assert await begun is None
    release.set()
    await other
