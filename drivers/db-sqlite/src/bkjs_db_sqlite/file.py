"""The database file: where it is, how it is opened, and whether it is still there."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bkjs.errors import BadRequest, StartError, Unavailable

from .dialect import register

LONGEST_WAIT = 2**31 - 1
"""Milliseconds; what SQLite can count."""
UNREADABLE = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_CORRUPT)
"""What SQLite says of a file that is no whole database."""
MAGIC = b"SQLite format 3\0"
"""How a file with a database begins; to SQLite an empty file is a database as well."""
OF_THE_COPY = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_IOERR_FSYNC,
    sqlite3.SQLITE_IOERR_TRUNCATE,
)
"""Errors of writing: a copy is written, and the database only read."""
STEPS = 1_000_000
"""Instructions of SQLite's machine between two looks at how far a copy is."""
PAGES = 4096
"""Pages of a backup that are put back between two looks."""
PRAGMAS = ("temp_store", "journal_mode", "locking_mode", "synchronous", "read_uncommitted")
"""Options that are pragmas of the same name (sqlite.org/pragma.html)."""

READS = frozenset(
    {
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_RECURSIVE,
    }
)
"""What a statement that reads is made of, for SQLite's authorizer."""
FACTS = frozenset(
    {
        "collation_list",
        "data_version",
        "database_list",
        "foreign_key_list",
        "index_info",
        "index_list",
        "index_xinfo",
        "table_info",
        "table_list",
        "table_xinfo",
    }
)
"""Pragmas that tell something of the database, whatever their argument is."""


class Gone(Unavailable):
    """The file is not there any more."""


