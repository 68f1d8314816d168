"""Requests to a database over HTTP: so many at a time, with limits, on the node that answers.

A request ends within `timeout`, whatever happens: waiting for its turn, retries and reading the
answer included. What may have been done is never done again unless the caller says that this does
no harm (`safe`).
"""

from __future__ import annotations

import asyncio
import io
import random
import ssl
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final
from weakref import WeakSet

import aiohttp
import msgspec
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from bkjs.errors import BadRequest, BkError, Changed, Conflict, DriverError, Timeout, Unavailable

from .nodes import Node, Nodes
from .paths import check

FIRST_DELAY, LONGEST_DELAY = 0.05, 1.0
"""Seconds before the next try: anything from 0 to this, doubled each time (full jitter)."""
OVERLOADED: Final = 429
"""The server did nothing of it because it has too much to do."""
PASSING: Final = frozenset({500, 502, 503, 504})
"""Statuses that may be others when the same is asked again."""
AWAY: Final = frozenset({502, 503, 504})
"""Those of them that say that the server, or what is behind it, is not there."""
EXCERPT: Final = 200
"""Characters of an answer that stand in an error."""
WHOLE: Final = 2**20
"""Bytes that are written at once; more go in pieces, so that others have their turn."""
CLOSING: Final = 2.0
"""Seconds that requests may take to their end when the pool is closed."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a pool may use; times are in seconds."""

    size: int = 25
    """Requests at a time."""
    max_queue: int = 10_000
    """Requests that wait for their turn."""
    timeout: float = 10.0
    """A request may take that long, everything included."""
    connect: float = 2.0
    """Connecting to a node may take that long."""
    idle: float = 30.0
    """A connection that is not needed closes after that; less than the server's own limit."""
    retries: int = 3
    """Times that a request is tried again, besides once at each further node."""
    max_body: int = 100 * 2**20
    """Bytes of a request."""
    max_answer: int = 100 * 2**20
    """Bytes of an answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said."""

    status: int
    headers: Mapping[str, str]
    """By name, in upper or lower case."""
    body: bytes
    secrets: Collection[str] = ()
    """What is left out of an excerpt: a server may repeat the login that it was sent."""

    def json(self) -> Any:
        """The body, numbers exactly as they are; DriverError when it is no JSON."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, RecursionError):
            kind = self.headers.get("Content-Type", "no type")
            raise DriverError(f"an answer that is no JSON but {kind}: {self.excerpt()}") from None

    def excerpt(self) -> str:
        """The beginning of the body in one line, for the log."""
        text = self.body[: EXCERPT * 8].decode(errors="replace")
        for secret in self.secrets:
            text = text.replace(secret, "***")
        text = text[: EXCERPT * 4]
        return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:EXCERPT]


class Refused(DriverError):
    """The server does not let us in."""


class _Cut(aiohttp.ClientError):
    """The connection was lost before the answer began."""


class _Lost(Exception):
    """A try had no answer; `sent` when the server may have acted on it."""

    def __init__(self, text: str, *, sent: bool) -> None:
        super().__init__(text)
        self.sent = sent


@dataclass(frozen=True, slots=True)
class _Call:
    """One request, as each try sends it."""

    method: str
    path: str
    body: bytes | None
    headers: dict[str, str]
    safe: bool
    deadline: float
    expect: Collection[int]


class HttpPool:
    """The requests of one pool. Its `headers` go with each, the login of the URL too."""

    def __init__(
        self,
        name: str,
        url: str,
        limits: Limits,
        *,
        headers: Mapping[str, str] | None = None,
        ca: str = "",
    ) -> None:
        """No I/O. `ca` is a file with certificates that are trusted instead of the system's."""
        self.name = name
        self.limits = limits
        self.nodes = Nodes(name, url)
        self.headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        self.headers |= headers or {}
        if self.nodes.login:
            self.headers["Authorization"] = self.nodes.login
        sent = self.headers.get("Authorization", "").split()[-1:]
        self._secrets = (*sent, *self.nodes.secrets)
        self.retried = 0
        self._ca = ca
        self._busy = 0
        self._quiet = asyncio.Event()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Be ready for requests; nothing is asked yet."""
        trusted = ssl.create_default_context(cafile=self._ca) if self._ca else True
        connector = _Connector(
            limit=0, keepalive_timeout=self.limits.idle, ssl=trusted, ttl_dns_cache=10
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self.limits.connect),
            headers=self.headers,
            skip_auto_headers=("User-Agent",),
            middlewares=(_only_once,),
            trust_env=False,
        )

    async def close(self) -> None:
        """Let requests end, for two seconds, and close all connections. May be called twice."""
        session, self._session = self._session, None
        if session is None:
            return
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_exception(self._closed())
        try:
            if self._busy:
                self._quiet.clear()
                await asyncio.wait_for(self._quiet.wait(), CLOSING)
        except TimeoutError:
            pass
        finally:
            await session.close()

    def stats(self) -> dict[str, int]:
        """Requests that run and that wait, tries after the first, and nodes that failed lately."""
        return {
            "busy": self._busy,
            "waiting": sum(not future.done() for future in self._waiting),
            "retried": self.retried,
            "resting": self.nodes.resting(monotonic()),
        }

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        safe: bool | None = None,
        expect: Collection[int] = (),
        timeout: float = 0,
    ) -> Answer:
        """The answer to one request: 2xx, or one of the statuses in `expect`.

        `path` begins with a slash; its parts are what `segment` makes of a text, and its query is
        quoted, too. Send `json`, or a `body` with its Content-Type in `headers`. `safe` says that
        it does no harm when the request is done twice: GET and HEAD are, others only when they say
        so, such as a search by POST or a PUT without conditions. `timeout` (seconds) is for what
        takes longer than others.

        Raises Unavailable when no node is there or it has too much to do, Timeout when there is no
        answer in time, Changed (412), Conflict (409), BadRequest (413), DriverError for what else
        is refused. Unless `safe`, what was to be written may be stored after Timeout and after a
        lost connection, which the text of the error says.
        """
        check(path)
        given = dict(headers or ())
        if json is not None:
            body = msgspec.json.encode(json)
            given.setdefault("Content-Type", "application/json")
        if body is not None and len(body) > self.limits.max_body:
            raise BadRequest(f"{self.name}: more than {self.limits.max_body} bytes in one request")
        safe = method in ("GET", "HEAD") if safe is None else safe
        limit = timeout or self.limits.timeout
        deadline = asyncio.get_running_loop().time() + limit
        call = _Call(method, path, body, given, safe, deadline, expect)
        began = False
        try:
            async with asyncio.timeout_at(deadline):
                await self._take()
                began = True
                try:
                    answer = await self._tries(call)
                finally:
                    self._give()
        except TimeoutError:
            if not began:
                raise Timeout(f"{self.name}: timeout waiting for the resource") from None
            raise Timeout(f"{self.name}: no answer in {limit:g} s{_maybe(safe)}") from None
        if 200 <= answer.status < 300 or answer.status in expect:
            return answer
        raise self.failure(answer)

    def failure(self, answer: Answer) -> BkError:
        """The error that an answer means; without the login, nor the path, which has keys."""
        status = answer.status
        text = f"{self.name}: {status}: {answer.excerpt()}"
        match status:
            case 401 | 403:
                return Refused(f"{self.name}: the server refuses the login ({status})")
            case 409:
                return Conflict()
            case 412:
                return Changed(f"{self.name}: the record is not as expected")
            case 413:
                return BadRequest(f"{self.name}: the server takes no requests as large as this")
            case 429:
                error = Unavailable(f"{self.name}: the server has too much to do (429)")
                error.retry_after = max(1, round(_retry_after(answer)))
                return error
        return Unavailable(text) if status in AWAY else DriverError(text)

    # -- turns ---------------------------------------------------------------------------------

    async def _take(self) -> None:
        """Wait for a place among those that run."""
        if self._session is None:
            raise self._closed()
        if self._busy < self.limits.size:
            self._busy += 1
            return
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft()
        if len(self._waiting) >= self.limits.max_queue:
            raise Unavailable(f"{self.name}: no more resources")
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            await future
        except BaseException:
            if future.done() and not future.cancelled() and future.exception() is None:
                self._give()  # the place came in the moment in which we gave up
            raise

    def _give(self) -> None:
        """Pass a place on to who waits longest."""
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                return
        self._busy -= 1
        if not self._busy:
            self._quiet.set()

    def _closed(self) -> Unavailable:
        return Unavailable(f"{self.name}: the database is closed")

    # -- tries ---------------------------------------------------------------------------------

    async def _tries(self, call: _Call) -> Answer:
        """The first answer that is not to be tried again, or the last one."""
        loop = asyncio.get_running_loop()
        nodes = self.nodes.order(monotonic())
        turns = self.limits.retries + len(nodes)
        problem: Answer | Unavailable
        for turn in range(turns):
            node = nodes[turn % len(nodes)]
            others = len(nodes) - 1 - turn
            # a node that hangs must leave time for another one
            share = (call.deadline - loop.time()) / 2 if call.safe and others > 0 else None
            wait = 0.0
            try:
                async with asyncio.timeout(share):
                    answer = await self._once(node, call)
            except asyncio.CancelledError:
                if loop.time() >= call.deadline:
                    node.fails(monotonic())
                raise
            except (TimeoutError, _Lost) as exc:
                node.fails(monotonic())
                text = str(exc) or f"{node.place} does not answer"
                problem = Unavailable(f"{self.name}: {text}")
                if isinstance(exc, _Lost) and exc.sent and not call.safe:
                    raise problem from exc.__cause__
            else:
                node.works()
                again = answer.status == OVERLOADED or (call.safe and answer.status in PASSING)
                if not again or answer.status in call.expect:
                    return answer
                problem = answer
                wait = _retry_after(answer)
            if others <= 0:  # all have been tried: let them recover
                delay = random.uniform(0, min(FIRST_DELAY * 2**turn, LONGEST_DELAY))
                wait = max(wait, delay)
                if turn + 1 == turns or loop.time() + wait >= call.deadline:
                    break
                await asyncio.sleep(wait)
            self.retried += 1
        if isinstance(problem, Answer):
            return problem
        raise problem

    async def _once(self, node: Node, call: _Call) -> Answer:
        """One try at one node; raises _Lost."""
        session, body = self._session, call.body
        if session is None:
            raise self._closed()
        data = io.BytesIO(body) if body is not None and len(body) > WHOLE else body
        url, headers = node.url(call.path), call.headers
        try:
            async with session.request(
                call.method, url, data=data, headers=headers, allow_redirects=False
            ) as reply:
                body = await self._body(reply)
                return Answer(reply.status, reply.headers, body, self._secrets)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as exc:
            text = f"no connection to {node.place}: {type(exc).__name__}"
            raise _Lost(text, sent=False) from exc
        except aiohttp.ClientResponseError as exc:
            text = f"{node.place} answers what is no HTTP{_maybe(call.safe)}"
            raise _Lost(text, sent=True) from exc
        except (aiohttp.ClientError, ConnectionError) as exc:
            text = f"the connection to {node.place} was lost{_maybe(call.safe)}"
            raise _Lost(text, sent=True) from exc

    async def _body(self, reply: aiohttp.ClientResponse) -> bytes:
        encoding = reply.headers.get("Content-Encoding", "identity")
        if encoding != "identity":
            raise DriverError(f"{self.name}: an answer in {encoding[:20]}, which nobody asked for")
        most = self.limits.max_answer
        if (reply.content_length or 0) <= most:
            found = bytearray()
            async for chunk in reply.content.iter_any():
                found += chunk
                if len(found) > most:
                    break
            else:
                return bytes(found)
        reply.close()
        raise DriverError(f"{self.name}: an answer of more than {most} bytes")


class _Connector(aiohttp.TCPConnector):
    """Connections on which a server has said something unasked while nobody used them, such as 408
    before it closes one, are not used again: the next request would take it for its answer."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._used = WeakSet[Any]()

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,
    ) -> Connection:
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            if protocol is None or protocol not in self._used or not protocol.should_close:
                self._used.add(protocol)
                return connection
            connection.close()


async def _only_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """One try: aiohttp itself would repeat PUT and DELETE when a connection in use is lost."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as exc:
        raise _Cut from exc


def _maybe(safe: bool) -> str:
    return "" if safe else ", what was being written may be stored"


def _retry_after(answer: Answer) -> float:
    """Seconds that the server asks for, 0 when it asks for nothing that we understand."""
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0.0
