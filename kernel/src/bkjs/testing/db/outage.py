"""Tests of a driver whose server goes away, hangs and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import pytest

from bkjs.db.contract import DbDriver
from bkjs.db.database import Database
from bkjs.errors import BkError, Timeout, Unavailable

from .base import KitBase
from .opened import database

TABLE = "kit_outage"
STORED = 5
"""Rows that are there before anything happens."""
TASKS = 8
SOON = 20.0
"""Seconds until everything works again after a server has come back."""


class Stoppable(Protocol):
    """A server for these tests; each call returns when it has had its effect."""

    def stop(self) -> None:
        """End it; its data stay where it keeps any."""

    def start(self) -> None:
        """Start it again under the same address, and wait until it answers."""

    def pause(self) -> None:
        """Let it hang: it holds its connections and answers nothing."""

    def resume(self) -> None:
        """Let it go on."""


class OutageTests(KitBase):
    """A driver on a server that goes away, hangs and comes back, while the pool stays open.

    Give it two fixtures: `server`, which is `Stoppable`, and `driver`, opened on it with a `max` of
    at least 2, short times, and a password in its URL where it takes one. The server may be shared
    by the tests of a class: each leaves it running.
    """

    durable = True
    """The server still has its data when it was stopped and started."""
    within = 10.0
    """Seconds in which any request ends; to be more than the driver's times allow together."""

    @pytest.fixture
    async def db(self, server: Stoppable, driver: DbDriver) -> AsyncIterator[Database]:
        """A database over the driver, whose server runs, and some rows."""
        db = database(driver)
        db.describe_tables({TABLE: {"id": {"primary": 1, "type": "int"}, "text": {}}})
        await db.drop(TABLE)
        await db.create(TABLE)
        for number in range(STORED):
            await write(db, number)
        yield db
        await db.drop(TABLE)

    async def test_requests_fail_in_time_while_the_server_is_away(
        self, server: Stoppable, db: Database
    ) -> None:
        """Each kind of request raises Unavailable, one or many at a time."""
        async with away(server):
            for request in requests(db).values():
                await self._fails(request)
            await asyncio.gather(*(self._fails(requests(db)["get"]) for _ in range(TASKS * 2)))
        await works(db)
        await settled(db)

    async def test_what_fails_names_no_password(self, server: Stoppable, db: Database) -> None:
        """Neither in the message nor in the errors that led to it: those stand in the log.

        *Troubleshooting*: leave the login out of the URL before a client gets it, or raise from
        None.
        """
        driver = db.pool().driver
        password = unquote(urlsplit(driver.url).password or "")
        if not password:
            pytest.skip("the URL has no password")
        async with away(server):
            for request in requests(db).values():
                error: BaseException | None = await self._fails(request)
                while error is not None:
                    assert password not in f"{error}{error!r}"
                    error = error.__cause__ or error.__context__

    async def test_the_pool_works_again_when_the_server_is_back(
        self, server: Stoppable, db: Database
    ) -> None:
        """Without being opened anew, also after a failure with each connection."""
        async with away(server):
            await asyncio.gather(*(self._fails(requests(db)["get"]) for _ in range(TASKS)))
        await works(db)
        await write(db, 99)
        assert await db.get(TABLE, {"id": 99}) == {"id": 99, "text": "row 99"}
        await settled(db)

    async def test_a_restart_while_nobody_asks_is_not_noticed_by_reads(
        self, server: Stoppable, db: Database
    ) -> None:
        """The connections of before are dead; reading may always be tried again."""
        await asyncio.gather(*(db.get(TABLE, {"id": 1}) for _ in range(TASKS)))
        async with away(server):
            pass
        await asyncio.gather(*(db.get(TABLE, {"id": 1}) for _ in range(TASKS)))

    async def test_what_was_acknowledged_is_stored_after_a_restart_under_load(
        self, server: Stoppable, db: Database
    ) -> None:
        """Who writes gets an answer that is true, or Unavailable, and goes on afterwards."""
        written: list[int] = []
        failures: list[Unavailable] = []
        done = asyncio.Event()
        more = asyncio.Condition()

        async def load(task: int) -> None:
            number = 1000 + task
            while not done.is_set():
                number += TASKS
                try:
                    async with asyncio.timeout(self.within):
                        await write(db, number)
                    written.append(number)
                except Unavailable as error:
                    failures.append(error)
                    await asyncio.sleep(0.005)
                async with more:
                    more.notify_all()

        async def goes_on() -> None:
            goal = len(written) + 3 * TASKS
            async with asyncio.timeout(SOON), more:
                await more.wait_for(lambda: len(written) >= goal)

        async with asyncio.TaskGroup() as group:
            for task in range(TASKS):
                group.create_task(load(task))
            await goes_on()
            async with away(server), asyncio.timeout(self.within), more:
                await more.wait_for(lambda: bool(failures))
            await goes_on()
            done.set()
        await settled(db)
        if self.durable:
            found = await asyncio.gather(*(db.get(TABLE, {"id": number}) for number in written))
            assert [row["id"] for row in found if row] == written

    async def test_a_server_that_hangs_is_a_timeout(self, server: Stoppable, db: Database) -> None:
        """A connection that was good gives no answer; further requests wait no longer for it."""
        await asyncio.gather(*(db.get(TABLE, {"id": 1}) for _ in range(TASKS)))
        async with hanging(server):
            assert isinstance(await self._fails(requests(db)["get"]), Timeout)
            assert isinstance(await self._fails(requests(db)["put"]), Timeout)
            await asyncio.gather(*(self._fails(requests(db)["get"]) for _ in range(TASKS * 2)))
        await works(db)
        await settled(db)

    async def test_a_cancelled_request_gives_its_place_back(
        self, server: Stoppable, db: Database
    ) -> None:
        """Those that wait for an answer and those that wait for a connection."""
        await asyncio.gather(*(db.get(TABLE, {"id": 1}) for _ in range(TASKS)))
        async with hanging(server):
            tasks = [asyncio.ensure_future(requests(db)["get"]()) for _ in range(TASKS * 2)]
            await asyncio.sleep(0.05)  # until some have been sent
            for task in tasks:
                task.cancel()
            async with asyncio.timeout(self.within):
                ended = await asyncio.gather(*tasks, return_exceptions=True)
            assert {type(end) for end in ended} == {asyncio.CancelledError}
        await works(db)
        await settled(db)
        await asyncio.gather(*(db.get(TABLE, {"id": 1}) for _ in range(TASKS * 2)))

    async def _fails(self, request: Callable[[], Awaitable[Any]]) -> BkError:
        """The error of a request: Unavailable, in time."""
        try:
            async with asyncio.timeout(self.within):
                await request()
        except Unavailable as error:
            return error
        except TimeoutError:
            pytest.fail(f"no error in {self.within:g} s: the request hangs")
        pytest.fail("it succeeded although the server does not answer")


