"""HTTP/1.1 connections with limits and deadlines, on top of uvicorn's protocol.

Everything that may be too much, or take too long, ends here before the application sees it. One
sweep a second looks at all connections; there is no timer for each request. While the server
drains, no connection is closed under its client: the next answer says `Connection: close`.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

_NEEDED = (
    "connections", "cycle", "flow", "headers", "parser", "pipeline", "server_state", "tasks",
    "transport", "url", "_should_upgrade", "_start_asgi_task", "handle_websocket_upgrade",
    "on_body", "on_headers_complete", "on_message_begin", "on_message_complete",
    "on_response_complete", "on_url", "pause_writing", "resume_writing", "send_400_response",
    "shutdown",
)  # fmt: skip
_known = {*dir(HttpToolsProtocol), *HttpToolsProtocol.__init__.__code__.co_names}
_known |= {*HttpToolsProtocol.on_message_begin.__code__.co_names}
if _missing := [name for name in _NEEDED if name not in _known]:
    raise ImportError(
        f"uvicorn {uvicorn.__version__} is not supported: its protocol has no {', '.join(_missing)}"
    )

_HOST = re.compile(
    rb"(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_.])?|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?"
).fullmatch
_LINGER = 1024 * 1024
"""Bytes that are still read of a request whose answer was a refusal."""
_LINGER_SECONDS = 2.0
_CLOSE_SECONDS = 5.0


@dataclass(slots=True)
class Limits:
    """What a connection may do; sizes in bytes, times in seconds."""

    headers: int = 100
    head: int = 16 * 1024
    url: int = 8 * 1024
    body: int = 10 * 1024 * 1024
    head_seconds: float = 10
    body_seconds: float = 30
    body_rate: float = 1024
    read_seconds: float = 60
    idle_seconds: float = 65
    drain_seconds: float = 1
    """How long idle connections stay open once the server drains."""
    connections: int = 10_000
    per_address: int = 256

    def refresh(self, api: Any, largest_body: int = 0) -> None:
        """Take over the current settings."""
        self.headers, self.head, self.url = api.max_headers, api.max_header_size, api.max_url
        self.body = max(api.upload_limit, largest_body)
        self.head_seconds, self.body_seconds = api.header_timeout / 1000, api.body_timeout / 1000
        self.body_rate, self.read_seconds = api.body_min_rate, api.read_timeout / 1000
        self.idle_seconds = api.keepalive_timeout / 1000
        self.connections, self.per_address = api.max_connections, api.max_connections_ip


class Guard:
    """What all connections of a server share; `now` is the clock of the sweep."""

    def __init__(self, limits: Limits, trusts: Any = None) -> None:
        self.limits = limits
        self.now = 0.0
        self.draining_since: float | None = None
        self.addresses: dict[str, int] = {}
        self.refused: dict[int, int] = {}
        """Refusals by status."""
        self.trusts = trusts or (lambda address: False)

    def sweep(self, connections: Any, now: float) -> None:
        """Move the clock and end the connections whose time is over."""
        self.now = now
        for connection in list(connections):
            if isinstance(connection, GuardedProtocol):
                connection.check(now)


class GuardedProtocol(HttpToolsProtocol):
    """One connection. `config.guard` holds what it shares with the others."""

    draining = False
    _rejected: tuple[int, str] | None = None
    _counted = False
    _refused = False
    _in_body = False
    _head_bytes = 0
    _head_since = 0.0
    """When the client began a request; 0 while it owes us nothing."""
    _body_bytes = 0
    _lingered = 0
    _since = 0.0
    """When the present phase began: body, idle, refused."""
    _write_since = 0.0

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.guard: Guard = self.config.guard  # type: ignore[attr-defined]

    # -- the connection ----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        guard, limits = self.guard, self.guard.limits
        self._since = self._head_since = guard.now
        address = self.client[0] if self.client else ""
        count = guard.addresses[address] = guard.addresses.get(address, 0) + 1
        self._counted = True
        most = limits.per_address
        if len(self.connections) > limits.connections:
            self.refuse(503, "Too many connections")
        elif most and count > most and not guard.trusts(address):
            self.refuse(503, "Too many connections from this address")
        elif guard.draining_since is not None:
            self.shutdown()  # accepted in the moment of the close: it gets one answer

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def _forget(self) -> None:
        if not self._counted:
            return
        self._counted = False
        addresses, address = self.guard.addresses, self.client[0] if self.client else ""
        addresses[address] -= 1
        if not addresses[address]:
            del addresses[address]

    def handle_websocket_upgrade(self) -> None:
        super().handle_websocket_upgrade()
        upgraded: Any = self.transport.get_protocol()
        lost = upgraded.connection_lost

        def connection_lost(exc: Exception | None) -> None:
            self._forget()
            lost(exc)

        upgraded.connection_lost = connection_lost

    def pause_writing(self) -> None:
        self._write_since = self.guard.now
        super().pause_writing()

    def resume_writing(self) -> None:
        self._write_since = 0.0
        super().resume_writing()

    def shutdown(self) -> None:
        """The server drains: the next answer is the last one of this connection."""
        self.draining = True
        if self.cycle is not None and not self.cycle.response_started:
            self.cycle.keep_alive = False

    # -- what the client sends ---------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._refused:
            self._lingered += len(data)
            if self._lingered > _LINGER:
                self.transport.abort()
            return
        if self.transport.is_closing():
            return
        if not self._in_body:
            self._head_bytes += len(data)
            if not self._head_since:
                self._head_since = self.guard.now
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.refuse(*(self._rejected or (400, "Invalid HTTP request")))
        except httptools.HttpParserUpgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
        else:
            if not self._in_body and self._head_bytes > self.guard.limits.head + len(data):
                self.refuse(431, "Request headers are too large")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._rejected = None

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > self.guard.limits.url:
            self._reject(414, "The URL is too long")

    def on_headers_complete(self) -> None:
        self._check_head()
        self._in_body = True
        self._head_bytes = self._body_bytes = 0
        self._head_since = 0.0
        self._since = self.guard.now
        super().on_headers_complete()
        if self.parser.should_upgrade() and self._should_upgrade():
            return
        self.headers = []  # trailers go where nobody reads them
        if self.draining:
            self.cycle.keep_alive = False

    def _check_head(self) -> None:
        headers, limits = self.headers, self.guard.limits
        if len(headers) > limits.headers:
            self._reject(431, "Too many headers")
        if self._head_bytes > limits.head:
            # the bytes may be those of earlier requests: count what belongs to this one
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in headers)
            if size > limits.head:
                self._reject(431, "Request headers are too large")
        host = None
        for name, value in headers:
            if name == b"host":
                if host is not None:
                    self._reject(400, "Duplicate Host")
                host = value
            elif name == b"content-length" and int(value) > limits.body:
                self._reject(413, "unable to process the request, it is too large")
        if host is None:
            if self.parser.get_http_version() == "1.1":
                self._reject(400, "Host required")
        elif not _HOST(host):
            self._reject(400, "Invalid Host")
        if not self.url.startswith((b"/", b"http://", b"https://")) and self.url != b"*":
            self._reject(400, "Invalid request target")

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > self.guard.limits.body:
            self._reject(413, "unable to process the request, it is too large")
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body = False
        self._head_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        self._since = self.guard.now
        if self._head_since:  # it waited for us, not we for it
            self._head_since = self.guard.now
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())

    # -- refusing ----------------------------------------------------------------------------

    def _reject(self, status: int, text: str) -> None:
        """Refuse from inside a callback of the parser, which stops at the exception."""
        self._rejected = (status, text)
        raise ValueError(text)

    def send_400_response(self, msg: str) -> None:
        self.refuse(400, msg)

    def refuse(self, status: int, text: str) -> None:
        """Answer with an error and end the connection."""
        self.guard.refused[status] = self.guard.refused.get(status, 0) + 1
        self._refused, self._since = True, self.guard.now
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if cycle.response_started:
                self.transport.abort()
                return
            cycle.disconnected = True  # the application's receive() says that the client is gone
            cycle.message_event.set()
        self.flow.resume_reading()
        body = b'{"status":%d,"message":"%s"}' % (status, text.encode("ascii"))
        retry = b"retry-after: 1\r\n" if status == 503 else b""
        self.transport.write(
            STATUS_LINE[status]
            + b"content-type: application/json\r\nx-content-type-options: nosniff\r\n"
            + b"cache-control: no-store\r\nconnection: close\r\n"
            + retry
            + b"content-length: %d\r\n\r\n" % len(body)
            + body
        )
        if self.transport.can_write_eof():
            self.transport.write_eof()  # closing at once could destroy the answer on its way
        else:
            self.transport.close()

    # -- deadlines ---------------------------------------------------------------------------

    def check(self, now: float) -> None:
        """End this connection when it is the client that keeps us waiting."""
        limits, age = self.guard.limits, now - self._since
        if self._refused:
            if age >= _LINGER_SECONDS:
                self.transport.abort()
        elif self.transport.is_closing():
            if age >= limits.read_seconds + _CLOSE_SECONDS:
                self.transport.abort()
        elif self._write_since and now - self._write_since >= limits.read_seconds:
            self.transport.abort()
        elif self._in_body:
            if not self.flow.read_paused and age > limits.body_seconds:
                wanted = (age - limits.body_seconds) * limits.body_rate
                if self._body_bytes < wanted:
                    self.refuse(408, "The request body did not arrive in time")
        elif self.cycle is None or self.cycle.response_complete:
            if self._head_since and now - self._head_since >= limits.head_seconds:
                self.refuse(408, "The request did not arrive in time")
            elif age >= self._idle_limit(now):
                self._close_idle()

    def _idle_limit(self, now: float) -> float:
        limits, since = self.guard.limits, self.guard.draining_since
        if since is None:
            return limits.idle_seconds
        return 0.0 if now - since >= limits.drain_seconds else limits.idle_seconds

    def _close_idle(self) -> None:
        if self.transport.get_write_buffer_size():  # the last answer is not taken: it never will be
            self.transport.abort()
        else:
            self.transport.close()
