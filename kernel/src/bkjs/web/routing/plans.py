"""What is the same for every request to one path, worked out once."""

from __future__ import annotations

from collections.abc import Callable
from inspect import iscoroutinefunction

from bkjs.auth.origin import SAFE
from bkjs.auth.service import AuthService
from bkjs.auth.status import OK
from bkjs.lib.bounded import LONGEST_KEY, Bounded
from bkjs.web.endpoint import METHODS, Endpoint, tables_of
from bkjs.web.paths import normalise
from bkjs.web.plan import Plan
from bkjs.web.request import Request
from bkjs.web.websettings import WebSettings

from . import redirects
from .callbacks import Registered
from .router import Router

KEPT = 4096
"""Plans that are kept, of paths that are short: they come from clients."""


class Plans:
    """Plans by method and raw path, as long as settings and registrations stay as they are."""

    def __init__(
        self,
        router: Router,
        registered: Registered,
        auth: AuthService,
        settings: Callable[[], WebSettings],
    ) -> None:
        self._router = router
        self._registered = registered
        self._auth = auth
        self._settings = settings
        self._found: Bounded[tuple[str, bytes], Plan] = Bounded(KEPT)

    def forget(self) -> None:
        """Make all plans anew: something that they depend on has changed."""
        self._found.clear()

    def find(self, req: Request) -> Plan:
        """The plan of a request; raises BadRequest when its path has no normal form."""
        key = method, path = (req.method, req.scope["raw_path"])
        plan = self._found.get(key)
        if plan is None:
            plan = self._make(req)
            # a request that began before the settings changed has a plan by the old ones
            current = req.settings is self._settings()
            if current and len(path) <= LONGEST_KEY and method in METHODS:
                self._found[key] = plan
        return plan

    def _make(self, req: Request) -> Plan:
        api, method, registered = req.settings, req.method, self._registered
        plan = Plan()
        req.path = normalise(req.scope["raw_path"])
        if api.routing:
            redirects.rewrite(req)
        path = plan.path = req.path
        plan.raw_path = req.raw_path
        found = self._router.find(path)
        plan.methods, values = found or (None, ())
        plan.endpoint = endpoint = plan.methods.get(method) if plan.methods else None
        plan.seconds = api.timeout / 1000
        if endpoint is not None and endpoint.timeout is not None:
            plan.seconds = endpoint.timeout
        names = endpoint.path_names if endpoint else ()
        plan.path_args = dict(zip(names, values, strict=True)) if names else None
        plan.cleanup = tables_of(endpoint)
        plan.checks = registered.access_checks.find(method, path)
        plan.pre_processes = registered.pre_processes.find(method, path)
        plan.post_processes = registered.post_processes.find(method, path)
        plan.cleanups = registered.cleanups.find(method, path)
        plan.send_statuses = registered.send_statuses.find(method, path)
        plan.redirects = redirects.possible(api, path)
        public = any(e.public for e in ([endpoint] if endpoint else (plan.methods or {}).values()))
        plan.routed = self._router.is_routed(path, method)
        plan.read_only = _read_only(method, path, endpoint)
        is_api = plan.methods is not None or plan.routed
        rules = self._auth.rules()
        plan.access = rules.access(path, "", api=is_api, public=public)
        plan.by_address = rules.by_address
        plan.by_account, plan.rules = rules.concerns(path), rules
        plan.open = plan.access is OK and not (
            plan.by_address or plan.checks or plan.pre_processes or plan.redirects
        )
        waits = endpoint is None or iscoroutinefunction(endpoint.fn)
        plan.at_once = plan.open and not waits and method in ("GET", "HEAD")
        return plan


def _read_only(method: str, path: str, endpoint: Endpoint | None) -> str:
    """Why nothing is written by a request of this method, "" where something may be."""
    if endpoint is None:
        if method not in SAFE:
            return ""
        return f"{path}: nothing is written by {method}; write by POST, PUT, PATCH or DELETE"
    if endpoint.writes:
        return ""
    return (
        f"{endpoint.path}: this endpoint did not say that it writes; declare it with writes=True,"
        ' or with writes="quiet" when it only notes something in passing, as the time of a visit'
    )
