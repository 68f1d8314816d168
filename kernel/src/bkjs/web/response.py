"""A reply: finished, or something that sends itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from bkjs.core.asgi import Header, Send

from .request import Request


class Response:
    """A finished reply: bytes, status, content type and further headers.

    A header is `(b"name", b"value")`. Raises TypeError for a body or a header that could not be
    sent.
    """

    __slots__ = ("body", "content_type", "headers", "status")

    def __init__(
        self,
        body: bytes = b"",
        status: int = 200,
        content_type: str = "application/json",
        headers: Iterable[Header] = (),
    ) -> None:
        if not isinstance(body, (bytes, bytearray)):
            raise TypeError(f"the body of a Response is bytes, not {type(body).__name__}")
        self.body = body
        self.status = status
        self.content_type = content_type
        self.headers = headers if headers.__class__ is tuple else tuple(headers)
        for header in () if headers is NO_STORE else self.headers:
            if not (isinstance(header, tuple) and list(map(type, header)) == [bytes, bytes]):
                raise TypeError(f"a header of a Response is (b'name', b'value'), not {header!r}")


class Sendable(Protocol):
    """What can answer by itself, such as a file that is sent in pieces."""

    status: int

    @property
    def headers(self) -> Sequence[Header]:
        """Its own headers, which it sends after those that every answer has."""

    async def send(self, req: Request, send: Send, headers: Sequence[Header]) -> Response | None:
        """Send the whole answer, `headers` first; or return what is to be sent in its place."""


NO_STORE: tuple[Header, ...] = (
    (b"cache-control", b"max-age=0, no-cache, no-store"),
    (b"pragma", b"no-cache"),
)
"""Headers of what nobody may keep."""
BODILESS = frozenset({204, 304})
"""Of a status that says everything there is neither a body nor its type or length."""
NEXT_TOKEN = b"bk-next-token"
"""The header with the token of the next page, where the format of a reply has no place for it."""
