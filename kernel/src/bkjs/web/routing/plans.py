"""What is the same for every request to one path, worked out once."""

from __future__ import annotations

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from bkjs.auth.rules import OK, Status
from bkjs.web.input.paths import normalise
from bkjs.web.request import tables_of

from . import redirects

if TYPE_CHECKING:
    from bkjs.web.request import Request
    from bkjs.web.service import Web

    from .router import Methods
    from .routes import Endpoint

_KEPT = 4096
"""Plans before they are all forgotten: paths come from clients."""

Callbacks = tuple[Callable[..., Any], ...]


class Plan:
    """How a method of a path is served."""

    __slots__ = (
        "access", "at_once", "by_address", "checks", "cleanup", "cleanups", "endpoint", "methods",
        "open", "path", "path_args", "post_processes", "pre_processes", "raw_path", "redirects",
        "routed", "seconds",
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
    path_args: dict[str, str] | None
    access: Status | None
    """The decision before the signature, as far as the address of the caller has no part in it."""
    by_address: bool
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


class Plans:
    """Plans by method and raw path, as long as settings and registrations stay as they are."""

    def __init__(self, web: Web) -> None:
        self._web = web
        self._api = web.app.config.api
        self._settings: dict[str, Any] = {}
        self._found: dict[tuple[str, bytes], Plan] = {}

    def forget(self) -> None:
        self._found.clear()

    def find(self, req: Request) -> Plan:
        """The plan of a request; raises BadRequest when its path has no normal form."""
        settings = vars(self._api)
        if settings is not self._settings:
            self._found.clear()
            self._settings = settings
        key = (req.method, req.scope["raw_path"])
        plan = self._found.get(key)
        if plan is None:
            if len(self._found) >= _KEPT:
                self._found.clear()
            plan = self._found[key] = self._make(req)
        return plan

    def _make(self, req: Request) -> Plan:
        web, api, method = self._web, self._api, req.method
        plan = Plan()
        req.path = normalise(req.scope["raw_path"])
        if api.routing:
            redirects.rewrite(req)
        path = plan.path = req.path
        plan.raw_path = req.raw_path
        found = web.router.find(path)
        plan.methods, values = found or (None, ())
        plan.endpoint = endpoint = plan.methods.get(method) if plan.methods else None
        plan.seconds = api.timeout / 1000
        if endpoint is not None and endpoint.timeout is not None:
            plan.seconds = endpoint.timeout
        names = endpoint.path_names if endpoint else ()
        plan.path_args = dict(zip(names, values, strict=True)) if names else None
        plan.cleanup = tables_of(path, endpoint)
        plan.checks = web.access_checks.find(method, path)
        plan.pre_processes = web.pre_processes.find(method, path)
        plan.post_processes = web.post_processes.find(method, path)
        plan.cleanups = web.cleanups.find(method, path)
        plan.redirects = redirects.possible(api, path)
        public = endpoint is not None and endpoint.public
        plan.routed = web.is_routed(path, method)
        is_api = plan.methods is not None or plan.routed
        rules = web.app.auth.rules
        plan.access = rules.access(path, "", api=is_api, public=public)
        plan.by_address = rules.by_address
        plan.open = plan.access is OK and not (
            plan.by_address or plan.checks or plan.pre_processes or plan.redirects
        )
        waits = endpoint is None or iscoroutinefunction(endpoint.fn)
        plan.at_once = plan.open and not waits and method in ("GET", "HEAD")
        return plan
