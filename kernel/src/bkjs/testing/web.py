"""Calling an application in the same process, without sockets: for tests of endpoints."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Any

from bkjs.app import App
from bkjs.auth.signature import sign
from bkjs.core.asgi import Asgi, Message, Receive, Scope, Send

HOST = "localhost:8000"

Chunks = bytes | Iterable[bytes]
"""A body, whole or as it comes in."""


class Reply:
    """What an application answered; the names of its headers are in lower case."""

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.status = status
        self.headers = {name.decode().lower(): value.decode() for name, value in headers}
        self.body = body

    def json(self) -> Any:
        """What the body says; raises ValueError when it is no JSON."""
        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"<Reply {self.status} {self.body[:200]!r}>"


async def call(
    app: App,
    target: str,
    body: Mapping[str, Any] | str | None = None,
    *,
    method: str = "",
    login: str = "",
    secret: str = "",
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Send one request through the whole Web service of a started app.

    A dict is sent as JSON, text as a form, both by POST. With a login the request is signed.
    """
    sent = dict(headers or {}) | {"host": HOST}
    data = b""
    if body is not None:
        data = json.dumps(body).encode() if isinstance(body, Mapping) else body.encode()
        kind = "json" if isinstance(body, Mapping) else "x-www-form-urlencoded"
        sent = {"content-type": f"application/{kind}"} | sent
    method = method or ("GET" if body is None else "POST")
    if login:
        sent |= sign(
            login,
            secret,
            method,
            f"http://{HOST}{target}",
            body=data or None,
            content_type=sent.get("content-type", ""),
        )
    return await exchange(app.web, scope_of(target, method, sent), data)


def scope_of(
    target: str,
    method: str,
    headers: Mapping[str, str],
    *,
    ip: str = "127.0.0.1",
    scheme: str = "http",
) -> Scope:
    """The scope of a request for `target`, which is a path and perhaps a query, percent-encoded."""
    path, _, query = target.partition("?")
    return {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
        "scheme": scheme, "root_path": "", "path": path, "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": (ip, 50000), "server": ("127.0.0.1", 8000), "state": {},
    }  # fmt: skip


async def exchange(site: Asgi, scope: Scope, body: Chunks = b"") -> Reply:
    """Send one request, its body perhaps in chunks, and take the whole answer."""
    chunks = [body] if isinstance(body, bytes) else list(body)
    pending = [
        {"type": "http.request", "body": chunk, "more_body": number < len(chunks) - 1}
        for number, chunk in enumerate(chunks)
    ]
    messages: list[Message] = []
    answered = asyncio.Event()

    async def receive() -> Message:
        if pending:
            return pending.pop(0)
        await answered.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        messages.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            answered.set()

    await asyncio.create_task(_serve(site, scope, receive, send))  # its own, as servers have it
    assert messages, "nothing was sent"
    content = b"".join(m.get("body", b"") for m in messages[1:])
    return Reply(messages[0]["status"], list(messages[0]["headers"]), content)


async def _serve(site: Asgi, scope: Scope, receive: Receive, send: Send) -> None:
    await site(scope, receive, send)
