"""Refusing work before it piles up: the delay of the event loop, processors, memory."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from typing import Any

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

INTERVAL = 0.25
"""Seconds between two looks."""
GROWTH = 64 * 1024 * 1024
"""Bytes that memory grows by before old objects are looked through for garbage: the collector by
itself hardly ever does."""


class Overload:
    """What is too much, looked at now and then; `reason` names the counter of what it is, or ""."""

    def __init__(self, api: Any) -> None:
        self._api = api
        self.reason = ""
        self.lag = 0.0
        """Delay of the event loop in ms that the last two looks had at least: one long step of one
        handler is over when it is seen, and no reason to refuse others."""
        self._late = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._due = self._wall = self._cpu = 0.0
        self._clean = 0
        self._rested = 0.0

    def start(self) -> None:
        """Begin to look."""
        self._wall, self._cpu = time.monotonic(), time.process_time()
        self._plan()

    def _plan(self) -> None:
        loop = asyncio.get_running_loop()
        self._due = loop.time() + INTERVAL
        self._timer = loop.call_at(self._due, self._look)

    def _look(self) -> None:
        self.look((asyncio.get_running_loop().time() - self._due) * 1000)
        self._plan()

    def look(self, late: float) -> None:
        """Decide anew; this look came so many ms after its time."""
        self.lag, self._late = min(late, self._late), late
        self._collect()
        self.reason = self._judge()

    def _collect(self) -> None:
        """Look for garbage among old objects when memory has grown, for 3 % of the time at most."""
        used, started = memory(), time.monotonic()
        if used > self._clean + GROWTH and self._clean and started >= self._rested:
            gc.collect()
            ended = time.monotonic()
            self._rested = ended + 30 * (ended - started)
            self._clean = memory()
        elif used < self._clean or not self._clean:
            self._clean = used

    def _judge(self) -> str:
        api = self._api
        if api.max_latency and self.lag > api.max_latency:
            return "busy"
        wall, cpu = time.monotonic(), time.process_time()
        used = (cpu - self._cpu) / max(wall - self._wall, 0.001) / (os.cpu_count() or 1) * 100
        self._wall, self._cpu = wall, cpu
        if api.max_cpu_util and used > api.max_cpu_util:
            return "util"
        limits = [limit for limit in (api.max_memory_heap, api.max_memory_rss) if limit]
        if limits and memory() > min(limits):
            return "heap" if api.max_memory_heap == min(limits) else "rss"
        return ""

    def stop(self) -> None:
        """Look no more; may be called twice."""
        if self._timer:
            self._timer.cancel()
            self._timer = None


def memory() -> int:
    """Bytes of memory that the process has now; where that is unknown, the most it ever had."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        if resource is None:
            return 0
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
