"""A blocking client on threads of the driver's own."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar, cast

from bkjs.errors import Unavailable

log = logging.getLogger(__name__)

T = TypeVar("T")
Call = Callable[[], Any]


class Failed(NamedTuple):
    """The outcome of a call that raised this."""

    error: BaseException


Late = Callable[[Any], object]
"""Gets what a call returned, or `Failed`, when nobody waits for it any more."""


class _Job(NamedTuple):
    call: Call
    future: asyncio.Future[Any]
    late: Late | None


def each(calls: Sequence[Call]) -> list[Any]:
    """The outcome of each call."""
    return [attempt(call) for call in calls]


def attempt(call: Call) -> Any:
    """What a call returns, or `Failed`."""
    try:
        return call()
    except StopIteration as error:  # which a future refuses
        return Failed(RuntimeError(repr(error)))
    except BaseException as error:
        return Failed(error)


class Threads:
    """At most `size` threads, started when they are needed, that run calls in the order in which
    they are asked for; at most `max_queue` calls wait.

    With `at_once` a thread takes up to so many waiting calls together and gives them to `together`,
    which returns what each returned, or `Failed`: for writes that share one commit. Everything but
    the calls runs in the event loop, so there are no locks.
    """

    def __init__(
        self,
        name: str,
        size: int,
        *,
        max_queue: int,
        at_once: int = 1,
        together: Callable[[Sequence[Call]], list[Any]] = each,
    ) -> None:
        self._name = name
        self._size = size
        self._max_queue = max_queue
        self._at_once = at_once
        self._together = together
        self._todo: deque[_Job] = deque()
        self._batches: SimpleQueue[list[_Job] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._busy = 0
        self._scheduled = False
        self._closed = False
        self._idle: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(
        self, call: Callable[[], T], late: Late | None = None, *, always: bool = False
    ) -> T:
        """What the call returns, or raises.

        A call whose caller gives up before it begins never runs. One that runs goes on: its outcome
        is given to `late` in the event loop; without that a failure is logged. Raises Unavailable
        when too many wait, unless `always` says that it frees what others wait for, or after
        `close`.
        """
        if self._closed:
            raise Unavailable(f"{self._name}: the database is closed")
        most = self._max_queue + (self._size - self._busy) * self._at_once
        if len(self._todo) >= most and not always:
            self._todo = deque(job for job in self._todo if not job.future.done())
            if len(self._todo) >= most:
                raise Unavailable(f"{self._name}: no more resources")
        loop = self._loop = asyncio.get_running_loop()
        job = _Job(call, loop.create_future(), late)
        self._todo.append(job)
        if not self._scheduled and self._busy < self._size:
            self._scheduled = True
            loop.call_soon(self._next)  # what others ask for in this moment goes with it
        return cast(T, await job.future)

    async def close(self) -> None:
        """Run what waits, then end the threads; may be called twice."""
        self._closed = True
        if self._busy or self._todo:
            if self._idle is None:
                self._idle = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._idle)
        for _ in self._threads:
            self._batches.put(None)
        while self._threads:
            self._threads.pop().join()

    def stats(self) -> dict[str, int]:
        """Threads that are there and that work, calls that wait."""
        waiting = sum(not job.future.done() for job in self._todo)
        return {"threads": len(self._threads), "busy": self._busy, "waiting": waiting}

    # -- event loop ----------------------------------------------------------------------------

    def _next(self) -> None:
        """Give what waits to threads that are free."""
        self._scheduled = False
        while self._todo and self._busy < self._size:
            batch: list[_Job] = []
            while self._todo and len(batch) < self._at_once:
                job = self._todo.popleft()
                if not job.future.done():  # else nobody waits, and nothing has happened yet
                    batch.append(job)
            if batch:
                self._busy += 1
                if self._busy > len(self._threads):
                    self._start()
                self._batches.put(batch)
        if self._idle and not self._busy and not self._idle.done():
            self._idle.set_result(None)

    def _start(self) -> None:
        name = f"{self._name} {len(self._threads) + 1}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _done(self, batch: list[_Job], outcomes: list[Any]) -> None:
        self._busy -= 1
        for job, outcome in zip(batch, outcomes, strict=True):
            if job.future.done():
                self._unheard(job, outcome)
            elif isinstance(outcome, Failed):
                job.future.set_exception(outcome.error)
            else:
                job.future.set_result(outcome)
        self._next()

    def _unheard(self, job: _Job, outcome: Any) -> None:
        if job.late is not None:
            job.late(outcome)
        elif isinstance(outcome, Failed):
            text = "%s: failed after its caller had gone: %s"
            log.warning(text, self._name, outcome.error)

    # -- threads -------------------------------------------------------------------------------

    def _work(self) -> None:
        while (batch := self._batches.get()) is not None:
            calls = [job.call for job in batch]
            outcomes = attempt(lambda calls=calls: self._together(calls))  # type: ignore[misc]
            if isinstance(outcomes, Failed):
                outcomes = [outcomes] * len(batch)
            assert self._loop is not None
            try:
                self._loop.call_soon_threadsafe(self._done, batch, outcomes)
            except RuntimeError:
                log.warning("%s: the event loop ended before its threads", self._name)
                return
