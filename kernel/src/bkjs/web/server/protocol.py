"""The HTTP protocol with limits and deadlines, and with a drain that fails no request.

A subclass of uvicorn's httptools protocol: what is too large, too slow or ambiguous is refused
while it arrives. One sweep a second looks at all connections, so no request costs a timer. While
draining, an idle connection is not closed under its client: its next answer says
`Connection: close`.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from bkjs.core.asgi import Header, Send
from bkjs.lib.json import wire_json
from bkjs.web.endpoint import METHODS
from bkjs.web.response import BODILESS

log = logging.getLogger(__name__)

IDLE, HEAD, BODY, APP, LINGER = range(5)

TOO_LARGE = "unable to process the request, it is too large"
STALL_SECONDS = 2.0
"""A sweep that comes so late says that we were held up, not the clients."""
LINGER_SECONDS = 1.0
LINGER_BYTES = 1 << 20
WAITING = 8
"""Requests that wait on a connection for the answer to one before. The rest is not read, so that a
client with more of them is only seen to leave when one is answered."""
HELD_BYTES = 1 << 20
"""Received but not read yet; what one pause of reading lets through is a quarter of it."""
PIECE = 1 << 14
"""Bytes of a chunked body that the parser gets at once."""

_BLANK_LINE = re.compile(rb"\n\r?\n")

_HOST = re.compile(rb"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")
_REQUEST_LINE = re.compile(rb"[A-Za-z]{1,32} /\S* HTTP/1\.[01]\r\n")
_PHRASES = {
    400: b"Bad Request", 405: b"Method Not Allowed", 408: b"Request Timeout",
    413: b"Content Too Large", 414: b"URI Too Long", 431: b"Request Header Fields Too Large",
    503: b"Service Unavailable", 505: b"HTTP Version Not Supported",
}  # fmt: skip
_MORE_HEADERS = {
    405: b"allow: %b\r\n" % ", ".join(METHODS).encode(),
    503: b"retry-after: 1\r\n",
}

_NEEDED = (
    "connection_made", "connection_lost", "data_received", "on_url", "on_headers_complete",
    "on_body", "on_message_complete", "on_response_complete", "send_400_response", "shutdown",
    "handle_websocket_upgrade", "_should_upgrade", "_start_asgi_task",
)  # fmt: skip
if missing := [name for name in _NEEDED if not hasattr(HttpToolsProtocol, name)]:
    raise ImportError(f"this version of uvicorn has no {', '.join(missing)}; install uvicorn 0.54")


def write_whole(send: Send, status: int, headers: bytes, body: bytes) -> bool:
    """Write an answer at once, which saves the messages and checks of ASGI for most requests.

    `headers` are lines, without the length of the body. False when nothing was written because it
    must be sent as usual: `send` is not that of uvicorn, the client waits, closes or has gone, or
    the status has no body but the answer has one.
    """
    cycle = getattr(send, "__self__", None)
    if cycle.__class__ is not RequestResponseCycle:
        return False
    if (
        cycle.response_started
        or cycle.disconnected
        or cycle.flow.write_paused
        or not cycle.keep_alive
        or cycle.scope["method"] == "HEAD"
    ):
        return False
    length = b"content-length: %d\r\n" % len(body)
    if status in BODILESS:
        if body:
            return False
        length = b""
    lines = _lines(tuple(cycle.default_headers))
    cycle.transport.write(b"%b%b%b%b\r\n%b" % (STATUS_LINE[status], lines, headers, length, body))
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    cycle.message_event.set()
    cycle.on_response()
    return True


@lru_cache(16)
def _lines(headers: tuple[Header, ...]) -> bytes:
    """The headers that all answers of a second have."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def is_gone(send: Send) -> bool:
    """Whether the client has left that would get what is sent."""
    cycle = getattr(send, "__self__", None)
    return cycle.__class__ is RequestResponseCycle and cycle.disconnected


def hang_up(send: Send) -> None:
    """Close the connection without the end of an answer that was begun."""
    cycle = getattr(send, "__self__", None)
    if cycle.__class__ is RequestResponseCycle and not cycle.disconnected:
        cycle.disconnected = True
        cycle.transport.close()


