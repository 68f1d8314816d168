"""SQLite: key reads in the event loop, long reads in threads, writes in one thread."""

from __future__ import annotations

import asyncio
import logging
import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from bkjs.db.contract import Capabilities, Condition, Getter, Request, Row, Table
from bkjs.errors import BkError, Denied, Timeout, Unavailable
from bkjs.lib.bounded import Bounded
from bkjs_sql import FEW, SqlDriver, Statement, capabilities, one, seconds
from bkjs_sql.statements import select
from bkjs_sql.where import by_key

from . import search, tables
from .batch import Action, Write, write_all
from .dialect import SqliteDialect
from .errors import translate
from .file import PRAGMAS, File, Gone, read_copy, write_copy
from .reader import Readers
from .transaction import SqliteTransaction
from .writer import AT_ONCE, Writer

log = logging.getLogger(__name__)

STEPS = 20_000
"""Steps of the engine, about a millisecond, after which a read leaves the event loop."""
MOST = FEW + 1
"""Rows that no short read has."""
LOCKED = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
"""Somebody else has the file."""
LEAVE = LOCKED | {sqlite3.SQLITE_INTERRUPT}
"""What sends a read to a thread: it took too long, or the file is locked for a moment."""
READS = re.compile(r"\s*(select|values)\b", re.I)
"""Statements of `query` that surely change nothing; all others go to the writer."""


