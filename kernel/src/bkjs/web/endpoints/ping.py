"""/ping: whether the server answers."""

from __future__ import annotations

from bkjs.web.request import Request
from bkjs.web.response import NO_STORE, Response

from .routes import Routes

routes = Routes()

_PONG = Response(b"{}", headers=NO_STORE)


@routes.endpoint("/ping", public=True)
def ping(req: Request) -> Response:
    """Answers, so that one knows the server does."""
    return _PONG
