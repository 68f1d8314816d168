"""How a method of a path is served: what is the same for every request to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bkjs.auth.rules import AccessRules
from bkjs.auth.status import Status

from .endpoint import Endpoint, Methods

Callbacks = tuple[Callable[..., Any], ...]


class Plan:
    """How a method of a path is served."""

    __slots__ = (
        "access", "at_once", "by_account", "by_address", "checks", "cleanup", "cleanups",
        "endpoint", "methods", "open", "path", "path_args", "post_processes", "pre_processes",
        "raw_path", "read_only", "redirects", "routed", "rules", "seconds", "send_statuses",
    )  # fmt: skip

    path: str
    """Decoded, normalised and rewritten."""
    raw_path: str
    """As it was sent."""
    seconds: float
    """How long the handler may take, 0 for any time."""
    endpoint: Endpoint | None
    methods: Methods | None
    """The methods that the path answers; None for a path of no endpoint."""
    read_only: str
    """Why nothing is written while it is served, "" where something may be."""
    path_args: dict[str, str] | None
    access: Status | None
    """The decision before the signature, as far as the address of the caller has no part in it."""
    by_address: bool
    by_account: bool
    """Rules about types of accounts name the path."""
    rules: AccessRules
    """Those that said so: a request may last longer than they do."""
    open: bool
    """Nothing but the overload and the limits by address keep the handler from being called."""
    at_once: bool
    """The handler is a plain function that runs without any waiting before it."""
    routed: bool
    """A route of FastAPI answers the path."""
    redirects: bool
    cleanup: str
    """The tables that decide which columns leave."""
    checks: Callbacks
    pre_processes: Callbacks
    post_processes: Callbacks
    cleanups: Callbacks
    send_statuses: Callbacks
