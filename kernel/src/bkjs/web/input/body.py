"""The body of a request: read within limits, then merged into the parameters.

JSON and urlencoded forms are read as a whole, before the signature, which covers them. Multipart
forms are streamed to files after it, when it is known who sends them.
"""

from __future__ import annotations

import json
import re
import zlib
from typing import TYPE_CHECKING, Any

import orjson

from bkjs.errors import BadRequest
from bkjs.lib.given import Given
from bkjs.web import forms

if TYPE_CHECKING:
    from bkjs.web.request import Request

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
TOO_LARGE = "cannot process the request, it is too large"

_INT64 = 2**63
_LONG_NUMBER = re.compile(rb"[0-9]{19}")


class Disconnected(Exception):
    """The client went away before its request was complete."""


def content_type(req: Request) -> str:
    """The media type of the body in lower case, without its parameters."""
    return req.header("content-type").partition(";")[0].strip().lower()


def is_multipart(req: Request) -> bool:
    """Whether the body is a form with files, and of a type that is to be read."""
    return (
        req.method not in ("GET", "HEAD")
        and content_type(req) == MULTIPART
        and MULTIPART not in req.settings.mime_ignore
    )


def limit_of(req: Request) -> int:
    """How many bytes a body may have here."""
    endpoint = req.endpoint
    if endpoint is not None and endpoint.limit is not None:
        return endpoint.limit
    return int(req.settings.upload_limit)


async def read(req: Request) -> None:
    """Read a body that is JSON, a form or of a type in `mime-body`; others stay unread, and so do
    those of a type in `mime-ignore`.

    Sets `body` and `form`. Raises BadRequest (413) for one over its limit.
    """
    api = req.settings
    kind = content_type(req)
    if kind in api.mime_ignore:
        return
    if kind in (JSON, FORM):
        limit = limit_of(req)
        if req.endpoint is None or req.endpoint.limit is None:
            limit = min(limit, api.json_limit)
        req.body = _decoded(req, await read_all(req, limit), api.gzip_limit)
        # the signature of other methods covers the query of the URL
        req.form = kind == FORM and req.method == "POST"
    elif kind and kind in api.mime_body:
        req.body = await read_all(req, limit_of(req))


async def read_all(req: Request, limit: int) -> bytes:
    """The whole body as it was sent; raises BadRequest (413) as soon as it is over the limit."""
    length = req.header("content-length")
    if length.isdigit() and len(length) < 16 and int(length) > limit:
        raise BadRequest(TOO_LARGE, status=413)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await req.receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise BadRequest(TOO_LARGE, status=413)
        if not message.get("more_body"):
            return b"".join((*chunks, chunk)) if chunks else chunk
        chunks.append(chunk)


def _decoded(req: Request, raw: bytes, limit: int) -> bytes:
    """The body without its content encoding, at most ten times as large."""
    encoding = req.header("content-encoding").strip().lower()
    if encoding in ("", "identity"):
        return raw
    if encoding != "gzip" or not limit:
        raise BadRequest("The content encoding of the body is not supported", status=415)
    most = min(limit, 10 * len(raw))
    unpack = zlib.decompressobj(31)
    try:
        data = unpack.decompress(raw, most + 1)
    except zlib.error:
        raise BadRequest("The body is not valid gzip") from None
    if len(data) > most:
        raise BadRequest(TOO_LARGE, status=413)
    if not unpack.eof or unpack.unused_data:
        raise BadRequest("The body is not valid gzip")
    return data


def merge(req: Request) -> None:
    """Put the parameters of a body that was read over those of the URL."""
    raw = req.body
    if raw is None:
        return
    api = req.settings
    kind = content_type(req)
    if kind == JSON:
        charset = req.header("content-type").lower().partition("charset=")[2].strip(' "')
        if charset not in ("", "utf-8", "utf8", "us-ascii"):
            raise BadRequest("A JSON body must be UTF-8")
        try:
            set_fields(req, parse_json(raw, api.json_depth, api.json_keys))
        except BadRequest:
            if "bad-json" not in api.compat:
                raise
    elif kind == FORM:
        set_fields(req, forms.parse(raw, api.max_fields))


def set_fields(req: Request, fields: dict[str, Any]) -> None:
    """Make these the parameters of the body; credentials do not travel there."""
    for name in req.settings.credential_names:
        fields.pop(name, None)
    req.fields = fields
    req.query = Given(req.url_query)
    req.query.update(fields)


def parse_json(raw: bytes, depth: int = 64, keys: int = 10_000) -> dict[str, Any]:
    """The object that a JSON body is, {} for an empty one; of equal keys the last counts.

    Raises BadRequest, with the position where there is one, for what is no JSON object, for
    numbers beyond 64 bits and above the limits of depth and number of keys.
    """
    if not raw:
        return {}
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        position, text = error.pos, error.msg
        if "infinity" in text:
            text = "a number is out of range"
        try:
            raw.decode()
        except UnicodeDecodeError as wrong:  # of this the reader does not tell the place
            position, text = wrong.start, "not UTF-8"
        raise BadRequest(f"Invalid JSON at position {position}: {text}") from None
    if not isinstance(value, dict):
        raise BadRequest("Invalid JSON at position 0: an object is expected")
    if raw.count(b"{") + raw.count(b"[") > depth or raw.count(b":") > keys:
        _check_size(value, depth, keys)
    if _LONG_NUMBER.search(raw):
        json.loads(raw, parse_int=_check_int)  # the fast reader turns such numbers into floats
    return value


def _check_int(text: str) -> int:
    if len(text) > 20 or not -_INT64 <= int(text) < _INT64:
        raise BadRequest("Invalid JSON: a number is out of range")
    return 0


def _check_size(value: dict[str, Any], depth: int, keys: int) -> None:
    level: list[Any] = [value]
    count = 0
    for _ in range(depth):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                count += len(item)
                below += item.values()
            else:
                below += item
        if count > keys:
            raise BadRequest(f"Invalid JSON: more than {keys} keys", status=413)
        level = [item for item in below if isinstance(item, (dict, list))]
        if not level:
            return
    raise BadRequest(f"Invalid JSON: more than {depth} levels")
