"""The WebSocket protocol with limits: a subclass of uvicorn's, imported with the first connection.

Connections count among those of their address. A client that does not read is aborted as over HTTP,
and frames that carry no message, such as pings, have a rate like those that do.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from bkjs.lib.bucket import TokenBucket

from .protocol import LINGER_SECONDS, State

PIECE = 4096
"""Bytes that are parsed before looking how many frames there were."""
SMALL = 64
"""Bytes of a frame that is part of a message below which it counts as one without any."""
RATE = 200
"""Frames without a message that a connection may send in a second, five times as many at once."""


class GuardedWebSocket(WebSocketsSansIOProtocol):
    """One connection."""

    def __init__(
        self, config: Config, server_state: State, *arguments: Any, **options: Any
    ) -> None:
        super().__init__(config, server_state, *arguments, **options)
        self.server_state = server_state
        self.address = ""
        self.ending = False
        self.close_timeout = LINGER_SECONDS
        self.stuck_since: float | None = None
        self._empty = TokenBucket(RATE, 5 * RATE)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count it."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self.address = peer[0] if isinstance(peer, tuple) else ""
        self.server_state.enter(self.address)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it no more."""
        super().connection_lost(exc)
        self.server_state.leave(self.address)

    def data_received(self, data: bytes) -> None:
        """Parse it piece by piece, until there are too many frames."""
        for start in range(0, len(data), PIECE):
            if self.transport.is_closing():
                return
            super().data_received(data[start : start + PIECE])

    def handle_ping(self) -> None:
        """Answer, if that was not one too many."""
        if self._counted():
            super().handle_ping()

    def handle_pong(self, event: Frame) -> None:
        """Note that the client is alive."""
        if self._counted():
            super().handle_pong(event)

    def handle_cont(self, event: Frame) -> None:
        """Add to the message; a part of hardly any bytes is as much work as a whole message."""
        if (event.fin or len(event.data) >= SMALL) or self._counted():
            super().handle_cont(event)

    def handle_text(self, event: Frame) -> None:
        """Begin a message; one that is complete is counted where it is answered."""
        if (event.fin or len(event.data) >= SMALL) or self._counted():
            super().handle_text(event)

    def _counted(self) -> bool:
        if self._empty.consume(1):
            return True
        self.transport.abort()
        return False

    def shutdown(self) -> None:
        """Let the requests that run be answered, then say that the server ends (1012)."""
        if self.ending:  # every port that ends says so to the connections of all
            return
        self.ending = True
        if self.handshake_complete and not self.close_sent:
            self.stop_keepalive()
            end: Any = {"type": "websocket.disconnect", "code": 1012, "ending": True}
            self.queue.put_nowait(end)
        else:
            super().shutdown()

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """Cut off who does not close the connection when the server has ended it."""
        super().on_task_complete(task)
        if self.ending:
            self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    # -- deadlines ------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        """The client does not keep up."""
        self.stuck_since = self.server_state.now
        super().pause_writing()

    def resume_writing(self) -> None:
        """It has caught up."""
        self.stuck_since = None
        super().resume_writing()

    def check(self, now: float) -> None:
        """Abort the connection of a client that has not read for `api-read-timeout`."""
        patience = self.server_state.api.read_timeout / 1000
        if self.stuck_since is not None and now - self.stuck_since > patience:
            self.transport.abort()
