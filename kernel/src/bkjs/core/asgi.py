"""The interface between a server and an application: ASGI, as far as it is used here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from .services import AppKey

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]


class Asgi(Protocol):
    """What answers requests, whatever it is made of."""

    def __call__(self, scope: Scope, receive: Receive, send: Send, /) -> Awaitable[None]:
        """Serve one connection or request; done when its answer was sent."""


SITE = AppKey[Asgi]("web", "only processes of the role web have it, from configure_web on")
