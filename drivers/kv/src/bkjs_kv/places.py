"""Where a store that is a folder lies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def folder(url: str, options: Mapping[str, Any], scheme: str) -> Path:
    """The folder that the URL of a pool names, or without one its database: below the setting
    `path`, else `dir`, with the scheme as its suffix."""
    place = url.removeprefix(f"{scheme}://")
    if place in ("", "default"):
        place = str(options.get("database") or "backend")
    above = str(options.get("path") or options.get("dir") or ".")
    return Path(above, f"{place.removesuffix(f'.{scheme}')}.{scheme}")
