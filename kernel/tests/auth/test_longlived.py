"""Connections that stay open are looked at when an account changes, and once in a while."""

from __future__ import annotations

import asyncio
from typing import Any

from bkjs.auth.longlived import LongLived
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


async def test_strangers_have_no_ticket(auth: Any):
    assert auth.auth.ticket(auth.request()) is None
    auth.hooks.authenticate = lambda req: {"login": "jwt", "id": "5"}
    req = auth.request()
    assert await auth.status(req) == 200
    assert auth.auth.ticket(req) is None
