"""SQLite: key reads in the event loop, long reads in threads, writes in one thread."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import sqlite3
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

from bkjs.core.errors import BkError, StartError, Timeout, Unavailable
from bkjs.db.contract import Capabilities, Getter, Request, Row, Table
from bkjs_sql import (
    Plans,
    SqlDriver,
    SqlTransaction,
    Statement,
    add_columns,
    capabilities,
    create_table,
    indexes,
    one,
)
from bkjs_sql.statements import select
from bkjs_sql.where import by_key

from .dialect import SqliteDialect, register
from .errors import translate
from .reader import Readers
from .writer import Writer

STEPS = 20_000
"""Steps of the engine, about a millisecond, after which a read leaves the event loop."""
log = logging.getLogger(__name__)
BROKEN_OFF = frozenset({sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
READS = re.compile(r"\s*(select|explain|values)\b", re.I)
PRAGMAS = ("temp_store", "journal_mode", "locking_mode", "synchronous", "read_uncommitted")


class SqliteDriver(SqlDriver):
    """One database file.

    `:memory:` is a private file in a temporary directory, removed by `close`: connections cannot
    share a real in-memory database without blocking or seeing each other's unfinished writes.
    """

    dialect: ClassVar[SqliteDialect] = SqliteDialect()
    can: ClassVar[Capabilities] = capabilities(dialect)

    def __init__(self, name: str, url: str, options: Mapping[str, Any]) -> None:
        super().__init__(name, url, options)
        self.timeout = float(options.get("timeout") or 5000) / 1000
        self.limit = float(options.get("statement_timeout") or 30_000) / 1000
        self.readonly = bool(options.get("readonly"))
        self.path = Path()
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._identity: tuple[int, int] = (0, 0)
        self._ticks = 0
        self._long: set[str] = set()
        self._gone: BkError | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._inline: sqlite3.Connection | None = None
        self.readers: Readers
        self.writer: Writer | None = None

    # -- open and close ------------------------------------------------------------------------

    async def open(self) -> None:
        self._locate()
        try:
            self.writer = Writer(
                partial(self._connect, writes=True),
                self._check,
                name=self.name,
                timeout=self.timeout,
                max_queue=int(self.options.get("max_queue") or 10_000),
            )
            await self.writer.start()
            self._inline = self._connect()
            self._inline.execute("PRAGMA busy_timeout = 0")
            self._inline.set_progress_handler(self._tick, STEPS)
        except (OSError, sqlite3.Error) as exc:
            self.writer = None
            await self.close()
            raise self.error(exc) from exc
        self.readers = Readers(
            self._connect,
            name=self.name,
            size=max(1, min(int(self.options.get("max") or 8), 64)),
            timeout=self.limit,
        )
        self._look()

    async def close(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        if self.writer is not None:
            await self.writer.close()
            await self.readers.close()
        if self._inline is not None:
            self._inline.close()
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None

    def _locate(self) -> None:
        """Find the file, make it private to the user when it is new."""
        name = self.url.removeprefix("sqlite://")
        if name == ":memory:":
            self._temporary = tempfile.TemporaryDirectory(prefix="bkjs-sqlite-")
            self.path = Path(self._temporary.name, "memory.db")
        else:
            if name in ("", "default"):
                name = str(self.options.get("database") or "backend")
            folder = self.options.get("path") or self.options.get("dir") or "."
            self.path = Path(str(folder), name if name.endswith(".db") else f"{name}.db")
        try:
            if not self.readonly:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            self._identity = self._stat()
        except OSError as exc:
            raise StartError(f"{self.name}: cannot open {self.path}: {exc.strerror}") from exc

    def _connect(self, *, writes: bool = False) -> sqlite3.Connection:
        mode = "rw" if writes and not self.readonly else "ro"
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
            timeout=float(self.options.get("busy_timeout") or self.timeout * 1000) / 1000,
        )
        try:
            for pragma, value in self._pragmas(writes):
                self._set(connection, pragma, value)
            register(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _set(self, connection: sqlite3.Connection, pragma: str, value: str) -> None:
        deadline = time.monotonic() + self.timeout
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

    def _pragmas(self, writes: bool) -> list[tuple[str, str]]:
        given = {"synchronous": "NORMAL", "temp_store": "0", **self.options}
        if self._temporary is not None:
            given["synchronous"] = "OFF"
        if writes and not self.readonly:
            given.setdefault("journal_mode", "WAL")
        else:
            given.pop("journal_mode", None)
        found = [(name, str(given[name])) for name in PRAGMAS if name in given]
        if given.get("cache_size"):
            found.append(("cache_size", str(-abs(int(given["cache_size"])))))  # KiB
        for name, value in found:
            if not re.fullmatch(r"-?\w{1,16}", value):
                raise StartError(f"{self.name}: invalid value {value!r} of option {name}")
        return found

    # -- the file may disappear ----------------------------------------------------------------

    def _stat(self) -> tuple[int, int]:
        found = os.stat(self.path)
        return found.st_dev, found.st_ino

    def _check(self) -> None:
        """Raise when the file is not the one that was opened: what is written would be lost."""
        with contextlib.suppress(OSError):
            if self._stat() == self._identity:
                return
        raise _Gone(f"{self.name}: {self.path} was removed or replaced; restore it and restart")

    def _look(self) -> None:
        """Once a second; so that no read has to."""
        try:
            self._check()
        except _Gone as exc:
            self._lose(exc)
            return
        self._watch = asyncio.get_running_loop().call_later(1, self._look)

    def _lose(self, exc: _Gone) -> None:
        if self._gone is None:
            log.error("%s", exc.message)
        self._gone = exc
        if self._inline is not None:
            self._inline.close()

    # -- statements ----------------------------------------------------------------------------

    def _tick(self) -> bool:
        """The engine counts on from one statement to the next, so only the second call counts."""
        self._ticks += 1
        return self._ticks > 1

    def _reader(self) -> sqlite3.Connection:
        if self._gone is not None:
            raise self._gone
        if self._inline is None:
            raise Unavailable(f"{self.name}: the database is not open")
        return self._inline

    async def _read(
        self, statement: Statement, values: Sequence[Any], *, short: bool = False
    ) -> Sequence[Any]:
        connection = self._reader()
        text = statement.text
        try:
            if short and text not in self._long:
                self._ticks = 0
                try:
                    return connection.execute(text, values).fetchall()
                except sqlite3.OperationalError as exc:
                    if exc.sqlite_errorcode not in BROKEN_OFF:
                        raise
                    if exc.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                        self._remember_long(text)
            return await self.readers.fetch(text, values)
        except Exception as exc:
            raise self._failed(exc, statement, values) from exc

    def _remember_long(self, text: str) -> None:
        if len(self._long) > 1000:
            self._long.clear()
        self._long.add(text)

    async def _write(
        self, statement: Statement, values: Sequence[Any]
    ) -> tuple[int, Sequence[Any]]:
        try:
            done: tuple[int, Sequence[Any]] = await self._writer().write(statement.text, values)
        except Exception as exc:
            raise self._failed(exc, statement, values) from exc
        return done

    async def _query(self, text: str, values: Sequence[Any]) -> Sequence[Mapping[str, Any]]:
        run = partial(_named, text, values)
        try:
            if READS.match(text):
                return await self.readers.run(run)  # type: ignore[no-any-return]
            return await self._writer().write(text, (), run)  # type: ignore[no-any-return]
        except Exception as exc:
            raise self._failed(exc) from exc

    def _writer(self) -> Writer:
        if self._gone is not None:
            raise self._gone
        if self.writer is None:
            raise Unavailable(f"{self.name}: the database is not open")
        return self.writer

    def getter(self, table: Table, columns: tuple[str, ...] | None) -> Getter:
        statement = select(self.dialect, table, columns, by_key(table))
        text, make = statement.text, one(table, statement.columns, self.dialect.reads)

        async def get(values: tuple[Any, ...]) -> Row | None:
            try:
                row = self._inline.execute(text, values).fetchone()  # type: ignore[union-attr]
            except Exception:
                rows = await self._read(statement, values, short=True)
                row = rows[0] if rows else None
            return None if row is None else make(*row)

        return get

    async def bulk(self, reqs: Sequence[Request]) -> list[BkError | None]:
        waiting = []
        for req in reqs:
            statement, values = self.prepare(req)
            waiting.append((self._writer().write(statement.text, values), statement, values))
        outcomes: list[BkError | None] = []
        for future, statement, values in waiting:
            try:
                await future
                outcomes.append(None)
            except Exception as exc:
                outcomes.append(self._failed(exc, statement, values))
        return outcomes

    async def begin(self) -> SqliteTransaction:
        try:
            await self._writer().begin()
        except Exception as exc:
            raise self._failed(exc) from exc
        return SqliteTransaction(self)

    # -- tables --------------------------------------------------------------------------------

    async def describe(self) -> dict[str, dict[str, Mapping[str, Any]]]:
        rows = await self.query(
            "SELECT m.name AS tbl, p.name, p.type, p.pk FROM sqlite_master m, "
            "pragma_table_info(m.name) p WHERE m.type = 'table' ORDER BY m.name, p.cid"
        )
        tables: dict[str, dict[str, Mapping[str, Any]]] = {}
        for row in rows:
            if not row["tbl"].startswith("sqlite_"):
                column = {"type": row["type"]} | ({"primary": row["pk"]} if row["pk"] else {})
                tables.setdefault(row["tbl"], {})[row["name"]] = column
        return tables

    async def create(self, table: Table) -> bool:
        try:
            changed: bool = await self._writer().write(
                "create", (), partial(_create, table, self.dialect)
            )
        except Exception as exc:
            raise self._failed(exc) from exc
        return changed

    async def drop(self, table: str) -> None:
        statement = Statement(f"DROP TABLE IF EXISTS {self.dialect.quote(table)}")
        await self._write(statement, ())

    # -- errors and numbers --------------------------------------------------------------------

    def _failed(
        self, exc: Exception, statement: Statement | None = None, values: Sequence[Any] = ()
    ) -> BkError:
        if isinstance(exc, _Gone):
            self._lose(exc)
        if isinstance(exc, TimeoutError):
            return Timeout(f"{self.name}: the statement took longer than {self.limit:g} s")
        return translate(self.name, str(self.path), exc, statement, values)

    def error(self, exc: Exception) -> BkError:
        return self._failed(exc)

    def stats(self) -> dict[str, int]:
        if self.writer is None:
            return {}
        readers = self.readers
        return {
            "open": readers.open + 2,
            "busy": readers.busy + int(self.writer.busy),
            "waiting": self.writer.waiting,
        }


class SqliteTransaction(SqlTransaction):
    """Holds the writer; reads in it see its own writes."""

    def __init__(self, driver: SqliteDriver) -> None:
        self.dialect = driver.dialect  # type: ignore[misc]
        self.plans: Plans = driver.plans
        self._driver = driver
        self._open = True

    async def _read(
        self, statement: Statement, values: Sequence[Any], *, short: bool = False
    ) -> Sequence[Any]:
        return (await self._write(statement, values))[1]

    async def _write(
        self, statement: Statement, values: Sequence[Any]
    ) -> tuple[int, Sequence[Any]]:
        try:
            done: tuple[int, Sequence[Any]] = await self._writer().inside(statement.text, values)
        except Exception as exc:
            raise self._driver._failed(exc, statement, values) from exc
        return done

    async def _query(self, text: str, values: Sequence[Any]) -> Sequence[Mapping[str, Any]]:
        try:
            return await self._writer().inside(text, (), partial(_named, text, values))  # type: ignore[no-any-return]
        except Exception as exc:
            raise self._driver._failed(exc) from exc

    async def commit(self) -> None:
        await self._end("COMMIT")

    async def rollback(self) -> None:
        if self._open:
            await self._end("ROLLBACK")

    async def _end(self, text: Literal["COMMIT", "ROLLBACK"]) -> None:
        writer = self._writer()
        self._open = False
        try:
            await asyncio.shield(writer.end(text))
        except Exception as exc:
            raise self._driver._failed(exc) from exc

    def _writer(self) -> Writer:
        if not self._open or self._driver.writer is None:
            raise Unavailable(f"{self._driver.name}: the transaction has ended")
        return self._driver.writer


class _Gone(Unavailable):
    """The file is not there any more."""


def _named(text: str, values: Sequence[Any], connection: sqlite3.Connection) -> list[Row]:
    """The rows of any statement, by column name."""
    cursor = connection.execute(text, values)
    names = [item[0] for item in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def _create(table: Table, dialect: SqliteDialect, connection: sqlite3.Connection) -> bool:
    """Make the table and its indexes, or add what is missing; whether anything changed."""
    rows = connection.execute("SELECT name FROM pragma_table_info(?)", (table.name,)).fetchall()
    real = {name.lower() for (name,) in rows}  # names do not differ by case here
    todo = (
        add_columns(dialect, table, {name for name in table.columns if name.lower() in real})
        if real
        else [create_table(dialect, table)]
    )
    present = {
        name
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ?", (table.name,)
        )
    }
    todo += [text for name, text in indexes(dialect, table).items() if name not in present]
    for text in todo:
        connection.execute(text)
    return bool(todo)
