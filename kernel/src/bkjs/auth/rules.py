"""Who may call which path: the allow and deny rules before and after the signature.

Rules are regular expressions on the decoded path. They are joined into one pattern for each
setting, compiled again only when the setting changes, and decisions are remembered by path.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from bkjs.errors import StartError
from bkjs.lib.convert import str_split
from bkjs.lib.patterns import to_regexp

if TYPE_CHECKING:
    from bkjs.web.request import Request

Status = dict[str, Any]
"""An outcome as it is sent: status, message and perhaps code."""

Matcher = Callable[[str], object]

OK: Status = {"status": 200, "message": "Ok"}
DENIED: Status = {"status": 403, "message": "Access denied"}
NOT_AUTHENTICATED: Status = {"status": 401, "message": "Not authenticated"}

API_PATHS = frozenset(
    {
        "account", "auth", "connection", "counter", "data", "file", "icon", "image",
        "location", "message", "pages", "reference", "status", "system",
    }
)  # fmt: skip
"""First components that are the API's whatever is installed: no suffix makes them static files."""

_PATTERNS = (
    "allow", "allow_admin", "allow_anonymous", "allow_authenticated", "allow_ip",
    "deny", "deny_ip", "disable_session", "ignore_allow",
)  # fmt: skip
_BY_TYPE = ("allow_account", "deny_account")
SETTINGS = _PATTERNS + _BY_TYPE


COMPAT = frozenset({"v1", "v5", "status", "tokens", "bad-json"})
"""What `api-compat` may open for clients of the 2018 protocol."""


def compat(api: Any) -> frozenset[str]:
    """The names in `api-compat`, all of them for `2018`."""
    if not api.compat:
        return frozenset()
    names = frozenset(map(str, api.compat))
    return COMPAT if "2018" in names else names


def account_types(account: Mapping[str, Any]) -> frozenset[str]:
    """The types of an account: its `type` split at commas and bars."""
    return _types(account.get("type") or "")


@lru_cache(1024)
def _types(text: str) -> frozenset[str]:
    return frozenset(str_split(text))


def check_account_type(account: Mapping[str, Any], types: str | Iterable[str]) -> bool:
    """Whether the account has this type, or any of these."""
    wanted = str_split(types) if isinstance(types, str) else types
    return not account_types(account).isdisjoint(wanted)


def is_admin(account: Mapping[str, Any]) -> bool:
    """Whether this is an administrator's account."""
    types = account.get("type")
    return bool(types) and "admin" in _types(types)


def same_account(one: object, other: object) -> bool:
    """Whether two account ids are the same; an empty one is nobody's."""
    return bool(one) and bool(other) and str(one) == str(other)


class AccessRules:
    """The compiled rules of `config.api`; they follow its changes."""

    def __init__(self, api: Any) -> None:
        self._api = api
        self._seen: dict[str, Any] = {}
        self._refresh()

    def _refresh(self) -> None:
        """Compile the rules anew after a change of the settings."""
        settings = vars(self._api)
        if settings is self._seen:
            return
        sources = {name: _sources(settings[name]) for name in _PATTERNS}
        allow = sources["allow"]
        sources["allow"] = [source for source in allow if not source.startswith(r"\.")]
        sources["static"] = [source for source in allow if source.startswith(r"\.")]
        self._match = {name: _matcher(name, sources[name]) for name in sources}
        self._types = {
            name: [
                (type, _matcher(f"{name}-{type}", _sources(value)))
                for type, value in (settings[name] or {}).items()
            ]
            for name in _BY_TYPE
        }
        self._path_status = lru_cache(4096)(self._decide_path)
        self._restriction = lru_cache(4096)(self._decide_restriction)
        self._seen = settings

    def access(self, path: str, ip: str, *, api: bool, public: bool = False) -> Status | None:
        """OK where no account is needed, a refusal, or None: the signature decides.

        `api` says that the path belongs to the API, so that no rule about file suffixes opens
        it; `public` that its endpoint asks for no account.
        """
        self._refresh()
        match = self._match
        if match["deny_ip"](ip):
            return DENIED
        denied, allowed, ignored = self._path_status(path, api)
        if denied:
            return DENIED
        if (public or allowed or match["allow_ip"](ip)) and not ignored:
            return OK
        return None

    @property
    def by_address(self) -> bool:
        """Whether a decision depends on the address of the caller, too."""
        self._refresh()
        return self._match["allow_ip"] is not _never or self._match["deny_ip"] is not _never

    def _decide_path(self, path: str, api: bool) -> tuple[bool, bool, bool]:
        match = self._match
        allowed = match["allow"](path)
        if not allowed and not api and path[1:].partition("/")[0] not in API_PATHS:
            allowed = match["static"](path)
        return bool(match["deny"](path)), bool(allowed), bool(match["ignore_allow"](path))

    def authorization(
        self, path: str, account: Mapping[str, Any], source: str, status: Status | None
    ) -> Status:
        """The status after the rules about types of accounts; a failure never becomes a success.

        An exception is the missing login (417) on a path that is open to the anonymous.
        """
        self._refresh()
        if not status or not isinstance(status.get("status"), int):
            status = NOT_AUTHENTICATED
        if status["status"] == 417 and self._match["allow_anonymous"](path):
            status = OK
        if source == "s" and self._match["disable_session"](path):
            return {"status": 401, "message": "Not authorized", "code": "DISABLED"}
        return self._restriction(path, account_types(account), bool(account.get("id"))) or status

    def _decide_restriction(self, path: str, types: frozenset[str], known: bool) -> Status | None:
        if "admin" in types:
            return None
        if self._match["allow_admin"](path):
            return {"status": 401, "message": "Restricted access", "code": "ADMIN"}
        if any(name in types and match(path) for name, match in self._types["deny_account"]):
            return {"status": 401, "message": "Access denied", "code": "DENY"}
        if known and self._match["allow_authenticated"](path):
            return None
        wanted = {name for name, match in self._types["allow_account"] if match(path)}
        if wanted and wanted.isdisjoint(types):
            return {"status": 401, "message": "Access is not allowed", "code": "ALLOW"}
        return None


def _sources(value: Any) -> list[str]:
    """The sources of a setting's patterns, however the configuration keeps them."""
    if isinstance(value, Mapping):
        value = value.get("list")
    if isinstance(value, (str, re.Pattern)):
        value = [value]
    return [p.pattern if isinstance(p, re.Pattern) else str(p) for p in value or ()]


def _never(text: str) -> None:
    return None


def _matcher(name: str, sources: Iterable[str]) -> Matcher:
    source = "|".join(f"({source})" for source in sources)
    if not source:
        return _never
    compiled = to_regexp(source)
    if not compiled:  # a rule that silently matches nothing could be one that denies
        raise StartError(f"api-{name.replace('_', '-')}: invalid pattern {source!r}")
    return compiled.search


def check_access(req: Request) -> Status | None:
    """The decision before the signature: None = go on, `{"status": 200}` = no account needed."""
    endpoint = req.endpoint
    public = endpoint is not None and endpoint.public
    return req.app.auth.rules.access(req.path, req.ip, api=req.is_api, public=public)


def check_authorization(req: Request, status: Status | None) -> Status:
    """The decision after the signature, from its status and the types of the account."""
    return req.app.auth.rules.authorization(req.path, req.account, req.source, status)
