"""Signatures that were already used, remembered by all processes of a host until they expire.

The memory is one small file of fixed size that every process maps: a table of buckets, in each the
beginnings of hashes, their expiries, and the beginnings of hashes of who has signed. It survives
restarts. Nothing that is still good is forgotten: where a bucket is full, the answer is that of a
server without room, and one login that has its share of it waits until some of that has expired.
The hashes have a key, so that nobody can choose signatures for one bucket.

The further ahead a signature expires, the less room there is for it, so that no number of logins
that sign far ahead keeps others from writing: half of the memory, a quarter of a million, is for
what expires within two minutes. While strangers hold all other room it serves at least 4,000 writes
a second that are signed for 30 seconds, or 1,000 for two minutes: with twice as many it is full.
"""

from __future__ import annotations

import asyncio
import hashlib
import mmap
import os
import struct
from pathlib import Path

from bkjs.errors import Limited, Unavailable

from .shared import open_shared

try:
    import fcntl
except ImportError:  # Windows, where there is only one process
    fcntl = None  # type: ignore[assignment]

BUCKETS = 1 << 12
"""8 MB, half a million signatures."""
WAYS = 128
SHARE = WAYS // 16
"""Entries of a bucket that are one login's at most, so that no few of them keep all others from
writing: 32,768 in all. Buckets are wide, so that a login has nearly all of them before one is full.
"""
ROOM = ((120, WAYS // 2), (3600, WAYS // 4), (86_400, WAYS // 8))
"""Of a bucket, how many entries may expire later than so many seconds from now."""
LATEST = 2**32 - 1
"""Seconds since 1970 that an entry has room for."""
_MARKS = WAYS * 8
_COLUMN = struct.Struct(f"<{WAYS}I")
_NUMBER = struct.Struct("<I")
_BUCKET = _MARKS + 2 * _COLUMN.size
MANY = (
    "Too many signed requests are remembered; sign with an expiry that is near: a minute, not hours"
)
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

        `owner` is who has signed. Raises Limited when there is no room for more of that one,
        Unavailable when there is none for anybody that is signed so far ahead, or when another
        process holds the memory for more than a second.
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
        memory = self._map
        place, mark = struct.unpack("<Q8s", self._hash(signature, 16))
        who = self._hash(owner, 4)
        start = place % self._buckets * _BUCKET
        times = start + _MARKS
        owners = times + _COLUMN.size
        expiries = _COLUMN.unpack_from(memory, times)
        seconds = now // 1000
        at = memory.find(mark, start, times)
        while at >= 0:
            if (at - start) % 8 == 0 and expiries[(at - start) // 8] >= seconds:
                return False
            at = memory.find(mark, at + 1, times)
        names = memory[owners : owners + _COLUMN.size]
        if names.count(who) >= SHARE:
            own = [u for n, u in enumerate(expiries) if names[4 * n : 4 * n + 4] == who]
            own = [until for until in own if until >= seconds]
            if len(own) >= SHARE:
                raise Limited((min(own) - seconds + 1) * 1000, MANY)
        until = min(-(-expires // 1000), LATEST)
        ahead = until - seconds
        if ahead > ROOM[0][0]:
            last = sorted(expiries, reverse=True)
            if any(ahead > far and last[ways - 1] > seconds + far for far, ways in ROOM):
                raise Unavailable(MANY)
        free = 0
        for other in expiries:
            if other < seconds:
                break
            free += 1
        else:
            raise Unavailable(MANY)
        memory[start + free * 8 : start + free * 8 + 8] = mark
        memory[owners + free * 4 : owners + free * 4 + 4] = who
        _NUMBER.pack_into(memory, times + free * 4, until)
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
