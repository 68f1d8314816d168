"""Signatures that were already used, remembered by all processes of a host until they expire.

The memory is one small file of fixed size that every process maps: a table of buckets, each entry
the beginning of a hash and an expiry. It survives restarts. A full bucket forgets the entry that
expires first.
"""

from __future__ import annotations

import asyncio
import hashlib
import mmap
import os
import struct
from pathlib import Path

from bkjs.errors import Unavailable

try:
    import fcntl
except ImportError:  # Windows, where there is only one process
    fcntl = None  # type: ignore[assignment]

WAYS = 16
_ENTRY = struct.Struct("<QQ")
_BUCKET = struct.Struct(f"<{2 * WAYS}Q")
_WAIT = 0.002
_TRIES = 500


class ReplayCache:
    """Tells the first use of a signature from any later one.

    `path` is the file that processes share; without it the memory is this process's own.
    """

    def __init__(self, path: Path | None = None, *, buckets: int = 1 << 14) -> None:
        self._buckets = buckets
        self._file = -1
        size = buckets * _BUCKET.size
        if path is None:
            self._map = mmap.mmap(-1, size)
            return
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        if os.fstat(self._file).st_size != size:
            os.ftruncate(self._file, size)  # grows with zeros, which are expired entries
        self._map = mmap.mmap(self._file, size)

    async def first_use(self, signature: str, expires: int, now: int) -> bool:
        """Whether this signature was not used before; from now on it was. Times are in ms.

        Raises Unavailable when another process holds the memory for more than a second.
        """
        for _ in range(_TRIES):
            if self._lock():
                try:
                    return self._enter(signature, expires, now)
                finally:
                    self._unlock()
            await asyncio.sleep(_WAIT)
        raise Unavailable("The memory of used signatures is locked, please try again later")

    def _enter(self, signature: str, expires: int, now: int) -> bool:
        digest = hashlib.sha256(signature.encode("utf-8", "surrogatepass")).digest()
        place, mark = struct.unpack_from("<QQ", digest)
        offset = place % self._buckets * _BUCKET.size
        bucket = _BUCKET.unpack_from(self._map, offset)
        marks, expiries = bucket[::2], bucket[1::2]
        for known, until in zip(marks, expiries, strict=True):
            if known == mark and until >= now:
                return False
        way = expiries.index(min(expiries))
        _ENTRY.pack_into(self._map, offset + way * _ENTRY.size, mark, max(expires, 1))
        return True

    def _lock(self) -> bool:
        if self._file < 0 or fcntl is None:
            return True
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def _unlock(self) -> None:
        if self._file >= 0 and fcntl is not None:
            fcntl.lockf(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the memory; may be called twice."""
        self._map.close()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
