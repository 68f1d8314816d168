"""One request: slotted, and what costs is worked out when it is first asked for."""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bkjs.app import App
from bkjs.auth.caller import Session, Signature, Source
from bkjs.core.asgi import Header, Receive, Scope
from bkjs.db.verbs import Verbs
from bkjs.lib.given import Given
from bkjs.lib.i18n import accept_language

from . import forms
from .endpoint import Endpoint, tables_of
from .paths import normalise
from .plan import Plan
from .websettings import HEADER_NAMES, WebSettings

_ids = itertools.count(1)
_RUN = secrets.token_hex(4)
APPLICATION = re.compile(r"^([^/]+)/([0-9a-zA-Z_.-]+)/?([a-zA-Z0-9_.-]+)?", re.A)
_COOKIE = re.compile(r"[^\x00-\x20\x7f\",;\\]*")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that came with a form; it is deleted when the request ends, unless moved away."""

    field: str
    name: str
    """The name that the client gave, without folders; it is data, and may be empty."""
    type: str
    size: int
    path: Path
    mtime: int


class Request:
    """What is known of one request. Attributes without a value yet are worked out on first use."""

    __slots__ = (
        "account", "app", "app_build", "app_locale", "app_name", "app_platform", "app_timezone",
        "app_version", "body", "cleanup", "controls", "cookies", "credentials", "endpoint",
        "fields", "files", "form", "headers", "host", "id", "ip", "is_api", "method", "mtime",
        "navigable", "note", "path", "path_args", "plan", "protocol", "query", "raw_headers",
        "raw_path", "raw_query", "receive", "response_headers", "scope", "secure", "session",
        "settings", "signature", "source", "state", "task", "unread", "uploads", "url_query",
    )  # fmt: skip

    app: App
    """The application: its `db`, `config` and services."""
    settings: WebSettings
    """The settings of the Web service when it began."""
    scope: Scope
    """What the server says of it, as ASGI has it."""
    receive: Receive
    """Gives the pieces of a body that nobody has read, as messages of ASGI."""
    method: str
    """In capitals, as sent."""
    path: str
    """Decoded and normalised: what access rules and routing use. Raises BadRequest for one that
    has no normal form; no handler sees such a request."""
    raw_path: str
    """As sent, still percent-encoded."""
    raw_query: str
    """The query string as sent."""
    path_args: dict[str, str]
    """What was found in the place of the names in the path of the endpoint."""
    protocol: Literal["http", "ws"]
    """`ws` for a frame of a WebSocket."""
    ip: str
    """The peer, or the client that a trusted proxy names."""
    host: str
    """The Host header in lower case, without the port."""
    secure: bool
    """Came over TLS, as far as we or a trusted proxy know."""
    mtime: int
    """When it began, in ms."""
    id: str
    """Its name in the log, different for every request."""
    note: str
    """Why it was refused or failed, in more words than the client gets: for a developer."""
    headers: dict[str, str]
    """By lower-case name; several of one name are joined."""
    raw_headers: dict[bytes, bytes]
    """The same as they came."""
    cookies: dict[str, str]
    """By name, the first of each."""
    url_query: dict[str, Any]
    """Parameters of the URL alone, without credentials."""
    credentials: dict[str, str]
    """Signature and access token found in the URL, by their parameter names."""
    query: dict[str, Any]
    """All parameters: those of the URL, then of the form or JSON body over them. See `Given`."""
    fields: dict[str, Any]
    """Parameters of the form or JSON body alone."""
    body: bytes | None
    """The raw body, once it was read as a whole."""
    unread: object
    """What `receive` is, for a body that is left to who reads it."""
    form: bool
    """The body is a urlencoded form: its text is what the signature covers."""
    files: dict[str, Upload]
    """Uploaded files by field name, the first of each."""
    uploads: list[Upload]
    """Uploaded files in the order they came."""
    account: dict[str, Any]
    """The row of bk_auth; empty for strangers."""
    signature: Signature | None
    """What it was signed with."""
    session: Session | None
    """The session of its cookie."""
    source: Source
    """Where credentials came from: `h` header, `q` query, `t` token, `s` session, "" nowhere."""
    controls: dict[str, Any]
    """Parameters that begin with `_` and say how to answer, converted, without the `_`."""
    cleanup: str
    """Tables whose columns decide what leaves, separated by commas, at first those of the endpoint;
    "" leaves it to the `reply` of the endpoint."""
    endpoint: Endpoint | None
    """What answers it; None for routes of FastAPI and files."""
    plan: Plan | None
    """What was worked out once for this path."""
    task: asyncio.Task[Any] | None
    """Who serves it, once there is a deadline."""
    is_api: bool
    """Some endpoint or FastAPI route answers this path: it is no static file."""
    navigable: bool
    """It is a page that other sites may link to."""
    response_headers: list[Header]
    """Further headers of whatever is answered."""
    state: dict[str, Any]
    """Where plugins keep what belongs to this request."""
    app_name: str
    """The application that calls, by its own header or its user agent."""
    app_version: str
    """The version of that."""
    app_platform: str
    """`ios`, `android` …, as far as it is known."""
    app_build: str
    """The build that it says it is."""
    app_timezone: int
    """Its offset from UTC in ms."""
    app_locale: str
    """Its language, such as `de` or `de-ch`."""

    def __init__(self, app: App, settings: WebSettings, scope: Scope, receive: Receive) -> None:
        self.app = app
        self.settings = settings
        self.scope = scope
        self.receive = receive
        self.method = scope.get("method", "GET")
        self.protocol = "http" if scope["type"] == "http" else "ws"
        self.mtime = int(time.time() * 1000)
        headers = scope["headers"]
        self.raw_headers = dict(headers)
        if len(self.raw_headers) < len(headers):
            self.raw_headers = _joined(headers)
        if not scope["query_string"]:
            self.raw_query = ""
            self.url_query, self.query, self.credentials = {}, Given(), {}
        self.account = {}
        self.signature = None
        self.session = None
        self.source = ""
        self.endpoint = None
        self.plan = None
        self.task = None
        self.body = self.unread = None
        self.form = False
        self.response_headers = []

    if not TYPE_CHECKING:  # else every misspelt attribute would have a type

        def __getattr__(self, name: str) -> Any:
            try:
                work_out = _LAZY[name]
            except KeyError:
                raise AttributeError(f"request has no attribute {name!r}") from None
            value = work_out(self)
            setattr(self, name, value)
            return value

    @property
    def db(self) -> Verbs:
        """The database, or the transaction of which this is a part."""
        return self.app.db

    def header(self, name: str) -> str:
        """A header of the request by its name in any case, "" when absent."""
        value = self.raw_headers.get(HEADER_NAMES[name])
        return "" if value is None else value.decode("latin-1")

    def set_cookie(
        self,
        name: str,
        value: str,
        *,
        max_age: int | None = None,
        path: str = "/",
        domain: str = "",
        secure: bool = False,
        httponly: bool = True,
        samesite: str = "Lax",
    ) -> None:
        """Send a cookie with the answer; a `max_age` (seconds) of 0 removes it.

        Raises ValueError for names and values that no cookie can hold.
        """
        if not _TOKEN.fullmatch(name) or not _COOKIE.fullmatch(value):
            raise ValueError(f"cookie {name!r}: not allowed in a cookie")
        parts = [f"{name}={value}", f"Path={path}"]
        if max_age is not None:
            parts.append(f"Max-Age={max_age}")
        if domain:
            parts.append(f"Domain={domain}")
        if secure:
            parts.append("Secure")
        if httponly:
            parts.append("HttpOnly")
        if samesite:
            parts.append(f"SameSite={samesite}")
        self.response_headers.append((b"set-cookie", "; ".join(parts).encode("latin-1")))

    def t(self, phrase: str, *args: object) -> str:
        """The phrase in the language of the request, with its arguments put in."""
        return self.settings.translate(self.app_locale, phrase, *args)


def _joined(headers: Iterable[Header]) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in found:
            found[name] += (b"; " if name == b"cookie" else b", ") + value
        else:
            found[name] = value
    return found


def _headers(req: Request) -> dict[str, str]:
    return {n.decode("latin-1"): v.decode("latin-1") for n, v in req.raw_headers.items()}


def _cookies(req: Request) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in req.header("cookie").split(";"):
        name, equals, value = part.strip().partition("=")
        if equals and name not in found:
            found[name] = value.strip('"')
    return found


def _url_query(req: Request) -> dict[str, Any]:
    raw = req.scope["query_string"]
    query = forms.parse(raw, req.settings.max_fields) if raw else {}
    req.credentials = {}
    if query:
        for name in req.settings.credential_names:
            value = query.pop(name, None)
            if isinstance(value, str):
                req.credentials[name] = value
    return query


def _credentials_of_url(req: Request) -> dict[str, str]:
    req.url_query = _url_query(req)
    return req.credentials


def _host(req: Request) -> str:
    host = req.header("host").lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def _secure(req: Request) -> bool:
    if req.scope["scheme"] in ("https", "wss"):
        return True
    proto = req.header("x-forwarded-proto")
    return proto.rpartition(",")[2].strip() == "https" and req.settings.proxies.trusts(_peer(req))


def _peer(req: Request) -> str:
    client = req.scope.get("client")
    host: str = client[0] if client else ""
    return host.removeprefix("::ffff:") if "." in host else host


def _ip(req: Request) -> str:
    peer = _peer(req)
    if not req.settings.proxies.trusts(peer):
        return peer
    return req.settings.proxies.client(peer, req.header("x-forwarded-for"))


def _first(req: Request, name: str) -> str:
    """A value of the URL, else of the header of that name."""
    value: Any = req.url_query.get(name)  # a body is not asked: it may not be read yet
    return value if isinstance(value, str) and value else req.header(name)


def _client(req: Request) -> tuple[str, str, str]:
    """Name, version and platform of the calling application, "" for what is not known."""
    agent = req.header("user-agent")
    named = APPLICATION.match(_first(req, req.settings.app_header_name) or agent)
    req.app_name, req.app_version, platform = named.groups("") if named else ("", "", "")
    req.app_platform = platform or req.settings.platform(agent)
    return req.app_name, req.app_version, req.app_platform


def _locale(req: Request) -> str:
    named = _first(req, req.settings.lang_header_name)
    if named:
        return named
    return accept_language(req.header("accept-language")[:256])


def _timezone(req: Request) -> int:
    from bkjs.lib.numbers import to_number

    text = _first(req, req.settings.tz_header_name)
    return int(to_number(text[:16], min=-720, max=720) * 60000) if text else 0


def _navigable(req: Request) -> bool:
    if req.endpoint is not None:
        return req.endpoint.navigable
    return req.settings.is_navigable(req.path, req.method)


_LAZY: dict[str, Callable[[Request], Any]] = {
    "app_build": lambda req: _first(req, req.settings.version_header_name),
    "app_locale": _locale,
    "app_name": lambda req: _client(req)[0],
    "app_platform": lambda req: _client(req)[2],
    "app_timezone": _timezone,
    "app_version": lambda req: _client(req)[1],
    "cleanup": lambda req: tables_of(req.endpoint),
    "controls": lambda req: req.settings.read_controls(req),
    "cookies": _cookies,
    "credentials": _credentials_of_url,
    "fields": lambda req: {},
    "files": lambda req: {},
    "headers": _headers,
    "host": _host,
    "id": lambda req: f"{_RUN}-{next(_ids):x}",
    "ip": _ip,
    "is_api": lambda req: req.endpoint is not None or req.settings.is_api(req.path, req.method),
    "navigable": _navigable,
    "note": lambda req: "",
    "path": lambda req: normalise(req.scope["raw_path"]),
    "path_args": lambda req: {},
    "query": lambda req: Given(req.url_query),
    "raw_path": lambda req: req.scope["raw_path"].decode("latin-1"),
    "raw_query": lambda req: req.scope["query_string"].decode("latin-1"),
    "secure": _secure,
    "state": lambda req: {},
    "uploads": lambda req: [],
    "url_query": _url_query,
}
