"""Small files that the processes of a host map to share what they know."""

from __future__ import annotations

import os
from pathlib import Path

from bkjs.errors import StartError


def open_shared(path: Path, size: int) -> int:
    """The descriptor of a private file of that size, zeros where it is new or had another size.

    Its room on the disk is taken now: storing into a part that has none would kill the process.
    Raises StartError when there is no room, or the file cannot be made.
    """
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
    try:
        file = os.open(path, flags, 0o600)
    except OSError as error:
        raise StartError(f"cannot open {path}: {error.strerror}") from error
    try:
        had = os.fstat(file).st_size
        if had not in (0, size):
            os.ftruncate(file, 0)
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file, 0, size)
        elif had != size:
            os.write(file, bytes(size))
    except OSError as error:
        os.close(file)
        raise StartError(f"cannot make {path}, {size} bytes: {error.strerror}") from error
    return file
