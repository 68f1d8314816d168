"""Signatures that were already used, remembered by all processes of a host until they expire.

The memory is one small file of fixed size that every process maps: a table of buckets, each entry
the beginning of a hash, an expiry and the beginning of a hash of who has signed. It survives
restarts. Nothing that is still good is forgotten: where a bucket is full, or one login has its
share of it, the answer is that of a server without room. The hashes have a key, so that nobody can
choose signatures for one bucket.
"""

from __future__ import annotations

import asyncio
import hashlib
import mmap
import os
import struct
from pathlib import Path

from bkjs.errors import Unavailable

from .shared import open_shared

try:
    import fcntl
except ImportError:  # Windows, where there is only one process
    fcntl = None  # type: ignore[assignment]

BUCKETS = 1 << 15
"""8 MB, half a million signatures."""
WAYS = 16
SHARE = WAYS // 2
"""Entries of a bucket that are one login's at most: it cannot keep all others from writing."""
LATEST = 2**32 - 1
"""Seconds since 1970 that an entry has room for."""
_ENTRY = struct.Struct("<QII")
_BUCKET = _ENTRY.size * WAYS
_WAIT = 0.002
_TRIES = 500


class ReplayCache:
    """Tells the first use of a signature from any later one.

    `path` is the file that processes share; without it the memory is this process's own. `key` is
    a secret of the installation.
    """

    def __init__(
        self, path: Path | None = None, *, key: bytes = b"", buckets: int = BUCKETS
    ) -> None:
        """Raises StartError when the file cannot be made."""
        self._buckets = buckets
        self._key = key[:64]
        size = buckets * _BUCKET
        self._file = -1 if path is None else open_shared(path, size)
        self._map = mmap.mmap(self._file, size)

    async def first_use(self, signature: str, expires: int, now: int, owner: str = "") -> bool:
        """Whether this signature was not used before; from now on it was. Times are in ms.

        `owner` is who has signed. Raises Unavailable when there is no room to remember it, or when
        another process holds the memory for more than a second.
        """
        for _ in range(_TRIES):
            if self._lock():
                try:
                    return self._enter(signature, expires, now, owner)
                finally:
                    self._unlock()
            await asyncio.sleep(_WAIT)
        raise Unavailable("The memory of used signatures is locked, please try again later")

    def _enter(self, signature: str, expires: int, now: int, owner: str) -> bool:
        place, mark = struct.unpack("<QQ", self._hash(signature, 16))
        (who,) = struct.unpack("<I", self._hash(owner, 4))
        start = place % self._buckets * _BUCKET
        seconds, free, own = now // 1000, -1, 0
        for offset in range(start, start + _BUCKET, _ENTRY.size):
            known, until, by = _ENTRY.unpack_from(self._map, offset)
            if until < seconds or not until:
                free = offset
            elif known == mark:
                return False
            else:
                own += by == who
        if free < 0 or own >= SHARE:
            raise Unavailable(
                "Too many signed requests are remembered; sign with an expiry that is near"
            )
        _ENTRY.pack_into(self._map, free, mark, min(-(-expires // 1000), LATEST), who)
        return True

    def _hash(self, text: str, size: int) -> bytes:
        data = text.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(data, digest_size=size, key=self._key).digest()

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