class State(ServerState):
    """What the connections of one server share."""

    def __init__(
        self,
        api: Any,
        trusts: Callable[[str], bool] = lambda address: False,
        leave: Callable[[asyncio.Task[Any]], None] = lambda task: None,
    ) -> None:
        super().__init__()
        self.api = api
        """The settings of the web service; limits apply live."""
        self.trusts = trusts
        """Whether an address is a proxy that speaks for many clients."""
        self.leave_task = leave
        """Called with the task that answers a client which has left."""
        self.now = 0.0
        """The clock of the sweep, in seconds: read instead of asking the time per request."""
        self.stalled = False
        self.draining = False
        self.addresses: dict[str, int] = {}
        """Open connections by address."""

    def enter(self, address: str) -> int:
        """One more connection of an address; how many it has now."""
        count = self.addresses[address] = self.addresses.get(address, 0) + 1
        return count

    def leave(self, address: str) -> None:
        """A connection of an address has ended."""
        count = self.addresses.get(address, 0) - 1
        if count > 0:
            self.addresses[address] = count
        else:
            self.addresses.pop(address, None)

    def sweep(self, now: float) -> None:
        """Close what has been too slow; after a stall not before what came meanwhile was read."""
        self.stalled = not self.stalled and 0 < self.now < now - STALL_SECONDS
        self.now = now
        if self.stalled:
            return
        for connection in list(self.connections):
            connection.check(now)  # type: ignore[union-attr]


