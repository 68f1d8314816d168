"""What ends a handler before its time: the clock, a client that has left, the end of the process.

One look a second at all that run, no timer for each.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any

from bkjs.errors import Disconnected, Timeout

INTERVAL = 1.0

Task = asyncio.Task[Any]


class Deadlines:
    """Tasks that may be cancelled from here, and why those that were."""

    def __init__(self) -> None:
        self.closing: Exception | None = None
        """Why everything ends, once it does."""
        self._due: dict[Task, float] = {}
        self._reading: set[Task] = set()
        """What is of no use to anybody but its client."""
        self._endless: set[Task] = set()
        self._gone: set[Task] = set()
        """Their clients have left, but what they do now is to be finished."""
        self._ended: dict[Task, Exception] = {}
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
                self.cancel(task, Timeout("The request took too long"))

    def begin(self, task: Task, seconds: float) -> None:
        """From now on the task has so many seconds, and up to one more; 0 for any time."""
        self._due[task] = self._now + seconds + INTERVAL if seconds else math.inf

    def reads(self, task: Task) -> None:
        """What the task does now changes nothing: it ends with its client.

        Raises Disconnected when that has left already.
        """
        if self._gone and task in self._gone:
            raise Disconnected
        self._reading.add(task)

    def streams(self, task: Task, *, endless: bool) -> None:
        """As `reads`, for any time; what is `endless` ends as soon as the process is to end."""
        self.reads(task)
        if endless:
            self._endless.add(task)
            if self.closing is not None:
                self.cancel(task, self.closing)

    def end(self, task: Task) -> None:
        """The task needs no watching any more."""
        self._due.pop(task, None)
        self._reading.discard(task)
        if self._endless or self._ended:
            self._endless.discard(task)
            self._ended.pop(task, None)

    def leave(self, task: Task) -> None:
        """The client of the task has gone."""
        if task in self._reading:
            self.cancel(task, Disconnected())
        elif not task.done():
            self._gone.add(task)
            task.add_done_callback(self._gone.discard)

    def close(self, reason: Exception) -> None:
        """The process ends: so does what is endless, at once, and the rest when it is cancelled."""
        self.closing = reason
        for task in list(self._endless):
            self.cancel(task, reason)

    def cancel(self, task: Task, reason: Exception) -> None:
        """End the task; `ended` tells it why."""
        if task.done() or task in self._ended:
            return
        self.end(task)
        self._ended[task] = reason
        task.cancel()

    def ended(self, task: Task | None) -> Exception | None:
        """Why the task was cancelled, None when that did not come from here.

        The cancellation is undone, so that the task can go on.
        """
        reason = self._ended.pop(task, self.closing) if task is not None else None
        if task is not None and reason is not None:
            task.uncancel()
        return reason

    def stop(self) -> None:
        """Look no more; may be called twice."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
