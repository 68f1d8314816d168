"""A signature and the request that carries it: what of it is signed, when it is out of date."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bkjs.lib.dates import from_ms

from . import signature
from .signature import Target

if TYPE_CHECKING:
    from bkjs.web.request import Request

    from .rules import Status


def utf8(header: str) -> str:
    """A header as the text that its bytes are in UTF-8; as Latin-1 when they are none."""
    if header.isascii():
        return header
    try:
        return header.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return header


def target(req: Request, name: str) -> Target:
    """What of this request is signed: the raw path, and the raw query or the text of a form."""
    query = (req.body or b"").decode("utf-8", "replace") if req.form else req.raw_query
    if name != signature.HEADER and query:
        query = "&".join(item for item in query.split("&") if not item.startswith(name))
    headers = req.raw_headers
    type = headers.get(b"content-type", b"").decode("latin-1").lower()
    host = signature.host_name(headers.get(b"host", b"").decode("latin-1"))
    return Target(req.method, host, req.raw_path, query, type)


def expired(req: Request, expires: int) -> Status:
    """The answer to a signature or token that expired at this time in ms."""
    path = req.raw_path
    try:
        clock = f"{from_ms(expires):%m/%d/%Y %H:%M:%S} GMT"
    except OverflowError:
        clock = "unknown"
    return {
        "status": 406,
        "message": f"Expired request [{path[:6].replace('/', '')}...{path[-3:]}], check your clock,"
        f" the server time is {from_ms(req.mtime):%m/%d/%Y %H:%M:%S} GMT, your clock is {clock}",
        "code": "EXPIRED",
    }


def too_far(most: int) -> Status:
    """The answer to a signature that expires later than so many ms from now."""
    return {
        "status": 406,
        "message": f"The signature must expire within {most // 1000} seconds",
        "code": "EXPIRED",
    }
