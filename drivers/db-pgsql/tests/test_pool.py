"""The pool, with connections that are made up; no server is needed."""

import asyncio
import random

import asyncpg
import pytest

from bkjs.errors import Timeout, Unavailable
from bkjs_db_pgsql.pool import Pool


class Fake:
    """A connection that remembers what became of it."""

    def __init__(self):
        self.closed = self.terminated = self.dirty = False

    def is_closed(self):
        return self.closed

    def is_in_transaction(self):
        return self.dirty

    async def close(self, timeout):
        await asyncio.sleep(0)
        self.closed = True

    def terminate(self):
        self.closed = self.terminated = True


class Server:
    def __init__(self):
        self.made = []
        self.down = False

    async def connect(self):
        await asyncio.sleep(0)
        if self.down:
            raise Unavailable("p: no connection to h/d")
        self.made.append(Fake())
        return self.made[-1]


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def make(server):
    def pool(size=2, **settings):
        given = {"minimum": 0, "idle": 0, "timeout": 5, "limit": 5, "max_queue": 100, **settings}
        return Pool("p", server.connect, size=size, **given)

    return pool


async def turns(number=5):
    for _ in range(number):
        await asyncio.sleep(0)


async def test_last_one_given_back_is_taken_first(make):
    pool = make()
    first, second = await pool.take(), await pool.take()
    pool.give(first)
    pool.give(second)
    assert pool.ready() is second
    assert pool.ready() is first
    assert pool.ready() is None


async def test_fewer_connections_than_size_serve_everybody_in_turn(make, server):
    """A server that allows three where the pool may have ten: those three have to do."""
    pool, allowed, served = make(size=10, timeout=60, max_queue=1000), 3, []
    connect = server.connect

    async def refuse_more():
        connection = await connect()
        if len(server.made) > allowed:
            server.made.remove(connection)
            raise Unavailable("p: no connection to h/d: sorry, too many clients already")
        return connection

    pool._connect = refuse_more

    async def use(name):
        connection = await pool.take()
        await turns(random.randrange(4))
        served.append(name)
        pool.give(connection)

    await asyncio.gather(*(use(name) for name in range(300)))
    assert sorted(served) == list(range(300))
    assert len(server.made) == allowed
    assert pool.count == allowed
    assert not pool.waiting


async def test_who_waits_in_vain_for_a_place_gives_up_after_the_same_time(make, server):
    pool = make(size=3, timeout=0.05)
    held = await pool.take()
    server.down = True
    waits = [asyncio.create_task(pool.take()) for _ in range(3)]
    started = asyncio.get_running_loop().time()
    while not all(w.done() for w in waits):
        await asyncio.sleep(0.005)
        pool.wake(None)  # a place that nobody can use
    assert asyncio.get_running_loop().time() - started < 1
    for wait in waits:
        with pytest.raises(Timeout):
            await wait
    pool.give(held)


async def test_a_server_that_is_down_is_told_to_all_at_once(make, server):
    pool = make(size=16, timeout=60)
    server.down = True
    found = await asyncio.gather(*(pool.take() for _ in range(100)), return_exceptions=True)
    assert {type(error) for error in found} == {Unavailable}
    assert pool.count == 0


async def test_waiting_is_first_come_first_served(make):
    pool = make(size=1)
    connection = await pool.take()
    order = []

    async def use(name):
        taken = await pool.take()
        order.append(name)
        pool.give(taken)

    tasks = [asyncio.ensure_future(use(name)) for name in "abc"]
    await turns()
    assert len(pool.waiting) == 3
    pool.give(connection)
    await asyncio.gather(*tasks)
    assert order == ["a", "b", "c"]
    assert pool.count == 1


async def test_who_waits_too_long_is_told(make):
    pool = make(size=1, timeout=0.01)
    await pool.take()
    with pytest.raises(Timeout, match="timeout waiting for the resource"):
        await pool.take()


async def test_full_queue_fails_at_once(make):
    pool = make(size=1, max_queue=0)
    await pool.take()
    with pytest.raises(Unavailable, match="no more resources"):
        await pool.take()


async def test_connection_closed_by_the_server_is_not_used(make, server):
    pool = make()
    connection = await pool.take()
    pool.give(connection)
    connection.closed = True
    assert await pool.take() is not connection
    assert pool.count == 1


async def test_answered_error_keeps_the_connection(make):
    pool = make()
    connection = await pool.take()
    pool.settle(connection, asyncpg.UniqueViolationError("no"))
    assert pool.ready() is connection


@pytest.mark.parametrize(
    "exc",
    [asyncio.CancelledError(), asyncpg.InterfaceError("x"), ConnectionResetError(), OSError()],
)
async def test_any_other_failure_closes_it(make, exc):
    pool = make()
    connection = await pool.take()
    pool.settle(connection, exc)
    assert pool.count == 1  # until it is really closed
    await turns()
    assert connection.closed
    assert pool.count == 0


