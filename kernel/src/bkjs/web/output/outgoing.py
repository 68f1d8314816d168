"""The way out of a reply that sends itself, in pieces: it ends with its client, its account and the
process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from bkjs.auth.longlived import LongLived
from bkjs.core.asgi import Message, Send
from bkjs.errors import Denied, Disconnected
from bkjs.web.deadlines import Deadlines
from bkjs.web.request import Request

EVENTS = b"text/event-stream"
"""The type of a stream that has no end of its own, and whose clients come back by themselves."""


class Running(Protocol):
    """Where requests are counted."""

    running: int


class Outgoing:
    """`send` for one reply; raises Disconnected once the client has gone."""

    def __init__(
        self,
        req: Request,
        send: Send,
        is_gone: Callable[[Any], bool],
        deadlines: Deadlines,
        long_lived: LongLived,
        traffic: Running,
    ) -> None:
        self.task = asyncio.current_task()
        self.started = False
        self._req, self._send, self._is_gone = req, send, is_gone
        self._deadlines, self._long_lived, self._traffic = deadlines, long_lived, traffic
        self._streams = self._endless = False

    async def __call__(self, message: Message) -> None:
        """Send it; with the first piece of several the reply is a stream."""
        if message["type"] == "http.response.start":
            self.started = True
            kinds = (value for name, value in message["headers"] if name.lower() == b"content-type")
            self._endless = next(kinds, b"").startswith(EVENTS)
        elif message.get("more_body") and not self._streams:
            self._begin()
        await self._send(message)
        if self._is_gone(self._send):
            raise Disconnected

    def _begin(self) -> None:
        self._streams = True
        if self._endless:
            self._traffic.running -= 1  # it waits more than it works: no reason to refuse others
        if self.task is not None:
            self._deadlines.streams(self.task, endless=self._endless)
            if ticket := self._req.app.auth.ticket(self._req):
                self._long_lived.hold(self._end, ticket)

    async def _end(self) -> None:
        if self.task is not None:
            self._deadlines.cancel(self.task, Denied("Not authenticated"))

    def close(self) -> None:
        """Nothing more is sent."""
        if self.task is not None:
            self._deadlines.end(self.task)
        if self._streams:
            self._long_lived.release(self._end)
            if self._endless:
                self._traffic.running += 1
