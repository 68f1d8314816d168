"""The settings of the Web service as a request sees them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bkjs.auth.status import compat
from bkjs.lib.bounded import Bounded
from bkjs.lib.bucket import TokenBucket
from bkjs.lib.i18n import Catalogs
from bkjs.log import on_terminal

from .proxies import Proxies


class HeaderNames(Bounded[str, bytes]):
    """Names of headers as they are on the wire."""

    def __missing__(self, name: str) -> bytes:
        raw = self[name] = name.lower().encode("latin-1", "replace")
        return raw


HEADER_NAMES = HeaderNames(1000)


class WebSettings:
    """All of `config.api` as it was at one time, with what requests need worked out of it.

    `Derived` makes another one when the configuration changes; a request keeps the one that it
    began with.
    """

    def __init__(
        self,
        api: Any,
        *,
        control_params: Any,
        catalogs: Catalogs,
        is_api: Callable[[str, str], bool],
        is_navigable: Callable[[str, str], bool],
        developing: bool,
        read_controls: Callable[[Any], dict[str, Any]],
    ) -> None:
        """`control_params` are the `Controls`. `is_api` says whether an endpoint or a route of
        FastAPI answers a path, by this method, `is_navigable` whether it is a route that other
        sites may link to; `read_controls` makes `req.controls`.
        """
        vars(self).update(vars(api))
        self.control_params = control_params
        self.catalogs = catalogs
        self.is_api = is_api
        self.is_navigable = is_navigable
        self.read_controls = read_controls
        self.compat = compat(api)
        """What is open for clients of the 2018 protocol."""
        self.credential_names = (api.signature_header_name, api.access_token_name)
        """The URL parameters that are no parameters: signature and access token."""
        self.proxies = Proxies(api.trusted_proxies or ())
        most, interval = api.errlog_limiter_max, api.errlog_limiter_interval
        self.errors = TokenBucket(most, most, interval)
        """How many failures may be logged."""
        self.terminal = not api.no_access_log and on_terminal()
        """A developer sees each request as a short line."""
        self.notes = self.terminal or (developing and not api.no_access_log)
        """So does what is passed over in a request, at a terminal or in a file."""
        self.access_log_wanted = self.terminal or (
            not api.no_access_log and bool(api.access_log_file)
        )
        """There is a reader for it; else it depends on the level of the log."""
        self.app_header = HEADER_NAMES[api.app_header_name]

    if TYPE_CHECKING:  # a real one would slow down every look at a setting

        def __getattr__(self, name: str) -> Any: ...

    def translate(self, locale: str, phrase: str, *args: object) -> str:
        """The phrase in that locale; `es-mx` without a catalog is read as `es`."""
        locales = self.catalogs.locales
        if locale not in locales:
            locale = re.split("[-_]", locale, maxsplit=1)[0].lower()
        return self.catalogs.translate(phrase, *args, locale=locale if locale in locales else "")

    def platform(self, agent: str) -> str:
        """The platform that a User-Agent looks like, "" if like none."""
        for rule in self.platform_match or ():
            if rule["rx"] and rule["rx"].search(agent):
                return str(rule["value"])
        return ""
