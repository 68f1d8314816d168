"""Serving an application on sockets, in the running event loop, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import ssl
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn

from bkjs.core.errors import StartError
from bkjs.web.protocol import Guard, GuardedProtocol, Limits

if TYPE_CHECKING:
    from bkjs.core.app import App

log = logging.getLogger(__name__)

SWEEP = 1.0
"""Seconds between two looks at the deadlines of all connections; their precision."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening socket, with TLS or without."""

    socket: socket.socket
    tls: ssl.SSLContext | None = None

    @property
    def url(self) -> str:
        host, port = self.socket.getsockname()[:2]
        host = f"[{host}]" if ":" in host else host
        return f"{'https' if self.tls else 'http'}://{host}:{port}"


class Server(uvicorn.Server):
    """Serves `app.web` on its listeners. `ready` is called once it accepts connections."""

    def __init__(
        self,
        app: App,
        listeners: Sequence[Listener],
        *,
        ready: Callable[[], object] = lambda: None,
        limits: Limits | None = None,
        sweep: float = SWEEP,
    ) -> None:
        """`limits` replace the settings, and stay as they are."""
        core, api = app.config.core, app.config.api
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # the rest is said by us
        config = uvicorn.Config(
            app.web,
            http=GuardedProtocol,
            ws="auto",
            ws_max_size=api.ws_max_frame,
            ws_max_queue=32,
            ws_ping_interval=20,
            ws_ping_timeout=20,
            interface="asgi3",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=int(core.backlog),
            timeout_graceful_shutdown=max(1, api.shutdown_timeout // 1000),
        )
        config.guard = Guard(limits or Limits(), app.web.proxies.trusts)  # type: ignore[attr-defined]
        super().__init__(config)
        self.app = app
        self.listeners = list(listeners)
        self.guard: Guard = config.guard  # type: ignore[attr-defined]
        self._fixed = limits is not None
        self._ready = ready
        self._interval = sweep
        self._timer: asyncio.TimerHandle | None = None

    def capture_signals(self) -> contextlib.AbstractContextManager[None]:
        """Signals are the caller's business: it sets `should_exit`."""
        return contextlib.nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        self.guard.now = loop.time()
        self._sweep()
        self.servers = [
            await loop.create_server(
                self._protocol, sock=item.socket, ssl=item.tls, backlog=self.config.backlog
            )
            for item in self.listeners
        ]
        self.started = True
        self._ready()

    def _protocol(self) -> GuardedProtocol:
        return GuardedProtocol(config=self.config, server_state=self.server_state, app_state={})

    def _sweep(self) -> None:
        """Look at all connections, also while the server drains."""
        loop = asyncio.get_running_loop()
        if not self._fixed:
            web = self.app.web
            largest = max((e.limit or 0 for e in web.endpoints), default=0)
            self.guard.limits.refresh(self.app.config.api, largest)
        self.guard.sweep(self.server_state.connections, loop.time())
        self._timer = loop.call_later(self._interval, self._sweep)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.guard.draining_since = asyncio.get_running_loop().time()
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        if self._timer:
            self._timer.cancel()


def listeners(app: App) -> list[Listener]:
    """Open the configured sockets; raises StartError that says which one cannot be had and why.

    Port 0 takes any free port, and none when there is TLS.
    """
    core = app.config.core
    found = []
    tls = tls_context(core.ssl)
    backlog = int(core.backlog)
    if core.port or not tls:
        found.append(Listener(listen(core.bind, int(core.port), backlog)))
    if tls:
        try:
            found.append(Listener(listen(core.ssl["bind"], int(core.ssl["port"]), backlog), tls))
        except StartError:
            for item in found:
                item.socket.close()
            raise
    return found


def listen(host: str, port: int, backlog: int = 511) -> socket.socket:
    """A socket that listens; raises StartError."""
    where = f"{host or '*'}:{port}"
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise StartError(f"address {where}: {error.strerror}") from None
    sock = socket.socket(family, kind, proto)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(backlog)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        holder = _holder(port) if error.errno in (48, 98) else ""
        reason = f"it is in use{holder}; stop that or choose another with -port" if holder else ""
        raise StartError(f"cannot listen on {where}: {reason or error.strerror}") from None
    return sock


def _holder(port: int) -> str:
    """Who listens on a port, as ` by process 123 (bkjs: web)`; only " already" when unknown."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
        except OSError:
            pass
    for process in Path("/proc").glob("[0-9]*/fd/*") if inodes else ():
        try:
            if os.readlink(process) in inodes:
                pid = process.parts[2]
                title = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                return f" by process {pid} ({title.strip()[:80]})"
        except OSError:
            pass
    return " already"


def tls_context(options: Any) -> ssl.SSLContext | None:
    """The TLS settings, None without a key; raises StartError when they cannot be used."""
    key, certificate = options.get("key"), options.get("cert")
    if not key:
        return None
    if not certificate:
        raise StartError("ssl-key is set, ssl-cert is not; both are needed")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=options.get("passphrase") or None)
        if options.get("ciphers"):
            context.set_ciphers(options["ciphers"])
        for file in options.get("ca") or ():
            context.load_verify_locations(file)
        for file in options.get("crl") or ():
            context.load_verify_locations(file)
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    except (OSError, ssl.SSLError) as error:
        raise StartError(f"TLS with {key} and {certificate}: {error}") from None
    if options.get("requestCert") or options.get("request_cert"):
        strict = options.get("rejectUnauthorized") or options.get("reject_unauthorized")
        context.verify_mode = ssl.CERT_REQUIRED if strict else ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    return context


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop where it is installed, which it is by default except on Windows."""
    if sys.platform == "win32":
        return asyncio.new_event_loop
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop
