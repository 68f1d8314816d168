"""Callbacks that plugins register by method and path, found without trying each of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Generic, TypeVar

from bkjs.errors import StartError
from bkjs.lib.bounded import Bounded
from bkjs.lib.patterns import to_regexp

F = TypeVar("F", bound=Callable[..., object])

_EXACT = re.compile(r"/[\w./-]*", re.A)


class Hooks(Generic[F]):
    """Registrations of one kind; those that match a path are remembered as one tuple."""

    def __init__(self) -> None:
        self._all: list[tuple[str, str | re.Pattern[str], F]] = []
        self._found: Bounded[tuple[str, str], tuple[F, ...]] = Bounded(4096)

    def add(self, method: str, path: str | re.Pattern[str], fn: F) -> None:
        """Call `fn` for this method, any when empty, and path.

        A path is exact, a pattern for the whole path when it has other characters than words,
        dots, dashes and slashes, or a compiled pattern that is searched.
        """
        where: str | re.Pattern[str] | None = path
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
            found = self._found[(method, path)] = tuple(
                fn
                for only, where, fn in self._all
                if only in ("", method)
                and (where == path if isinstance(where, str) else where.search(path))
            )
        return found
