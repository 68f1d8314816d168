"""The body of a request: read within limits, then merged into the parameters.

JSON and urlencoded forms are read as a whole, before the signature, which covers them. Multipart
forms are streamed to files after it, when it is known who sends them. What FastAPI or an endpoint
reads itself comes through `Unread`, with the same limit and the same checksum.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from typing import Any

import orjson

from bkjs.auth.signature import base64
from bkjs.auth.status import CHECKSUM
from bkjs.core.asgi import Message, Receive
from bkjs.errors import BadRequest, Disconnected
from bkjs.lib.given import Given
from bkjs.web import forms
from bkjs.web.request import Request

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
TOO_LARGE = "cannot process the request, it is too large"

_INT64 = 2**63
_LONG_NUMBER = re.compile(rb"[0-9]{19}")


def content_type(req: Request) -> str:
    """The media type of the body in lower case, without its parameters."""
    return req.header("content-type").partition(";")[0].strip().lower()


def is_json(kind: str) -> bool:
    """Whether a media type is JSON, as `text/json` and `application/vnd.api+json` are."""
    return kind.endswith(("/json", "+json")) and "," not in kind


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
    """Read a body that is JSON, a form or of a type in `mime-body`; leave others to who reads
    `req.receive`, and those of a type in `mime-ignore`.

    Sets `body` and `form`, or `unread`. Raises BadRequest (413) for one over its limit and (415)
    for one that an endpoint does not read.
    """
    api = req.settings
    kind = content_type(req)
    if kind in api.mime_ignore:
        await _leave(req, kind)
    elif kind == FORM or is_json(kind):
        limit = limit_of(req)
        if req.endpoint is None or req.endpoint.limit is None:
            limit = min(limit, api.json_limit)
        req.body = _decoded(req, await read_all(req, limit), api.gzip_limit)
        # the signature of other methods covers the query of the URL
        req.form = kind == FORM and req.method == "POST"
    elif kind and kind in api.mime_body:
        req.body = await read_all(req, limit_of(req))
    elif await _leave(req, kind) and not _is_read(req, kind):
        sent = f"of type {kind[:100]!r}" if kind else "without a content type"
        raise BadRequest(
            f"A body {sent} is not read here: send JSON or a form, or name the type in"
            " api-mime-body on the server",
            status=415,
        )


def _is_read(req: Request, kind: str) -> bool:
    """Whether somebody reads a body of this type, which is none that the gateway reads."""
    if "," in kind:  # two headers: who comes after us may look at another one
        return False
    endpoint = req.endpoint
    if endpoint is None or endpoint.raw_body:
        return True
    return kind == MULTIPART or "bad-json" in req.settings.compat


async def _leave(req: Request, kind: str) -> bool:
    """Leave the body unread, unless there is none; whether there is one."""
    first = None
    length = req.header("content-length")
    if not length:
        first = await req.receive()
        if first["type"] == "http.disconnect":
            raise Disconnected
        if not first.get("body") and not first.get("more_body"):
            req.receive = again(first, req.receive)
            return False
    elif not length.strip("0"):
        return False
    req.unread = req.receive = Unread(req, kind, first)
    return True


def again(message: Message, receive: Receive) -> Receive:
    """`receive` that gives this message first."""
    pending = [message]

    async def both() -> Message:
        return pending.pop() if pending else await receive()

    return both


class Unread:
    """`req.receive` of a body that nobody has read: within its limit, and as it was signed."""

    def __init__(self, req: Request, kind: str, first: Message | None) -> None:
        self.refused: BadRequest | None = None
        """What was wrong with it."""
        self._req, self._receive, self._first = req, req.receive, first
        self._limit, self._size = limit_of(req), 0
        self._signed = not kind.startswith("multipart/")  # clients of 2018 sign no such body
        self._hash: Any = None

    async def __call__(self) -> Message:
        """The next piece; raises BadRequest (413) over the limit, (400) for a wrong checksum."""
        message, self._first = self._first or await self._receive(), None
        if message["type"] == "http.request":
            self._take(message.get("body", b""), more=message.get("more_body", False))
        return message

    def _take(self, chunk: bytes, *, more: bool) -> None:
        self._size += len(chunk)
        if max(self._size, _announced(self._req)) > self._limit:
            raise self._refuse(BadRequest(TOO_LARGE, status=413))
        sig = self._req.signature
        if sig is None or not sig.checksum or not self._signed:
            return
        if self._hash is None:
            self._hash = hashlib.sha1(usedforsecurity=False)
        self._hash.update(chunk)
        if not more and base64(self._hash.digest()) != sig.checksum:
            raise self._refuse(BadRequest(CHECKSUM["message"], code=CHECKSUM["code"]))

    def _refuse(self, error: BadRequest) -> BadRequest:
        self.refused = error
        return error


async def read_all(req: Request, limit: int) -> bytes:
    """The whole body as it was sent; raises BadRequest (413) as soon as it is over the limit."""
    if _announced(req) > limit:
        raise BadRequest(TOO_LARGE, status=413)
    chunks: list[bytes] = []
    size = 0
    while True:
        chunk, more = piece(await req.receive())
        size += len(chunk)
        if size > limit:
            raise BadRequest(TOO_LARGE, status=413)
        if not more:
            return b"".join((*chunks, chunk)) if chunks else chunk
        chunks.append(chunk)


def piece(message: Message) -> tuple[bytes, bool]:
    """A piece of a body, and whether others follow; raises Disconnected without a client."""
    if message["type"] == "http.disconnect":
        raise Disconnected
    return message.get("body", b""), message.get("more_body", False)


def _announced(req: Request) -> int:
    length = req.header("content-length")
    return int(length) if length.isdigit() and len(length) < 16 else 0


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


def check(req: Request) -> None:
    """Refuse JSON and forms that FastAPI would read although they are over our limits."""
    api, raw = req.settings, req.body
    if not raw:
        return
    kind = content_type(req)
    if is_json(kind):
        load_json(raw, api.json_depth, api.json_keys, api.json_items)
    elif kind == FORM:
        forms.parse(raw, api.max_fields)


def merge(req: Request) -> None:
    """Put the parameters of a body that was read over those of the URL."""
    raw = req.body
    if raw is None:
        return
    api = req.settings
    kind = content_type(req)
    if is_json(kind):
        charset = req.header("content-type").lower().partition("charset=")[2].strip(' "')
        if charset not in ("", "utf-8", "utf8", "us-ascii"):
            raise BadRequest("A JSON body must be UTF-8")
        try:
            name = req.endpoint.list_name if req.endpoint else ""
            set_fields(req, parse_json(raw, api.json_depth, api.json_keys, api.json_items, name))
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


def parse_json(
    raw: bytes, depth: int = 64, keys: int = 10_000, items: int = 20_000, list_name: str = ""
) -> dict[str, Any]:
    """The object that a JSON body is, {} for an empty one; of equal keys the last counts.

    With a `list_name` it may be a list, which is the value of that name then. Raises BadRequest as
    `load_json`, and for what is no object and numbers beyond 64 bits.
    """
    value = load_json(raw, depth, keys, items) if raw else {}
    if list_name and isinstance(value, list):
        value = {list_name: value}
    if not isinstance(value, dict):
        raise BadRequest("Invalid JSON at position 0: an object is expected")
    if _LONG_NUMBER.search(raw):
        json.loads(raw, parse_int=_check_int)  # the fast reader turns such numbers into floats
    return value


def load_json(raw: bytes, depth: int, keys: int, items: int) -> Any:
    """The value that a JSON body is.

    Raises BadRequest, with the position where there is one, for what is no JSON and above the
    limits of depth and numbers of keys and items.
    """
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
    _bound(raw, value, depth, keys, items)
    return value


def bound_json(kind: Any) -> None:
    """Have `json()` of this class, the requests of FastAPI, keep our limits of JSON.

    Whether JSON is read, and as what type it was sent, is known nowhere else. Raises BadRequest
    above the limits, and JSONDecodeError, as ever, for what is no JSON.
    """
    read_json = kind.json
    if getattr(read_json, "bound", False):
        return

    async def read_bounded(self: Any) -> Any:
        req = self.scope.get("state", {}).get("bk")
        if isinstance(req, Request) and not hasattr(self, "_json"):
            _check_handed_on(req, await self.body())
        return await read_json(self)

    read_bounded.bound = True  # type: ignore[attr-defined]
    kind.json = read_bounded


def _check_handed_on(req: Request, raw: bytes) -> None:
    if not raw or (req.body is not None and is_json(content_type(req))):  # `check` has seen it
        return
    api, unread = req.settings, req.unread
    try:
        if len(raw) > api.json_limit:
            raise BadRequest(TOO_LARGE, status=413)
        _bound(raw, orjson.loads(raw), api.json_depth, api.json_keys, api.json_items)
    except BadRequest as error:
        if isinstance(unread, Unread):
            unread.refused = error
        raise


def _bound(raw: bytes, value: Any, depth: int, keys: int, items: int) -> None:
    deep = raw.count(b"{") + raw.count(b"[") > depth
    if deep or raw.count(b":") > keys or raw.count(b",") >= items:
        _check_size(value, depth, keys, items)


def _check_int(text: str) -> int:
    if len(text) > 20 or not -_INT64 <= int(text) < _INT64:
        raise BadRequest("Invalid JSON: a number is out of range")
    return 0


def _check_size(value: Any, depth: int, keys: int, items: int) -> None:
    level: list[Any] = [value]
    count = listed = 0
    for _ in range(depth):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                count += len(item)
                below += item.values()
            elif isinstance(item, list):
                listed += len(item)
                below += item
        if listed > items:
            raise BadRequest(f"Invalid JSON: more than {items} items of lists", status=413)
        if count > keys:
            raise BadRequest(f"Invalid JSON: more than {keys} keys", status=413)
        level = [item for item in below if isinstance(item, (dict, list))]
        if not level:
            return
    raise BadRequest(f"Invalid JSON: more than {depth} levels")
