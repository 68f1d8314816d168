"""What is worked out once and kept, never more of it than fits."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeVar

LONGEST_KEY: Final = 256
"""Characters or bytes of a key that a client may choose: longer ones are not kept."""

K = TypeVar("K")
V = TypeVar("V")


class Bounded(dict[K, V]):
    """A dict that forgets its oldest item when one more than `limit` is put in.

    Reading is that of a dict, at its speed: an item that is read does not become younger.
    """

    __slots__ = ("limit",)

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    def __setitem__(self, key: K, value: V) -> None:
        if len(self) >= self.limit and key not in self:
            del self[next(iter(self))]
        super().__setitem__(key, value)


def kept(limit: int, longest: int = LONGEST_KEY) -> Callable[[Callable[[K], V]], Callable[[K], V]]:
    """Keep what a function of a text gives, for the `limit` texts that were asked for last.

    Those with more than `longest` characters or bytes are worked out each time, so that a client
    fills no memory with them.
    """

    def decorate(function: Callable[[K], V]) -> Callable[[K], V]:
        cached = lru_cache(limit)(function)
        return lambda key: cached(key) if len(key) <= longest else function(key)  # type: ignore[arg-type]

    return decorate
