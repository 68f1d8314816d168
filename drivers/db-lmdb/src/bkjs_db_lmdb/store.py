"""An LMDB environment as a store of bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from bkjs_kv import Reader, Store, Writer

LONGEST = 511
"""Bytes of the longest key, as LMDB is compiled."""


class LmdbReader(Reader):
    """What one transaction sees."""

    def __init__(self, txn: Any) -> None:
        self._txn = txn

    def get(self, key: bytes) -> bytes | None:
        """The value of a key; one that is too long is not there."""
        found: bytes | None = self._txn.get(key) if 0 < len(key) <= LONGEST else None
        return found

    def range(
        self, start: bytes, end: bytes | None, *, reverse: bool = False, limit: int | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values in order."""
        entries = self._down(start, end) if reverse else self._up(start, end)
        return islice(entries, limit)

    def close(self) -> None:
        """End the transaction, so that the pages that only it sees are free again."""
        self._txn.abort()
        self._txn = None  # the client keeps its place among the readers while it is referred to

    def _up(self, start: bytes, end: bytes | None) -> Iterator[tuple[bytes, bytes]]:
        with self._txn.cursor() as cursor:
            if not (cursor.set_range(start[:LONGEST]) if start else cursor.first()):
                return
            for key, value in cursor.iternext():
                if end is not None and key >= end:
                    return
                if key >= start:
                    yield key, value

    def _down(self, start: bytes, end: bytes | None) -> Iterator[tuple[bytes, bytes]]:
        with self._txn.cursor() as cursor:
            # without a key at or behind the end the last one of all is the first to look at
            if not ((end and cursor.set_range(end[:LONGEST])) or cursor.last()):
                return
            for key, value in cursor.iterprev():
                if key < start:
                    return
                if end is None or key < end:
                    yield key, value


class LmdbWriter(LmdbReader, Writer):
    """The same with changes."""

    def put(self, key: bytes, value: bytes) -> None:
        """Set the value of a key."""
        self._txn.put(key, value)

    def delete(self, key: bytes) -> None:
        """Remove a key, if it is there."""
        self._txn.delete(key)


class LmdbStore(Store):
    """An open environment; other processes may have it open, too."""

    def __init__(self, environment: Any) -> None:
        self._environment = environment

    def snapshot(self) -> Reader:
        """The store as it is now."""
        return LmdbReader(self._environment.begin())

    @contextmanager
    def write(self) -> Iterator[Writer]:
        """The only write transaction, of all processes."""
        with self._environment.begin(write=True) as txn:
            yield LmdbWriter(txn)

    def close(self) -> None:
        """Close the environment."""
        self._environment.close()
