"""Installed packages that bring configuration, modules and files of their own."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from .param import Token
from .parse import read_config

log = logging.getLogger(__name__)

PACKAGE_DIRS = ("modules", "locales", "views", "web")


@dataclass(frozen=True, slots=True)
class Package:
    """An installed package of `allow-packages` and the directories in it that are used."""

    name: str
    path: Path
    folders: tuple[str, ...] = ()


def find_packages(names: Iterable[str]) -> list[Package]:
    """The packages, not imported; one that is missing is an error in the log."""
    packages = []
    for name in names:
        module = name.replace("-", "_")
        spec = find_spec(module) if module.isidentifier() else None
        if spec is None or not spec.submodule_search_locations:
            log.error("allow-packages: no package %r is installed", name)
            continue
        path = Path(next(iter(spec.submodule_search_locations)))
        found = tuple(d for d in ("etc", *PACKAGE_DIRS) if (path / d).is_dir())
        packages.append(Package(name, path, found))
    return packages


def package_tokens(packages: Iterable[Package]) -> list[Token]:
    """What packages configure: their directories, and their `etc/config`."""
    tokens = []
    for package in packages:
        tokens += [
            Token(f"{folder}-path", str(package.path / folder), f"package {package.name}")
            for folder in PACKAGE_DIRS
            if folder in package.folders
        ]
        tokens += read_config(package.path / "etc" / "config")
    return tokens
