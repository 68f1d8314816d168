"""Text for a terminal."""

from __future__ import annotations

import os
import sys
from typing import IO


def bold(text: str, stream: IO[str] | None = None) -> str:
    """The text in bold where it is read on a terminal and nothing forbids it.

    `NO_COLOR` (https://no-color.org) and `TERM=dumb` do. The stream is standard output by default.
    """
    stream = stream or sys.stdout
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty()
    return text if plain else f"\x1b[1m{text}\x1b[0m"
