"""The home directory and what is in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from bkjs.errors import StartError

from .config import Config

PRIVATE = ("etc", "spool")
"""Directories with keys, passwords, sockets and databases: readable by their user only."""


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
    spool = Path(config.core.path["spool"])
    for path, mode in ((home, os.R_OK | os.X_OK), (spool, os.R_OK | os.W_OK | os.X_OK)):
        if path.is_dir() and not os.access(path, mode):
            raise StartError(
                f"the directory {path} is not writable; choose another home with -home or BKJS_HOME"
            )


def configured_folders(config: Config) -> Iterator[tuple[str, Path]]:
    """The directories of the configuration with the key of each, such as `etc` or `web`."""
    for key, value in config.core.path.items():
        for path in value if isinstance(value, list) else [value]:
            yield key, Path(path)
