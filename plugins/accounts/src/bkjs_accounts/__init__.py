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
"""First among modules: others build on accounts."""


@hookimpl
def args() -> list[Param]:
    """The parameters of this plugin."""
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
    """The table of accounts."""
    return TABLES


@hookimpl
def configure_module(app: App) -> None:
    """Complete each account that is read."""
    from .service import complete

    app.db.set_process_row("post", "bk_account", complete(app))


@hookimpl
def configure_web(app: App, web: Web) -> None:
    """Add the endpoints under /account."""
    from .routes import routes

    web.add(routes)
