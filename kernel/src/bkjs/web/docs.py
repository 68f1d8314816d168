"""The page that describes the API, and the document behind it; both work without the Internet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib.resources import files
from typing import TYPE_CHECKING

from bkjs.core.errors import Denied
from bkjs.web.access import is_admin
from bkjs.web.request import Request, Response
from bkjs.web.routes import Routes

if TYPE_CHECKING:
    from bkjs.web.service import Web

CSP = (
    b"content-security-policy",
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self';"
    b" base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
)
_PAGES = {
    "/docs": ("docs.html", "text/html; charset=utf-8"),
    "/docs.js": ("docs.js", "text/javascript; charset=utf-8"),
    "/docs.css": ("docs.css", "text/css; charset=utf-8"),
}


def routes(web: Web) -> Routes:
    """`/docs` and `/openapi.json`: open while developing, else for administrators only."""
    public = web.app.config.core.run_mode == "development"
    found = Routes()
    document: asyncio.Future[bytes] | None = None

    def check(req: Request) -> None:
        if not public and not is_admin(req.account):
            raise Denied("Access denied")

    @found.endpoint("/openapi.json", methods=("GET",), public=public, timeout=0)
    async def openapi(req: Request) -> Response:
        """The OpenAPI document of this API."""
        check(req)
        nonlocal document
        if document is None:
            document = asyncio.ensure_future(asyncio.to_thread(_build, web))
        try:
            return Response(await asyncio.shield(document))
        except Exception:
            document = None  # the next request tries again
            raise

    def page(path: str) -> Callable[[Request], Response]:
        name, kind = _PAGES[path]

        def show(req: Request) -> Response:
            check(req)
            data = files("bkjs.web").joinpath("pages", name).read_bytes()
            return Response(data, 200, kind, (CSP, (b"cache-control", b"no-cache")))

        show.__doc__ = "A part of the page that describes this API."
        return show

    for path in _PAGES:
        found.endpoint(path, methods=("GET",), public=public)(page(path))
    return found


def _build(web: Web) -> bytes:
    from bkjs.web.openapi import build

    return build(web)
