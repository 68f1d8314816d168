"""Changing one line of a configuration file."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from .parse import parse_config


def set_line(path: Path, name: str, value: str) -> None:
    """Set a parameter in a file; every other line, comments too, stays as it is.

    The last line that sets it counts and is replaced; without one a line is added. The file is
    replaced as a whole and keeps its mode; a new one is for its owner only.
    """
    path = path.resolve()
    text = path.read_text(encoding="utf-8-sig") if path.exists() else ""
    lines = text.split("\n")
    places = [token.line for token in parse_config(text) if token.name == name]
    if places:
        lines[places[-1] - 1] = f"{name}={value}"
    else:
        lines[-1:] = [*filter(None, lines[-1:]), f"{name}={value}", ""]
    descriptor, part = tempfile.mkstemp(".part", path.name, path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write("\n".join(lines))
        if path.exists():
            old = path.stat()
            os.chmod(part, old.st_mode & 0o7777)
            os.chown(part, old.st_uid, old.st_gid)
        os.replace(part, path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
