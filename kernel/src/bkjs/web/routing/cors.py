"""Rules for requests from pages of other origins; without configured origins there are none."""

from __future__ import annotations

from bkjs.auth.origin import is_named
from bkjs.core.asgi import Header
from bkjs.web.request import Request
from bkjs.web.response import NEXT_TOKEN

METHODS = b"OPTIONS, HEAD, GET, POST, PUT, PATCH, DELETE"


def is_preflight(req: Request) -> bool:
    """Whether a browser asks if it may send another request."""
    return req.method == "OPTIONS" and bool(req.header("access-control-request-method"))


def cors_headers(req: Request) -> list[Header]:
    """The headers for the origin of this request.

    A configured origin may send cookies. `*` opens the API to all others, without cookies.
    """
    api = req.settings
    origins = api.cors_origin
    origin = req.header("origin")
    headers: list[Header] = []
    if any(item != "*" for item in origins):
        headers.append((b"vary", b"Origin"))
    if not origin:
        return headers
    if is_named(origin, origins):
        headers.append((b"access-control-allow-origin", origin.encode("latin-1")))
        headers.append((b"access-control-allow-credentials", b"true"))
    elif "*" in origins:
        headers.append((b"access-control-allow-origin", b"*"))
    else:
        return headers
    if not is_preflight(req):
        headers.append((b"access-control-expose-headers", NEXT_TOKEN + b", etag"))
    else:
        allowed = (
            "content-type", "if-match", "if-none-match", api.signature_header_name,
            api.access_token_name, api.app_header_name, api.version_header_name,
            api.lang_header_name, api.tz_header_name,
        )  # fmt: skip
        headers += [
            (b"access-control-allow-headers", ", ".join(allowed).encode("latin-1")),
            (b"access-control-allow-methods", METHODS),
            (b"access-control-max-age", b"%d" % api.cors_max_age),
        ]
    return headers
