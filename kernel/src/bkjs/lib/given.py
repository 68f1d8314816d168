"""What a client chose: a dictionary that remembers it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Given(dict[str, Any]):
    """Names and values that a client chose, `req.query` for one.

    The database drops properties of it that no table describes; the same in a dictionary of the
    program's own is a mistake, and named. `given | {…}` and `copy` stay what they are, `{**given}`
    is the program's own.
    """

    __slots__ = ()

    def __or__(self, other: Mapping[str, Any], /) -> Given:  # type: ignore[override]
        made = Given(self)
        made.update(other)
        return made

    def __ror__(self, other: Mapping[str, Any], /) -> Given:  # type: ignore[override]
        made = Given(other)
        made.update(self)
        return made

    def copy(self) -> Given:
        """Another one with the same content."""
        return Given(self)
