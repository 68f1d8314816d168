"""A whole Web service in this process, called without sockets or served on one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bkjs import hookimpl
from bkjs.app import App
from bkjs.auth.signature import sign
from bkjs.testing.app import make_app
from bkjs.testing.web import Reply
from bkjs.web.routing.routes import Routes
from bkjs.web.server import serve as server

Chunks = bytes | Iterable[bytes]


class Site:
    """A started application and what a client of it sees."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.web = app.web

    async def ask(
        self,
        target: str,
        body: Chunks = b"",
        *,
        method: str = "",
        headers: dict[str, str] | None = None,
        ip: str = "127.0.0.1",
        scheme: str = "http",
        login: str = "",
        secret: str = "k",
        raw: bytes | None = None,
    ) -> Reply:
        """The reply to one request; `raw` is the path when it is no text, a body may be chunks."""
        path, _, query = target.partition("?")
        method = method or ("POST" if body else "GET")
        sent = {"host": "h.com"} | (headers or {})
        if login:
            sent |= sign(login, secret, method, f"http://h.com{target}")
        chunks = [body] if isinstance(body, bytes) else list(body)
        pending = [
            {"type": "http.request", "body": chunk, "more_body": number < len(chunks) - 1}
            for number, chunk in enumerate(chunks)
        ]
        messages: list[Any] = []

        answered = asyncio.Event()

        async def receive() -> Any:
            if pending:
                return pending.pop(0)
            await answered.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            messages.append(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                answered.set()

        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
            "scheme": scheme, "root_path": "", "path": path,
            "raw_path": path.encode() if raw is None else raw, "query_string": query.encode(),
            "headers": [(n.lower().encode(), v.encode()) for n, v in sent.items()],
            "client": (ip, 50000), "server": ("127.0.0.1", 8000), "state": {},
        }  # fmt: skip
        await self.web(scope, receive, send)
        assert messages, "nothing was sent"
        content = b"".join(m.get("body", b"") for m in messages[1:])
        return Reply(messages[0]["status"], list(messages[0]["headers"]), content)


def module(routes: Routes | None = None, **hooks: Callable[..., Any]) -> Any:
    """A plugin with these endpoints and hooks."""
    plugin: dict[str, Any] = {n: staticmethod(hookimpl(fn)) for n, fn in hooks.items()}
    if routes is not None:

        def configure_web(web: Any) -> None:
            web.add(routes)

        plugin["configure_web"] = staticmethod(hookimpl(configure_web))
    return type("Plugin", (), plugin)()


Sites = Callable[..., Any]


@pytest.fixture
def site() -> Sites:
    """`async with site(routes, "-api-allow-path", "^/x") as s:` starts an application."""

    @asynccontextmanager
    async def start(
        routes: Routes | None = None, *argv: str, modules: Iterable[Any] = (), **hooks: Any
    ) -> AsyncIterator[Site]:
        async with make_app([module(routes, **hooks), *modules], *argv) as app:
            yield Site(app)

    return start


@pytest.fixture
def serve() -> Sites:
    """`async with serve(s) as port:` serves a site on a free port of loopback."""

    @asynccontextmanager
    async def start(site: Site) -> AsyncIterator[int]:
        listener = server.listen("127.0.0.1", 0, 64)
        stop, ready = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(
            server.serve(site.app, site.web, [(listener, None)], stop, ready.set, idle_grace=0)
        )
        await ready.wait()
        try:
            yield listener.getsockname()[1]
        finally:
            stop.set()
            await task

    return start
