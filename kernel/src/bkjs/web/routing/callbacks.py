"""Callbacks that plugins register by method and path, found without trying each of them."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from bkjs.auth.status import Status
from bkjs.errors import StartError
from bkjs.lib.bounded import LONGEST_KEY, Bounded
from bkjs.lib.patterns import to_regexp
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


class Hooks(Generic[F]):
    """Registrations of one kind; those that match a path are remembered as one tuple."""

    def __init__(self) -> None:
        self._all: list[tuple[str, PathPattern, F]] = []
        self._found: Bounded[tuple[str, str], tuple[F, ...]] = Bounded(4096)

    def add(self, method: str, path: PathPattern, fn: F) -> None:
        """Call `fn` for this method, any when empty, and path.

        A path is exact, a pattern for the whole path when it has other characters than words,
        dots, dashes and slashes, or a compiled pattern that is searched.
        """
        where: PathPattern | None = path
        if isinstance(path, str) and not _EXACT.fullmatch(path):
            where = to_regexp(f"^(?:{path})$")
        if where is None:
            raise StartError(f"invalid pattern of a path: {path!r}")
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
        self.access_checks: Hooks[AccessCheck] = Hooks()
        self.pre_processes: Hooks[PreProcess] = Hooks()
        self.post_processes: Hooks[PostProcess] = Hooks()
        self.cleanups: Hooks[Cleanup] = Hooks()
        self.send_statuses: Hooks[SendStatus] = Hooks()
