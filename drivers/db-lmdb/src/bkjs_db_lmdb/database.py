"""Tables in an LMDB environment: a folder that several processes of one machine may share."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import lmdb

from bkjs.errors import BkError, DriverError, StartError, Unavailable
from bkjs.lib.convert import to_bool
from bkjs.lib.places import said
from bkjs_db_lmdb.store import LONGEST, LmdbStore
from bkjs_kv import KvDriver, Store, folder

MAP_SIZE = 16 << 30
"""Bytes of addresses for the file: it grows up to there, and takes what it holds only."""
READERS = 1024
"""Reads and transactions at a time, of all processes."""
FULL = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO))
"""What a full disk is called; EIO where it takes a part of a write."""


class LmdbDriver(KvDriver):
    """The pool's URL names the folder; without one it is the database's name."""

    longest = LONGEST
    shape = replace(KvDriver.shape, longest_key=400)
    accepts: ClassVar[Mapping[str, str]] = {
        "path": "folder above that of the data",
        "map_size": "bytes that the data may grow to",
        "readers": "reads and transactions at a time, of all processes",
        "sync": "false: commits do not wait for the disk",
    }

    def __init__(self, name: str, url: str, options: Any) -> None:
        super().__init__(name, url, options)
        self._folder = folder(url, options, "lmdb")
        self._map_size = self._number("map_size", MAP_SIZE)
        self._slots = self._number("readers", READERS)
        self._sync = to_bool(options.get("sync", True))

    def connect(self) -> Store:
        """Open the environment; it is made when it is not there."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._reserve(self._folder / "lock.mdb")
            environment = lmdb.open(
                str(self._folder), map_size=self._map_size, max_readers=self._slots,
                sync=self._sync, mode=0o600,
            )  # fmt: skip
        except (OSError, lmdb.Error) as exc:
            raise StartError(f"{self.name}: cannot open {self._folder}: {said(exc)}") from exc
        environment.reader_check()  # those of processes that were killed
        return LmdbStore(environment)

    def error(self, exc: Exception) -> BkError:
        """What an error of LMDB means, and what helps."""
        if not isinstance(exc, lmdb.Error):
            return super().error(exc)
        if isinstance(exc, lmdb.MapFullError):
            return Unavailable(
                f"{self.name}: {self._folder} has the {self._map_size} bytes of map_size, "
                "nothing was stored; give it a larger one and restart"
            )
        if isinstance(exc, lmdb.MapResizedError):
            return Unavailable(
                f"{self.name}: another process made {self._folder} larger than the "
                f"{self._map_size} bytes of map_size here; give both the same and restart"
            )
        if isinstance(exc, lmdb.ReadersFullError):
            return Unavailable(
                f"{self.name}: more than {self._slots} reads and transactions in {self._folder}; "
                "give it more readers and restart all processes that have it open"
            )
        if any(text in str(exc) for text in FULL):
            return Unavailable(
                f"{self.name}: nothing was stored, the disk of {self._folder} is full or fails: "
                f"{said(exc)}"
            )
        return DriverError(f"{self.name}: {said(exc)}")

    def _reserve(self, path: Path) -> None:
        """Write the lock file before it is mapped: on a full disk its pages would be SIGBUS."""
        try:
            file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            return  # to open and close it would free the locks of this process
        try:
            size = 128 * (self._slots + 2)
            if os.write(file, bytes(size)) < size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            path.unlink()
            raise
        finally:
            os.close(file)

    def _number(self, option: str, default: int) -> int:
        value = self.options.get(option)
        if value in (None, ""):
            return default
        if not str(value).isdecimal() or not int(value):
            raise StartError(f"{self.name}: {option} is {value!r}, not a number above 0")
        return int(value)
