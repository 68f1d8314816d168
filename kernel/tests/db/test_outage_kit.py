"""The outage tests find each fault that they are for: a driver that has it does not pass."""

import asyncio
import inspect

import pytest

from bkjs.db.contract import Capabilities, DbDriver, Page, Shape, Written
from bkjs.errors import Timeout, Unavailable
from bkjs.testing.db import OutageTests, database, opened
from bkjs.testing.db.outage import TABLE


class Server:
    """Rows behind a door, which is open, shut, or jammed."""

    def __init__(self):
        self.rows = {}
        self.epoch = 0
        self.up = True
        self.free = asyncio.Event()
        self.free.set()
        self.loop = asyncio.get_running_loop()

    def stop(self):
        self.up = False

    def start(self):
        self.up = True
        self.epoch += 1

    def pause(self):
        self.loop.call_soon_threadsafe(self.free.clear)

    def resume(self):
        self.loop.call_soon_threadsafe(self.free.set)


class Client(DbDriver):
    """A right client of it: four places, one limit of time, a connection that is made anew."""

    can = Capabilities()
    shape = Shape(binary=False)
    limit = 0.3

    async def open(self):
        self.server = self.options["server"]
        self.places = asyncio.Semaphore(4)
        self.busy = 0
        self.epoch = self.server.epoch

    async def close(self):
        pass

    async def call(self, work, write=False):
        try:
            async with asyncio.timeout(self.limit), self.places:
                self.busy += 1
                try:
                    return await self.ask(work, write)
                finally:
                    self.busy -= 1
        except TimeoutError:
            raise Timeout("no answer") from None

    async def ask(self, work, write):
        await asyncio.sleep(0)
        if not self.server.up:
            raise Unavailable("away")
        self.epoch = self.server.epoch
        await self.server.free.wait()
        return work()

    async def get(self, req):
        return await self.call(lambda: self.server.rows.get(req.key["id"]))

    async def put(self, req):
        row = dict(req.values)
        await self.call(lambda: self.server.rows.update({row["id"]: row}), write=True)
        return Written(1)

    async def delete(self, req):
        await self.call(lambda: self.server.rows.pop(req.key["id"], None), write=True)
        return Written(1)

    async def select(self, req):
        return await self.call(lambda: Page(list(self.server.rows.values())))

    async def alive(self):
        await self.call(lambda: None)

    async def drop(self, table):
        self.server.rows.clear()

    def stats(self):
        return {"busy": self.busy}


class Hangs(Client):
    """It waits for a server that is away."""

    async def ask(self, work, write):
        if not self.server.up:
            await asyncio.Event().wait()
        return await super().ask(work, write)

    limit = 60


class Forgets(Client):
    """It says that it has written what is still on its way."""

    async def put(self, req):
        row = dict(req.values)
        if row["id"] % 7:
            return await super().put(req)
        await self.call(lambda: None, write=True)
        return Written(1)


class GivesUp(Client):
    """It is of no use any more after a failure."""

    broken = False

    async def ask(self, work, write):
        self.broken = self.broken or not self.server.up
        if self.broken:
            raise Unavailable("away")
        return await super().ask(work, write)


class Notices(Client):
    """The first request on a connection of before fails."""

    async def ask(self, work, write):
        if self.epoch != self.server.epoch:
            self.epoch = self.server.epoch
            raise Unavailable("the connection was lost")
        return await super().ask(work, write)


class Tells(Client):
    """The URL is in its error."""

    async def ask(self, work, write):
        if not self.server.up:
            raise Unavailable("away") from ConnectionError(f"cannot reach {self.url}")
        return await super().ask(work, write)


class Leaks(Client):
    """A place is lost with a request that is cancelled."""

    async def call(self, work, write=False):
        if not self.server.free.is_set():
            await self.places.acquire()
            await self.ask(work, write)
            self.places.release()
        return await super().call(work, write)


class SaysAway(Client):
    """A server that hangs is not told from one that is away."""

    async def call(self, work, write=False):
        try:
            return await super().call(work, write)
        except Timeout:
            raise Unavailable("no answer") from None


class Pretends(Client):
    """It is alive, whatever happens."""

    async def alive(self):
        pass


class Kit(OutageTests):
    within = 2.0


NAMES = [name for name in vars(OutageTests) if name.startswith("test_")]


async def failing(kind, names, monkeypatch):
    """Which of these tests a driver does not pass."""
    monkeypatch.setattr("bkjs.testing.db.outage.SOON", 2.0)
    failed = set()
    for name in names:
        server = Server()
        url = "fake://me:hush-hush@there"
        async with opened(kind, url, server=server, max=4) as driver:
            db = database(driver)
            db.describe_tables({TABLE: {"id": {"primary": 1, "type": "int"}, "text": {}}})
            for number in range(5):
                await db.put(TABLE, {"id": number, "text": f"row {number}"})
            try:
                async with asyncio.timeout(20):
                    await getattr(Kit(), name)(server, db)
            except (Exception, pytest.fail.Exception):
                failed.add(name)
    return failed


def test_each_test_says_what_it_promises():
    assert len(NAMES) == 7
    assert all(inspect.getdoc(getattr(OutageTests, name)) for name in NAMES)


async def test_a_right_driver_passes(monkeypatch):
    assert await failing(Client, NAMES, monkeypatch) == set()


@pytest.mark.parametrize(
    ("kind", "test"),
    [
        (Hangs, "test_requests_fail_in_time_while_the_server_is_away"),
        (Hangs, "test_a_server_that_hangs_is_a_timeout"),
        (Pretends, "test_requests_fail_in_time_while_the_server_is_away"),
        (Tells, "test_what_fails_names_no_password"),
        (GivesUp, "test_the_pool_works_again_when_the_server_is_back"),
        (Notices, "test_a_restart_while_nobody_asks_is_not_noticed_by_reads"),
        (Forgets, "test_what_was_acknowledged_is_stored_after_a_restart_under_load"),
        (SaysAway, "test_a_server_that_hangs_is_a_timeout"),
        (Leaks, "test_a_cancelled_request_gives_its_place_back"),
    ],
)
async def test_a_driver_with_a_fault_does_not_pass(kind, test, monkeypatch):
    assert await failing(kind, [test], monkeypatch) == {test}
