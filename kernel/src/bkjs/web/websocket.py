"""Requests over WebSocket: a text frame is a request target, the reply frame the body.

Each frame goes through the whole chain as a GET with the headers of the handshake. Replies come in
the order of completion. A frame `{"id": 1, "path": "/x", "method": "POST", "query": {}}` is
answered by `{"id": 1, "status": 200, "data": …}`; its `query` counts as a JSON body. One that is
refused keeps its `id` wherever that can be read: its client waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import msgspec

from bkjs.auth.longlived import LongLived
from bkjs.core.asgi import Message, Receive, Scope, Send
from bkjs.errors import BadRequest, BkError
from bkjs.lib.bucket import TokenBucket
from bkjs.lib.json import wire_json
from bkjs.lib.text import near

from .deadlines import Deadlines
from .input.body import parse_json, set_fields
from .output.replies import failure
from .request import Request
from .response import Response

Make = Callable[[Scope, Receive], Request]
Answer = Callable[[Request, Send], Awaitable[None]]

WAITING = 1 << 20
"""Characters of replies that wait to be sent before no further frame of a connection is begun."""
LAST_WORDS = 1.0
"""Seconds for the replies to frames that took longer than the server had."""
BUSY = b'{"status":429,"message":"Access limit reached, please try again later."}'
_OF_BODY = {b"content-type", b"content-length", b"content-encoding", b"transfer-encoding"}


async def serve(
    make: Make,
    answer: Answer,
    held: LongLived,
    deadlines: Deadlines,
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    """Serve one connection until it ends; a handshake that is refused gets a 403.

    `make` gives the request of a frame, which `answer` answers; `held` are the connections that
    end when what let them in no longer holds. At the end of the process no further frame is begun,
    and those that run are answered before the connection is closed (1012).
    """
    await receive()
    handshake = make(scope, receive)
    if not _welcome(handshake):
        await send({"type": "websocket.close", "code": 1008})
        return
    await send({"type": "websocket.accept"})

    async def end() -> None:
        await send({"type": "websocket.close", "code": 1008, "reason": "Not authenticated"})

    async def serve_frame(text: str) -> None:
        reply, req = await _reply_to(text, scope, make, answer, handshake.settings.max_url)
        if req is not None and (ticket := req.app.auth.ticket(req)):
            held.hold(end, ticket)
        await send_reply(reply)

    waiting = 0
    room = asyncio.Event()
    room.set()

    async def send_reply(reply: str) -> None:
        nonlocal waiting
        waiting += len(reply)
        if waiting > WAITING:
            room.clear()
        try:
            with contextlib.suppress(OSError):  # the client has left
                await send({"type": "websocket.send", "text": reply})
        finally:
            waiting -= len(reply)
            if waiting <= WAITING:
                room.set()

    most, rate = handshake.settings.ws_max_requests, handshake.settings.ws_max_rate
    bucket = TokenBucket(rate, 2 * rate)
    running: set[asyncio.Task[None]] = set()
    message: Message = {}
    try:
        while (message := await receive())["type"] == "websocket.receive":
            text = message.get("text")
            if text is None:
                await send({"type": "websocket.close", "code": 1003})
                return
            if len(running) >= most or not bucket.consume(1):
                await send_reply(_busy(text))
                continue
            await room.wait()
            task = asyncio.create_task(serve_frame(text))
            running.add(task)
            task.add_done_callback(running.discard)
            await asyncio.sleep(0)  # what is answered at once is on its way before the next begins
    finally:
        held.release(end)
        ending = message.get("ending")
        if not ending:
            for task in running:
                deadlines.leave(task)
        try:
            if running:
                await asyncio.wait(running)
        except asyncio.CancelledError:  # for longer than the server has
            for task in running:
                task.cancel()
            await asyncio.wait(running, timeout=LAST_WORDS)
        if ending:
            await send({"type": "websocket.close", "code": 1012})


def _welcome(req: Request) -> bool:
    """Whether this handshake is accepted: not from a page of another site."""
    auth = req.app.auth
    if not auth.trusts_origin(req):
        return False
    try:
        status = auth.access(req)
    except BkError:  # a path that has no normal form
        return False
    return status is None or status["status"] == 200


def _busy(text: str) -> str:
    """The refusal of a frame that comes on top of too many."""
    reply = _Reply()
    reply.status, reply.json, reply.body = 429, True, BUSY
    if framed := _is_framed(text):
        with contextlib.suppress(BadRequest):
            _decode(text, reply)
    return reply.text(framed=framed)


async def _reply_to(
    text: str, scope: Scope, make: Make, answer: Answer, longest: int
) -> tuple[str, Request | None]:
    """The reply to a frame, and the request that it was, if it was one."""
    reply = _Reply()
    frame, req, framed = Frame(path=text), None, _is_framed(text)
    try:
        if framed:
            frame = _decode(text, reply)
        req = _request(frame, scope, make, longest)
    except BkError as error:
        reply.status, reply.json, reply.body = error.status, True, wire_json(error.reply())
    else:
        try:
            await answer(req, reply.collect)
        except Exception as error:  # while it was sent
            reply.take(failure(req, error))
    return reply.text(framed=framed), req


def _is_framed(text: str) -> bool:
    """Whether a frame is meant as JSON: a path never begins like this."""
    return text.lstrip().startswith("{")


class Frame(msgspec.Struct, forbid_unknown_fields=True):
    """A frame as JSON; what is no JSON is a path alone."""

    path: str
    method: str = "GET"
    query: msgspec.Raw = msgspec.Raw(b"{}")
    id: msgspec.Raw = msgspec.Raw(b"null")


class _Reply:
    """What the chain sends, as a frame."""

    def __init__(self) -> None:
        self.id = b"null"
        self.status = 500
        self.json = False
        self.body = b""

    def take(self, whole: Response) -> None:
        """This in place of what was sent so far."""
        self.status, self.json, self.body = whole.status, True, whole.body

    async def collect(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            kind = dict(message["headers"]).get(b"content-type", b"")
            self.json = kind.startswith(b"application/json")
        else:
            self.body += message.get("body", b"")

    def text(self, *, framed: bool) -> str:
        """The body alone, or with the id and status of a frame that came as JSON."""
        body = self.body
        if framed:
            if not self.json:
                body = wire_json(body.decode("utf-8", "replace")) if body else b"null"
            body = b'{"id":%b,"status":%d,"data":%b}' % (self.id, self.status, body)
        return body.decode("utf-8", "replace")


def _decode(text: str, reply: _Reply) -> Frame:
    """The frame, with its id as that of the reply, also when it is refused for something else."""
    try:
        frame = msgspec.json.decode(text, type=Frame)
        reply.id = bytes(frame.id)
        return frame
    except (msgspec.DecodeError, RecursionError) as error:
        found: dict[str, msgspec.Raw] = {}
        with contextlib.suppress(msgspec.DecodeError, RecursionError):
            found = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        reply.id = bytes(found.get("id", b"null"))
        known = Frame.__struct_fields__
        for name in (name for name in found if name not in known):
            what = f"no key {name[:64]!r}{near(name[:64], known)}"
            raise BadRequest(f"Invalid frame: {what}; there are {', '.join(known)}") from None
        raise BadRequest(f"Invalid frame: {error}") from None


def _request(frame: Frame, scope: Scope, make: Make, longest: int) -> Request:
    """The request that a frame stands for: that of the handshake, with another target and body."""
    target = frame.path
    if not target.startswith("/") or not target.isprintable():
        raise BadRequest("Invalid request")
    sent_as = target.partition("#")[0].encode("utf-8")
    if len(sent_as) > longest:
        raise BkError("The URL is too long", status=414)
    path, _, query = sent_as.partition(b"?")
    scope = {**scope, "method": frame.method, "raw_path": path, "query_string": query}
    body = bytes(frame.query)
    sent = frame.method not in ("GET", "HEAD")
    if sent:
        others = [header for header in scope["headers"] if header[0] not in _OF_BODY]
        scope["headers"] = [*others, (b"content-type", b"application/json")]

    pending: list[Message] = [
        {"type": "http.request", "body": body if sent else b"", "more_body": False}
    ]

    async def receive() -> Message:
        while not pending:  # nothing more comes; who waits for the client to leave is cancelled
            await asyncio.Event().wait()
        return pending.pop()

    req = make(scope, receive)
    if not sent and body != b"{}":
        api = req.settings
        set_fields(req, parse_json(body, api.json_depth, api.json_keys, api.json_items))
    return req
