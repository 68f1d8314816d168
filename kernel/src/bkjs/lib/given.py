"""What a client chose: a dictionary that remembers it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bkjs.errors import BadRequest


class Missing(BadRequest, KeyError):
    """A parameter that the handler needs was not sent."""

    __str__ = BadRequest.__str__


class Given(dict[str, Any]):
    """Names and values that a client chose, `req.query` for one.

    The database drops properties of it that no table describes; the same in a dictionary of the
    program's own is a mistake, and named. To ask for a name that was not sent, `given["id"]`, is
    answered with 400. `given | {…}` and `copy` stay what they are, `{**given}`
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

    def __missing__(self, name: str) -> Any:
        raise Missing(f"{name} is required", field=name)
