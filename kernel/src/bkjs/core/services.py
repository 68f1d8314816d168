"""Services of an application, reached by typed keys: `app[ACCOUNTS]` is known to be `Accounts`."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

T = TypeVar("T")


class AppKey(Generic[T]):
    """A name for what one plugin puts into the application and others take out.

    `CITIES = AppKey[Cities]("cities")` at module level; then `app[CITIES] = Cities()` in a hook and
    `app[CITIES]` wherever it is needed. Two keys of the same name are different keys.
    """

    __slots__ = ("missing", "name")

    def __init__(self, name: str, missing: str = "its plugin is not loaded") -> None:
        self.name = name
        self.missing = missing
        """Why the service is not there, when it is not, and what to do."""


class Services:
    """A mapping of typed keys to services."""

    def __init__(self) -> None:
        self._services: dict[AppKey[Any], Any] = {}

    def __getitem__(self, key: AppKey[T]) -> T:
        """The service; raises LookupError that names it when no plugin has put it there."""
        try:
            found: T = self._services[key]
        except KeyError:
            raise LookupError(f"no service {key.name!r} here: {key.missing}") from None
        return found

    def __setitem__(self, key: AppKey[T], service: T) -> None:
        self._services[key] = service