class SqliteDriver(SqlDriver):
    """One database file; see `File` for its options."""

    dialect: SqliteDialect = SqliteDialect()
    can: ClassVar[Capabilities] = replace(capabilities(dialect, "@@"), copies=True)
    accepts: ClassVar[Mapping[str, str]] = {
        "path": "folder of the file",
        "readonly": "true: nothing is written",
        "busy_timeout": "ms to wait for another process that writes; -1 for any time",
        "cache_size": "KiB of each connection's cache",
        "statement_timeout": "ms that a statement may take, 30000; 0 for any time",
        **dict.fromkeys(PRAGMAS, "the pragma of that name"),
    }

    def __init__(self, name: str, url: str, options: Mapping[str, Any]) -> None:
        super().__init__(name, url, options)
        self.own_tables = not options.get("readonly")
        self.timeout = seconds(options, "timeout", 5)
        self.limit = seconds(options, "statement_timeout", 30)
        self.file = File(name, url, options, self.timeout)
        self.readers = Readers(
            self.file.connect_reader,
            name=name,
            size=max(1, min(int(options.get("max") or 8), 64)),
            timeout=self.limit,
        )
        self._writer: Writer | None = None
        self._inline: sqlite3.Connection | None = None
        self._ticks = 0
        self._long: Bounded[str, None] = Bounded(1000)
        self._gone: Gone | None = None
        self._watch: asyncio.TimerHandle | None = None

    # -- open and close ------------------------------------------------------------------------

    async def open(self) -> None:
        """Find or make the file and open it for writing and for short reads.

        Raises StartError for a file that cannot be, Unavailable for one that cannot be opened now.
        """
        self.file.locate()
        writer = Writer(
            partial(self.file.connect, writes=True),
            self.file.check,
            name=self.name,
            timeout=self.timeout,
            limit=self.limit,
            max_queue=int(self.options.get("max_queue", 10_000)),
        )
        try:
            await writer.start()
            self._writer = writer
            self._inline = self.file.connect()
            self._inline.execute("PRAGMA busy_timeout = 0")
            self._inline.set_progress_handler(self._tick, STEPS)
        except (OSError, sqlite3.Error) as exc:
            await self.close()
            raise self.error(exc) from exc
        self._look()

    async def close(self) -> None:
        """Finish the writes that wait, then close everything; what was in memory is gone."""
        if self._watch is not None:
            self._watch.cancel()
        await self.readers.close()
        if self._inline is not None:
            self._inline.close()
        if self._writer is not None:  # the last, so that it leaves all in one file
            await self._writer.close()
        self.file.remove()

    def _look(self) -> None:
        """Is the file there? Once a second, so that no read has to ask."""
        try:
            self.file.check()
        except Gone as exc:
            self._lose(exc)
        else:
            self._watch = asyncio.get_running_loop().call_later(1, self._look)

    def _lose(self, exc: Gone) -> None:
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

    async def _read(
        self, statement: Statement, values: Sequence[Any], *, short: bool = False
    ) -> Sequence[Any]:
        text = statement.text
        try:
            if self._gone is not None:
                raise self._gone
            if short and self._inline is not None and text not in self._long:
                self._ticks = 0
                try:
                    cursor = self._inline.execute(text, values)
                    rows = cursor.fetchmany(MOST)
                    if len(rows) < MOST:
                        return rows
                    cursor.close()
                    self._long[text] = None
                except sqlite3.OperationalError as exc:
                    if exc.sqlite_errorcode & 0xFF not in LEAVE:
                        raise
                    if exc.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                        self._long[text] = None
            return await self.readers.fetch(text, values)
        except Exception as exc:
            raise self._failed(exc, statement, values) from exc

    async def _write(
        self, statement: Statement, values: Sequence[Any]
    ) -> tuple[int, Sequence[Any]]:
        try:
            done: tuple[int, Sequence[Any]] = await self.writer.write(statement.text, values)
        except Exception as exc:
            raise self._failed(exc, statement, values) from exc
        return done

    @property
    def writer(self) -> Writer:
        """The thread that writes; raises Unavailable when there is none."""
        if self._gone is not None:
            raise self._gone
        if self._writer is None:
            raise Unavailable(f"{self.name}: the database is not open")
        return self._writer

    def getter(self, table: Table, columns: tuple[str, ...] | None) -> Getter:
        """One row by its key, read in the event loop: a few microseconds, no thread, no task."""
        statement = select(self.dialect, table, columns, by_key(table))
        text, make = statement.text, one(table, statement.columns, self.dialect.reads)

        async def get(values: tuple[Any, ...]) -> Row | None:
            try:
                row = self._inline.execute(text, values).fetchone()  # type: ignore[union-attr]
            except Exception:  # the long way also finds out what it was
                rows = await self._read(statement, values, short=True)
                row = rows[0] if rows else None
            return None if row is None else make(*row)

        return get

    async def _query(self, text: str, values: Sequence[Any]) -> Sequence[Mapping[str, Any]]:
        action = _named(text, values)
        read = READS.match(text)
        return await self._in_thread(action) if read else await self._act(action)  # type: ignore[no-any-return]

    async def read_query(self, text: str, values: Sequence[Any] = ()) -> list[Row]:
        """The rows of a statement that reads; raises Denied for any other."""
        try:
            rows: list[Row] = await self.readers.run(_named(text, values))
        except Exception as exc:
            if getattr(exc, "sqlite_errorcode", None) == sqlite3.SQLITE_AUTH:
                raise Denied(f"{self.name}: the statement does not only read") from exc
            raise self._failed(exc) from exc
        return rows

    async def _in_thread(self, action: Action) -> Any:
        try:
            return await self.readers.run(action)
        except Exception as exc:
            raise self._failed(exc) from exc

    async def _act(self, action: Action, *, patient: bool = False) -> Any:
        try:
            return await self.writer.write("", (), action, patient=patient)
        except Exception as exc:
            raise self._failed(exc) from exc

    async def bulk(self, reqs: Sequence[Request]) -> list[BkError | None]:
        """Run add, put, update and delete requests; the error of each, None where it succeeded.

        The writer gets a thousand at a time, which share its transactions. When this is cancelled
        those that it has not begun are not done.
        """
        outcomes: list[BkError | None] = []
        for start in range(0, len(reqs), AT_ONCE):
            part = reqs[start : start + AT_ONCE]
            try:
                outcomes += await self._piece([self.prepare(req) for req in part])
            except Exception as exc:  # of this piece and those after it nothing was done
                return outcomes + [self._failed(exc)] * (len(reqs) - len(outcomes))
        return outcomes

    async def _many(
        self, statement: Statement, rows: Sequence[Sequence[Any]]
    ) -> list[BkError | None]:
        try:
            return await self._piece([(statement, values) for values in rows])
        except Exception as exc:
            return [self._failed(exc)] * len(rows)

    async def _piece(self, writes: Sequence[Write]) -> list[BkError | None]:
        """All in one job of the writer; where one of them fails, again as a job each."""
        if len(writes) > 1:
            try:
                await self.writer.write("", (), partial(write_all, writes), bounded=True)
                return [None] * len(writes)
            except (sqlite3.Error, OverflowError, UnicodeError) as exc:
                if getattr(exc, "sqlite_errorcode", 0) & 0xFF in LOCKED:
                    raise
        futures = [self.writer.write(s.text, values, bounded=True) for s, values in writes]
        try:
            await asyncio.wait(futures)
        except asyncio.CancelledError:
            for future in futures:
                future.cancel()
            raise
        outcomes: list[BkError | None] = []
        for future, (statement, values) in zip(futures, writes, strict=True):
            try:
                future.result()
                outcomes.append(None)
            except Exception as exc:
                outcomes.append(self._failed(exc, statement, values))
        return outcomes

    async def begin(self) -> SqliteTransaction:
        """A transaction, when the writer is free; raises Timeout or Unavailable when it is not."""
        writer = self.writer
        try:
            await writer.begin()
        except Exception as exc:
            raise self._failed(exc) from exc
        return SqliteTransaction(self.name, writer, self.plans, _named, self._failed)

    def native(self, table: Table, condition: Condition) -> bool:
        """The same; only columns of the type `search` have an index for `@@`."""
        if condition.op == "@@" and table.columns[condition.column].kind != "search":
            return False
        return super().native(table, condition)

    # -- tables --------------------------------------------------------------------------------

    async def describe(self) -> tables.Described:
        """The real tables and columns, with their types as they were declared."""
        return await self._in_thread(tables.describe)  # type: ignore[no-any-return]

    async def create(self, table: Table) -> bool:
        """Create the table and its indexes, or add what is missing; it may take any time."""
        make = partial(tables.create, table, self.dialect)
        return await self._act(make, patient=True)  # type: ignore[no-any-return]

    async def drop(self, table: str) -> None:
        """Remove the table; a missing one is no error."""
        await self._act(partial(search.drop, table, self.dialect), patient=True)

    async def backup(self, path: str, progress: Callable[[str], object]) -> None:
        """Write a copy of the database, as it is at this moment, to a new file of the user's own.

        Nobody waits for it, it may take any time. The file is there whole or not at all.
        """
        await self._copy(self.file.connect, write_copy, path, progress)

    async def restore(self, path: str, progress: Callable[[str], object]) -> None:
        """Put the pages of such a file into the database; who writes waits meanwhile."""
        await self._copy(partial(self.file.connect, writes=True), read_copy, path, progress)

    async def _copy(
        self,
        connect: Callable[[], sqlite3.Connection],
        copy: Callable[[sqlite3.Connection, Path, Callable[[str], object]], None],
        path: str,
        progress: Callable[[str], object],
    ) -> None:
        try:
            connection = connect()
            try:
                await asyncio.to_thread(copy, connection, Path(path), progress)
            except asyncio.CancelledError:
                connection.interrupt()
                raise
        except Exception as exc:
            raise self._failed(exc) from exc

    # -- errors and numbers --------------------------------------------------------------------

    def _failed(
        self, exc: Exception, statement: Statement | None = None, values: Sequence[Any] = ()
    ) -> BkError:
        if isinstance(exc, Gone):
            self._lose(exc)
        if isinstance(exc, TimeoutError):
            return Timeout(f"{self.name}: the statement took longer than {self.limit:g} s")
        return translate(self.name, str(self.file.path), exc, statement, values)

    def error(self, exc: Exception) -> BkError:
        """One of our errors for what the client raised; a file that is gone closes the database."""
        return self._failed(exc)

    def stats(self) -> dict[str, int]:
        """`open` connections, `busy` ones, and the writes that are `waiting`."""
        writer = self._writer
        if writer is None:
            return {}
        return {
            "open": self.readers.open + 2,
            "busy": self.readers.busy + int(writer.busy),
            "waiting": writer.waiting,
        }


def _named(text: str, values: Sequence[Any]) -> Action:
    """Runs any statement; gives its rows by column name."""

    def run(connection: sqlite3.Connection) -> list[Row]:
        cursor = connection.execute(text, values)
        names = [item[0] for item in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    return run
