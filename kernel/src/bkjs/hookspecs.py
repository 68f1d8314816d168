"""Every hook of the platform: its arguments and when it is called.

Implementations name only the arguments that they use. All but the declarations may be `def` or
`async def`; a `configure_*` may also be an async generator that yields once: what follows the
`yield` is its shutdown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from bkjs.app import App
    from bkjs.config import Param
    from bkjs.db import Tables
    from bkjs.web.request import Request
    from bkjs.web.service import Web

hookspec = pluggy.HookspecMarker("bkjs")
hookimpl = pluggy.HookimplMarker("bkjs")


@hookspec
def args() -> Sequence[Param]:  # type: ignore[empty-body]
    """Declare configuration parameters; collected before the configuration is read."""


@hookspec
def tables() -> Tables:  # type: ignore[empty-body]
    """Declare tables: `{table: {column: {property: value}}}`; merged before databases open."""


@hookspec
def jobs() -> Mapping[str, Callable[..., Any]]:  # type: ignore[empty-body]
    """No effect yet. Declare the functions that a job may name.

    `{"app.process_accounts": function}`.
    """


@hookspec
def driver() -> type:  # type: ignore[empty-body]
    """Return the driver's class; called when a URL or pool names this plugin."""


@hookspec
def commands() -> Mapping[str, Callable[[list[str]], int]]:  # type: ignore[empty-body]
    """Declare commands: `{word: command}`, a `bkjs.commands.command.Command` or a `main(argv)`.

    That gets the word first and returns the exit code.
    """


@hookspec
def configure(app: App) -> None:
    """The configuration is read; no database is open yet."""


@hookspec
def configure_module(app: App) -> None:
    """Databases, cache and queues are open."""


@hookspec
def configure_middleware(app: App, web: Web) -> None:
    """Web process, before the routes: register access checks, pre- and post-processing."""


@hookspec
def configure_web(app: App, web: Web) -> None:
    """Web process: add routes."""


@hookspec
def configure_monitor(app: App) -> None:
    """No effect yet. The monitor is up."""


@hookspec
def configure_master(app: App) -> None:
    """No effect yet. The master is up."""


@hookspec
def configure_server(app: App) -> None:
    """No effect yet. The parent of the web processes is up."""


@hookspec
def configure_worker(app: App) -> None:
    """No effect yet. A job worker is up."""


@hookspec
def configure_shell(app: App) -> None:
    """A shell, or a command that runs in one, is up."""


@hookspec
def configure_job(app: App, message: dict[str, Any]) -> None:
    """No effect yet. A job was received and is about to run."""


@hookspec
def authenticate(app: App, req: Request) -> Mapping[str, Any] | None:
    """Who is asking: a row of `bk_auth`, or None for no opinion.

    The first answer wins; raise to deny.
    """


@hookspec
def authorize(app: App, req: Request) -> bool | None:
    """May this account do that: True, False, or None for no opinion. The first answer wins."""


@hookspec
def account_added(app: App, req: Request | None, account: dict[str, Any]) -> None:
    """An account was created; `req` is None when no request caused it."""


@hookspec
def account_updated(app: App, req: Request | None, account: dict[str, Any]) -> None:
    """An account was changed."""


@hookspec
def account_renamed(app: App, req: Request | None, account: dict[str, Any]) -> None:
    """An account got another name."""


@hookspec
def account_deleted(app: App, req: Request | None, account: dict[str, Any]) -> None:
    """An account is being deleted: delete what belongs to it."""


@hookspec
def event(app: App, name: str, data: dict[str, Any]) -> None:
    """No effect yet. Something happened; for observers, a failure here stops nothing."""


@hookspec
def status(app: App) -> Mapping[str, Any]:  # type: ignore[empty-body]
    """No effect yet. Numbers for the status page."""
