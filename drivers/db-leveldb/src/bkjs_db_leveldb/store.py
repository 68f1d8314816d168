"""A LevelDB as a store of bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from bkjs_kv import Overlay, Reader, Store, Writer


class LevelDbReader(Reader):
    """A snapshot."""

    def __init__(self, snapshot: Any) -> None:
        self._snapshot = snapshot

    def get(self, key: bytes) -> bytes | None:
        """The value of a key."""
        found: bytes | None = self._snapshot.get(key)
        return found

    def range(
        self, start: bytes, end: bytes | None, *, reverse: bool = False, limit: int | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values in order."""
        entries = self._down(start, end) if reverse else self._up(start, end)
        return islice(entries, limit)

    def close(self) -> None:
        """Let what was replaced meanwhile be removed."""
        self._snapshot.close()

    def _up(self, start: bytes, end: bytes | None) -> Iterator[tuple[bytes, bytes]]:
        with self._snapshot.iterator(start=start, stop=end) as entries:
            yield from entries

    def _down(self, start: bytes, end: bytes | None) -> Iterator[tuple[bytes, bytes]]:
        # backwards plyvel 1.5 leaves out a range whose only key is its start
        with self._snapshot.iterator(stop=end, reverse=True) as entries:
            for key, value in entries:
                if key < start:
                    return
                yield key, value


class LevelDbStore(Store):
    """An open database. What a transaction writes is one batch."""

    def __init__(self, database: Any, sync: bool) -> None:
        self._database = database
        self._sync = sync

    def snapshot(self) -> Reader:
        """The store as it is now."""
        return LevelDbReader(self._database.snapshot())

    @contextmanager
    def write(self) -> Iterator[Writer]:
        """The only write transaction."""
        reader = self.snapshot()
        try:
            changes = Overlay(reader)
            yield changes
        finally:
            reader.close()
        if changes.changes:
            with self._database.write_batch(transaction=True, sync=self._sync) as batch:
                for key, value in changes.changes.items():
                    if value is None:
                        batch.delete(key)
                    else:
                        batch.put(key, value)

    def close(self) -> None:
        """Close the database, with all snapshots."""
        self._database.close()
