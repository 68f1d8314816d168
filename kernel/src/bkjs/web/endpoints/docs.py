"""The page that describes the API, and the document behind it; both work without the Internet."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from bkjs.app import App
from bkjs.auth.accounts import is_admin
from bkjs.auth.rules import AccessRules
from bkjs.auth.sessions import session_cookie
from bkjs.auth.status import OK
from bkjs.errors import Denied
from bkjs.lib.bounded import Bounded
from bkjs.web.request import Request
from bkjs.web.response import NO_STORE, Response
from bkjs.web.routing.router import Router

from .login import refuse
from .routes import Routes

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from .openapi import View
    from .schemas import Level

CSP = (
    b"content-security-policy",
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self';"
    b" base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
)
DOCUMENT = "/openapi.json"
_SCRIPT, _STYLE = "text/javascript; charset=utf-8", "text/css; charset=utf-8"
PARTS = {
    "docs.svg": "image/svg+xml",
    "docs.css": _STYLE,
    "docs-theme.js": _SCRIPT,
    "docs-schema.js": _SCRIPT,
    "docs-caller.js": _SCRIPT,
    "docs-code.js": _SCRIPT,
    "docs.js": _SCRIPT,
    "docs.html": "text/html; charset=utf-8",
}
"""The files of the page; each may name those before it."""
PAGES = {("/docs" if name == "docs.html" else f"/{name}"): name for name in PARTS}
MOST = 32
"""Documents that are kept: callers who may call the same get the same."""
_ASK = (b"cache-control", b"no-cache")
_KEEP = (b"cache-control", b"private, max-age=31536000, immutable")


def routes(app: App, router: Router) -> Routes:
    """`/docs`, a page that tells nothing by itself, and `/openapi.json` for administrators.

    A rule that names the document opens it to others, `api-allow-path` to everybody: it then tells
    each caller of what he may call.
    """
    found = Routes()
    documents: Bounded[View, asyncio.Future[bytes]] = Bounded(MOST)
    routed: Bounded[int, Iterable[str]] = Bounded(1)

    @found.endpoint(DOCUMENT, methods=("GET",), timeout=0)
    async def openapi(req: Request) -> Response:
        """The OpenAPI document of what the caller may call."""
        if app.auth.access(req) is OK:  # nobody has asked who it is
            status = await app.auth.authenticate(req)
            if status["status"] not in (200, 417):
                raise refuse(status)
        elif not _admits(app.auth.rules(), req.account):
            raise Denied("Only administrators see the description of the API")
        routes = router.fastapi.routes if router.fastapi else []
        if len(routes) not in routed:
            routed[len(routes)] = await asyncio.to_thread(_routed, routes)
        view = _view(app, router, req, routed[len(routes)])
        document = documents.get(view)
        if document is None:
            document = asyncio.ensure_future(asyncio.to_thread(_build, app, view, routes))
            documents[view] = document
        try:
            return Response(await asyncio.shield(document), headers=NO_STORE)
        except Exception:
            documents.pop(view, None)  # the next request tries again
            raise

    found.endpoints[-1] = replace(found.endpoints[-1], admits=_admits)

    def page(path: str) -> Callable[[Request], Response]:
        name = PAGES[path]

        def show(req: Request) -> Response:
            # the page names its parts by their content, so those never have to be asked for again
            keep = _KEEP if req.raw_query else _ASK
            return Response(_part(name), 200, PARTS[name], (CSP, keep))

        show.__doc__ = "A part of the page that describes this API."
        return show

    for path in PAGES:
        found.endpoint(path, methods=("GET",), public=True)(page(path))
    return found


def _admits(rules: AccessRules, account: Mapping[str, Any]) -> bool:
    if rules.access(DOCUMENT, "", api=True) is OK:
        return True
    return is_admin(account) or rules.names(DOCUMENT, account)


@cache
def _part(name: str) -> bytes:
    data = files("bkjs.web.endpoints").joinpath("pages", name).read_bytes()
    for other in PARTS:
        if other == name:
            return data
        for quoted in (f'"{other}"', f'"./{other}"'):
            if quoted.encode() in data:
                version = hashlib.sha256(_part(other)).hexdigest()[:12]
                data = data.replace(quoted.encode(), f'{quoted[:-1]}?{version}"'.encode())
    return data


def _view(app: App, router: Router, req: Request, routed: Iterable[str]) -> View:
    """What this caller may call: by the path as it was declared, with the names of its values."""
    from .openapi import Credentials, View

    def may(path: str, *, public: bool = False) -> str:
        plain = path.replace(":path}", "").replace("{", "").replace("}", "")
        return app.auth.may_call(req, plain, public=public)

    endpoints = [
        (endpoint, how == "open")
        for endpoint in router.endpoints
        if endpoint.path != DOCUMENT and endpoint.path not in PAGES
        if (how := may(endpoint.path, public=endpoint.public))
    ]
    found = frozenset((path, how == "open") for path in routed if (how := may(path)))
    api = app.config.api
    cookie = "" if api.no_session else session_cookie(req)
    names = (api.signature_header_name, api.access_token_name, api.access_token_age, cookie)
    level: Level = "account" if req.account else "stranger"
    if is_admin(req.account):
        level = "admin"
    return View(level, tuple(endpoints), found, Credentials(*names))


def _routed(routes: Sequence[BaseRoute]) -> Iterable[str]:
    """The paths of FastAPI's own routes."""
    from .openapi import paths_of  # not before somebody asks: it takes its time to import

    return paths_of(routes)


def _build(app: App, view: View, routes: Sequence[BaseRoute]) -> bytes:
    from .openapi import build

    return build(app, view, routes)
