"""`app.web`: the endpoints and registrations of the Web service, and what serves them."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bkjs.auth.longlived import LongLived
from bkjs.errors import StartError
from bkjs.lib.i18n import Catalogs
from bkjs.web.input.controls import CONTROLS, INTERNAL
from bkjs.web.output.replies import NO_STORE
from bkjs.web.output.static import Static
from bkjs.web.routing.callbacks import Hooks
from bkjs.web.routing.router import Router
from bkjs.web.routing.routes import Routes
from bkjs.web.server.accesslog import AccessLog
from bkjs.web.server.deadlines import Deadlines
from bkjs.web.server.limits import Limits
from bkjs.web.server.overload import Overload
from bkjs.web.server.proxies import Proxies
from bkjs.web.server.traffic import Traffic

from .gateway import Gateway
from .request import Response

if TYPE_CHECKING:
    from fastapi import APIRouter, FastAPI

    from bkjs.app import App
    from bkjs.auth.rules import Status
    from bkjs.web.routing.routes import Endpoint

    from .request import Request

log = logging.getLogger(__name__)

PathPattern = str | re.Pattern[str]
AccessCheck = Callable[["Request"], "Status | Awaitable[Status | None] | None"]
PreProcess = Callable[["Request", "Status"], "Status | Awaitable[Status | None] | None"]
PostProcess = Callable[["Request", Any], "Response | Awaitable[Response | None] | None"]
Cleanup = Callable[["Request"], "Awaitable[None] | None"]
SendStatus = Callable[["Request", dict[str, Any]], None]

WriteWhole = Callable[[Any, int, bytes, bytes], bool]

_PONG = Response(b"{}", headers=NO_STORE)
_routes = Routes()


@_routes.endpoint("/ping", public=True)
def ping(req: Request) -> Response:
    """Answers, so that one knows the server does."""
    return _PONG


def _sent_as_usual(send: Any, status: int, headers: bytes, body: bytes) -> bool:
    return False


class Web:
    """What plugins use in `configure_middleware` and `configure_web`; itself an ASGI application.

    Everything may also be registered later: what was compiled for requests is made anew.
    """

    def __init__(self, app: App) -> None:
        api = app.config.api
        self.app = app
        self.router = Router()
        self.endpoints: list[Endpoint] = []
        self.access_checks: Hooks[AccessCheck] = Hooks()
        self.pre_processes: Hooks[PreProcess] = Hooks()
        self.post_processes: Hooks[PostProcess] = Hooks()
        self.cleanups: Hooks[Cleanup] = Hooks()
        self.send_statuses: Hooks[SendStatus] = Hooks()
        self.control_params: dict[str, Mapping[str, Any]] = dict(CONTROLS)
        self.traffic = Traffic(api.url_metrics)
        self.limits = Limits(api, count=self.traffic.count)
        self.proxies = Proxies(api)
        self.overload = Overload(api)
        self.deadlines = Deadlines()
        self.long_lived = LongLived(app.auth)
        self.access_log = AccessLog(api, Path(app.config.core.path["log"]))
        self.static = Static(app)
        self.catalogs = Catalogs()
        self.fastapi: FastAPI | None = None
        """Serves the routers of `include_router`; made with the first of them."""
        self.handle = Gateway(self)
        self.write_whole: WriteWhole = _sent_as_usual
        """A shorter way out for most answers, if the server has one."""

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        return self.handle(scope, receive, send)

    # -- registrations -----------------------------------------------------------------------

    def add(self, routes: Routes) -> None:
        """Add a module's endpoints; raises StartError when two answer the same."""
        for endpoint in routes.endpoints:
            self.router.add(endpoint)
            self.endpoints.append(endpoint)
        self.handle.plans.forget()

    def include_router(self, router: APIRouter, **options: Any) -> None:
        """Add an ordinary FastAPI router, behind the same access rules as every endpoint."""
        if self.fastapi is None:
            from fastapi import FastAPI

            self.fastapi = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        self.fastapi.include_router(router, **options)
        self.handle.plans.forget()

    def mount_static(self, path: str, folder: Path | str) -> None:
        """Serve the files of a folder below a path."""
        self.static.mount(path, Path(folder))

    def register_access_check(self, method: str, path: PathPattern, fn: AccessCheck) -> None:
        """Ask `fn(req)` before the signature; a status object decides, None leaves it open."""
        self.access_checks.add(method, path, fn)
        self.handle.plans.forget()

    def register_pre_process(self, method: str, path: PathPattern, fn: PreProcess) -> None:
        """Call `fn(req, status)` once it is known who asks; a status object replaces `status`."""
        self.pre_processes.add(method, path, fn)
        self.handle.plans.forget()

    def register_post_process(self, method: str, path: PathPattern, fn: PostProcess) -> None:
        """Call `fn(req, value)` with what the handler returned; a Response is sent instead."""
        self.post_processes.add(method, path, fn)
        self.handle.plans.forget()

    def register_cleanup(self, method: str, path: PathPattern, fn: Cleanup) -> None:
        """Call `fn(req)` after the answer was sent."""
        self.cleanups.add(method, path, fn)
        self.handle.plans.forget()

    def register_send_status(self, method: str, path: PathPattern, fn: SendStatus) -> None:
        """Let `fn(req, data)` change a status object before it is sent."""
        self.send_statuses.add(method, path, fn)

    def register_control_params(self, specs: Mapping[str, Mapping[str, Any]]) -> None:
        """Add controls, `{"archive": {"type": "bool"}}`; known names stay as they are."""
        for name, spec in specs.items():
            if name in INTERNAL or not spec.get("type"):
                raise StartError(f"control {name!r} is reserved or has no type")
            self.control_params.setdefault(name, spec)

    def register_rate_limits(
        self, name: str, rate: float, max: float = 0, interval: float = 0
    ) -> None:
        """Limit a kind (`ip`, `login`, `id`, an own name) or path, unless it is configured."""
        self.limits.register(name, rate, max, interval)

    # -- what requests ask -------------------------------------------------------------------

    @property
    def credential_names(self) -> tuple[str, str]:
        """The URL parameters that are no parameters: signature and access token."""
        api = self.app.config.api
        return api.signature_header_name, api.access_token_name

    @property
    def largest_body(self) -> int:
        """Bytes of the largest body that any endpoint accepts."""
        return max((endpoint.limit or 0 for endpoint in self.endpoints), default=0)

    def is_api(self, path: str, method: str = "GET") -> bool:
        """Whether an endpoint or a route of FastAPI answers this path."""
        return self.router.find(path) is not None or self.is_routed(path, method)

    def is_routed(self, path: str, method: str) -> bool:
        """Whether a route of FastAPI answers this path, with whatever method."""
        if self.fastapi is None:
            return False
        scope = {"type": "http", "method": method, "path": path, "root_path": "", "headers": []}
        return any(route.matches(dict(scope))[0].value for route in self.fastapi.routes)

    def translate(self, locale: str, phrase: str, *args: object) -> str:
        """The phrase in that locale; `es-mx` without a catalog is read as `es`."""
        locales = self.catalogs.locales
        if locale not in locales:
            locale = re.split("[-_]", locale, maxsplit=1)[0].lower()
        return self.catalogs.translate(phrase, *args, locale=locale if locale in locales else "")

    def platform(self, agent: str) -> str:
        """The platform that a User-Agent looks like, "" if like none."""
        for rule in self.app.config.api.platform_match or ():
            if rule["rx"] and rule["rx"].search(agent):
                return str(rule["value"])
        return ""

    # -- life --------------------------------------------------------------------------------

    async def start(self) -> None:
        """Let the plugins register, read the translations, begin to watch; before serving."""
        from .endpoints import docs
        from .endpoints import login as default_api

        self._load_locales()
        self.add(_routes)
        self.add(default_api.routes)
        self.add(docs.routes(self))
        await self.app.hooks.run("configure_middleware", app=self.app, web=self)
        await self.app.hooks.run("configure_web", app=self.app, web=self)
        self.overload.start()
        self.deadlines.start()

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
        self.deadlines.stop()
        self.long_lived.close()
        self.access_log.flush()
        self.access_log.close()
