"""What a process remembers of accounts and sessions, and how a change ends that everywhere.

Entries live a few seconds. A change is seen at once by all processes of a host: they compare a
number in a small file that all of them map, and start afresh when it has changed. Other hosts see
it when the entries end.
"""

from __future__ import annotations

import mmap
import os
import secrets
import struct
import time
from collections import OrderedDict
from pathlib import Path
from typing import Generic, TypeVar

from .shared import open_shared

T = TypeVar("T")

_NUMBER = struct.Struct("<Q")


class Epoch:
    """A number that changes with every change of accounts or sessions on this host.

    `path` is the file that processes share; without it the number is this process's own.
    """

    def __init__(self, path: Path | None = None) -> None:
        if path is None:
            self._map = mmap.mmap(-1, _NUMBER.size)
            return
        file = open_shared(path, _NUMBER.size)
        try:
            self._map = mmap.mmap(file, _NUMBER.size)
        finally:
            os.close(file)

    def now(self) -> bytes:
        """The present number."""
        return self._map[: _NUMBER.size]

    def change(self) -> None:
        """Everything that was read before is out of date. Safe against other writers: the number
        is random, two changes at the same time are still a change."""
        self._map[: _NUMBER.size] = _NUMBER.pack(secrets.randbits(64))

    def close(self) -> None:
        """Let go of the file; may be called twice."""
        self._map.close()


class Cache(Generic[T]):
    """The values used last, for `ttl` seconds or until the epoch changes."""

    def __init__(self, epoch: Epoch, *, ttl: float, size: int) -> None:
        self._epoch = epoch
        self._ttl = ttl
        self._size = size
        self._items: OrderedDict[str, tuple[float, T]] = OrderedDict()
        self._seen = epoch.now()

    def get(self, key: str) -> T | None:
        """The remembered value, None when there is none any more."""
        if self._seen != (now := self._epoch.now()):
            self._items.clear()
            self._seen = now
            return None
        item = self._items.get(key)
        if item is None:
            return None
        if item[0] < time.monotonic():
            del self._items[key]
            return None
        self._items.move_to_end(key)
        return item[1]

    def put(self, key: str, value: T, epoch: bytes) -> None:
        """Remember a value that was read after `epoch.now()` gave `epoch`.

        A change since then may be missing in it: it is not kept.
        """
        if epoch != self._epoch.now():
            return
        self._items[key] = (time.monotonic() + self._ttl, value)
        if len(self._items) > self._size:
            self._items.popitem(last=False)
