"""What an ordered store of bytes has to do, and changes that lie over one until they are kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left, insort
from collections.abc import Iterator
from contextlib import AbstractContextManager
from itertools import islice


class Reader(ABC):
    """A store as it is at one moment."""

    @abstractmethod
    def get(self, key: bytes) -> bytes | None:
        """The value of a key."""

    @abstractmethod
    def range(
        self, start: bytes, end: bytes | None, *, reverse: bool = False, limit: int | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        """Keys from `start` on and before `end` (None: to the last) with their values, `limit` at
        most, in the order of their bytes or backwards; read as they are taken. Both may be longer
        than keys can be, and the end may come before the start."""

    def close(self) -> None:  # noqa: B027 - most have nothing to do
        """It is read no more."""


class Writer(Reader):
    """The same with changes, which it reads itself. Nothing is changed while a range is taken.

    One that cannot store a change raises: the transaction is undone, and each write that shares it
    is tried again alone.
    """

    @abstractmethod
    def put(self, key: bytes, value: bytes) -> None:
        """Set the value of a key."""

    @abstractmethod
    def delete(self, key: bytes) -> None:
        """Remove a key, if it is there."""


class Store(ABC):
    """An open store, whose calls block. With `KvDriver.threads` snapshots are taken and read in the
    event loop and on several threads at a time, each by one of them; a write transaction is opened,
    used and left on one thread."""

    @abstractmethod
    def snapshot(self) -> Reader:
        """The store as it is now, whatever is written until it is closed."""

    @abstractmethod
    def write(self) -> AbstractContextManager[Writer]:
        """The only write transaction: what was changed lasts, all of it, when the block is left,
        and none of it when that is by an exception."""

    def close(self) -> None:  # noqa: B027
        """Free everything. Nothing runs any more."""


class Overlay(Writer):
    """Changes over a reader; nobody else sees them before they are applied to a writer."""

    def __init__(self, base: Reader) -> None:
        self._base = base
        self._changes: dict[bytes, bytes | None] = {}
        self._keys: list[bytes] = []

    @property
    def changes(self) -> dict[bytes, bytes | None]:
        """The new value of each changed key, None for those that are removed."""
        return self._changes

    def get(self, key: bytes) -> bytes | None:
        """The value of a key."""
        if key in self._changes:
            return self._changes[key]
        return self._base.get(key)

    def range(
        self, start: bytes, end: bytes | None, *, reverse: bool = False, limit: int | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values in order."""
        if not self._keys:
            return self._base.range(start, end, reverse=reverse, limit=limit)
        return islice(self._merged(start, end, reverse), limit)

    def _merged(
        self, start: bytes, end: bytes | None, reverse: bool
    ) -> Iterator[tuple[bytes, bytes]]:
        first = bisect_left(self._keys, start)
        last = len(self._keys) if end is None else bisect_left(self._keys, end)
        keys = self._keys[first:last]
        if reverse:
            keys.reverse()
        mine = iter(keys)
        key = next(mine, None)
        for other, stored in self._base.range(start, end, reverse=reverse):
            while key is not None and (key > other if reverse else key < other):
                value = self._changes[key]
                if value is not None:
                    yield key, value
                key = next(mine, None)
            if key == other:
                value = self._changes[other]
                key = next(mine, None)
                if value is not None:
                    yield other, value
            else:
                yield other, stored
        while key is not None:
            value = self._changes[key]
            if value is not None:
                yield key, value
            key = next(mine, None)

    def put(self, key: bytes, value: bytes) -> None:
        """Set the value of a key."""
        self._set(key, value)

    def delete(self, key: bytes) -> None:
        """Remove a key."""
        self._set(key, None)

    def _set(self, key: bytes, value: bytes | None) -> None:
        if key not in self._changes:
            insort(self._keys, key)
        self._changes[key] = value

    def apply(self, writer: Writer) -> None:
        """Make the changes in a writer."""
        for key in self._keys:
            value = self._changes[key]
            if value is None:
                writer.delete(key)
            else:
                writer.put(key, value)
