"""Installed packages that bring configuration, modules and files of their own."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from .param import Token
from .parse import read_config

log = logging.getLogger(__name__)

FOLDERS = ("modules", "locales", "views", "web")


def package_tokens(names: Iterable[str]) -> list[Token]:
    """What packages configure: their directories, and their `etc/config`.

    They are not imported; one that is missing is an error in the log.
    """
    tokens = []
    for name in names:
        module = name.replace("-", "_")
        spec = find_spec(module) if module.isidentifier() else None
        if spec is None or not spec.submodule_search_locations:
            log.error("allow-packages: no package %r is installed", name)
            continue
        path = Path(next(iter(spec.submodule_search_locations)))
        tokens += [
            Token(f"{folder}-path", str(path / folder), f"package {name}")
            for folder in FOLDERS
            if (path / folder).is_dir()
        ]
        tokens += read_config(path / "etc" / "config")
    return tokens
