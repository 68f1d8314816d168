"""Accounts: sign-up, profile, search, change of secret, deletion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bkjs import Param, hookimpl

from .schema import TABLES

if TYPE_CHECKING:
    from bkjs import App
    from bkjs.web.service import Web

priority = 99999


@hookimpl
def args() -> list[Param]:
    return [
        Param(
            "split-names",
            type="bool",
            default=False,
            descr="Give first_name and last_name of the name to accounts that have none",
        )
    ]


@hookimpl
def tables() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    return TABLES


@hookimpl
def configure_module(app: App) -> None:
    from .service import complete

    app.db.set_process_row("post", "bk_account", complete(app))


@hookimpl
def configure_web(app: App, web: Web) -> None:
    from .routes import routes

    web.add(routes)
