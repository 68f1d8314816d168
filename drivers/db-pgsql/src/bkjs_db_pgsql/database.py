"""PostgreSQL over asyncpg: statements on pooled connections, prepared by the client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from itertools import groupby
from typing import Any, ClassVar, Literal, NoReturn, TypeVar

import asyncpg

from bkjs.db.contract import (
    Capabilities,
    Column,
    Condition,
    Getter,
    ManySetter,
    Request,
    Row,
    Shape,
    Table,
    Written,
)
from bkjs.errors import (
    AlreadyExists,
    BadRequest,
    BkError,
    Denied,
    DriverError,
    Unavailable,
)
from bkjs_sql import (
    SqlDriver,
    SqlTransaction,
    Statement,
    auto_key,
    capabilities,
    check,
    one,
    seconds,
)
from bkjs_sql.statements import insert, select
from bkjs_sql.where import by_key

from . import tables
from .connect import Connection, Connector
from .dialect import CASELESS, UNICODE, PgsqlDialect, fits
from .errors import DEAD, is_answer, translate
from .pool import Pool, Turns

T = TypeVar("T")

LOCK_TIMEOUT = 0.5
"""Seconds that a transaction waits for a row which another one has: less than the server takes to
notice that two wait for each other (`deadlock_timeout`, 1 s, which only its administrator sets)."""


class PgsqlDriver(SqlDriver):
    """A pool of connections to one database."""

    dialect: PgsqlDialect
    can: ClassVar[Capabilities] = capabilities(PgsqlDialect(), "@@")
    shape: ClassVar[Shape] = Shape(decimals=True)
    accepts: ClassVar[Mapping[str, str]] = {
        "schema": "where tables are, several with commas; else what the server says, `public`",
        "statement_timeout": "ms that a statement may take, 30000; 0 for any time",
        "lock_timeout": "ms that a transaction waits for a row, 500",
        "statement_cache_size": "prepared statements of a connection, 512; 0 behind a pooler",
    }

    def __init__(self, name: str, url: str, options: Mapping[str, Any]) -> None:
        self.dialect = PgsqlDialect()
        self._unicode = True
        super().__init__(name, url, options)
        timeout = seconds(options, "timeout", 5)
        limit = seconds(options, "statement_timeout", 30)
        size = max(1, int(options.get("max") or 25))
        queue = int(options.get("max_queue", 10_000))
        # transactions hold connections while they wait for each other: some are left for the rest
        self.turns = Turns(name, max(1, size - max(1, size // 4)), timeout=timeout, max_queue=queue)
        wait = seconds(options, "lock_timeout", LOCK_TIMEOUT)
        # with READ COMMITTED, the default, what a transaction has read and writes back may undo
        # what another one wrote meanwhile
        self.begins = (
            f"BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL lock_timeout = {round(wait * 1000)}"
        )
        self.pool = Pool(
            name,
            Connector(name, url, options, timeout, limit),
            size=size,
            minimum=int(options.get("min") or 0),
            idle=seconds(options, "idle", 300),
            timeout=timeout,
            limit=limit,
            max_queue=queue,
        )

    # -- open and close ------------------------------------------------------------------------

    async def open(self) -> None:
        """Make one connection to know that the server is there; more come when they are needed.

        Raises Unavailable, or StartError for what does not pass by itself: a wrong password.
        """
        self.pool.give(await self.pool.take())
        self.pool.start()
        try:
            await self.query(f"SELECT lower('É' COLLATE {UNICODE})")
        except DriverError:
            self._unicode = False
        await self.describe()

    async def close(self) -> None:
        """Close all connections; those in use get two seconds."""
        await self.pool.close()

    # -- statements ----------------------------------------------------------------------------

    async def run(self, work: Callable[[Connection], Coroutine[Any, Any, T]]) -> T:
        """What `work` returns, which gets a connection."""
        pool = self.pool
        connection = pool.ready() or await pool.take()
        try:
            result = await work(connection)
        except BaseException as exc:
            self._fail(exc, pool.settle(connection, exc))
        pool.give(connection)
        return result

    async def _read(
        self, statement: Statement, values: Sequence[Any], *, short: bool = False
    ) -> Sequence[Any]:
        check(statement, values)
        pool, again = self.pool, True
        while True:
            connection = pool.ready() or await pool.take()
            try:
                rows: Sequence[Any] = await connection.fetch(statement.text, *values)
            except BaseException as exc:
                cause = pool.settle(connection, exc)
                if again and isinstance(cause, DEAD):  # the others may be alive
                    again = False
                    continue
                self._fail(exc, cause, statement, values)
            pool.give(connection)
            return rows

    async def _write(
        self, statement: Statement, values: Sequence[Any]
    ) -> tuple[int, Sequence[Any]]:
        check(statement, values)
        pool = self.pool
        connection = pool.ready() or await pool.take()
        try:
            done = await _execute(connection, statement, values)
        except BaseException as exc:
            self._fail(exc, pool.settle(connection, exc), statement, values)
        pool.give(connection)
        return done

    def _fail(
        self,
        exc: BaseException,
        cause: BaseException,
        statement: Statement | None = None,
        values: Sequence[Any] = (),
    ) -> NoReturn:
        if isinstance(cause, Exception):
            raise translate(self.name, cause, statement, values) from exc
        raise cause

    def getter(self, table: Table, columns: tuple[str, ...] | None) -> Getter:
        """One row by its key with one statement that the server has prepared.

        On a dead connection it is tried again on another: reading twice does no harm.
        """
        statement = select(self.dialect, table, columns, by_key(table))
        text, make = statement.text, one(table, statement.columns, self.dialect.reads)
        pool = self.pool

        async def get(values: tuple[Any, ...]) -> Row | None:
            check(statement, values)
            connection = pool.ready() or await pool.take()
            try:
                row = await connection.fetchrow(text, *values)
            except BaseException as exc:
                cause = pool.settle(connection, exc)
                if not isinstance(cause, DEAD):
                    self._fail(exc, cause, statement, values)
                rows = await self._read(statement, values)
                return make(*rows[0]) if rows else None
            pool.give(connection)
            return None if row is None else make(*row)

        return get

    async def _query(self, text: str, values: Sequence[Any]) -> Sequence[Mapping[str, Any]]:
        return await self.run(lambda c: c.fetch(text, *values))

    async def read_query(self, text: str, values: Sequence[Any] = ()) -> list[Row]:
        """The rows of a statement in a read-only transaction, whose effects, such as those of
        `set_config`, are undone; raises Denied for what writes."""

        async def read(connection: Connection) -> list[Row]:
            await connection.execute("BEGIN READ ONLY")
            try:
                rows = await connection.fetch(text, *values)
            except asyncpg.PostgresError:
                if not connection.is_closed():
                    await connection.execute("ROLLBACK")
                raise
            await connection.execute("ROLLBACK")
            return [dict(row) for row in rows]

        try:
            return await self.run(read)
        except Unavailable as exc:
            if isinstance(exc.__cause__, asyncpg.ReadOnlySQLTransactionError):
                raise Denied(f"{self.name}: {exc.__cause__}") from exc
            raise

    def add(self, req: Request) -> Coroutine[Any, Any, Written]:
        """Insert `req.values`; raises AlreadyExists. A key that is counted up is `Written.oid`."""
        return super().add(req) if req.key else self._add_counted(req)

    async def _add_counted(self, req: Request) -> Written:
        """The server makes the key; its counter knows nothing of rows that came with theirs."""
        try:
            return await self._one(req)
        except AlreadyExists as exc:
            auto = auto_key(req.table)
            if auto is None or exc.extra:  # another column is taken
                raise
            table, key = self.dialect.quote(req.table.name), self.dialect.quote(auto.name)
            text = f"SELECT setval(s, GREATEST(nextval(s), (SELECT max({key}) FROM {table})))"
            await self._query(f"{text} FROM pg_get_serial_sequence($1, $2) s", [table, auto.name])
            return await self._one(req)

    async def bulk(self, reqs: Sequence[Request]) -> list[BkError | None]:
        """Equal statements in a row go to the server together, or else one by one."""
        outcomes: list[BkError | None] = []
        prepared = [self.prepare(req) for req in reqs]
        for _, group in groupby(prepared, key=lambda item: item[0].text):
            run = list(group)
            outcomes += await self._many(run[0][0], [values for _, values in run])
        return outcomes

    def many_setter(
        self, verb: Literal["add", "put", "update"], table: Table, columns: tuple[str, ...]
    ) -> ManySetter | None:
        """The same for many rows: as arrays where the server would store each value as it does
        alone, which it does in two thirds of the time."""
        dialect = self.dialect
        if verb == "update" or not all(dialect.measurable(table, name) for name in columns):
            return super().many_setter(verb, table, columns)
        one = self._writing(verb, table, columns)
        all_ = insert(dialect, table, columns, replace=verb == "put", many=True)

        async def at_once(rows: Sequence[Sequence[Any]]) -> None:
            await self._write(all_, [list(values) for values in zip(*rows, strict=True)])

        return lambda rows: self._many(one, rows, at_once)

    async def _many(
        self,
        statement: Statement,
        rows: Sequence[Sequence[Any]],
        at_once: Callable[[Sequence[Sequence[Any]]], Awaitable[None]] | None = None,
    ) -> list[BkError | None]:
        if len(rows) > 1:
            try:
                if at_once is not None:
                    await at_once(rows)
                else:
                    if statement.checks:
                        for values in rows:
                            check(statement, values)
                    await self.run(lambda c: c.executemany(statement.text, rows))
                return [None] * len(rows)
            except BkError as exc:
                # a value that cannot be sent ends it before anything is written
                if not (is_answer(exc.__cause__) or isinstance(exc, BadRequest)):
                    return [exc] * len(rows)
        outcomes: list[BkError | None] = []
        for values in rows:
            try:
                await self._write(statement, values)
                outcomes.append(None)
            except BkError as exc:
                outcomes.append(exc)
        return outcomes

    async def begin(self) -> PgsqlTransaction:
        """A transaction on a connection of its own; Unavailable or Timeout when there is none."""
        await self.turns.take()
        try:
            connection = self.pool.ready() or await self.pool.take()
            try:
                await connection.execute(self.begins)
            except BaseException as exc:
                self._fail(exc, self.pool.settle(connection, exc))
        except BaseException:
            self.turns.give()
            raise
        self.pool.rest(connection)
        return PgsqlTransaction(self, connection)

    # -- tables --------------------------------------------------------------------------------

    async def describe(self) -> dict[str, dict[str, Mapping[str, Any]]]:
        """The tables and columns that the search path leads to; see `tables.describe`.

        Statements are written for the types that columns are found to have.
        """
        found = await self.run(tables.describe)
        types = {(t, c): str(props["type"]) for t, cs in found.items() for c, props in cs.items()}
        if types != self.dialect.real:
            self.dialect.real = types
            self.plans.clear()
        return found

    def native(self, table: Table, condition: Condition) -> bool:
        """The same; a server that was built without ICU cannot tell the case of all letters."""
        if not self._unicode and condition.op.removeprefix("not ") in CASELESS:
            return False
        return super().native(table, condition)

    def fits(self, column: Column, stored: str) -> bool:
        """The same; values of many types that are none of ours can be exchanged as text."""
        as_text = fits(column, stored)
        return super().fits(column, stored) if as_text is None else as_text

    async def create(self, table: Table) -> bool:
        """Create the table and its indexes, or add what is missing; it may take any time."""

        async def make(connection: Connection) -> bool:
            self.pool.rest(connection)  # an index may take longer than any other statement
            return await tables.create(connection, table, self.dialect)

        return await self.run(make)

    async def drop(self, table: str) -> None:
        """Remove the table; a missing one is no error."""
        self.dialect.real = {k: v for k, v in self.dialect.real.items() if k[0] != table}
        self.plans.clear()
        await self._write(Statement(f"DROP TABLE IF EXISTS {self.dialect.quote(table)}"), ())

    def error(self, exc: Exception) -> BkError:
        """One of our errors for what the client raised; see `errors.translate`."""
        return translate(self.name, exc)

    def stats(self) -> dict[str, int]:
        """`open` and `busy` connections, and requests that are `waiting` for one."""
        pool = self.pool
        free = len(pool.free)
        return {
            "open": pool.count,
            "busy": pool.count - free,
            "waiting": len(pool.waiting) + self.turns.waiting,
        }


class PgsqlTransaction(SqlTransaction):
    """Holds a connection. After an error other than AlreadyExists it can only be rolled back."""

    def __init__(self, driver: PgsqlDriver, connection: Connection) -> None:
        self.dialect = driver.dialect
        self.plans = driver.plans
        self._driver = driver
        self._connection: Connection | None = connection

    async def _add(self, req: Request) -> Written:
        statement, values = self._insert(req, absent=True)  # a failure would end the transaction
        written = await self._written(req, statement, values)
        if not written.affected:
            raise AlreadyExists
        return written

    def add(self, req: Request) -> Coroutine[Any, Any, Written]:
        """Insert `req.values`; raises AlreadyExists, which does not end the transaction."""
        return self._add(req)

    async def _read(
        self, statement: Statement, values: Sequence[Any], *, short: bool = False
    ) -> Sequence[Any]:
        check(statement, values)
        return await self._run(lambda c: c.fetch(statement.text, *values), statement, values)

    async def _write(
        self, statement: Statement, values: Sequence[Any]
    ) -> tuple[int, Sequence[Any]]:
        check(statement, values)
        return await self._run(lambda c: _execute(c, statement, values), statement, values)

    async def _query(self, text: str, values: Sequence[Any]) -> Sequence[Mapping[str, Any]]:
        return await self._run(lambda c: c.fetch(text, *values))

    async def commit(self) -> None:
        """Make everything durable; raises Unavailable when an earlier error has undone it."""
        status = await self._run(lambda c: c.execute("COMMIT"), last=True)
        if status != "COMMIT":
            raise Unavailable(
                f"{self._driver.name}: the transaction was rolled back by an earlier error"
            )

    async def rollback(self) -> None:
        """Undo everything; after the end it does nothing."""
        if self._connection is not None:
            await self._run(lambda c: c.execute("ROLLBACK"), last=True)

    def _end(self) -> None:
        self._connection = None
        self._driver.turns.give()

    async def _run(
        self,
        work: Callable[[Connection], Coroutine[Any, Any, T]],
        statement: Statement | None = None,
        values: Sequence[Any] = (),
        *,
        last: bool = False,
    ) -> T:
        connection, pool = self._connection, self._driver.pool
        if connection is None:
            raise Unavailable(f"{self._driver.name}: the transaction has ended")
        pool.work(connection)
        try:
            result = await work(connection)
        except BaseException as exc:
            cause: BaseException = exc
            if last or connection.is_closed() or not isinstance(exc, asyncpg.PostgresError):
                self._end()
                cause = pool.settle(connection, exc)
            else:
                pool.rest(connection)
            self._driver._fail(exc, cause, statement, values)
        if last:
            self._end()
            pool.give(connection)
        else:
            pool.rest(connection)
        return result


async def _execute(
    connection: Connection, statement: Statement, values: Sequence[Any]
) -> tuple[int, Sequence[Any]]:
    if statement.columns:
        rows = await connection.fetch(statement.text, *values)
        return len(rows), rows
    status = await connection.execute(statement.text, *values)
    return int(status.rpartition(" ")[2]) if status[-1:].isdigit() else 0, ()
