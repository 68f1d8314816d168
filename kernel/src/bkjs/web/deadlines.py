"""The time that handlers may take: one look a second at all that run, no timer for each."""

from __future__ import annotations

import asyncio
from typing import Any

INTERVAL = 1.0


class Deadlines:
    """Tasks with the time at which they are cancelled."""

    def __init__(self) -> None:
        self._due: dict[asyncio.Task[Any], float] = {}
        self._expired: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._now = 0.0
        """The time of the last look: nobody asks for it at each request."""
        self._stalled = False

    def start(self) -> None:
        """Begin to look, once a second, in the running loop."""
        loop = asyncio.get_running_loop()
        self._now = loop.time()
        self._timer = loop.call_later(INTERVAL, self._look)

    def _look(self) -> None:
        self.look(asyncio.get_running_loop().time())
        self.start()

    def look(self, now: float) -> None:
        """Sweep, but give handlers a turn first when the loop was held up: what they wait for
        may have come meanwhile.
        """
        self._stalled = not self._stalled and now > self._now + 2 * INTERVAL
        if not self._stalled:
            self.sweep(now)

    def sweep(self, now: float) -> None:
        """Cancel what is due."""
        self._now = now
        for task, due in list(self._due.items()):
            if now >= due:
                del self._due[task]
                self._expired.add(task)
                task.cancel()

    def begin(self, task: asyncio.Task[Any], seconds: float) -> None:
        """From now on the task has so many seconds, and up to one more."""
        self._due[task] = self._now + seconds + INTERVAL

    def end(self, task: asyncio.Task[Any]) -> None:
        """The task needs no watching any more."""
        self._due.pop(task, None)
        self._expired.discard(task)

    def expired(self, task: asyncio.Task[Any]) -> bool:
        """Whether a cancellation came from here; it is undone, so that the task can go on."""
        if task not in self._expired:
            return False
        self._expired.discard(task)
        task.uncancel()
        return True

    def stop(self) -> None:
        """Look no more; may be called twice."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
