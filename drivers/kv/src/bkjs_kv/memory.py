"""A store in this process, for tests and as an example of one."""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice

from .store import Overlay, Reader, Store, Writer


class _Rows(Reader):
    """Sorted keys and their values."""

    def __init__(
        self, keys: list[bytes], values: dict[bytes, bytes], left: Callable[[_Rows], None]
    ) -> None:
        self.keys = keys
        self.values = values
        self._left = left

    def get(self, key: bytes) -> bytes | None:
        """The value of a key."""
        return self.values.get(key)

    def range(
        self, start: bytes, end: bytes | None, *, reverse: bool = False, limit: int | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values in order."""
        keys, values = self.keys, self.values
        first = bisect_left(keys, start)
        last = len(keys) if end is None else bisect_left(keys, end)
        places = range(last - 1, first - 1, -1) if reverse else range(first, last)
        return ((keys[n], values[keys[n]]) for n in islice(places, limit))

    def close(self) -> None:
        """Finish what runs and waits, then close the store."""
        self._left(self)


class MemoryStore(Store):
    """Rows are copied only when a transaction is kept while somebody reads an older state."""

    def __init__(self) -> None:
        self._keys: list[bytes] = []
        self._values: dict[bytes, bytes] = {}
        self._readers: set[_Rows] = set()
        self._lock = threading.Lock()
        self._writing = threading.Lock()

    def snapshot(self) -> Reader:
        """The rows as they are now."""
        with self._lock:
            rows = _Rows(self._keys, self._values, self._left)
            self._readers.add(rows)
            return rows

    def _left(self, rows: _Rows) -> None:
        with self._lock:
            self._readers.discard(rows)

    @contextmanager
    def write(self) -> Iterator[Writer]:
        """A transaction; there is one at a time."""
        with self._writing:
            changes = Overlay(_Rows(self._keys, self._values, lambda rows: None))
            yield changes
            with self._lock:
                self._keep(changes.changes)

    def _keep(self, changes: dict[bytes, bytes | None]) -> None:
        if any(rows.keys is self._keys for rows in self._readers):
            self._keys, self._values = list(self._keys), dict(self._values)
        for key, value in changes.items():
            if value is None:
                if self._values.pop(key, None) is not None:
                    del self._keys[bisect_left(self._keys, key)]
            else:
                if key not in self._values:
                    insort(self._keys, key)
                self._values[key] = value
