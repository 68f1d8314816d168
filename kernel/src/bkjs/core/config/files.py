"""The configuration files of a process."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from bkjs.lib.parameters.params import Token
from bkjs.lib.parameters.parse import read_config
from bkjs.lib.watching import Stamp, stamp


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
        return self.main.with_name(self.main.name + ".local")

    def read(self) -> dict[str, list[Token]]:
        """The tokens of both files by source; a file that cannot be read is a token with an error.

        Only a main file that was named by the user has to exist.
        """
        return {
            "file": read_config(self.main, required=self.name != "config"),
            "local": read_config(self.local),
        }

    def stamp(self) -> Stamp:
        """Something that differs when either file was written, replaced, made or removed."""
        return tuple(map(stamp, (self.main, self.local)))
