"""`app.web`: the endpoints and registrations of the Web service, and what serves them."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bkjs.app import App
from bkjs.auth import safety
from bkjs.auth.longlived import LongLived
from bkjs.config.derived import Derived
from bkjs.core.asgi import Receive, Scope, Send
from bkjs.errors import StartError
from bkjs.lib.i18n import Catalogs
from bkjs.lib.signatures import expect

from .deadlines import Deadlines
from .endpoints.routes import Routes
from .gateway import Gateway
from .input.controls import CONTROLS, INTERNAL, Controls, get_controls
from .output.columns import COLUMNS, ColumnRules
from .output.declared import check_tables
from .output.static import Static
from .part import PARTS
from .routing.callbacks import (
    AccessCheck,
    Cleanup,
    PathPattern,
    PostProcess,
    PreProcess,
    Registered,
    SendStatus,
)
from .routing.plans import Plans
from .routing.router import Router
from .server.accesslog import AccessLog
from .server.limits import Limits
from .server.overload import Overload
from .server.stall import Stall
from .server.traffic import Traffic
from .websettings import WebSettings

if TYPE_CHECKING:
    from fastapi import APIRouter

log = logging.getLogger(__name__)


class Web:
    """What plugins use in `configure_middleware` and `configure_web`; itself an ASGI application.

    Everything may also be registered later: what was compiled for requests is made anew.
    """

    def __init__(self, app: App) -> None:
        api = app.config.api
        self.app = app
        self.settings = Derived(api, self._read_settings)
        """The settings as they are now, with what is worked out of them: `settings()`."""
        self.router = Router()
        self.registered = Registered()
        self.plans = Plans(self.router, self.registered, app.auth, self.settings)
        self.control_params = Controls(CONTROLS)
        self.catalogs = Catalogs()
        self.static = Static()
        self.traffic = Traffic(api.url_metrics)
        self.limits = Limits(api, count=self.traffic.count)
        self.overload = Overload(api)
        self.stall = Stall() if app.config.core.run_mode == "development" else None
        self.deadlines = Deadlines()
        self.long_lived = LongLived(app.auth.holds, app.auth.epoch)
        self.access_log = AccessLog(self.settings, Path(app.config.core.path["log"]))
        self.handle = Gateway(
            app,
            self.settings,
            router=self.router,
            plans=self.plans,
            static=self.static,
            limits=self.limits,
            overload=self.overload,
            deadlines=self.deadlines,
            traffic=self.traffic,
            access_log=self.access_log,
            long_lived=self.long_lived,
        )
        self._started = False
        schema = app.db.schema
        app[COLUMNS] = ColumnRules(lambda: schema.tables)
        app[PARTS] = self.handle
        app.auth.check_limit = self.limits.check

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer a request, or serve a WebSocket until it ends."""
        return self.handle(scope, receive, send)

    def _read_settings(self) -> WebSettings:
        self.plans.forget()
        return WebSettings(
            self.app.config.api,
            control_params=self.control_params,
            catalogs=self.catalogs,
            is_api=self.router.is_api,
            is_navigable=self.router.is_navigable,
            developing=self.app.config.core.run_mode == "development",
            read_controls=get_controls,
        )

    # -- registrations -----------------------------------------------------------------------

    def add(self, routes: Routes) -> None:
        """Add a module's endpoints.

        Raises StartError when two answer the same, and for unknown tables; while the Web service
        starts that is looked at when all plugins have registered.
        """
        expect("web.add()", routes, Routes, "Routes, on which endpoints are declared")
        for endpoint in routes.endpoints:
            if self._started:
                check_tables(endpoint, self.app.db.schema.tables)
            self.router.add(endpoint)
        self.plans.forget()

    def include_router(self, router: APIRouter, **options: Any) -> None:
        """Add an ordinary FastAPI router, behind the same access rules as every endpoint.

        Its replies leave as they are: `clean` says what of rows may. Raises StartError for a
        WebSocket of FastAPI, which would never be reached.
        """
        from fastapi import APIRouter

        expect("web.include_router()", router, APIRouter, "an APIRouter of FastAPI")
        self.router.include(router, **options)
        self.plans.forget()

    def mount_static(self, path: str, folder: Path | str) -> None:
        """Serve the files of a folder below a path."""
        expect("web.mount_static()", path, str, "a path")
        expect("web.mount_static()", folder, (str, Path), "a folder after the path")
        self.static.mount(path, Path(folder))

    def register_access_check(self, method: str, path: PathPattern, fn: AccessCheck) -> None:
        """Ask `fn(req)` before the signature; a status object decides, None leaves it open."""
        self.registered.access_checks.add(method, path, fn)
        self.plans.forget()

    def register_pre_process(self, method: str, path: PathPattern, fn: PreProcess) -> None:
        """Call `fn(req, status)` once it is known who asks; a status object replaces `status`."""
        self.registered.pre_processes.add(method, path, fn)
        self.plans.forget()

    def register_post_process(self, method: str, path: PathPattern, fn: PostProcess) -> None:
        """Call `fn(req, value)` with what the handler returned; a Response is sent instead."""
        self.registered.post_processes.add(method, path, fn)
        self.plans.forget()

    def register_cleanup(self, method: str, path: PathPattern, fn: Cleanup) -> None:
        """Call `fn(req)` after the answer was sent."""
        self.registered.cleanups.add(method, path, fn)
        self.plans.forget()

    def register_send_status(self, method: str, path: PathPattern, fn: SendStatus) -> None:
        """Let `fn(req, data)` change a status object before it is sent."""
        self.registered.send_statuses.add(method, path, fn)
        self.plans.forget()

    def register_control_params(self, specs: Mapping[str, Mapping[str, Any]]) -> None:
        """Add controls, `{"archive": {"type": "bool"}}`; known names stay as they are."""
        expect("web.register_control_params()", specs, Mapping, '{"archive": {"type": "bool"}}')
        for name, spec in specs.items():
            expect(f"control {name!r}", spec, Mapping, '{"type": "bool"}')
            if name in INTERNAL or not spec.get("type"):
                raise StartError(f"control {name!r} is reserved or has no type")
            self.control_params.setdefault(name, spec)

    def register_rate_limits(
        self, name: str, rate: float, max: float = 0, interval: float = 0
    ) -> None:
        """Limit a kind (`ip`, `login`, `id`, an own name) or path, unless it is configured."""
        self.limits.register(name, rate, max, interval)

    # -- what servers and tests ask ----------------------------------------------------------

    @property
    def largest_body(self) -> int:
        """Bytes of the largest body that any endpoint accepts."""
        return max((endpoint.limit or 0 for endpoint in self.router.endpoints), default=0)

    def is_api(self, path: str, method: str = "GET") -> bool:
        """Whether an endpoint or a route of FastAPI answers this path."""
        return self.router.is_api(path, method)

    # -- life --------------------------------------------------------------------------------

    async def start(self) -> None:
        """Let the plugins register, read the translations, begin to watch; before serving."""
        from .endpoints import docs, login, ping, ready

        self._load_locales()
        for routes in (
            ping.routes,
            ready.routes(self.app),
            login.routes,
            docs.routes(self.app, self.router),
        ):
            self.add(routes)
        own = len(self.router.endpoints)
        await self.app.hooks.run("configure_middleware", app=self.app, web=self)
        await self.app.hooks.run("configure_web", app=self.app, web=self)
        for endpoint in self.router.endpoints:
            check_tables(endpoint, self.app.db.schema.tables)
        self.router.check_routes()
        paths = [(endpoint.path, endpoint.public) for endpoint in self.router.endpoints[own:]]
        paths += [(path, False) for path in self.router.routed()]
        for text in safety.overruled(self.app, self.app.auth.rules(), paths):
            log.warning("%s", text)
        self._started = True
        self.overload.start()
        self.deadlines.start()
        if self.stall:
            self.stall.start()

    def _load_locales(self) -> None:
        core = self.app.config.core
        for folder in () if core.no_locales else core.path.get("locales", ()):
            for file in sorted(Path(folder).glob("*.json")):
                if core.locales and file.stem not in core.locales:
                    continue
                try:
                    self.catalogs.load(file)
                except (OSError, ValueError) as error:
                    log.error("translations not loaded: %s", error)

    def close(self) -> None:
        """Stop watching and write what is left of the access log; may be called twice."""
        self.overload.stop()
        if self.stall:
            self.stall.stop()
        self.deadlines.stop()
        self.long_lived.close()
        self.access_log.flush()
        self.access_log.close()
