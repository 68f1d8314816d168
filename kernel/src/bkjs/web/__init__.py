"""The Web service: endpoints, signatures, sessions and access rules.

Only hook implementations are here; what they use is imported when they are called, so that
processes without a Web service do not load one.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bkjs.auth import AUTH
from bkjs.core.plugin import hookimpl

if TYPE_CHECKING:
    from pydantic import Field as Field

    from bkjs.app import App
    from bkjs.config import Param

    from .endpoint import navigable as navigable
    from .endpoints.listing import select_page as select_page
    from .endpoints.routes import Routes as Routes
    from .input.params import Params as Params
    from .output.columns import check_readable as check_readable
    from .output.declared import clean as clean
    from .output.stream import Stream as Stream
    from .output.stream import stream as stream
    from .request import Request as Request
    from .response import Response as Response
    from .service import Web as Web

__all__ = [
    "Field", "Params", "Request", "Response", "Routes", "Stream", "Web", "check_readable", "clean",
    "navigable", "select_page", "stream",
]  # fmt: skip

settings = "api"
priority = -1_000_000  # routes are collected when all other plugins are configured

_WHERE = {
    "Field": "pydantic",
    "Params": "bkjs.web.input.params",
    "Request": "bkjs.web.request",
    "Response": "bkjs.web.response",
    "Routes": "bkjs.web.endpoints.routes",
    "Web": "bkjs.web.service",
    "check_readable": "bkjs.web.output.columns",
    "clean": "bkjs.web.output.declared",
    "navigable": "bkjs.web.endpoint",
    "select_page": "bkjs.web.endpoints.listing",
    "Stream": "bkjs.web.output.stream",
    "stream": "bkjs.web.output.stream",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'bkjs.web' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_WHERE[name]), name)


@hookimpl
def args() -> Sequence[Param]:
    # no module here may be named `args` or `settings`: importing it would put it in their place
    from .parameters import PARAMS

    return PARAMS


@hookimpl
def tables() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    from bkjs.auth.service import TABLES

    return TABLES


@hookimpl
async def configure(app: App) -> AsyncGenerator[None, None]:
    from bkjs.auth.service import open_auth

    service = app[AUTH] = open_auth(app, app.db)
    yield
    service.close()


@hookimpl
async def configure_module(app: App) -> AsyncGenerator[None, None]:
    from bkjs.auth.accounts import AUTH_TABLE

    # after the hooks of plugins: it seals what they leave in a row
    hook = app.auth.accounts.row_hook
    app.db.set_process_row("pre", AUTH_TABLE, hook, verbs=("add", "put", "update", "incr", "del"))
    if app.role != "web":
        yield
        return
    from bkjs.core.asgi import SITE

    from .service import Web

    web = app[SITE] = Web(app)
    await web.start()
    yield
    web.close()
