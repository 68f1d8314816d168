"""A whole application in this process: called without sockets, or served on one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from argon2 import PasswordHasher

from bkjs import hookimpl
from bkjs.app import App
from bkjs.auth import signature
from bkjs.processes.sockets import listen
from bkjs.testing.app import make_app
from bkjs.testing.web import Chunks, Reply, exchange, scope_of
from bkjs.web import forms
from bkjs.web.endpoint import Endpoint
from bkjs.web.endpoints.routes import Routes
from bkjs.web.request import Request
from bkjs.web.server import serve as server

NOW = 1_700_000_000_000
Sites = Callable[..., Any]


class Site:
    """A started application and what a client of it sees."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.web: Any = app.web

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
        method = method or ("POST" if body else "GET")
        sent = {"host": "h.com"} | (headers or {})
        if login:
            sent |= signature.sign(login, secret, method, f"http://h.com{target}")
        scope = scope_of(target, method, sent, ip=ip, scheme=scheme)
        if raw is not None:
            scope["raw_path"] = raw
        return await exchange(self.web, scope, body)


class Harness:
    """Makes requests of its own application, signed or not, that began at `now`."""

    def __init__(self, app: App, hooks: SimpleNamespace) -> None:
        self.app = app
        self.web: Any = app.web
        self.auth = app.auth
        self.api = app.config.api
        self.hooks = hooks
        """`authenticate` is what a plugin answers to this hook."""
        self.now = NOW
        self.cheap_passwords()

    def cheap_passwords(self) -> None:
        """Hashes of milliseconds; counts them in `hashes`."""
        passwords = self.auth.passwords
        self.hashes = 0
        passwords.__dict__["_argon2"] = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        run = passwords._run

        async def counted(work: Any) -> Any:
            self.hashes += 1
            return await run(work)

        passwords._run = counted  # type: ignore[method-assign]

    def request(
        self,
        target: str = "/x",
        *,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        writes: bool = False,
        endpoint: Any = None,
        ip: str = "9.9.9.9",
        scheme: str = "http",
        cookies: dict[str, str] | None = None,
    ) -> Request:
        sent = {"host": "h.com:8000"} | (headers or {})
        if cookies:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        scope = scope_of(target, method, sent, ip=ip, scheme=scheme)
        req: Request = self.web.handle.request(scope, None)
        req.mtime = self.now
        req.endpoint = endpoint or Endpoint("/x", lambda req: None, writes=writes)
        if body:
            req.body = body
            req.form = sent.get("content-type", "").startswith(signature.FORM)
            if req.form:
                req.fields = forms.parse(body)
                req.query = req.url_query | req.fields
        return req

    def signed(
        self,
        login: str,
        secret: str,
        target: str = "/x",
        *,
        method: str = "GET",
        body: bytes = b"",
        content_type: str = "",
        sign: dict[str, Any] | None = None,
        **options: Any,
    ) -> Request:
        headers = signature.sign(
            login, secret, method, target, body=body or None, content_type=content_type,
            host="h.com", now=self.now, **(sign or {}),
        )  # fmt: skip
        headers |= options.pop("headers", {})
        return self.request(target, method=method, body=body, headers=headers, **options)

    async def status(self, req: Request) -> int:
        return int((await self.auth.authenticate(req))["status"])

    @staticmethod
    def cookies(req: Request) -> dict[str, str]:
        """What the reply of a request sets."""
        found = {}
        for name, value in req.response_headers:
            if name == b"set-cookie":
                key, _, rest = value.decode().partition("=")
                found[key] = rest.partition(";")[0]
        return found


def module(routes: Routes | None = None, **hooks: Callable[..., Any]) -> Any:
    """A plugin with these endpoints and hooks."""
    plugin: dict[str, Any] = {n: staticmethod(hookimpl(fn)) for n, fn in hooks.items()}
    if routes is not None:

        def configure_web(web: Any) -> None:
            web.add(routes)

        plugin["configure_web"] = staticmethod(hookimpl(configure_web))
    return type("Plugin", (), plugin)()


async def add_account(app: App, login: str, secret: str = "k", **columns: Any) -> None:
    """An account with a secret that may be as short as those of earlier installations."""
    row = {"login": login, "name": login.upper(), **columns}
    await app.auth.accounts.add(row | {"secret": f"{secret} of {login}, a long one"}, admin=True)
    await app.db.update("bk_auth", {"login": login, "secret": secret})


@pytest.fixture
async def auth() -> AsyncIterator[Harness]:
    """An application with the account `u` (secret `k`, id and type as made by default)."""
    hooks = SimpleNamespace(authenticate=lambda req: None)
    async with make_app([module(authenticate=lambda req: hooks.authenticate(req))]) as app:
        harness = Harness(app, hooks)
        await add_account(app, "u")
        yield harness


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
        listener = listen("127.0.0.1", 0, 64)
        stop, ready = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(
            server.serve(site.web, [(listener, None)], stop, ready.set, idle_grace=0)
        )
        await ready.wait()
        try:
            yield listener.getsockname()[1]
        finally:
            stop.set()
            await task

    return start
