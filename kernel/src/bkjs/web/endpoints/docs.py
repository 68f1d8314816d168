"""The page that describes the API, and the document behind it; both work without the Internet."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from functools import cache
from importlib.resources import files

from bkjs.app import App
from bkjs.auth.accounts import is_admin
from bkjs.auth.status import OK
from bkjs.errors import Denied
from bkjs.web.request import Request
from bkjs.web.response import NO_STORE, Response
from bkjs.web.routing.router import Router

from .routes import Routes

CSP = (
    b"content-security-policy",
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self';"
    b" base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
)
DOCUMENT = "/openapi.json"
PAGES = {
    "/docs": ("docs.html", "text/html; charset=utf-8"),
    "/docs.js": ("docs.js", "text/javascript; charset=utf-8"),
    "/docs.css": ("docs.css", "text/css; charset=utf-8"),
}
_ASK = (b"cache-control", b"no-cache")
_KEEP = (b"cache-control", b"private, max-age=31536000, immutable")


def routes(app: App, router: Router) -> Routes:
    """`/docs`, a page that tells nothing by itself, and `/openapi.json` for administrators.

    Whoever `api-allow-path` lets in sees the document, too.
    """
    found = Routes()
    document: asyncio.Future[bytes] | None = None
    described = 0

    @found.endpoint(DOCUMENT, methods=("GET",), timeout=0)
    async def openapi(req: Request) -> Response:
        """The OpenAPI document of this API."""
        if not is_admin(req.account) and app.auth.access(req) is not OK:
            raise Denied("Only administrators see the description of the API")
        nonlocal document, described
        if document is None or described != len(router.endpoints):
            described = len(router.endpoints)
            document = asyncio.ensure_future(asyncio.to_thread(_build, app, router))
        try:
            return Response(await asyncio.shield(document), headers=NO_STORE)
        except Exception:
            document = None  # the next request tries again
            raise

    def page(path: str) -> Callable[[Request], Response]:
        name, kind = PAGES[path]

        def show(req: Request) -> Response:
            # the page names its parts by their content, so those never have to be asked for again
            return Response(_part(name), 200, kind, (CSP, _KEEP if req.raw_query else _ASK))

        show.__doc__ = "A part of the page that describes this API."
        return show

    for path in PAGES:
        found.endpoint(path, methods=("GET",), public=True)(page(path))
    return found


@cache
def _part(name: str) -> bytes:
    data = files("bkjs.web.endpoints").joinpath("pages", name).read_bytes()
    if name == "docs.html":
        for other in ("docs.js", "docs.css"):
            version = hashlib.sha256(_part(other)).hexdigest()[:12]
            data = data.replace(f'"{other}"'.encode(), f'"{other}?{version}"'.encode())
    return data


def _build(app: App, router: Router) -> bytes:
    from .openapi import build  # not before somebody asks: it takes its time to import

    described = [e for e in router.endpoints if e.path != DOCUMENT and e.path not in PAGES]
    return build(app, described, router.fastapi.routes if router.fastapi else ())
