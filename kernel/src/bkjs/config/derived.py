"""What is worked out from settings: made when it is first asked for, and anew when they change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Derived(Generic[T]):
    """`rules = Derived(app.config.api, make)`; `rules()` is what `make()` gives for them as of now.

    Whoever keeps something that depends on it only has to see whether it is the same object.
    """

    __slots__ = ("_made", "_make", "_seen", "_settings")

    def __init__(self, settings: Any, make: Callable[[], T]) -> None:
        self._settings = settings
        self._make = make
        self._seen: object = None
        self._made: T

    def __call__(self) -> T:
        """The present one; raises what `make` raises for settings that it cannot use."""
        settings = self._settings.__dict__  # another one after each change
        if settings is not self._seen:
            self._made = self._make()
            self._seen = settings
        return self._made
