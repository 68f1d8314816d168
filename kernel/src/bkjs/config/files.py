"""The configuration files of a process, and noticing that they have changed."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from .param import Token
from .parse import read_config

INTERVAL = 0.25
"""Seconds between two looks."""

Stamp = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Files:
    """The main file, `<etc>/config` unless another is named, and the `.local` one beside it."""

    etc: Path
    name: str = "config"
    cwd: Path = Path()

    @property
    def main(self) -> Path:
        """A bare name lies in the etc directory, a path starts at the current one."""
        path = self.cwd / Path(self.name).expanduser() if "/" in self.name else self.etc / self.name
        return Path(os.path.abspath(path))

    @property
    def local(self) -> Path:
        """The file beside the main one whose values win."""
        return self.main.with_name(self.main.name + ".local")

    def read(self, seen: Collection[Path] = ()) -> dict[str, list[Token]]:
        """The tokens of both files by source; a file that cannot be read is a token with an error.

        A main file that was named by the user has to exist, and so have those that were `seen`.
        """
        return {
            "file": read_config(self.main, required=self.name != "config" or self.main in seen),
            "local": read_config(self.local, required=self.local in seen),
        }

    def stamp(self) -> Stamp:
        """Something that differs when either file was written, replaced, made or removed."""
        return tuple(map(stamp, (self.main, self.local)))


async def watch(
    stamp: Callable[[], Stamp],
    on_change: Callable[[], object],
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Call `on_change` whenever the stamp has changed and stayed the same for one interval.

    That wait keeps half-written files from being read. Runs until it is cancelled.
    """
    applied = seen = stamp()
    while True:
        await sleep(INTERVAL)
        now = stamp()
        if now == seen and now != applied:
            applied = now
            result = on_change()
            if inspect.isawaitable(result):
                await result
        seen = now


def stamp(path: Path) -> object:
    """Something that differs when the file was written, replaced, made or removed."""
    try:
        stat = path.stat()
    except OSError as error:
        return error.errno
    return (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino)
