"""Handing a request on to FastAPI, after the gateway has let it through."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from http.client import responses
from typing import TYPE_CHECKING, Any

from bkjs.core.asgi import Header, Message, Receive, Send
from bkjs.web.deadlines import Deadlines
from bkjs.web.input.body import Unread, again
from bkjs.web.input.params import refusal
from bkjs.web.request import Request
from bkjs.web.response import Response

from .replies import failure, status_reply

if TYPE_CHECKING:
    from fastapi import FastAPI


class FastAPIReply:
    """The answer of a FastAPI route, with the headers that every answer has."""

    headers: Sequence[Header] = ()

    def __init__(self, app: FastAPI, deadlines: Deadlines) -> None:
        self.app = app
        self.status = 500
        self._deadlines = deadlines

    async def send(self, req: Request, send: Send, headers: Sequence[Header]) -> Response | None:
        """Let FastAPI answer; its own errors are returned in the shape that ours have."""
        task, deadlines, unread = asyncio.current_task(), self._deadlines, req.unread
        assert task
        refusing = unread if isinstance(unread, Unread) else None

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                if refusing and refusing.refused:  # whatever FastAPI has made of it
                    raise refusing.refused
                deadlines.end(task)
                self.status = message["status"]
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
        # `send` raises when the client has gone, and a stream is cancelled: no second task looks
        scope["asgi"] = {"version": "3.0", "spec_version": "2.4"}
        scope["state"] = {**req.scope.get("state", {}), "bk": req}
        deadlines.begin(task, req.settings.timeout / 1000)
        if req.method in ("GET", "HEAD"):
            deadlines.reads(task)
        try:
            await self.app(scope, _replay(req), with_headers)
        except Exception as error:
            if refusing and refusing.refused:
                raise refusing.refused from None
            known = _known(req, error)
            if known is None:
                raise
            return known
        return None


def _known(req: Request, error: Exception) -> Response | None:
    """The answer for an error that FastAPI has a meaning for, None for others."""
    from fastapi.exceptions import RequestValidationError
    from starlette.exceptions import HTTPException

    if isinstance(error, RequestValidationError):
        refused = refusal(error.errors(), skip=1)
        refused.status = 422
        return failure(req, refused)
    if not isinstance(error, HTTPException):
        return None
    given = (error.headers or {}).items()
    own = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in given]
    if error.status_code in (204, 304):
        return Response(b"", error.status_code, headers=own)
    obj: dict[str, Any] = {"status": error.status_code, "message": error.detail}
    if not isinstance(error.detail, str):
        obj |= {"message": responses.get(error.status_code, "Refused"), "detail": error.detail}
    reply = status_reply(req, obj)
    reply.headers = (*reply.headers, *own)
    return reply


def _replay(req: Request) -> Receive:
    """The body once more when it was read here; after it the client's own messages."""
    if req.body is None:
        return req.receive
    return again({"type": "http.request", "body": req.body, "more_body": False}, req.receive)
