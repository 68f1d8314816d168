"""What reads return: rows with a paging token."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .contract import Row


class Rows(list[Row]):
    """The rows of one page. `next_token` is None when nothing follows; pass it as `start`."""

    __slots__ = ("_next", "info", "place")

    def __init__(
        self,
        rows: Iterable[Row] = (),
        next_token: str | Callable[[], str] | None = None,
        info: Mapping[str, Any] | None = None,
        place: Any = None,
    ) -> None:
        """A token that is dear to make may be given as a function; `place` is what it stands for,
        for those who go on in this process."""
        super().__init__(rows)
        self._next = next_token
        self.place = place
        self.info: dict[str, Any] = dict(info) if info else {}

    @property
    def next_token(self) -> str | None:
        """Where the next page begins."""
        if callable(self._next):
            self._next = self._next()
        return self._next

    @property
    def first(self) -> Row | None:
        """The first row, None when there is none."""
        return self[0] if self else None
