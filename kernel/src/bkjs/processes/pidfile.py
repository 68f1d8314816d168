"""One process of a role in a home: its pid file, which is also the lock."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from bkjs.errors import StartError


@contextlib.contextmanager
def only_one(folder: Path, role: str) -> Iterator[None]:
    """Hold the lock and the pid file of a role in this home; StartError when another has it."""
    path = folder / f"{role}.pid"
    try:
        file = path.open("a+", encoding="ascii")
    except OSError as error:
        raise StartError(f"cannot write {path}: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise StartError(
                f"this home is served already by process {holder} ({path});"
                " stop it, or choose another home with -home"
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)
            path.unlink(missing_ok=True)
