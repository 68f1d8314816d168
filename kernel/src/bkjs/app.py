"""The application: the kernel and its services, typed. The one place where all of them meet."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bkjs.auth import AUTH
from bkjs.core.asgi import SITE, Asgi
from bkjs.core.kernel import Kernel
from bkjs.db import DATABASE

if TYPE_CHECKING:
    from bkjs.auth.service import AuthService
    from bkjs.db.database import Database


class App(Kernel):
    """One process of the platform: configuration, plugins and services.

    `async with App(role="shell", argv=["-home", "/srv/x"]) as app:` boots it and takes it down
    again. `modules` names or gives exactly the modules to load, whatever is installed; without it
    the patterns of `allow-modules` choose. Several apps may live in one process.
    """

    specs = "bkjs.hookspecs"
    builtins: ClassVar = {"db": "bkjs.db.setup", "web": "bkjs.web"}

    @property
    def db(self) -> Database:
        """The databases; raises LookupError before plugins are configured."""
        return self[DATABASE]

    @property
    def auth(self) -> AuthService:
        """Who a request comes from; there once plugins are configured."""
        return self[AUTH]

    @property
    def web(self) -> Asgi:
        """What answers requests, without a server around it; in processes of the role `web`."""
        return self[SITE]