class File:
    """One database file. Options: `path` or `dir`, `readonly`, `busy_timeout` (ms, -1 for any),
    `cache_size` (KiB) and the pragmas above; `timeout` is in seconds.

    `:memory:` is a private file in a temporary directory: connections cannot share a database in
    memory without blocking each other or seeing unfinished writes.
    """

    def __init__(self, name: str, url: str, options: Mapping[str, Any], timeout: float) -> None:
        self.name = name
        self.readonly = bool(options.get("readonly"))
        self._url = url.removeprefix("sqlite://")
        scheme, mark, _ = self._url.partition("://")
        if mark:
            raise StartError(f"{name}: a URL of SQLite begins with sqlite://, not {scheme}://")
        self._options = options
        wait = float(options.get("busy_timeout") or timeout * 1000)
        self._timeout = (wait if wait > 0 else LONGEST_WAIT) / 1000
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._identity = (0, 0)
        self.path = Path()

    def locate(self) -> None:
        """Find the file; a new one is private to the user. Raises StartError."""
        if self._url == ":memory:":
            self._temporary = tempfile.TemporaryDirectory(prefix="bkjs-sqlite-")
            self.path = Path(self._temporary.name, "memory.db")
        else:
            name = self._url
            if name in ("", "default"):
                name = str(self._options.get("database") or "backend")
            folder = self._options.get("path") or self._options.get("dir") or "."
            self.path = Path(str(folder), name if name.endswith(".db") else f"{name}.db")
        try:
            if not self.readonly:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            self._identity = self._stat()
        except OSError as exc:
            raise StartError(f"{self.name}: cannot open {self.path}: {exc.strerror}") from exc

    def connect(self, *, writes: bool = False) -> sqlite3.Connection:
        """A connection for any thread; raises what the client raises."""
        writes = writes and not self.readonly
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode={'rw' if writes else 'ro'}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
            timeout=self._timeout,
        )
        try:
            for pragma, value in self._pragmas(writes).items():
                self._set(connection, pragma, value)
            register(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def connect_reader(self) -> sqlite3.Connection:
        """The same for statements that read; any other is SQLITE_AUTH. A file that is opened for
        reading can still attach others, be copied, and keep a transaction or tables of its own."""
        connection = self.connect()
        connection.set_authorizer(_only_reads)
        return connection

    def check(self) -> None:
        """Raise Gone when the file is not the one that was opened: writes to it would be lost."""
        with contextlib.suppress(OSError):
            if self._stat() == self._identity:
                return
        raise Gone(f"{self.name}: {self.path} was removed or replaced; restore it and restart")

    def remove(self) -> None:
        """Delete what was only temporary."""
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None

    def _stat(self) -> tuple[int, int]:
        found = os.stat(self.path)
        return found.st_dev, found.st_ino

    def _pragmas(self, writes: bool) -> dict[str, str]:
        given = {"synchronous": "OFF" if self._temporary else "NORMAL", "temp_store": "0"}
        if writes:
            given["journal_mode"] = "WAL"
        for name in PRAGMAS:
            if self._options.get(name) is not None and (writes or name != "journal_mode"):
                given[name] = str(self._options[name])
        if self._options.get("cache_size"):
            given["cache_size"] = str(-abs(int(self._options["cache_size"])))
        for name, value in given.items():
            if not re.fullmatch(r"-?\w{1,16}", value):
                raise StartError(f"{self.name}: invalid value {value!r} of option {name}")
        return given

    def _set(self, connection: sqlite3.Connection, pragma: str, value: str) -> None:
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                connection.execute(f"PRAGMA {pragma} = {value}")
                return
            except sqlite3.OperationalError as exc:
                # changing to WAL does not wait for other processes that do the same
                busy = exc.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() > deadline:
                    raise
            time.sleep(0.01)


def _only_reads(
    action: int, first: str | None, second: str | None, schema: str | None, inner: str | None
) -> int:
    if action in READS:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_UPDATE and first == "sqlite_master":
        return sqlite3.SQLITE_OK  # how the engine declares `pragma_table_info`; texts never can
    if action == sqlite3.SQLITE_PRAGMA and str(first).lower() in FACTS:
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def write_copy(
    connection: sqlite3.Connection, path: Path, progress: Callable[[str], object]
) -> None:
    """Write the database of a connection, which is closed then, to a new file; raises BadRequest
    when that is there or cannot be written."""
    part = None
    try:
        with contextlib.closing(connection):
            if os.path.lexists(path):
                raise BadRequest(f"{path}: is there already; a backup needs a new file")
            # absolute, or SQLite takes a name that begins with file: for a URI
            descriptor, name = tempfile.mkstemp(".part", ".backup-", path.parent.absolute())
            os.close(descriptor)
            part = Path(name)
            size = connection.execute("PRAGMA page_count").fetchone()[0] * _page_size(connection)

            def tell() -> None:
                progress(f"{os.stat(name).st_size / max(size, 1):.0%}")

            connection.set_progress_handler(tell, STEPS)
            connection.execute("VACUUM INTO ?", (str(part),))
        _sync(part)
        part.rename(path)
        _sync(path.parent)
    except OSError as exc:
        raise BadRequest(f"{path}: {exc.strerror}") from exc
    except sqlite3.OperationalError as exc:
        if exc.sqlite_errorcode in OF_THE_COPY:
            raise BadRequest(f"{path}: cannot be written: {exc}") from exc
        raise
    finally:
        if part is not None:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
                Path(f"{part}-journal").unlink(missing_ok=True)


def _page_size(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA page_size").fetchone()[0])


def read_copy(
    connection: sqlite3.Connection, path: Path, progress: Callable[[str], object]
) -> None:
    """Put the pages of a backup into the database of a connection, which is closed then, all of
    them or none.

    Raises BadRequest for a file that is no SQLite database, or a damaged one.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise BadRequest(f"{path}: no SQLite database")
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        with (
            contextlib.closing(connection),
            contextlib.closing(sqlite3.connect(uri, uri=True)) as saved,
        ):
            (found,) = saved.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise BadRequest(f"{path}: the backup is damaged: {found}")
            (pages,) = saved.execute("PRAGMA page_count").fetchone()
            if path.stat().st_size < pages * _page_size(saved):
                raise BadRequest(f"{path}: the backup is damaged: it was cut")
            if _page_size(saved) != _page_size(connection):
                raise BadRequest(f"{path}: its pages have another size than those of the database")
            saved.backup(
                connection,
                pages=PAGES,
                progress=lambda _, left, total: progress(f"{1 - left / max(total, 1):.0%}"),
                sleep=0,
            )
    except OSError as exc:
        raise BadRequest(f"{path}: {exc.strerror}") from exc
    except sqlite3.DatabaseError as exc:
        if exc.sqlite_errorcode & 0xFF in UNREADABLE:
            raise BadRequest(f"{path}: no SQLite database, or a damaged one: {exc}") from exc
        raise


def _sync(path: Path) -> None:
    """Wait until a file or a folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
