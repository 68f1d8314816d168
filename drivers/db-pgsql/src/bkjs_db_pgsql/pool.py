"""Connections: a stack of free ones, a queue of those who wait.

asyncpg's own pool resets each connection when it is given back, which costs as much as a query.
Here a connection is given back clean or it is closed.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from bkjs.errors import BkError, StartError, Timeout, Unavailable

from .connect import Connection
from .errors import is_answer

log = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Seconds after a failed connection in which no other is tried, doubled each time."""
CLOSING = 2.0
"""Seconds that a connection may take to close."""
TICK = 1.0
"""Seconds between looks at statements that take too long and connections that are idle."""
CLOCK = 0.001
"""Timers may fire that much too early."""


class Turns:
    """At most `most` at once, one after the other in the order in which they came.

    Who waits longer than `timeout` seconds gets Timeout; no more than `max_queue` wait.
    """

    def __init__(self, name: str, most: int, *, timeout: float, max_queue: int) -> None:
        self.name = name
        self.waiting = 0
        self._turns = asyncio.Semaphore(most)
        self._timeout = timeout
        self._max_queue = max_queue

    async def take(self) -> None:
        """Wait for a turn, which `give` ends."""
        if not self._turns.locked():
            await self._turns.acquire()  # at once
            return
        if self.waiting >= self._max_queue:
            raise Unavailable(f"{self.name}: no more resources")
        self.waiting += 1
        try:
            async with asyncio.timeout(self._timeout):
                await self._turns.acquire()
        except TimeoutError:
            raise Timeout(f"{self.name}: timeout waiting for a transaction") from None
        finally:
            self.waiting -= 1

    def give(self) -> None:
        """A turn is over."""
        self._turns.release()


