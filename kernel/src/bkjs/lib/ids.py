"""Identifiers of rows."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import socket
import time
from functools import cache
from uuid import uuid4

_COUNTER_MAX = 8388606  # three bytes
_UUID = re.compile(r"([0-9a-z]{1,5}_)?[0-9a-z]{32}(_[0-9a-z]+)?")
_TUUID = re.compile(r"(?:[^_]+_)?[0-9a-f]{30}", re.I)

_counter = itertools.count(time.time_ns() & 0xFFFF)


def uuid(prefix: str = "") -> str:
    """A random identifier: the prefix and 32 hexadecimal digits."""
    return prefix + uuid4().hex


def is_uuid(value: object, prefix: str = "") -> bool:
    """Whether this looks like what `uuid` makes, with that prefix if one is given."""
    return (
        isinstance(value, str) and _UUID.fullmatch(value) is not None and value.startswith(prefix)
    )


def tuuid(prefix: str = "", *, now: float | None = None) -> str:
    """An identifier that sorts by its time: the prefix and 30 hexadecimal digits.

    They are seconds (8), microseconds (6), host (6), process (4) and a counter (6). `now` is in
    seconds.
    """
    micros = time.time_ns() // 1000 if now is None else int(now * 1_000_000)
    seconds, micros = divmod(micros, 1_000_000)
    pid = os.getpid()
    number = next(_counter) % _COUNTER_MAX + 1
    process = f"{pid & 0xFF:02x}{pid >> 8 & 0xFF:02x}"
    return f"{prefix}{seconds:08x}{micros:06x}{_host()}{process}{number:06x}"


@cache
def _host() -> str:
    digest = hashlib.sha512(socket.gethostname().encode()).digest()
    return digest[1:6:2].hex()


def is_tuuid(value: object) -> bool:
    """Whether this is what `tuuid` makes, with any prefix that ends in an underscore."""
    return isinstance(value, str) and _TUUID.fullmatch(value) is not None
