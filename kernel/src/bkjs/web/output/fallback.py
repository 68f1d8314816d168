"""Handing a request on to FastAPI, after the gateway has let it through."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bkjs.errors import Timeout
from bkjs.web.request import Message, Receive, Request, Send

from .replies import failure

if TYPE_CHECKING:
    from fastapi import FastAPI


class FastAPIReply:
    """The answer of a FastAPI route, with the headers that every answer has."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self.status = 500
        self._started = False

    async def send(self, req: Request, send: Send) -> None:
        base = req.web.handle.headers(req)
        task, deadlines = asyncio.current_task(), req.web.deadlines
        assert task

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                deadlines.end(task)
                self.status, self._started = message["status"], True
                given = {name.lower() for name, _ in message.get("headers", ())}
                message["headers"] = [
                    *(header for header in base if header[0] not in given),
                    *message.get("headers", ()),
                ]
            await send(message)

        scope = dict(req.scope)
        scope["path"] = req.path
        scope["state"] = {**req.scope.get("state", {}), "bk": req}
        seconds = req.app.config.api.timeout / 1000
        if seconds:
            deadlines.begin(task, seconds)
        try:
            await self.app(scope, _replay(req), with_headers)
        except asyncio.CancelledError:
            if not deadlines.expired(task):
                raise
            await self._fail(req, send, Timeout("The request took too long"))
        except Exception as error:
            await self._fail(req, send, error)
        finally:
            deadlines.end(task)

    async def _fail(self, req: Request, send: Send, error: Exception) -> None:
        """Answer for a route that failed, unless its answer has begun (FastAPI sends a 500 itself
        before it lets an exception through).
        """
        reply = failure(req, error)
        if not self._started:
            self.status = reply.status
            await req.web.handle.send(req, reply, send)


def _replay(req: Request) -> Receive:
    """The body once more when it was read here; after it the client's own messages."""
    if req.body is None:
        return req.receive
    pending: list[Message] = [{"type": "http.request", "body": req.body, "more_body": False}]

    async def receive() -> Message:
        return pending.pop() if pending else await req.receive()

    return receive
