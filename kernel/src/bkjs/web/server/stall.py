"""Who holds up the event loop: looked at from another thread, so that no request pays for it."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from types import FrameType

from bkjs.lib.places import at, is_platform
from bkjs.web.request import Request

log = logging.getLogger(__name__)

CURE = "await what takes long, or hand it to asyncio.to_thread"
_LOOP = ("_run", "run", "run_forever")
LONGEST = 1.0
"""Seconds that a step of a handler or callback may take before it is told."""


class Stall:
    """While a program is developed: a warning for every step that holds up all others."""

    def __init__(self, longest: float = LONGEST) -> None:
        self.longest = longest
        self._beat = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._ended = threading.Event()

    def start(self) -> None:
        """Begin to watch the loop that runs in this thread."""
        self._ended.clear()
        self._run()
        watched = threading.get_ident()
        threading.Thread(target=self._watch, args=(watched,), name="stall", daemon=True).start()

    def _run(self) -> None:
        self._beat = time.monotonic()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self.longest / 4, self._run)

    def _watch(self, thread: int) -> None:
        told = 0.0
        while not self._ended.wait(self.longest / 4):
            beat = self._beat
            if beat == told or time.monotonic() - beat < self.longest * 1.25:
                continue
            told = beat
            if text := describe(sys._current_frames().get(thread)):
                log.warning("%s for more than %g s; %s", text, self.longest, CURE)

    def stop(self) -> None:
        """Watch no more; may be called twice."""
        self._ended.set()
        if self._timer:
            self._timer.cancel()
            self._timer = None


def describe(frame: FrameType | None) -> str:
    """For which request a thread is at work, and where in code that is not ours; "" for neither."""
    place = who = ""
    while frame and not who:
        name, function = os.path.abspath(frame.f_code.co_filename), frame.f_code.co_name
        if function in _LOOP and f"{os.sep}asyncio{os.sep}" in name:
            break  # what is before the step
        if not place and not is_platform(name):
            place = f"{name}:{frame.f_lineno}"
        req = frame.f_locals.get("req")
        if isinstance(req, Request):
            who = f"request {req.id}: {req.method} {req.path}"
        frame = frame.f_back
    return f"{who or 'a callback'} holds up all others{at(place)}" if who or place else ""
