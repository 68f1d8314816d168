"""Handing a request on to FastAPI, after the gateway has let it through."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bkjs.core.asgi import Header, Message, Receive, Send
from bkjs.errors import Timeout

from .replies import failure

if TYPE_CHECKING:
    from fastapi import FastAPI

    from bkjs.web.deadlines import Deadlines
    from bkjs.web.request import Request
    from bkjs.web.response import Response


class FastAPIReply:
    """The answer of a FastAPI route, with the headers that every answer has."""

    headers: Sequence[Header] = ()

    def __init__(self, app: FastAPI, deadlines: Deadlines) -> None:
        self.app = app
        self.status = 500
        self._deadlines = deadlines
        self._started = False

    async def send(self, req: Request, send: Send, headers: Sequence[Header]) -> Response | None:
        """Let FastAPI answer; what to send instead when it failed before its answer began.

        It sends a 500 itself before it lets an exception through.
        """
        task, deadlines = asyncio.current_task(), self._deadlines
        assert task

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                deadlines.end(task)
                self.status, self._started = message["status"], True
                given = {name.lower() for name, _ in message.get("headers", ())}
                message["headers"] = [
                    *(header for header in headers if header[0] not in given),
                    *message.get("headers", ()),
                ]
            await send(message)

        scope = dict(req.scope)
        scope["path"] = req.path
        if scope["type"] == "websocket":  # a frame, which is a request like others
            scope["type"], scope["scheme"] = "http", "https" if req.secure else "http"
            scope.setdefault("http_version", "1.1")
        scope["state"] = {**req.scope.get("state", {}), "bk": req}
        seconds = req.settings.timeout / 1000
        if seconds:
            deadlines.begin(task, seconds)
        failed: Exception
        try:
            await self.app(scope, _replay(req), with_headers)
        except asyncio.CancelledError:
            if not deadlines.expired(task):
                raise
            failed = Timeout("The request took too long")
        except Exception as error:
            failed = error
        else:
            return None
        finally:
            deadlines.end(task)
        reply = failure(req, failed)
        return None if self._started else reply


def _replay(req: Request) -> Receive:
    """The body once more when it was read here; after it the client's own messages."""
    if req.body is None:
        return req.receive
    pending: list[Message] = [{"type": "http.request", "body": req.body, "more_body": False}]

    async def receive() -> Message:
        return pending.pop() if pending else await req.receive()

    return receive
