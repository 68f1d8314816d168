"""Requests that another site makes a browser send with our cookies."""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from .caller import Caller


def writes(req: Caller) -> bool:
    """Whether the request may change something; a route of FastAPI says so by its method."""
    if req.endpoint is not None:
        return req.endpoint.writes
    return req.method not in ("GET", "HEAD", "OPTIONS")


def trusted_origin(req: Caller, others: Container[str]) -> bool:
    """Whether a browser says that the request comes from our own pages, or those we are told of.

    The latter are the `others`; `*` among them names none. What was typed, or is a link in a mail,
    comes from no page: it may read, not write. Clients that say nothing pass: browsers that send
    cookies across sites do say.
    """
    origin = req.header("origin")
    if origin and origin != "*" and origin in others:
        return True
    site = req.header("sec-fetch-site")
    if site:
        return site == "same-origin" or (site == "none" and not writes(req))
    if not origin:
        return True
    parts = urlsplit(origin)
    scheme = "https" if req.secure else "http"
    return parts.scheme == scheme and parts.netloc.lower() == req.header("host").lower()
