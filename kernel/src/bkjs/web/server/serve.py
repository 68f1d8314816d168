"""Serving the gateway: the listening socket, uvicorn around it, an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import socket
import ssl
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import uvicorn

from bkjs.errors import Unavailable
from bkjs.processes.sockets import Listener
from bkjs.web.service import Web

from .protocol import GuardedProtocol, State, hang_up, is_gone, write_whole

IDLE_GRACE = 1.0
"""Seconds that an idle connection may still bring a request after the end was announced."""

LAST_WORDS = 1.0
"""Seconds for the answers to requests that took longer than the server had."""

STUCK = 10.0
"""Seconds that the event loop may stand still before it is written to stderr where it does."""


class Server(uvicorn.Server):
    """uvicorn without signal handlers of its own, with our sweep and our drain."""

    def __init__(self, config: uvicorn.Config, state: State, *, idle_grace: float) -> None:
        super().__init__(config)
        self.server_state: State = state
        self.idle_grace = idle_grace
        self.up = asyncio.Event()
        self._sweep: asyncio.TimerHandle | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: the command decides what one means."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen on these sockets; uvicorn itself has no limit for a silent TLS handshake."""
        self._run_sweep()
        loop, config = asyncio.get_running_loop(), self.config
        most = self.server_state.api.header_timeout / 1000
        tls = {"ssl": config.ssl, "ssl_handshake_timeout": most} if config.ssl else {}
        self.servers = [
            await loop.create_server(self._connect, sock=listener, backlog=config.backlog, **tls)
            for listener in sockets or ()
        ]
        self.started = True
        self.up.set()

    def _connect(self) -> asyncio.Protocol:
        return GuardedProtocol(self.config, self.server_state, app_state={})

    def _run_sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self.server_state.sweep(loop.time())
        shortest = min(self.server_state.api.header_timeout, self.server_state.api.body_timeout)
        self._sweep = loop.call_later(min(1.0, shortest / 4000), self._run_sweep)
        faulthandler.dump_traceback_later(STUCK, file=2)  # unless the next sweep comes before

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, finish what runs; idle connections get a moment for a last request."""
        self.server_state.draining = True
        closing = asyncio.create_task(self._close_idle())
        try:
            await super().shutdown(sockets)
            if self.server_state.tasks:  # they were cancelled, and answer that
                await asyncio.wait(self.server_state.tasks, timeout=LAST_WORDS)
        finally:
            closing.cancel()
            if self._sweep:
                self._sweep.cancel()
            faulthandler.cancel_dump_traceback_later()

    async def _close_idle(self) -> None:
        await asyncio.sleep(self.idle_grace)
        while True:
            for connection in list(self.server_state.connections):
                if isinstance(connection, GuardedProtocol):
                    connection.close_idle()
            await asyncio.sleep(0.05)


async def serve(
    web: Web,
    sockets: list[Listener],
    stop: asyncio.Event,
    ready: Callable[[], None],
    *,
    idle_grace: float = IDLE_GRACE,
) -> None:
    """Answer on the sockets until `stop` is set, then finish what runs and return."""
    gateway = web.handle
    gateway.write_whole, gateway.is_gone, gateway.hang_up = write_whole, is_gone, hang_up
    state = State(
        web.app.config.api,
        lambda peer: web.settings().proxies.trusts(peer),
        web.deadlines.leave,
    )
    servers = [
        Server(_config(web, context), state, idle_grace=idle_grace) for _, context in sockets
    ]
    async with asyncio.TaskGroup() as group:
        for server, (listener, _) in zip(servers, sockets, strict=True):
            group.create_task(server.serve(sockets=[listener]))
        for server in servers:
            await server.up.wait()
        ready()
        await stop.wait()
        web.deadlines.close(Unavailable("The server is shutting down"))
        for server in servers:
            server.should_exit = True


def _config(web: Web, context: ssl.SSLContext | None) -> uvicorn.Config:
    settings = web.app.config
    ws: Any = websocket if find_spec("websockets") else "none"
    config = uvicorn.Config(
        web,
        interface="asgi3",
        lifespan="off",
        loop="none",
        http=GuardedProtocol,
        ws=ws,
        ws_max_size=settings.api.ws_max_frame,
        ws_max_queue=32,
        ws_per_message_deflate=False,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=settings.core.backlog,
        timeout_graceful_shutdown=max(1, settings.api.shutdown_timeout // 1000),
    )
    config.load()
    config.ssl = context
    return config


def websocket(**options: Any) -> Any:
    """The protocol of one WebSocket; its library takes a while to import, the first one does so."""
    from .websockets import GuardedWebSocket

    return GuardedWebSocket(**options)
