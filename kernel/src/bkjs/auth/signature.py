"""Request signatures of the 2018 protocol: made, read and checked by pure functions.

On the wire a signature is `VERSION|TAG|LOGIN|DIGEST|EXPIRES|CHECKSUM|`, in a header or a query
parameter. Versions 1 and 4 sign the request, 2 (session) and 3 (access token) only who and for
how long, and 5 carries the password itself: its check needs a password hash and is not here.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Collection, Mapping
from functools import lru_cache
from operator import methodcaller
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from bkjs.lib.bounded import kept
from bkjs.lib.dates import from_ms
from bkjs.lib.text import domain_name

from .caller import Caller, Signature, Source
from .status import Status

HEADER = "bk-signature"
FORM = "application/x-www-form-urlencoded"

_IPV4 = re.compile(r"[0-9]+(\.[0-9]+){3}", re.A)


class Target(NamedTuple):
    """What of a request is signed: `path` and `query` exactly as transmitted, not decoded."""

    method: str
    host: str
    path: str
    query: str = ""
    type: str = ""

    @classmethod
    def of(
        cls, method: str, host: str, uri: str, *, query: str | None = None, type: str = ""
    ) -> Target:
        """The target of a request to `uri`; `query` replaces its query (the body of a form)."""
        path, _, own = uri.partition("?")
        query = own if query is None else query
        path = path if path.startswith("/") else f"/{path}"
        return cls(method, host_name(host), path, query, type.lower())


def host_name(host: str) -> str:
    """The Host header as it is signed: lower case, cut at the first colon, as 2018 clients do."""
    return host.partition(":")[0].lower()


def domain(host: str) -> str:
    """The domain for which sessions and access tokens hold; an address stays whole."""
    return host if _IPV4.fullmatch(host) else domain_name(host)


def parse(text: str, source: Source = "") -> Signature | None:
    """The fields of a signature, None for anything that does not name a login."""
    fields = text.split("|", 7)
    if len(fields) < 7:
        return None
    version, tag, login, digest, expires, checksum = fields[:6]
    login = login.strip()
    if not (version and login and digest and expires):
        return None
    number = 4 if version == "4" else _int(version)
    return Signature(number, tag, login, digest, _int(expires), checksum, source)


def _int(text: str) -> int:
    return int(text) if len(text) <= 16 and text.isascii() and text.isdigit() else 0


def canonical_query(query: str) -> str:
    """The items of a raw query in the order of their UTF-16 code units, without the signature."""
    items = [item for item in query.split("&") if item and not item.startswith(HEADER)]
    if len(items) > 1:
        items.sort(key=None if query.isascii() else _utf16)
    return "&".join(items)


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-be", "surrogatepass")


def string_to_sign(sig: Signature, target: Target) -> str:
    """The text under the digest; empty for a version that signs nothing."""
    version, tag, login, _, expires, checksum, _ = sig
    if version in (2, 3):
        return f"{version}\n{tag}\n{login}\n*\n{domain(target.host)}\n/\n*\n{expires}\n*\n*\n"
    if version not in (1, 4):
        return ""
    method, host, path, query, type = target
    query = canonical_query(query) if query else ""
    text = f"{method}\n{host}\n{path}\n{query}\n{expires}\n{type}\n{checksum}\n"
    return text if version == 1 else f"4\n{tag}\n{login}\n{text}"


def signing_key(version: int, account: Mapping[str, Any]) -> str:
    """What the account signs with: its secret, with a further one for tokens and second factors."""
    key = str(account.get("secret") or "")
    if version == 3:
        return f"{key}:{account.get('token_secret') or ''}"
    if version == 4 and account.get("auth_secret"):
        return f"{key}:{account['auth_secret']}"
    return key


def compute(sig: Signature, target: Target, key: str) -> str:
    """The digest that a key gives; empty for a version that signs nothing."""
    text = string_to_sign(sig, target)
    if not text:
        return ""
    inner, outer = map(_copy, _keyed(key, "sha1" if sig.version == 1 else "sha256"))
    inner.update(_utf8(text))
    outer.update(inner.digest())
    return base64(outer.digest())


_BLOCK = 64
"""Bytes that both algorithms take at once."""
_INNER, _OUTER = (bytes(byte ^ mark for byte in range(256)) for mark in (0x36, 0x5C))
_copy = methodcaller("copy")


@lru_cache(1024)
def _keyed(key: str, algorithm: str) -> tuple[Any, Any]:
    """The two states of an HMAC after its key (RFC 2104), which take longer than a short text after
    it; `hmac` copies them at the speed of Python."""
    made = _utf8(key)
    if len(made) > _BLOCK:
        made = hashlib.new(algorithm, made).digest()
    made = made.ljust(_BLOCK, b"\0")
    inner, outer = (hashlib.new(algorithm, made.translate(pad)) for pad in (_INNER, _OUTER))
    return inner, outer


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def base64(data: bytes) -> str:
    """Digests and checksums as they are on the wire."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def verify(
    sig: Signature, target: Target, account: Mapping[str, Any], compat: Collection[str] = ()
) -> bool:
    """Whether the account signed this target; version 1 only counts with `v1` in `compat`.

    Takes the same time whatever part is wrong. An account without a secret signs nothing.
    """
    digest = compute(sig, target, signing_key(sig.version, account))
    same = hmac.compare_digest(_utf8(digest), _utf8(sig.digest))
    usable = bool(digest and account.get("secret")) and (sig.version != 1 or "v1" in compat)
    return same and usable


