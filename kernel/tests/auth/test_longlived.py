"""Connections that stay open are looked at when an account changes, and once in a while."""

from __future__ import annotations

import asyncio
from typing import Any

from bkjs.auth.cache import Epoch
from bkjs.auth.longlived import LongLived, Ticket
from bkjs.errors import Unavailable


class Connection:
    def __init__(self) -> None:
        self.ended = asyncio.Event()

    async def end(self) -> None:
        self.ended.set()


async def ticket(auth: Any) -> Any:
    req = auth.signed("u", "k")
    assert await auth.status(req) == 200
    return auth.auth.ticket(req)


async def test_a_change_is_noticed_without_being_told(auth: Any):
    held, connection = LongLived(auth.auth.holds, auth.auth.epoch, soon=0.001), Connection()
    held.hold(connection.end, await ticket(auth))
    await held.check()
    assert not connection.ended.is_set()
    await auth.auth.accounts.update("u", {"type": "staff"}, admin=True)
    await asyncio.wait_for(connection.ended.wait(), 5)
    assert len(held) == 0


async def test_what_only_time_ends_is_noticed_too(auth: Any):
    held, connection = (
        LongLived(auth.auth.holds, auth.auth.epoch, soon=0.001, anyway=0.002),
        Connection(),
    )
    held.hold(connection.end, (await ticket(auth))._replace(session="over"))
    await asyncio.wait_for(connection.ended.wait(), 5)


async def test_a_database_that_is_away_ends_nothing(auth: Any, monkeypatch: Any):
    holds, asked = auth.auth.holds, asyncio.Event()
    held = LongLived(lambda *a: auth.auth.holds(*a), auth.auth.epoch, soon=0.001)
    connection = Connection()
    held.hold(connection.end, await ticket(auth))

    async def away(*arguments: Any) -> bool:
        asked.set()
        raise Unavailable("no database")

    monkeypatch.setattr(auth.auth, "holds", away)
    await auth.auth.accounts.delete("u")
    await asyncio.wait_for(asked.wait(), 5)
    assert not connection.ended.is_set()
    monkeypatch.setattr(auth.auth, "holds", holds)
    await asyncio.wait_for(connection.ended.wait(), 5)


class Holder:
    """Says which logins are still good, without a database."""

    def __init__(self) -> None:
        self.good = {"a", "b"}

    async def __call__(self, ticket: Ticket, now: int) -> bool:
        return ticket.login in self.good

    def held(self) -> LongLived:
        return LongLived(self, Epoch(), soon=3600)


def of(login: str) -> Ticket:
    return Ticket(login, "", False, "")


async def test_each_account_that_used_a_connection_has_to_be_good():
    holder, connection = Holder(), Connection()
    held = holder.held()
    for login in ("a", "b"):
        held.hold(connection.end, of(login))
    await held.check()
    assert not connection.ended.is_set()
    for other in ("a", "b"):
        holder.good = {other}
        held.hold(connection.end, of("a"))
        held.hold(connection.end, of("b"))
        await held.check()
        assert connection.ended.is_set()
        connection.ended.clear()
        assert len(held) == 0
    held.close()


async def test_a_look_that_failed_is_made_again():
    epoch, asked, away = Epoch(), asyncio.Event(), True

    async def holds(ticket: Ticket, now: int) -> bool:
        asked.set()
        if away:
            raise Unavailable("no database")
        return False

    held, connection = LongLived(holds, epoch, soon=0.001), Connection()
    held.hold(connection.end, of("a"))
    await asyncio.sleep(0)  # it has seen the number that there is
    epoch.change()
    await asyncio.wait_for(asked.wait(), 5)
    away = False
    await asyncio.wait_for(connection.ended.wait(), 5)


async def test_one_that_cannot_be_ended_keeps_no_other():
    async def gone() -> None:
        raise ConnectionError("gone")

    holder, connection = Holder(), Connection()
    held = holder.held()
    held.hold(gone, of("x"))
    held.hold(connection.end, of("x"))
    await held.check()
    assert connection.ended.is_set()
    assert len(held) == 0
    held.close()


async def test_it_looks_as_long_as_there_are_connections_and_begins_again():
    holder = Holder()
    held = LongLived(holder, Epoch(), soon=0.001, anyway=0.002)
    for _ in range(2):
        connection = Connection()
        held.hold(connection.end, of("x"))
        await asyncio.wait_for(connection.ended.wait(), 5)
        watcher = held._task
        if watcher is not None:
            await asyncio.wait([watcher], timeout=5)
        assert held._task is None
    connection = Connection()
    held.hold(connection.end, of("a"))
    watcher = held._task
    assert watcher is not None
    held.release(connection.end)
    await asyncio.wait([watcher], timeout=5)
    held.hold(connection.end, of("a"))
    watcher = held._task
    held.close()
    await asyncio.wait([watcher], timeout=5)
    assert watcher.cancelled()


async def test_strangers_have_no_ticket(auth: Any):
    assert auth.auth.ticket(auth.request()) is None
    auth.hooks.authenticate = lambda req: {"login": "jwt", "id": "5"}
    req = auth.request()
    assert await auth.status(req) == 200
    assert auth.auth.ticket(req) is None