def requests(db: Database) -> dict[str, Callable[[], Awaitable[Any]]]:
    """One request of each kind."""
    return {
        "get": lambda: db.get(TABLE, {"id": 1}),
        "put": lambda: write(db, 77),
        "delete": lambda: db.del_(TABLE, {"id": 78}),
        "select": lambda: db.select(TABLE, {}),
        "alive": lambda: db.pool().driver.alive(),
    }


async def write(db: Database, number: int) -> None:
    """Store one row."""
    await db.put(TABLE, {"id": number, "text": f"row {number}"})


async def works(db: Database) -> None:
    """Return when requests succeed again; raises the last error when they do not soon."""
    give_up = asyncio.get_running_loop().time() + SOON
    while True:
        try:
            assert await db.get(TABLE, {"id": -1}) is None
            return
        except Unavailable:
            if asyncio.get_running_loop().time() > give_up:
                raise
            await asyncio.sleep(0.05)


async def settled(db: Database) -> None:
    """Nothing is held or waited for any more, as far as the driver counts that."""
    driver = db.pool().driver
    stats = driver.stats()
    give_up = asyncio.get_running_loop().time() + SOON
    while stats.get("busy") or stats.get("waiting"):
        assert asyncio.get_running_loop().time() < give_up, f"still held: {stats}"
        await asyncio.sleep(0.02)
        stats = driver.stats()
    assert stats.get("open", 0) <= int(driver.options.get("max") or stats.get("open", 0))


@asynccontextmanager
async def away(server: Stoppable) -> AsyncIterator[None]:
    """The server is stopped, and started again at the end."""
    await asyncio.to_thread(server.stop)
    try:
        yield
    finally:
        await asyncio.to_thread(server.start)


@asynccontextmanager
async def hanging(server: Stoppable) -> AsyncIterator[None]:
    """The server is paused, and goes on at the end."""
    await asyncio.to_thread(server.pause)
    try:
        yield
    finally:
        await asyncio.to_thread(server.resume)