def reason(
    sig: Signature, account: Mapping[str, Any] | None, good: bool, compat: Collection[str] = ()
) -> str:
    """Why a signature does not count, for the log: no value is in it, and of no account a name."""
    if account is None:
        return "no account has the login of the signature"
    if good:
        return "the account of the signature has expired"
    if sig.version == 5:
        return "the password in the signature is wrong, or did not come over TLS"
    if sig.version == 1 and "v1" not in compat:
        return "signatures of version 1 count with api-compat=v1 only; use version 4"
    if sig.version not in (1, 4):
        return f"no signature has version {sig.version}; use 4"
    return (
        "the digest of the signature is not that of this request: of its method, host, path, sorted"
        " query, expiry, content type and checksum, made with the secret of the account"
    )


def checksum(body: bytes) -> str:
    """The checksum of a body as signatures carry it: SHA-1 in base64."""
    return base64(hashlib.sha1(body, usedforsecurity=False).digest())


def utf8(header: str) -> str:
    """A header as the text that its bytes are in UTF-8; as Latin-1 when they are none."""
    if header.isascii():
        return header
    try:
        return header.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return header


def target(req: Caller, name: str) -> Target:
    """What of this request is signed: the raw path, and the raw query or the text of a form."""
    query = (req.body or b"").decode("utf-8", "replace") if req.form else req.raw_query
    if name != HEADER and query:
        query = "&".join(item for item in query.split("&") if not item.startswith(name))
    headers = req.raw_headers
    type = headers.get(b"content-type", b"").decode("latin-1").lower()
    return Target(req.method, _host(headers.get(b"host", b"")), req.raw_path, query, type)


@kept(1024)
def _host(raw: bytes) -> str:
    return host_name(raw.decode("latin-1"))


def expired(req: Caller, expires: int) -> Status:
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


def create_signature(
    login: str,
    secret: str,
    method: str,
    host: str,
    uri: str,
    *,
    expires: int = 0,
    version: int = 4,
    type: str = "",
    tag: str = "",
    checksum: str = "",
    query: str | None = None,
    now: int | None = None,
) -> dict[str, Any]:
    """The signature of one request as `{"bk-signature": text}`, `{}` without login or secret.

    `secret` is the whole signing key. `expires` (ms) below the current time is relative, by
    default 30 s. `query` replaces the query of `uri`: the text of a form. Versions 2 and 3 also
    say for which domain and how long. Raises `ValueError` for a `|` in login or tag, which would
    make it ambiguous.
    """
    if not login or not secret:
        return {}
    if "|" in login + tag:
        raise ValueError("a login or tag with '|' cannot be signed")
    now = int(time.time() * 1000) if now is None else now
    expires = expires or now + 30_000
    if expires < now:
        expires += now
    target = Target.of(method, host, uri, query=query, type=type)
    sig = Signature(version, tag, login, secret, expires, checksum)
    if version != 5:
        sig = sig._replace(digest=compute(sig, target, secret))
    reply: dict[str, Any] = {HEADER: str(sig)}
    if version in (2, 3):
        reply |= {"bk-domain": domain(target.host), "bk-max-age": (expires - now) // 1000}
        reply |= {"bk-expires": expires, "bk-path": "/"}
    return reply


def sign(
    login: str,
    secret: str,
    method: str,
    url: str,
    *,
    body: bytes | str | Mapping[str, Any] | None = None,
    content_type: str = "",
    host: str = "",
    expires: int = 60_000,
    version: int = 4,
    tag: str | None = None,
    now: int | None = None,
) -> dict[str, str]:
    """Headers that sign one request of a client: `bk-signature`, and the content type if any.

    `url` is absolute, or relative to `host`. A dict as `body` stands for its form. The body of a
    form is signed itself, any other by its checksum. `expires` is in ms, relative or absolute.
    `tag` is random by default: what is sent twice at once is two requests, not one replayed.
    """
    tag = secrets.token_hex(8) if tag is None else tag
    if isinstance(body, Mapping):
        body, content_type = urlencode(body), content_type or f"{FORM}; charset=utf-8"
    data = body.encode() if isinstance(body, str) else body
    parts = urlsplit(url)
    uri = f"{parts.path}?{parts.query}" if parts.query else parts.path
    form = method == "POST" and content_type.partition(";")[0] == FORM
    headers = create_signature(
        login, secret, method, host or parts.netloc.rpartition("@")[2], uri,
        expires=expires, version=version, type=content_type, tag=tag,
        checksum=checksum(data) if data and not form else "",
        query=data.decode() if data and form else None, now=now,
    )  # fmt: skip
    return headers | ({"content-type": content_type} if content_type else {})


def sign_url(login: str, secret: str, url: str, *, host: str = "", **options: Any) -> str:
    """The URL of a GET request with its signature as a parameter, for links and images.

    `options` are those of `sign`.
    """
    header = sign(login, secret, "GET", url, host=host, **options).get(HEADER)
    if not header:
        return url
    value = quote(header, safe="!'()*-._~")
    return f"{url}{'&' if '?' in url else '?&'}{HEADER}={value}"
