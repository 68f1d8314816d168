"""Callbacks that plugins register by method and path, found without trying each of them."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from bkjs.auth.status import Status
from bkjs.errors import StartError
from bkjs.lib.bounded import LONGEST_KEY, Bounded
from bkjs.lib.patterns import to_regexp
from bkjs.lib.signatures import expect, kind_of, positional
from bkjs.lib.text import near
from bkjs.web.endpoint import METHODS
from bkjs.web.request import Request
from bkjs.web.response import Response

PathPattern = str | re.Pattern[str]
AccessCheck = Callable[[Request], Status | Awaitable[Status | None] | None]
PreProcess = Callable[[Request, Status], Status | Awaitable[Status | None] | None]
PostProcess = Callable[[Request, Any], Response | Awaitable[Response | None] | None]
Cleanup = Callable[[Request], Awaitable[None] | None]
SendStatus = Callable[[Request, dict[str, Any]], None]

F = TypeVar("F", bound=Callable[..., object])

_EXACT = re.compile(r"/[\w./-]*", re.A)
_OTHER_SYNTAX = re.compile(r"/\*|\{[A-Za-z_]")
"""`/a/*`, `/a/{name}`: what others mean by these, a regular expression does not."""


class Hooks(Generic[F]):
    """Registrations of one kind; those that match a path are remembered as one tuple."""

    def __init__(self, *takes: str) -> None:
        """`takes` names what a callback is called with."""
        self._takes = takes
        self._all: list[tuple[str, PathPattern, F]] = []
        self._found: Bounded[tuple[str, str], tuple[F, ...]] = Bounded(4096)

    def add(self, method: str, path: PathPattern, fn: F) -> None:
        """Call `fn` for this method, any when empty, and path.

        A path is exact, a pattern for the whole path when it has other characters than words,
        dots, dashes and slashes, or one that is searched: compiled, or with a `^` before it.

        Raises ValueError, or TypeError for the function, for what would never be called.
        """
        expect("the method of a callback", method, str, "its name, '' for any")
        expect("the path of a callback", path, (str, re.Pattern), "text or a pattern")
        if not callable(fn):
            raise TypeError(f"{path}: a function is wanted, not {kind_of(fn)}")
        where: PathPattern | None = path
        if isinstance(path, str) and not _EXACT.fullmatch(path):
            if not path.startswith(("/", "^")) or _OTHER_SYNTAX.search(path):
                raise ValueError(
                    f"{path!r} matches no path: it is a path as in /a/b, a pattern for the whole of"
                    " it as in /a/.*, or one that is searched as in ^/a/"
                )
            where = to_regexp(path if path[0] == "^" else f"^(?:{path})$")
        if where is None:
            raise StartError(f"invalid pattern of a path: {path!r}")
        if method and method.upper() not in METHODS:
            raise ValueError(
                f"{path}: no method {method!r}{near(method.upper(), METHODS)}; '' stands for any"
            )
        names, least, most = positional(fn)
        if not least <= len(self._takes) <= most:
            raise TypeError(
                f"{path}: the function takes ({', '.join(names)}); it is called with"
                f" ({', '.join(self._takes)})"
            )
        entry = (method.upper(), where, fn)
        if entry not in self._all:
            self._all.append(entry)
            self._found.clear()

    def __bool__(self) -> bool:
        return bool(self._all)

    def find(self, method: str, path: str) -> tuple[F, ...]:
        """The callbacks for this request in the order of registration."""
        if not self._all:
            return ()
        found = self._found.get((method, path))
        if found is None:
            found = tuple(
                fn
                for only, where, fn in self._all
                if only in ("", method)
                and (where == path if isinstance(where, str) else where.search(path))
            )
            if len(path) <= LONGEST_KEY:
                self._found[(method, path)] = found
        return found


class Registered:
    """All that plugins have registered, by its kind; `Web.register_…` says what each does."""

    def __init__(self) -> None:
        self.access_checks: Hooks[AccessCheck] = Hooks("req")
        self.pre_processes: Hooks[PreProcess] = Hooks("req", "status")
        self.post_processes: Hooks[PostProcess] = Hooks("req", "value")
        self.cleanups: Hooks[Cleanup] = Hooks("req")
        self.send_statuses: Hooks[SendStatus] = Hooks("req", "data")
