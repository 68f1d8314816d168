"""One server for each home: a lock that ends with its process, and the file with the process id."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from bkjs.core.errors import StartError

try:
    import fcntl
except ImportError:  # Windows, where nothing tells us of a second server
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def hold(folder: Path, name: str = "web") -> Iterator[None]:
    """Hold the lock of a home while the block runs; raises StartError that says who has it."""
    lock, pid_file = folder / f"{name}.lock", folder / f"{name}.pid"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    except OSError as error:
        raise StartError(f"{lock}: {error.strerror}; the home must be writable") from None
    try:
        _take(descriptor, lock)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        pid_file.write_text(f"{os.getpid()}\n")
        try:
            yield
        finally:
            pid_file.unlink(missing_ok=True)
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _take(descriptor: int, lock: Path) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        raise StartError(
            f"home {lock.parent.parent} is already served by process {holder or 'unknown'};"
            " stop it, or choose another home with -home"
        ) from None