async def test_connection_in_a_transaction_is_not_given_to_others(make):
    pool = make()
    connection = await pool.take()
    connection.dirty = True
    pool.settle(connection, asyncpg.UniqueViolationError("no"))
    await turns()
    assert connection.closed


async def test_closed_one_makes_room_for_who_waits(make):
    pool = make(size=1)
    connection = await pool.take()
    waits = asyncio.ensure_future(pool.take())
    await turns()
    pool.settle(connection, asyncio.CancelledError())
    assert await waits is not connection
    assert pool.count == 1


async def test_server_that_is_down_is_told_to_all_and_asked_seldom(make, server):
    pool = make(size=3)
    server.down = True
    calls = [pool.take() for _ in range(20)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 20
    assert pool.count == 0
    assert not pool.waiting
    server.down = False
    with pytest.raises(Unavailable, match="p: no connection to h/d"):
        await pool.take()  # within the pause
    pool._retry_at = 0
    assert await pool.take()


async def test_pause_grows_and_ends_with_success(make, server):
    pool = make()
    server.down = True
    pauses = []
    for _ in range(7):
        pool._retry_at = 0
        with pytest.raises(Unavailable):
            await pool.take()
        pauses.append(pool._pause)
    assert pauses[0] == 0.05
    assert pauses[-1] == 1.0
    server.down, pool._retry_at = False, 0
    await pool.take()
    assert pool._pause == 0


async def test_statement_without_an_answer_is_ended(make):
    pool = make(limit=2)
    stuck, fine = await pool.take(), await pool.take()
    pool.rest(fine)  # a transaction whose owner thinks
    for _ in range(4):
        pool._tick()
        pool._timer.cancel()
    assert stuck.terminated
    assert not fine.terminated
    cause = pool.settle(stuck, asyncpg.ConnectionDoesNotExistError("closed"))
    assert isinstance(cause, Timeout)


async def test_unused_connections_are_closed_down_to_the_minimum(make):
    pool = make(size=5, minimum=1, idle=2)
    taken = [await pool.take() for _ in range(5)]
    for connection in taken:
        pool.give(connection)

    def period():
        for _ in range(2):
            pool._tick()
            pool._timer.cancel()

    period()  # the first period saw them all in use
    pool.give(pool.ready())
    pool.give(pool.ready())
    period()
    await turns()
    assert pool.count == len(pool.free) == 1
    assert not pool.free[0].closed


async def test_minimum_is_opened_before_it_is_needed(make, server):
    pool = make(size=3, minimum=5)

    async def second():
        pool._tick()
        pool._timer.cancel()
        await turns(20)

    server.down = True
    await second()
    assert pool.count == 0
    server.down = False
    pool._retry_at = 0
    await second()
    assert pool.count == len(pool.free) == 3
    await pool.close()
    await second()
    assert pool.count == 0


async def test_close_ends_waiting_and_closes_all(make):
    pool = make(size=1)
    connection = await pool.take()
    waits = asyncio.ensure_future(pool.take())
    await turns()
    await pool.close()
    with pytest.raises(Unavailable, match="closed"):
        await waits
    pool.give(connection)
    await turns()
    assert connection.closed
    with pytest.raises(Unavailable, match="closed"):
        await pool.take()
    await pool.close()


async def test_storm_of_cancellations_loses_nothing(make, server):
    pool, chance = make(size=3), random.Random(3)

    async def use():
        connection = await pool.take()
        try:
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
        except BaseException as exc:
            pool.settle(connection, exc)
            raise
        pool.give(connection)

    async def storm():
        task = asyncio.ensure_future(use())
        for _ in range(chance.randrange(8)):
            await asyncio.sleep(0)
        if chance.random() < 0.6:
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    for _ in range(30):
        await asyncio.gather(*(storm() for _ in range(12)))
        assert sum(not connection.closed for connection in server.made) <= 3
    await turns(10)
    assert pool.count == len(pool.free) <= 3
    assert not pool.waiting
    assert not pool._busy


async def test_a_connection_is_made_although_who_wanted_it_gave_up(make, server):
    """Cancelled half way, the client leaves an error that nobody hears, and its work is lost."""
    pool = make()
    taking = asyncio.create_task(pool.take())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    await turns()
    assert len(server.made) == 1
    assert pool.ready() is server.made[0]
    assert pool.count == 1


async def test_who_waits_gets_the_connection_of_one_who_gave_up(make, server):
    pool = make(size=1)
    taking = asyncio.create_task(pool.take())
    waiting = asyncio.create_task(pool.take())
    await asyncio.sleep(0)
    taking.cancel()
    assert await asyncio.wait_for(waiting, 1) is server.made[0]


async def test_a_connection_that_nobody_claims_is_closed_with_the_pool(make, server):
    pool = make()
    taking = asyncio.create_task(pool.take())
    await asyncio.sleep(0)
    taking.cancel()
    await pool.close()
    assert [made.closed for made in server.made] == [True]
    assert pool.count == 0
