"""The home directory, and installed packages that add to it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from bkjs.core.errors import StartError
from bkjs.lib.parameters.params import Token
from bkjs.lib.parameters.parse import parse_config

if TYPE_CHECKING:
    from .config import Config

log = logging.getLogger(__name__)

PRIVATE = ("etc", "spool")
"""Directories with keys, passwords, sockets and databases: readable by their user only."""

PACKAGE_DIRS = ("modules", "locales", "views", "web")


def make_home(config: Config) -> None:
    """Make the home directory and those in it that are configured and not there yet.

    Raises StartError when that is impossible.
    """
    home = Path(config.core.home)
    if not home.is_absolute():
        raise StartError("the user has no home directory; choose one with -home or BKJS_HOME")
    folders = {home: 0o755}
    if config.core.worker:  # the parent has made them
        return
    for key, path in configured_folders(config):
        if path.is_relative_to(home):
            folders.setdefault(path, 0o700 if key in PRIVATE else 0o755)
    for path, mode in folders.items():
        try:
            if not path.is_dir():
                path.mkdir(mode=mode, parents=True, exist_ok=True)
        except OSError as error:
            raise StartError(
                f"cannot make the directory {path}: {error.strerror};"
                " choose another home with -home or BKJS_HOME"
            ) from error
    if not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        raise StartError(
            f"the home directory {home} is not writable; choose another with -home or BKJS_HOME"
        )


def configured_folders(config: Config) -> Iterator[tuple[str, Path]]:
    """The directories of the configuration with the key of each, such as `etc` or `web`."""
    for key, value in config.core.path.items():
        for path in value if isinstance(value, list) else [value]:
            yield key, Path(path)


@dataclass(frozen=True, slots=True)
class Package:
    """An installed package of `allow-packages` and the directories in it that are used."""

    name: str
    path: Path
    folders: tuple[str, ...] = ()

    @property
    def config(self) -> Path:
        return self.path / "etc" / "config"


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
        if package.config.is_file():
            text = package.config.read_text(encoding="utf-8")
            tokens += parse_config(text, str(package.config))
    return tokens
