"""Tables in a LevelDB: a folder that one process has open."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from typing import Any, ClassVar

import plyvel

from bkjs.errors import BkError, DriverError, StartError, Unavailable
from bkjs.lib.convert import to_bool
from bkjs.lib.places import said
from bkjs_db_leveldb.store import LevelDbStore
from bkjs_kv import KvDriver, Store, folder

FULL = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


class LevelDbDriver(KvDriver):
    """The pool's URL names the folder; without one it is the database's name."""

    accepts: ClassVar[Mapping[str, str]] = {
        "path": "folder above that of the data",
        "sync": "false: commits do not wait for the disk",
    }

    def __init__(self, name: str, url: str, options: Any) -> None:
        super().__init__(name, url, options)
        self._folder = folder(url, options, "leveldb")
        self._sync = to_bool(options.get("sync", True))

    def connect(self) -> Store:
        """Open the database; it is made when it is not there."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            database = plyvel.DB(str(self._folder), create_if_missing=True)
        except (OSError, plyvel.Error) as exc:
            if "lock" in _text(exc):
                raise Unavailable(
                    f"{self.name}: {self._folder} is in use; LevelDB is for one process and one "
                    "pool in it: stop the other one, or give this pool a folder of its own"
                ) from exc
            raise StartError(f"{self.name}: cannot open {self._folder}: {_text(exc)}") from exc
        return LevelDbStore(database, self._sync)

    def error(self, exc: Exception) -> BkError:
        """What an error of LevelDB means."""
        if not isinstance(exc, plyvel.Error):
            return super().error(exc)
        if any(text in _text(exc) for text in FULL):
            return Unavailable(f"{self.name}: the disk of {self._folder} is full: {_text(exc)}")
        return DriverError(f"{self.name}: {_text(exc)}")


def _text(exc: Exception) -> str:
    """What plyvel says; it has bytes there."""
    (first, *_) = exc.args or (b"",)
    return first.decode(errors="replace") if isinstance(first, bytes) else said(exc)
