"""A request as far as it matters who sends it, and what it can show for that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

Source = Literal["", "h", "q", "s", "t"]
"""Where credentials came from: nowhere, header, query, session, access token."""


class Signature(NamedTuple):
    """The fields of a signature as they were sent; `expires` is in milliseconds."""

    version: int
    tag: str
    login: str
    digest: str
    expires: int
    checksum: str = ""
    source: Source = ""

    def __str__(self) -> str:
        fields = (self.version, self.tag, self.login, self.digest, self.expires, self.checksum)
        return "|".join(map(str, fields)) + "|"


@dataclass(slots=True)
class Session:
    """A row of bk_session; times are in ms. `id` is the hash of what the cookie holds."""

    id: str
    login: str
    fingerprint: str
    ctime: int
    atime: int
    expires: int


class Guarded(Protocol):
    """What of an endpoint counts for who may call it."""

    @property
    def writes(self) -> bool | Literal["quiet"]:
        """It changes something; `quiet`: only what is noted in passing."""

    @property
    def public(self) -> bool:
        """It asks for no account."""


class Caller(Protocol):
    """A request, over whatever protocol; `bkjs.web.request` says more of each of these."""

    account: dict[str, Any]
    """Empty until it is known whose it is."""
    signature: Signature | None
    session: Session | None
    source: Source
    url_query: dict[str, Any]
    fields: dict[str, Any]
    query: dict[str, Any]

    id: str
    ip: str
    host: str
    method: str
    path: str
    raw_path: str
    raw_query: str
    raw_headers: dict[bytes, bytes]
    cookies: dict[str, str]
    credentials: dict[str, str]
    secure: bool
    mtime: int
    body: bytes | None
    unread: object
    """Where the body comes from when nobody has read it, None otherwise."""
    form: bool
    is_api: bool
    navigable: bool
    """It is a page that other sites may link to."""
    note: str
    """Why it is refused, in more words than the client gets."""

    @property
    def endpoint(self) -> Guarded | None:
        """What answers it, None for anything but an endpoint."""

    def header(self, name: str) -> str:
        """A header by its name in any case, "" when absent."""

    def set_cookie(
        self, name: str, value: str, *, max_age: int | None = None, secure: bool = False
    ) -> None:
        """Send a cookie with the answer; a `max_age` (seconds) of 0 removes it."""