class Pool:
    """At most `size` connections; times are in seconds.

    `connect` makes one, or raises Unavailable or StartError. `minimum` are kept open, others
    close when they were not needed for `idle`. A request waits for `timeout`, and no more than
    `max_queue` wait; a statement may take `limit` (0: any time).
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], Awaitable[Connection]],
        *,
        size: int,
        minimum: int,
        idle: float,
        timeout: float,
        limit: float,
        max_queue: int,
    ) -> None:
        self.name = name
        self.size = size
        self.count = 0
        """Connections that exist or are being made or closed: never more than `size`."""
        self.free: list[Connection] = []
        self.waiting: deque[tuple[float, asyncio.Future[Connection | None]]] = deque()
        """Until when, and what they await."""
        self._connect = connect
        self._minimum = min(minimum, size)
        self._idle = idle
        self._timeout = timeout
        self._max_queue = max_queue
        self._limit = limit
        self._busy: dict[Connection, int] = {}
        self._overdue: set[Connection] = set()
        self._ticks = 0
        self._unused = 0
        self._pause = 0.0
        self._closed = False
        self._retry_at = 0.0
        self._problem = ""
        self._tasks: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._expiry: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to close what is idle, and to end statements that take longer than `limit`."""
        self._timer = asyncio.get_running_loop().call_later(TICK, self._tick)

    async def close(self) -> None:
        """Close all; who still waits gets Unavailable. A connection in use closes when it is given
        back, or after two seconds."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        while self.waiting:
            self.wake(None)
        if self._expiry is not None:
            self._expiry.cancel()
        while self.free:
            self._discard(self.free.pop())
        while self._tasks:
            await asyncio.wait(self._tasks)

    def ready(self) -> Connection | None:
        """A free connection, if there is one."""
        while self.free:
            connection = self.free.pop()
            if len(self.free) < self._unused:
                self._unused = len(self.free)
            if not connection.is_closed():
                self._busy[connection] = self._ticks
                return connection
            self.count -= 1
        return None

    async def take(self) -> Connection:
        """A connection, when there is one; raises Unavailable or Timeout.

        Where the server allows no further one, those that there are have to do.
        """
        deadline = 0.0
        while True:
            if self._closed:
                raise Unavailable(f"{self.name}: the database is closed")
            connection = self.ready()
            if connection is not None:
                return connection
            if self.count < self.size:
                try:
                    return await self._open()
                except Unavailable:
                    if not self.count:
                        raise
            again = deadline > 0
            deadline = deadline or asyncio.get_running_loop().time() + self._timeout
            found = await self._wait(deadline, first=again)
            if found is not None:
                return found

    def give(self, connection: Connection) -> None:
        """Take back a connection after a statement that was answered."""
        self._busy.pop(connection, None)
        if self.waiting or self._closed:
            self._pass_on(connection)
        else:
            self.free.append(connection)

    def rest(self, connection: Connection) -> None:
        """It stays with its owner, who may take his time."""
        self._busy.pop(connection, None)

    def work(self, connection: Connection) -> None:
        """A statement starts on a connection that rested."""
        self._busy[connection] = self._ticks

    def settle(self, connection: Connection, exc: BaseException) -> BaseException:
        """Take back a connection after a failure: keep it if the server just answered no.

        What happened is returned: Timeout when we ended the statement."""
        if connection in self._overdue:
            self._overdue.discard(connection)
            exc = Timeout(f"{self.name}: no answer in {self._limit:g} s")
        if is_answer(exc) and not connection.is_closed() and not connection.is_in_transaction():
            self.give(connection)
        else:
            self._busy.pop(connection, None)
            self._discard(connection)
        return exc

    def wake(self, connection: Connection | None) -> None:
        """Hand a connection, or None for a free place, to who waits longest; else keep it."""
        while self.waiting:
            _, future = self.waiting.popleft()
            if not future.done():
                if connection is not None:
                    self._busy[connection] = self._ticks
                future.set_result(connection)
                return
        if connection is not None:
            self.free.append(connection)

    def _pass_on(self, connection: Connection) -> None:
        if self._closed:
            self._discard(connection)
        else:
            self.wake(connection)

    async def _open(self) -> Connection:
        now = asyncio.get_running_loop().time()
        if now < self._retry_at:  # a server that is down is not asked by every request
            if not self.count:
                self.wake(None)
            raise Unavailable(f"{self.name}: {self._problem}")
        self.count += 1
        making = self._run(self._make())
        try:
            connection = await asyncio.shield(making)
        except asyncio.CancelledError:
            making.add_done_callback(self._unclaimed)
            raise
        self._busy[connection] = self._ticks
        return connection

    async def _make(self) -> Connection:
        """A new connection, for whoever it is: half made it would be thrown away with the work."""
        try:
            connection = await self._connect()
        except BaseException as exc:
            self.count -= 1
            if isinstance(exc, (Unavailable, StartError)):
                self._pause = min(max(self._pause * 2, FIRST_PAUSE), LONGEST_PAUSE)
                self._retry_at = asyncio.get_running_loop().time() + self._pause
                self._problem = exc.message.removeprefix(f"{self.name}: ")
            if not self.count:  # else who waits is served by a connection that is given back
                self.wake(None)
            raise
        self._pause = 0.0
        return connection

    def _unclaimed(self, making: asyncio.Task[Connection]) -> None:
        """Who opened a connection has given up: it is for the next."""
        if not making.cancelled() and making.exception() is None:
            self.give(making.result())

    async def _wait(self, deadline: float, *, first: bool) -> Connection | None:
        """A connection, or None for a place where one may be opened.

        `first`: it has waited before and was given a place where none could be opened.
        """
        if len(self.waiting) >= self._max_queue and not first:
            raise Unavailable(f"{self.name}: no more resources")
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        put = self.waiting.appendleft if first else self.waiting.append
        put((deadline, future))
        if self._expiry is not None and self._expiry.when() > deadline:
            self._expiry.cancel()
            self._expiry = None
        if self._expiry is None:
            self._expiry = loop.call_at(deadline, self._expire)
        try:
            return await future
        except BaseException:
            if future.done() and not future.cancelled() and future.exception() is None:
                self._return_unused(future.result())
            raise

    def _expire(self) -> None:
        """One timer for all who wait: they wait equally long, so who came first gives up first."""
        loop = asyncio.get_running_loop()
        now = loop.time() + CLOCK
        while self.waiting:
            deadline, future = self.waiting[0]
            if not future.done():
                if deadline > now:
                    self._expiry = loop.call_at(deadline, self._expire)
                    return
                future.set_exception(Timeout(f"{self.name}: timeout waiting for the resource"))
            self.waiting.popleft()
        self._expiry = None

    def _return_unused(self, connection: Connection | None) -> None:
        """It was handed over in the moment in which its owner gave up."""
        if connection is None:
            self.wake(None)
        else:
            self.give(connection)

    def _discard(self, connection: Connection) -> None:
        """Close in the background: a running statement is cancelled on the server first."""
        self._run(self._close(connection))

    def _run(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _close(self, connection: Connection) -> None:
        try:
            await connection.close(timeout=CLOSING)
        except asyncio.CancelledError:
            connection.terminate()
            raise
        except Exception as exc:
            log.debug("%s: closing a connection: %s", self.name, exc)
            connection.terminate()
        finally:
            # not before it is closed, or a storm of cancellations opens more than the server allows
            self.count -= 1
            self.wake(None)

    def _tick(self) -> None:
        """Once a second, so that no statement needs a timer of its own."""
        self._ticks += 1
        for connection, since in list(self._busy.items()):
            if self._limit and (self._ticks - since) * TICK > self._limit + TICK:
                self._overdue.add(connection)
                connection.terminate()
        if self._idle > 0 and self._ticks % max(round(self._idle / TICK), 1) == 0:
            self._sweep()
        if self.count < self._minimum:
            self._run(self._fill())
        self.start()

    async def _fill(self) -> None:
        """Open connections until there are enough; why that fails is told to requests."""
        try:
            while self.count < self._minimum and not self._closed:
                self.give(await self._open())
        except BkError as exc:
            log.debug("%s", exc.message)

    def _sweep(self) -> None:
        """The lowest `_unused` of the stack were not taken since the last sweep."""
        surplus = max(min(self._unused, len(self.free) - self._minimum), 0)
        for connection in self.free[:surplus]:
            self._discard(connection)
        del self.free[:surplus]
        self._unused = len(self.free)
