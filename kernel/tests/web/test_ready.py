"""/ready: whether the databases answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bkjs.db.pools.memory import MemoryDriver
from bkjs.errors import Unavailable
from bkjs.web.endpoints import ready

from ..harness import add_account


@pytest.fixture
def alive(monkeypatch: Any) -> list[str]:
    """The pools that were asked; `down` in it makes them fail, `slow` makes them wait."""
    asked: list[str] = []

    async def ask(driver: MemoryDriver) -> None:
        asked.append(driver.name)
        if "down" in asked:
            raise Unavailable("memory: no connection to db.internal:5432")
        if "slow" in asked:
            await asyncio.sleep(10)

    monkeypatch.setattr(MemoryDriver, "alive", ask)
    monkeypatch.setattr(ready, "AGE", 0.05)
    return asked


async def test_it_is_200_when_every_database_answers(site: Any, alive: list[str]) -> None:
    async with site() as s:
        reply = await s.ask("/ready")
        assert (reply.status, reply.json()) == (200, {"ready": True})
        assert "no-store" in reply.headers["cache-control"]


async def test_it_is_503_when_one_does_not_and_only_administrators_hear_why(
    site: Any, alive: list[str]
) -> None:
    async with site() as s:
        await add_account(s.app, "u")
        await add_account(s.app, "root", type="admin")
        alive.append("down")
        for login in ("", "u"):
            reply = await s.ask("/ready", login=login)
            assert reply.status == 503
            assert reply.headers["retry-after"] == "1"
            assert "db.internal" not in str(reply.json())
        reply = await s.ask("/ready", login="root")
        assert reply.json()["pools"] == {"memory": "memory: no connection to db.internal:5432"}
        alive.clear()
        await asyncio.sleep(0.06)
        assert (await s.ask("/ready")).status == 200


async def test_an_answer_that_takes_too_long_is_none(
    site: Any, alive: list[str], monkeypatch: Any
) -> None:
    monkeypatch.setattr(ready, "WAIT", 0.01)
    alive.append("slow")
    async with site() as s:
        assert (await s.ask("/ready")).status == 503


async def test_an_administrator_hears_how_long_was_waited(
    site: Any, alive: list[str], monkeypatch: Any
) -> None:
    monkeypatch.setattr(ready, "WAIT", 0.01)
    alive.append("slow")
    async with site() as s:
        await add_account(s.app, "root", type="admin")
        reply = await s.ask("/ready", login="root")
        assert reply.json()["pools"] == {"memory": "no answer in 0.01 s"}


async def test_an_answer_counts_for_a_while(site: Any, alive: list[str], monkeypatch: Any) -> None:
    now = [1000.0]
    monkeypatch.setattr(ready, "AGE", 1.0)
    monkeypatch.setattr(ready, "monotonic", lambda: now[0])
    async with site() as s:
        for moment, asked in ((1000.0, 1), (1000.9, 1), (1001.0, 2), (1001.5, 2), (1002.5, 3)):
            now[0] = moment
            assert (await s.ask("/ready")).status == 200
            assert len(alive) == asked


async def test_who_leaves_takes_no_answer_from_the_others(
    site: Any, alive: list[str], monkeypatch: Any
) -> None:
    asked = asyncio.Event()

    async def slow(driver: MemoryDriver) -> None:
        asked.set()
        await asyncio.sleep(0.05)

    monkeypatch.setattr(MemoryDriver, "alive", slow)
    async with site() as s:
        first = asyncio.create_task(s.ask("/ready"))
        await asked.wait()
        second = asyncio.create_task(s.ask("/ready"))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).status == 200


async def test_databases_are_asked_once_however_many_ask(site: Any, alive: list[str]) -> None:
    async with site() as s:
        replies = await asyncio.gather(*(s.ask("/ready") for _ in range(50)))
    assert {reply.status for reply in replies} == {200}
    assert alive == ["memory"]
