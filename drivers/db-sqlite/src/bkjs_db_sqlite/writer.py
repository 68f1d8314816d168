"""One thread writes. What is asked for while it is busy becomes its next transaction.

Everything but `_work` runs in the event loop, so there are no locks.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, Literal

from bkjs.errors import Timeout, Unavailable

from .batch import Action, Job, Runner

log = logging.getLogger(__name__)

AT_ONCE = 1000
"""Writes in one transaction at most."""


class Writer:
    """The only connection that changes the database."""

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        check: Callable[[], None],
        *,
        name: str,
        timeout: float,
        limit: float,
        max_queue: int,
    ) -> None:
        self._connect = connect
        self._check = check
        self._timeout = timeout
        self._limit = limit
        self._max_queue = max_queue
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._todo: deque[Job] = deque()
        self._batches: SimpleQueue[list[Job] | None] = SimpleQueue()
        self._busy = 0
        self._scheduled = False
        self._held = False
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._started: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._work, name=f"{name} writer", daemon=True)

    @property
    def waiting(self) -> int:
        """Writes and transactions that the thread has not begun."""
        return len(self._todo)

    @property
    def busy(self) -> bool:
        """Whether the thread works or belongs to a transaction."""
        return self._busy > 0 or self._held

    async def start(self) -> None:
        """Open the connection in the thread; raises what the client raises."""
        self._thread.start()
        await self._started

    async def close(self) -> None:
        """Finish what is waiting, then end the thread; a transaction gets `timeout` to end."""
        if not self._closed:
            self._closed = True
            if not self.busy and not self._todo:
                self._batches.put(None)
        try:
            async with asyncio.timeout(self._timeout):
                await asyncio.shield(self._ended)
        except TimeoutError:
            if self._held:  # its owner is gone
                self.end("ROLLBACK").add_done_callback(_unheard)
            await asyncio.shield(self._ended)
        self._thread.join()

    def write(
        self,
        text: str,
        values: Sequence[Any] = (),
        action: Action | None = None,
        *,
        patient: bool = False,
        bounded: bool = False,
    ) -> asyncio.Future[Any]:
        """The number of rows changed, and the rows returned, of one statement; or what an action
        returns. It is durable as configured when the future is done; others share its commit.
        `patient`: it may take any time; `bounded`: there may be too many in the queue, since who
        asks waits for these before asking for more."""
        job = Job(self._future(), self._loop.time(), "write", text, values, action)
        job.patient = patient
        return self._wait(job, bounded)

    async def begin(self) -> None:
        """Returns when the writer belongs to the caller, who must call `end`."""
        future = self._wait(Job(self._future(), self._loop.time(), "begin", "BEGIN IMMEDIATE"))
        try:
            await future
        except asyncio.CancelledError:
            if not future.cancelled() and future.exception() is None:  # it had just begun
                self.end("ROLLBACK").add_done_callback(_unheard)
            raise

    def inside(
        self, text: str, values: Sequence[Any] = (), action: Action | None = None
    ) -> asyncio.Future[Any]:
        """One statement of the transaction that holds the writer."""
        return self._hand_over(Job(self._future(), 0, "inside", text, values, action))

    def end(self, text: Literal["COMMIT", "ROLLBACK"]) -> asyncio.Future[Any]:
        """End the transaction that holds the writer; others write once the future is done."""
        return self._hand_over(Job(self._future(), 0, "end", text))

    # -- event loop ----------------------------------------------------------------------------

    def _future(self) -> asyncio.Future[Any]:
        return self._loop.create_future()

    def _wait(self, job: Job, bounded: bool = False) -> asyncio.Future[Any]:
        if self._closed:
            raise Unavailable(f"{self._name}: the database is closed")
        if len(self._todo) >= self._max_queue and not bounded:
            raise Unavailable(f"{self._name}: no more resources")
        self._todo.append(job)
        if self._held:
            self._watch()
        elif not self._scheduled and not self._busy:
            self._scheduled = True
            self._loop.call_soon(self._next)
        return job.future

    def _hand_over(self, job: Job) -> asyncio.Future[Any]:
        self._busy += 1
        self._batches.put([job])
        return job.future

    def _next(self) -> None:
        """Give the thread what waits, unless it has work or belongs to a transaction."""
        self._scheduled = False
        if self.busy:
            return
        batch: list[Job] = []
        while self._todo and len(batch) < AT_ONCE:
            job = self._todo[0]
            if job.future.done():  # nobody waits any more, and nothing has happened yet
                self._todo.popleft()
            elif job.mode == "write":
                batch.append(self._todo.popleft())
            elif batch:
                break  # a transaction waits for the writes before it
            else:
                self._hold(self._todo.popleft())
                return
        if batch:
            self._busy += 1
            self._batches.put(batch)
        elif self._closed:
            self._batches.put(None)

    def _hold(self, job: Job) -> None:
        self._held = True
        self._watch()
        self._hand_over(job)

    def _watch(self) -> None:
        """One timer for all who wait behind transactions, however many follow each other."""
        if self._timer is None and self._todo:
            self._timer = self._loop.call_at(self._todo[0].since + self._timeout, self._expire)

    def _expire(self) -> None:
        """Fail what waited too long; who came first gives up first."""
        self._timer = None
        limit = self._loop.time() - self._timeout
        while self._todo and (self._todo[0].future.done() or self._todo[0].since <= limit):
            future = self._todo.popleft().future
            if not future.done():
                future.set_exception(
                    Timeout(f"{self._name}: timeout waiting for the end of a transaction")
                )
        self._watch()

    def _done(self, batch: list[Job], outcomes: list[Any]) -> None:
        self._busy -= 1
        for job, outcome in zip(batch, outcomes, strict=True):
            failed = isinstance(outcome, Exception)
            if job.mode == "begin":
                if failed:
                    self._held = False
                elif job.future.done():  # given up while it was being opened
                    self.end("ROLLBACK").add_done_callback(_unheard)
            elif job.mode == "end":
                self._held = False
            if job.future.done():
                continue
            if failed:
                job.future.set_exception(outcome)
            else:
                job.future.set_result(outcome)
        if not self.busy:
            if self._todo:
                self._next()
            elif self._closed:
                self._batches.put(None)

    def _opened(self, problem: Exception | None) -> None:
        if self._started.done():  # who started it has gone
            return
        if problem is None:
            self._started.set_result(None)
        else:
            self._started.set_exception(problem)

    # -- thread --------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            connection = self._connect()
        except Exception as exc:
            self._tell(self._opened, exc)
            self._tell(self._ended.set_result, None)
            return
        runner = Runner(connection, self._check, self._limit)
        self._tell(self._opened, None)
        try:
            while (batch := self._batches.get()) is not None:
                self._tell(self._done, batch, runner.run(batch))
        finally:
            connection.close()
            self._tell(self._ended.set_result, None)

    def _tell(self, call: Callable[..., None], *args: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *args)
        except RuntimeError:
            log.warning("%s: the event loop ended before the writer", self._name)


def _unheard(future: asyncio.Future[Any]) -> None:
    """Nobody waits for this future; an error in it is of no consequence."""
    if not future.cancelled():
        future.exception()
