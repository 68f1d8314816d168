"""The Web service: endpoints, signatures, sessions and access rules.

Only hook implementations are here; what they use is imported when they are called, so that
processes without a Web service do not load one.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bkjs.core.plugin import hookimpl

if TYPE_CHECKING:
    from pydantic import Field as Field

    from bkjs.app import App
    from bkjs.config import Param
    from bkjs.web.endpoints.listing import select_page as select_page
    from bkjs.web.routing.routes import Params as Params
    from bkjs.web.routing.routes import Routes as Routes

    from .request import Request as Request
    from .request import Response as Response
    from .service import Web as Web

__all__ = ["Field", "Params", "Request", "Response", "Routes", "Web", "select_page"]

settings = "api"
priority = -1_000_000  # routes are collected when all other plugins are configured

_WHERE = {
    "Field": "pydantic",
    "Params": "bkjs.web.routing.routes",
    "Request": "bkjs.web.request",
    "Response": "bkjs.web.request",
    "Routes": "bkjs.web.routing.routes",
    "Web": "bkjs.web.service",
    "select_page": "bkjs.web.endpoints.listing",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'bkjs.web' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_WHERE[name]), name)


@hookimpl
def args() -> Sequence[Param]:
    # importing a module named `args` would put it in the place of this function
    from .parameters import PARAMS

    return PARAMS


@hookimpl
def tables() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    from bkjs.auth.service import TABLES

    return TABLES


@hookimpl
async def configure(app: App) -> AsyncGenerator[None, None]:
    from bkjs.auth import service as auth

    service = auth.configure(app)
    yield
    service.close()


@hookimpl
async def configure_module(app: App) -> AsyncGenerator[None, None]:
    from bkjs.auth import service as auth

    auth.configure_module(app)
    if app.role == "web":
        from .service import Web

        app.web = Web(app)
        await app.web.start()
    yield
    if app.role == "web":
        app.web.close()
