"""The path of a request in its one normal form: what access rules see is what routing uses."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from bkjs.errors import BadRequest

_SEGMENT = rb"[A-Za-z0-9_~!$&'()*+,=:@-][A-Za-z0-9_.~!$&'()*+,=:@-]*"
_PLAIN = re.compile(rb"(?:/" + _SEGMENT + rb")+/?|/")
_BROKEN = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_REFUSED = re.compile(r"[\x00-\x1f\x7f\\]")
_SLASHES = re.compile(r"/{2,}")


def normalise(raw: bytes) -> str:
    """The decoded path, without empty segments.

    Raises BadRequest for broken escapes, bytes that are no UTF-8, control characters, backslashes
    and dot segments (also `..;x`): clients resolve those before they send.
    """
    if _PLAIN.fullmatch(raw):
        return raw.decode("ascii")
    if not raw.startswith(b"/") or _BROKEN.search(raw):
        raise BadRequest("Invalid path")
    try:
        path = unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest("Invalid path: not UTF-8") from None
    if _REFUSED.search(path):
        raise BadRequest("Invalid path")
    path = _SLASHES.sub("/", path)
    if any(part.partition(";")[0] in (".", "..") for part in path.split("/")):
        raise BadRequest("Invalid path")
    return path
