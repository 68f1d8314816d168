"""A part of a request: what one item of a batch asks for, as if it had come alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from bkjs.core.services import AppKey
from bkjs.db.verbs import Verbs
from bkjs.lib.given import Given

from .request import Request
from .response import Response, Sendable

_CONDITIONS = (b"if-match", b"if-none-match")


class Part(Request):
    """A request to another path, by the caller of the whole and with parameters of its own.

    Its `if_match` is what that header would say.
    """

    __slots__ = ("db",)

    db: Verbs

    def __init__(
        self, whole: Request, path: str, fields: Mapping[str, Any], if_match: str = ""
    ) -> None:
        headers = [header for header in whole.scope["headers"] if header[0] not in _CONDITIONS]
        if if_match:
            headers.append((b"if-match", if_match.encode("latin-1", "replace")))
        scope = {
            **whole.scope, "path": path, "raw_path": path.encode(), "query_string": b"",
            "headers": headers,
        }  # fmt: skip
        super().__init__(whole.app, whole.settings, scope, whole.receive)
        self.db = whole.app.db
        self.method, self.protocol, self.mtime = whole.method, whole.protocol, whole.mtime
        self.id, self.account, self.session = whole.id, whole.account, whole.session
        self.signature, self.source = whole.signature, whole.source
        # how to answer is said for the whole
        self.fields = {name: value for name, value in fields.items() if name[:1] != "_"}
        self.query = Given(self.fields)


class Parts(Protocol):
    """What answers parts of requests."""

    async def admit(self, part: Part) -> None:
        """Find what answers a part, and raise what it is refused with."""

    async def call(self, part: Part) -> Response | Sendable:
        """The answer of a part that was admitted."""

    async def end(self, part: Part) -> None:
        """What is done after the answer."""


PARTS = AppKey[Parts]("what answers parts of requests")
