"""Changing one line of a configuration file."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from .parse import parse_config


def set_line(path: Path, name: str, value: str) -> None:
    """Set a parameter in a file; every other line, comments too, stays byte for byte as it is.

    The last line that sets it counts and is replaced; without one a line is added. The file is
    replaced as a whole and keeps its mode; a new one is for its owner only.
    """
    path = path.resolve()
    text = path.read_bytes().decode() if path.exists() else ""
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    # lines, and between them their ends
    parts = re.split("(\r\n|\r|\n)", text.removeprefix(mark))
    places = [token.line for token in parse_config("\n".join(parts[::2])) if token.name == name]
    if places:
        parts[2 * (places[-1] - 1)] = f"{name}={value}"
    else:
        end = parts[1] if len(parts) > 1 else "\n"
        parts += [end if parts[-1] else "", f"{name}={value}", end]
    descriptor, part = tempfile.mkstemp(".part", path.name, path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(mark + "".join(parts))
        if path.exists():
            old = path.stat()
            os.chmod(part, old.st_mode & 0o7777)
            os.chown(part, old.st_uid, old.st_gid)
        os.replace(part, path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
