"""Noticing that files have changed, by looking at them now and then."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path

INTERVAL = 0.25
"""Seconds between two looks."""

Stamp = tuple[object, ...]


async def watch(
    stamp: Callable[[], Stamp],
    on_change: Callable[[], object],
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Call `on_change` whenever the stamp has changed and stayed the same for one interval.

    That wait keeps half-written files from being read. Runs until it is cancelled.
    """
    applied = seen = stamp()
    while True:
        await sleep(INTERVAL)
        now = stamp()
        if now == seen and now != applied:
            applied = now
            result = on_change()
            if inspect.isawaitable(result):
                await result
        seen = now


def stamp(path: Path) -> object:
    """Something that differs when the file was written, replaced, made or removed."""
    try:
        stat = path.stat()
    except OSError as error:
        return error.errno
    return (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino)
