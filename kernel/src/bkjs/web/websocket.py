"""Requests over WebSocket: a text frame is a request target, the reply frame the body.

Each frame goes through the whole chain as a GET with the headers of the handshake. Replies come in
the order of completion.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bkjs.core.errors import BkError
from bkjs.lib.metrics import TokenBucket
from bkjs.web.access import check_access
from bkjs.web.origin import trusted_origin
from bkjs.web.request import Message, Receive, Request, Scope, Send

if TYPE_CHECKING:
    from bkjs.web.gateway import Gateway
    from bkjs.web.longlived import End

RATE = 100
"""Frames per second that one connection may send, twice as many at once."""
BUSY = '{"status":429,"message":"Access limit reached, please try again later."}'
INVALID = '{"status":400,"message":"Invalid request"}'


async def serve(gateway: Gateway, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one connection until it ends; a handshake that is refused gets a 403."""
    await receive()
    if not _welcome(Request(gateway.app, gateway.web, scope, receive)):
        await send({"type": "websocket.close", "code": 1008})
        return
    await send({"type": "websocket.accept"})
    held = gateway.web.long_lived

    async def end() -> None:
        await send({"type": "websocket.close", "code": 1008, "reason": "Not authenticated"})

    most = gateway.app.config.api.ws_max_requests
    bucket = TokenBucket(RATE, 2 * RATE)
    running: set[asyncio.Task[None]] = set()
    try:
        while (message := await receive())["type"] == "websocket.receive":
            text = message.get("text")
            if text is None:
                await send({"type": "websocket.close", "code": 1003})
                return
            if len(running) >= most or not bucket.consume(1):
                await send({"type": "websocket.send", "text": BUSY})
                continue
            task = asyncio.create_task(_answer(gateway, scope, text, send, end))
            running.add(task)
            task.add_done_callback(running.discard)
    finally:
        held.release(end)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)


def _welcome(req: Request) -> bool:
    """Whether this handshake is accepted: not from a page of another site that has our cookies."""
    if req.header("cookie") and not trusted_origin(req):
        return False
    try:
        status = check_access(req)
    except BkError:  # a path that has no normal form
        return False
    return status is None or status["status"] == 200


async def _answer(gateway: Gateway, scope: Scope, target: str, send: Send, end: End) -> None:
    if not target.startswith("/") or not target.isprintable():
        await send({"type": "websocket.send", "text": INVALID})
        return
    path, _, query = target.partition("#")[0].encode("utf-8").partition(b"?")
    req = Request(
        gateway.app, gateway.web, {**scope, "raw_path": path, "query_string": query}, _nothing
    )
    parts: list[bytes] = []

    async def collect(message: Message) -> None:
        if message["type"] == "http.response.body":
            parts.append(message.get("body", b""))

    await gateway.serve(req, collect)
    if ticket := gateway.app.auth.ticket(req):
        gateway.web.long_lived.hold(end, ticket)
    text = b"".join(parts).decode("utf-8", "replace")
    await send({"type": "websocket.send", "text": text})


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}
