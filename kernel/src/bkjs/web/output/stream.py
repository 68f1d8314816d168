"""A reply that is made while it is sent."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence

from bkjs.core.asgi import Header, Send
from bkjs.errors import Unsupported
from bkjs.web.request import Request
from bkjs.web.response import NO_STORE, Response

from .replies import failure

UNBUFFERED: Header = (b"x-accel-buffering", b"no")
"""What makes a proxy such as nginx pass every piece on at once."""


class Stream:
    """See `stream`."""

    def __init__(
        self,
        pieces: AsyncGenerator[bytes | str, None],
        status: int,
        content_type: str,
        headers: Iterable[Header],
    ) -> None:
        self.status = status
        kind = (b"content-type", content_type.encode("latin-1"))
        self.headers: Sequence[Header] = (*NO_STORE, UNBUFFERED, kind, *headers)
        self._pieces = pieces

    async def send(self, req: Request, send: Send, headers: Sequence[Header]) -> Response | None:
        """Send what the generator yields; the generator is closed whatever happens."""
        if req.protocol == "ws":
            return failure(req, Unsupported("A stream is not answered over WebSocket"))
        try:
            every = [*headers, *self.headers]
            await send({"type": "http.response.start", "status": self.status, "headers": every})
            if req.method != "HEAD":
                # from now on it ends with its client, also while it waits for the first piece
                await send({"type": "http.response.body", "body": b"", "more_body": True})
                async for piece in self._pieces:
                    data = piece.encode() if isinstance(piece, str) else piece
                    await send({"type": "http.response.body", "body": data, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await self._pieces.aclose()
        return None


def stream(
    req: Request,
    pieces: AsyncGenerator[bytes | str, None],
    *,
    content_type: str = "text/event-stream",
    status: int = 200,
    headers: Iterable[Header] = (),
) -> Stream:
    """A reply that is sent as `pieces`, an async generator, yields it: text or bytes.

    It has no time limit. The generator is cancelled when the client leaves, when the account of
    the request is deleted, disabled or changed or its session ends (seen within about a second),
    and when the process ends: at once for server-sent events, after `api-shutdown-timeout` for
    others; its `finally` runs. A stream that did not come to its end is cut off, so that nobody
    takes it for the whole. What is yielded leaves as it is: columns are the caller's to choose.
    """
    if not hasattr(pieces, "aclose"):
        raise TypeError(f"{req.path}: stream() takes an async generator, not {pieces!r:.100}")
    return Stream(pieces, status, content_type, headers)
