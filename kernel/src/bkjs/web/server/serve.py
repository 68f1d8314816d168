"""Serving the gateway: the listening socket, uvicorn around it, an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import faulthandler
import fcntl
import functools
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn

from bkjs.errors import StartError

from .protocol import LINGER_SECONDS, GuardedProtocol, State, write_whole

if TYPE_CHECKING:
    from bkjs.app import App

Listener = tuple[socket.socket, ssl.SSLContext | None]
"""A listening socket, and its TLS."""

IDLE_GRACE = 1.0
"""Seconds that an idle connection may still bring a request after the end was announced."""

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
        yield  # the command decides what a signal means

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
    app: App,
    site: Any,
    sockets: list[Listener],
    stop: asyncio.Event,
    ready: Callable[[], None],
    *,
    idle_grace: float = IDLE_GRACE,
) -> None:
    """Answer on the sockets until `stop` is set, then finish what runs and return."""
    site.write_whole = write_whole
    state = State(app.config.api, app.web.proxies.trusts)
    servers = [
        Server(_config(app, site, context), state, idle_grace=idle_grace) for _, context in sockets
    ]
    async with asyncio.TaskGroup() as group:
        for server, (listener, _) in zip(servers, sockets, strict=True):
            group.create_task(server.serve(sockets=[listener]))
        for server in servers:
            await server.up.wait()
        ready()
        await stop.wait()
        for server in servers:
            server.should_exit = True


def _config(app: App, site: Any, context: ssl.SSLContext | None) -> uvicorn.Config:
    ws: Any = websocket if find_spec("websockets") else "none"
    config = uvicorn.Config(
        site,
        interface="asgi3",
        lifespan="off",
        loop="none",
        http=GuardedProtocol,
        ws=ws,
        ws_max_size=app.config.api.ws_max_frame,
        ws_max_queue=32,
        ws_per_message_deflate=False,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=app.config.core.backlog,
        timeout_graceful_shutdown=max(1, app.config.api.shutdown_timeout // 1000),
    )
    config.load()
    config.ssl = context
    return config


def websocket(**options: Any) -> Any:
    """The protocol of one WebSocket; its library takes a while to import, the first one does so."""
    return _websocket_class()(**options)


@functools.cache
def _websocket_class() -> Any:
    """uvicorn's class, whose connections count among those of their address."""
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

    class Counted(WebSocketsSansIOProtocol):
        address = ""
        ending = False

        def __init__(self, config: Any, server_state: State, *args: Any, **options: Any) -> None:
            super().__init__(config, server_state, *args, **options)
            self.server_state = server_state

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            peer = transport.get_extra_info("peername")
            self.address = peer[0] if isinstance(peer, tuple) else ""
            self.server_state.enter(self.address)

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self.server_state.leave(self.address)

        def shutdown(self) -> None:
            if not self.ending:  # every port that ends says so to the connections of all
                self.ending = True
                super().shutdown()
                self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    return Counted


# -- sockets ------------------------------------------------------------------------------------


def listen(bind: str, port: int, backlog: int) -> socket.socket:
    """A listening socket; port 0 takes any free one. Raises StartError that says who is there."""
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((bind, port))
        sock.listen(backlog)
    except OverflowError as error:
        sock.close()
        raise StartError(f"cannot listen on port {port}: the highest is 65535") from error
    except OSError as error:
        sock.close()
        reason = error.strerror or str(error)
        if error.errno == errno.EADDRINUSE:
            reason = f"the port is in use{_holder(port)}; choose another with -port"
        elif error.errno == errno.EACCES:
            reason = "not allowed; ports below 1024 need privileges"
        raise StartError(f"cannot listen on {bind}:{port}: {reason}") from error
    sock.setblocking(False)
    sock.set_inheritable(True)
    return sock


def tls_context(settings: dict[str, Any]) -> ssl.SSLContext | None:
    """TLS as the `ssl-` parameters describe it, None without a key."""
    key, cert = settings.get("key"), settings.get("cert")
    if pfx := settings.get("pfx"):
        raise StartError(
            f"ssl-pfx is not supported: openssl pkcs12 -in {pfx} -nodes makes an ssl-key"
        )
    if not key:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        files = [key, cert or key, *(settings.get("ca") or ()), *(settings.get("crl") or ())]
        for file in files:
            Path(file).open("rb").close()  # OpenSSL does not say which file is missing
        context.load_cert_chain(cert or key, key, password=settings.get("passphrase") or None)
        for authority in settings.get("ca") or ():
            context.load_verify_locations(authority)
        for revoked in settings.get("crl") or ():
            context.load_verify_locations(revoked)
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        if settings.get("ciphers"):
            context.set_ciphers(settings["ciphers"])
    except (OSError, ssl.SSLError) as error:
        raise StartError(f"ssl-key, ssl-cert: {error}") from error
    if settings.get("requestCert"):
        required = settings.get("rejectUnauthorized", True)
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    return context


def _holder(port: int) -> str:
    """` by process 123 (name)` where /proc tells."""
    try:
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        inodes = {
            f"socket:[{row[9]}]"
            for row in rows
            if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port
        }
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                for descriptor in os.listdir(f"/proc/{pid}/fd"):
                    if os.readlink(f"/proc/{pid}/fd/{descriptor}") in inodes:
                        name = Path(f"/proc/{pid}/comm").read_text().strip()
                        return f" by process {pid} ({name})"
    except (OSError, ValueError, IndexError):
        return ""
    return ""


@contextlib.contextmanager
def only_one(folder: Path, role: str) -> Iterator[None]:
    """Hold the lock and the pid file of a role in this home; StartError when another has it."""
    path = folder / f"{role}.pid"
    try:
        file = path.open("a+", encoding="ascii")
    except OSError as error:
        raise StartError(f"cannot write {path}: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise StartError(
                f"this home is served already by process {holder} ({path});"
                " stop it, or choose another home with -home"
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)
            path.unlink(missing_ok=True)
