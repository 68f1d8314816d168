"""Requests that another site, or a link, makes a browser send with what it adds by itself."""

from __future__ import annotations

from collections.abc import Container
from ipaddress import ip_address
from urllib.parse import urlsplit

from .caller import Caller

SAFE = ("GET", "HEAD", "OPTIONS")
"""Methods by which a route of FastAPI does not write."""
_PURPOSE = ("sec-purpose", "purpose", "x-moz")
_CREDENTIALS = frozenset({"_session", "_accesstoken"})
"""Parameters that open or end a session, or give a token."""
_BROWSER = frozenset(
    {b"origin", b"referer", b"accept-language", b"sec-fetch-site", b"sec-fetch-mode",
     b"sec-fetch-dest"}
)  # fmt: skip
"""What browsers send. Over plain http a page can suppress all of them but the language."""


def writes(req: Caller) -> bool:
    """Whether the request may change something; a route of FastAPI says so by its method."""
    if req.endpoint is not None:
        return req.endpoint.writes is True
    return req.method not in SAFE


def trusted_origin(req: Caller, others: Container[str]) -> bool:
    """Whether what a browser adds by itself, a cookie or its address, counts for this request.

    It does for requests of our own pages and of the origins in `others`, of which `*` names none;
    for what was typed or is a link in a mail, unless it writes; and for pages that say they are
    `navigable`, when somebody follows a link to one. Clients that say nothing are no browsers.
    """
    # who is signed in may be changed by any endpoint that is asked to
    writing = writes(req) or not _CREDENTIALS.isdisjoint(req.query)
    if writing and any("prefetch" in req.header(name).lower() for name in _PURPOSE):
        return False
    site = req.header("sec-fetch-site")
    if site == "same-origin":
        return True
    origin = req.header("origin")
    page = _page(req)
    if is_named(page, others):
        return True
    if site == "none":
        return not writing
    if not site and (not page or page.lower() == _own(req)):
        return True
    return not origin and _followed(req)


def trusted_host(req: Caller, others: Container[str]) -> bool:
    """Whether the name by which a browser calls is none that somebody else could have led here.

    Who owns a name may let it lead to any address (DNS rebinding), and the page that a browser got
    from there is then of our own origin. An address, `localhost` and what is in `others` is not led
    anywhere; clients that show nothing of a browser open no such pages.
    """
    if _BROWSER.isdisjoint(req.raw_headers):
        return True
    host = req.host
    if host == "localhost" or host.endswith(".localhost"):
        return True
    if is_named(_own(req), others) or is_named(_page(req), others):
        return True
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def is_named(origin: str, others: Container[str]) -> bool:
    """Whether an origin is one of those that are configured, of which `*` names none."""
    return origin not in ("", "*") and origin in others


def _page(req: Caller) -> str:
    """The origin of the page that sends the request, "" when nothing tells."""
    return req.header("origin") or _origin_of(req.header("referer"))


def _own(req: Caller) -> str:
    return f"{'https' if req.secure else 'http'}://{req.header('host').lower()}"


def _origin_of(url: str) -> str:
    """The origin of a page, "null" for what is no address of one."""
    if not url:
        return ""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "null"
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else "null"


def _followed(req: Caller) -> bool:
    """Whether this is a visit to a page that others may link to, and nothing that a page loads."""
    return (
        req.method in ("GET", "HEAD")
        and req.header("sec-fetch-mode") in ("", "navigate")
        and req.header("sec-fetch-dest") in ("", "document")
        and req.navigable
    )
