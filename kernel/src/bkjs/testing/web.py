"""Calling an application in the same process, without sockets: for tests of endpoints."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from bkjs.app import App
from bkjs.auth.signature import sign

HOST = "localhost:8000"


class Reply:
    """What an application answered."""

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
    parts = urlsplit(target)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "headers": [(k.lower().encode(), v.encode()) for k, v in sent.items()],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }
    messages: list[dict[str, Any]] = []
    pending = [{"type": "http.request", "body": data, "more_body": False}]

    answered = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if pending:
            return pending.pop()
        await answered.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        messages.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            answered.set()

    await app.web(scope, receive, send)
    start = messages[0]
    content = b"".join(m.get("body", b"") for m in messages[1:])
    return Reply(start["status"], list(start["headers"]), content)
