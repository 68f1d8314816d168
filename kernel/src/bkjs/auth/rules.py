"""Who may call which path: the allow and deny rules before and after the signature.

Rules are regular expressions on the decoded path. What a rule costs does not depend on the length
of the path where it begins with `^` or names a suffix, as all built-in rules do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from typing import Any

from bkjs.errors import StartError
from bkjs.lib.bounded import LONGEST_KEY, kept
from bkjs.lib.patterns import to_regexp

from .accounts import account_types
from .status import DENIED, NOT_AUTHENTICATED, OK, Status

Matcher = Callable[[str], object]

API_PATHS = frozenset(
    {
        "account", "auth", "connection", "counter", "data", "file", "icon", "image",
        "location", "message", "pages", "reference", "status", "system",
    }
)  # fmt: skip
"""First components that are the API's whatever is installed: no suffix makes them static files."""

FOLDERS = frozenset({"^/js/", "^/css/", "^/fonts/", "^/public/"})
"""The built-in rules of folders with static files."""

_PATTERNS = (
    "allow", "allow_admin", "allow_anonymous", "allow_authenticated", "allow_ip",
    "deny", "deny_ip", "disable_session", "ignore_allow",
)  # fmt: skip
_BY_TYPE = ("allow_account", "deny_account")
SETTINGS = _PATTERNS + _BY_TYPE


class AccessRules:
    """The compiled rules of `config.api` as it is now."""

    def __init__(self, api: Any) -> None:
        sources = {name: _sources(getattr(api, name)) for name in _PATTERNS}
        allow = sources["allow"]
        sources["allow"] = [source for source in allow if not _of_files(source)]
        sources["static"] = [source for source in allow if _of_files(source)]
        self._match = {name: _matcher(name, sources[name]) for name in sources}
        self._types = {
            name: [
                (type, _matcher(f"{name}-{type}", _sources(value)))
                for type, value in (getattr(api, name) or {}).items()
            ]
            for name in _BY_TYPE
        }
        closing = [*sources["allow_admin"]]
        for name in _BY_TYPE:
            for value in (getattr(api, name) or {}).values():
                closing += _sources(value)
        self.closed = {found[1] for source in closing if (found := _PLAIN.fullmatch(source))}
        """Paths that rules about types spell out, files among them."""
        self._path_status = {
            api: kept(2048)(partial(self._decide_path, api=api)) for api in (False, True)
        }
        self._restriction = lru_cache(4096)(self._decide_restriction)
        self.by_address = any(self._match[name] is not _never for name in ("allow_ip", "deny_ip"))
        """Whether a decision depends on the address of the caller, too."""

    def access(
        self, path: str, ip: str, *, api: bool, public: bool = False, by_address: bool = True
    ) -> Status | None:
        """OK where no account is needed, a refusal, or None: the signature decides.

        `api` says that the path belongs to the API, so that no rule about static files opens
        it; `public` that its endpoint asks for no account; without `by_address` the address lets
        nobody in.
        """
        match = self._match
        if match["deny_ip"](ip):
            return DENIED
        denied, allowed, ignored = self._path_status[api](path)
        if denied:
            return DENIED
        if (public or allowed or (by_address and match["allow_ip"](ip))) and not ignored:
            return OK
        return None

    def _decide_path(self, path: str, *, api: bool) -> tuple[bool, bool, bool]:
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
        if not status or not isinstance(status.get("status"), int):
            status = NOT_AUTHENTICATED
        if status["status"] == 417 and self._match["allow_anonymous"](path):
            status = OK
        if source == "s" and self._match["disable_session"](path):
            return {"status": 401, "message": "Not authorized", "code": "DISABLED"}
        decide = self._restriction if len(path) <= LONGEST_KEY else self._decide_restriction
        return decide(path, account_types(account), bool(account.get("id"))) or status

    def concerns(self, path: str) -> bool:
        """Whether `authorization` may change the status of anybody's request to this path."""
        match = self._match
        names = "allow_anonymous", "disable_session", "allow_admin"
        return any(match[name](path) for name in names) or any(
            matches(path)
            for name in ("deny_account", "allow_account")
            for _, matches in self._types[name]
        )

    def names(self, path: str, account: Mapping[str, Any]) -> bool:
        """Whether a rule opens this path by name to accounts as this one."""
        types = account_types(account)
        return bool(self._match["allow_authenticated"](path)) or any(
            name in types and match(path) for name, match in self._types["allow_account"]
        )

    def overruled(self, path: str, *, api: bool, public: bool) -> tuple[str, list[str]]:
        """What opens a path, and the rules on it that close nothing for that reason."""
        denied, allowed, ignored = self._path_status[api](path)
        closing = ["allow-admin"] if self._match["allow_admin"](path) else []
        for name, types in self._types.items():
            closing += [f"{name.replace('_', '-')}-{type}" for type, match in types if match(path)]
        if denied:
            return "", []
        if (public or allowed) and not ignored:
            return "public=True" if public else "api-allow", [f"api-{name}" for name in closing]
        if "allow-admin" in closing or not self._match["allow_authenticated"](path):
            return "", []
        accounts = [f"api-{name}" for name in closing if name.startswith("allow-account")]
        return "api-allow-authenticated", accounts

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


def _of_files(source: str) -> bool:
    """Whether a rule is about static files: it opens no endpoint that answers such a path."""
    return source.startswith(r"\.") or source in FOLDERS


def _sources(value: Any) -> list[str]:
    """The sources of a setting's patterns, however the configuration keeps them."""
    if isinstance(value, Mapping):
        value = value.get("list")
    if isinstance(value, (str, re.Pattern)):
        value = [value]
    return [p.pattern if isinstance(p, re.Pattern) else str(p) for p in value or ()]


def _never(text: str) -> None:
    return None


_SUFFIX = re.compile(r"\\\.([A-Za-z0-9]+)(?:\$|\\Z)")
"""A rule such as `\\.css$`."""


_PLAIN = re.compile(r"\^?(/[\w/-]*)\$?")
"""A rule that is a path, or the beginning of one."""


def _matcher(name: str, sources: Iterable[str]) -> Matcher:
    """Whether any of the rules fits: by the suffix, at the beginning, or somewhere in the path."""
    suffixes, anchored, others = [], [], []
    for source in sources:
        if found := _SUFFIX.fullmatch(source):
            suffixes.append("." + found[1])
        elif source.startswith("^") and "|" not in source:
            anchored.append(source)
        else:
            others.append(source)
    tests: list[Matcher] = []
    if suffixes:
        ends = tuple(suffixes)
        tests.append(lambda path: path.endswith(ends))
    if anchored:
        tests.append(_compiled(name, anchored).match)
    if others:
        tests.append(_compiled(name, others).search)
    if len(tests) < 2:
        return tests[0] if tests else _never
    return lambda path: any(test(path) for test in tests)


def _compiled(name: str, sources: Iterable[str]) -> re.Pattern[str]:
    source = "|".join(f"({source})" for source in sources)
    compiled = to_regexp(source)
    if not compiled:  # a rule that silently matches nothing could be one that denies
        raise StartError(f"api-{name.replace('_', '-')}: invalid pattern {source!r}")
    return compiled
