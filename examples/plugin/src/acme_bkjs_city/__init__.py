"""The cities of the world: find them by name, country or size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bkjs import Param, hookimpl

from acme_bkjs_city.schema import TABLES, Tables

if TYPE_CHECKING:
    from bkjs import App
    from bkjs.web import Web


@hookimpl
def args() -> list[Param]:
    return [
        Param(
            "min-population",
            type="int",
            default=100_000,
            descr="Smaller cities are not loaded",
        )
    ]


@hookimpl
def tables() -> Tables:
    return TABLES


@hookimpl
def configure_web(app: App, web: Web) -> None:
    from acme_bkjs_city.routes import routes

    web.add(routes)