class GuardedProtocol(HttpToolsProtocol):
    """One connection."""

    server_state: State

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.access_log = False
        self.api = self.server_state.api
        self.phase = IDLE
        self.since = self.server_state.now
        self.head_bytes = 0
        self.body_bytes = 0
        self.body_size = 0
        """What Content-Length says; 0 for a chunked body, too."""
        self.silent_bytes = 0
        """Of a chunked body, since something of its content came: trailers, for example."""
        self.held = memoryview(b"")
        """Received, and to be parsed when those who wait are answered."""
        self.draining = False
        self.answering: tuple[RequestResponseCycle, asyncio.Task[None]] | None = None
        """The request that is answered now; `cycle` is the last one that came."""
        self.address = ""
        self.rejected: tuple[int, str] | None = None
        self.stuck_since: float | None = None

    # -- life of the connection -----------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuse a connection over the limits: 503 for too many in all or of one address."""
        super().connection_made(transport)
        state = self.server_state
        self.since = state.now
        self.address = self.client[0] if self.client else ""
        count = state.enter(self.address)
        if len(self.connections) > self.api.max_connections or (
            0 < self.api.max_connections_ip < count and not state.trusts(self.address)
        ):
            self.refuse(503, "Too many connections")
        elif state.draining:
            self.shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """The address has one connection less, and nobody waits for the answer any more."""
        super().connection_lost(exc)
        self.server_state.leave(self.address)
        self.pipeline.clear()
        self.held = memoryview(b"")
        if self.answering is not None and not self.answering[0].response_complete:
            cycle, task = self.answering
            cycle.disconnected = True
            cycle.message_event.set()
            self.server_state.leave_task(task)
        self.answering = None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        task = self.loop.create_task(cycle.run_asgi(app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)
        self.answering = cycle, task

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over to the protocol of WebSockets."""
        if self.draining:
            self.refuse(503, "The server is shutting down")
            return
        if self.answering is not None and not self.answering[0].response_complete:
            self.refuse(400, "A WebSocket begins when what was asked before is answered")
            return
        self.server_state.leave(self.address)  # counted by its own protocol from here on
        super().handle_websocket_upgrade()

    def shutdown(self) -> None:
        """Announce the end: the next answer is the last one."""
        self.draining = True
        if self.cycle is not None and not self.cycle.response_started:
            self.cycle.keep_alive = False

    # -- what comes in --------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Parse what came; refuse it (400, 405, 431) when it is no request or too large."""
        if self.phase == LINGER:
            self.body_bytes += len(data)
            if self.body_bytes > LINGER_BYTES:
                self.transport.abort()
            return
        if self.transport.is_closing():
            return
        if self.held:  # reading was resumed for the body of the request that is answered now
            if len(self.held) + len(data) > HELD_BYTES:
                self.refuse(503, "Too many requests wait on this connection")
                return
            self.held = memoryview(b"".join((self.held, data)))
            self.flow.pause_reading()
            return
        self._parse(data)

    def _parse(self, data: bytes | memoryview) -> None:
        """Parse it, request by request; hold what comes after too many of them."""
        start, size = 0, len(data)
        while start < size:
            if len(self.pipeline) >= WAITING:
                self.held = memoryview(data)[start:]
                self.flow.pause_reading()
                return
            end = self._end_of_piece(data, start, size)
            whole = end - start == size
            if not self._feed(data if whole else memoryview(data)[start:end]):
                return
            start = end

    def _end_of_piece(self, data: bytes | memoryview, start: int, size: int) -> int:
        """A place up to which no more than one further request is complete."""
        if self.phase == BODY:
            if self.body_size:
                return min(size, start + self.body_size - self.body_bytes)
            size = min(size, start + PIECE)
        blank = _BLANK_LINE.search(data, start, size)
        return blank.end() if blank else size

    def _feed(self, data: bytes | memoryview) -> bool:
        """Give the parser a piece; False when there is nothing more to parse."""
        if self.phase == IDLE:
            self.phase = HEAD
            self.since = self.server_state.now
        if self.phase in (HEAD, APP):  # while we answer, what comes is the next request
            self.head_bytes += len(data)
        content = self.body_bytes if self.phase == BODY else -1
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserInvalidMethodError:
            if _REQUEST_LINE.match(data):  # a method that not even the parser knows
                self.refuse(405, "Method not allowed")
            else:
                self.refuse(400, "Invalid request")
            return False
        except httptools.HttpParserError:
            status, text = self.rejected or (400, "Invalid request")
            self.refuse(status, text)
            return False
        except httptools.HttpParserUpgrade as upgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
                return False
            rest = memoryview(data)[upgrade.args[0] :]  # we stay with this protocol
            return not rest or self._feed(rest)
        if self.phase in (HEAD, APP):
            if self.head_bytes > self.api.max_header_size + self.api.max_url:
                self.refuse(431, "The headers are too large")
                return False
        elif self.phase == BODY:
            self.silent_bytes = self.silent_bytes + len(data) if content == self.body_bytes else 0
            if self.silent_bytes > self.api.max_header_size:
                self.refuse(431, "The trailers are too large")
                return False
        return True

    def reject(self, status: int, text: str) -> None:
        """Refuse from inside a callback of the parser, which stops at an exception."""
        self.rejected = (status, text)
        raise ValueError(text)

    def on_url(self, url: bytes) -> None:
        """Collect the target; 414 for one that is too long."""
        self.url += url  # it may come in pieces
        if len(self.url) > self.api.max_url:
            self.reject(414, "The URL is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header or trailer; 431 for too many trailers."""
        super().on_header(name, value)
        if self.phase == BODY and len(self.headers) > self.api.max_headers:
            self.reject(431, "There are too many trailers")

    def on_headers_complete(self) -> None:
        """Judge the head as a whole: its size, version, Host and announced body."""
        headers = self.headers
        self.body_size = self.silent_bytes = 0
        api = self.api
        if len(headers) > api.max_headers:
            self.reject(431, "There are too many headers")
        if self.head_bytes > api.max_header_size:
            size = sum(len(name) + len(value) + 4 for name, value in headers)
            if size > api.max_header_size:
                self.reject(431, "The headers are too large")
        version = self.parser.get_http_version()
        if version not in ("1.1", "1.0"):
            self.reject(505, "The version of HTTP is not supported")
        host = None
        for name, value in headers:
            if name == b"host":
                if host is not None:
                    self.reject(400, "There are two Host headers")
                host = value
            elif name == b"content-length":
                self.body_size = int(value)
                if self.body_size > self._largest_body():
                    self.reject(413, TOO_LARGE)
            elif name == b"transfer-encoding" and version == "1.0":
                self.reject(400, "HTTP/1.0 has no transfer encodings")
        if host is None:
            if version == "1.1":
                self.reject(400, "The Host header is missing")
        elif not _HOST.fullmatch(host):
            self.reject(400, "The Host header is invalid")
        self.phase = BODY
        self.since = self.server_state.now
        self.body_bytes = 0
        upgrade = self.parser.should_upgrade() and self._should_upgrade()
        super().on_headers_complete()
        if not upgrade:
            self.headers = []  # trailers go here, where nobody reads them
        if self.pipeline:
            self.flow.resume_reading()  # uvicorn stops here, and would not see its client leave
        if self.draining and self.cycle is not None:
            self.cycle.keep_alive = False

    def _largest_body(self) -> int:
        return max(2 * int(self.api.upload_limit), int(getattr(self.app, "largest_body", 0)))

    def close_idle(self) -> None:
        """End a connection that has no request."""
        if self.phase != IDLE:
            return
        if self.transport.get_write_buffer_size():
            self.transport.abort()  # its last answer was not taken, and never will be
        else:
            self.transport.close()
            self._linger()

    def _linger(self) -> None:
        """Wait a moment for the other side to close, too: with TLS it has to agree."""
        self.phase = LINGER
        self.since = self.server_state.now
        self.body_bytes = 0

    def on_body(self, body: bytes) -> None:
        """Pass a piece of the body on; 413 when there is more than any endpoint takes."""
        self.body_bytes += len(body)
        if self.body_bytes > self._largest_body():
            self.reject(413, TOO_LARGE)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole: from now on it is ours to be slow."""
        answered = self.cycle is None or self.cycle.response_complete
        self.phase = IDLE if answered else APP
        self.head_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """As in uvicorn, without a timer for each answer."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.phase == APP and not self.pipeline:
            self.phase = IDLE  # else the rest of a body, or the next request, is still to come
        self.since = self.server_state.now
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            if self.draining:
                cycle.keep_alive = False
            self._start_asgi_task(cycle, app)
        if not self.pipeline:
            held, self.held = self.held, memoryview(b"")
            self.flow.resume_reading()
            if held:
                self._parse(held)

    # -- deadlines ------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        """The client takes less than we send: `read-timeout` counts from now."""
        self.stuck_since = self.server_state.now
        super().pause_writing()

    def resume_writing(self) -> None:
        """The client has taken what waited."""
        self.stuck_since = None
        super().resume_writing()

    def check(self, now: float) -> None:
        """End the connection when its client has been too slow."""
        age = now - self.since
        api = self.api
        if self.stuck_since is not None and now - self.stuck_since > api.read_timeout / 1000:
            self.transport.abort()
        elif self.phase == IDLE:
            limit = api.header_timeout if self.cycle is None else api.keepalive_timeout
            if age > limit / 1000:
                if self.cycle is None:
                    self.refuse(408, "The request did not arrive in time")
                else:
                    self.close_idle()
        elif self.phase == HEAD and age > api.header_timeout / 1000:
            self.refuse(408, "The headers did not arrive in time")
        elif self.phase == BODY and not self.flow.read_paused and not self.pipeline:
            late = age - api.body_timeout / 1000
            if late > 0 and self.body_bytes < late * api.body_min_rate:
                self.refuse(408, "The body did not arrive in time")
        elif self.phase == LINGER and age > LINGER_SECONDS:
            self.transport.abort()

    # -- refusing -------------------------------------------------------------------------------

    def send_400_response(self, msg: str) -> None:
        """Refuse with the reason that a callback of the parser gave, if any."""
        self.refuse(*(self.rejected or (400, msg)))

    def refuse(self, status: int, text: str) -> None:
        """Answer with an error and close; a client that is still sending gets to read it."""
        cycle = self.answering[0] if self.pipeline and self.answering else self.cycle
        if cycle is not None and not cycle.response_complete:
            if cycle.response_started:
                self.transport.abort()
                return
            cycle.disconnected = True
            cycle.message_event.set()
        log.info("%s: refused before it was a request: %d: %s", self.address, status, text)
        body = wire_json({"status": status, "message": text})
        self.transport.write(
            b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
            b"x-content-type-options: nosniff\r\ncache-control: no-store\r\n"
            b"%bconnection: close\r\n\r\n%b"
            % (status, _PHRASES[status], len(body), _MORE_HEADERS.get(status, b""), body)
        )
        if status in (413, 414, 431) and self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()
        self._linger()
