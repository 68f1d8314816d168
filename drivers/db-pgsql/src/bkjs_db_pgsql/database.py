"""PostgreSQL over asyncpg: statements on pooled connections, prepared by the client."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Coroutine, Mapping, Sequence
from itertools import groupby
from typing import Any, ClassVar, NoReturn, TypeVar
from urllib.parse import urlsplit

import asyncpg

from bkjs.core.errors import AlreadyExists, BkError, StartError, Unavailable
from bkjs.db.contract import ABSENT, Capabilities, Getter, Request, Row, Table, Written
from bkjs_sql import (
    SqlDriver,
    SqlTransaction,
    Statement,
    capabilities,
    one,
)
from bkjs_sql.statements import select
from bkjs_sql.where import by_key

from . import tables
from .dialect import PgsqlDialect
from .errors import DEAD, translate
from .pool import Connection, Pool

T = TypeVar("T")


class PgsqlDriver(SqlDriver):
    """A pool of connections to one database."""

    dialect: ClassVar[PgsqlDialect] = PgsqlDialect()
    can: ClassVar[Capabilities] = capabilities(dialect)

    def __init__(self, name: str, url: str, options: Mapping[str, Any]) -> None:
        super().__init__(name, url, options)
        self.timeout = _ms(options, "timeout", 5000)
        self.limit = _ms(options, "statement_timeout", 30_000)
        self.dsn = _dsn(url, str(options.get("database") or "backend"))
        self.pool = Pool(
            name,
            self._connect,
            size=max(1, int(options.get("max") or 25)),
            minimum=int(options.get("min") or 0),
            idle=_ms(options, "idle", 300_000),
            timeout=self.timeout,
            limit=self.limit,
            max_queue=int(options.get("max_queue", 10_000)),
        )

    # -- open and close ------------------------------------------------------------------------

    async def open(self) -> None:
        self.pool.give(await self.pool.take())
        self.pool.start()

    async def close(self) -> None:
        await self.pool.close()

    async def _connect(self) -> Connection:
        options = self.options
        given = dict(options.get("connect") or {})
        cache = int(given.pop("statement_cache_size", options.get("statement_cache_size", 512)))
        settings = dict(given.pop("server_settings", {}))
        if cache:  # a pooler between us and the server refuses settings
            settings.setdefault("application_name", "bkjs")
            settings.setdefault("statement_timeout", str(round(self.limit * 1000)))
            if options.get("schema"):
                settings.setdefault("search_path", _path(options["schema"]))
        try:
            connection = await asyncpg.connect(
                self.dsn,
                statement_cache_size=cache,
                server_settings=settings,
                **{
                    "timeout": self.timeout,
                    "max_cached_statement_lifetime": 0,
                    "max_cacheable_statement_size": 65536,
                    **given,
                },
            )
        except Exception as exc:
            raise self._unreachable(exc) from exc
        _notice_silence(connection, self.timeout)
        return connection

    def _unreachable(self, exc: Exception) -> BkError:
        where = _where(self.dsn)
        if isinstance(exc, asyncpg.InvalidCatalogNameError):
            return StartError(f"{self.name}: there is no database {where}; make it with createdb")
        if isinstance(exc, asyncpg.InvalidAuthorizationSpecificationError):
            return StartError(f"{self.name}: {where} refuses the user or the password")
        if isinstance(exc, (TimeoutError, *DEAD, asyncpg.PostgresError)):
            number = exc.errno if isinstance(exc, OSError) else None
            reason = f": {os.strerror(number)}" if number else ""
            return Unavailable(f"{self.name}: no connection to {where}{reason}")
        return StartError(f"{self.name}: cannot connect to {where}: {exc}")

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
        statement = select(self.dialect, table, columns, by_key(table))
        text, make = statement.text, one(table, statement.columns, self.dialect.reads)
        pool = self.pool

        async def get(values: tuple[Any, ...]) -> Row | None:
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

    async def bulk(self, reqs: Sequence[Request]) -> list[BkError | None]:
        """Equal statements in a row go to the server together, or else one by one."""
        outcomes: list[BkError | None] = []
        prepared = [self.prepare(req) for req in reqs]
        for _, group in groupby(prepared, key=lambda item: item[0].text):
            run = list(group)
            outcomes += await self._together(run[0][0], [values for _, values in run])
        return outcomes

    async def _together(self, statement: Statement, rows: list[list[Any]]) -> list[BkError | None]:
        if len(rows) > 1:
            try:
                await self.run(lambda c: c.executemany(statement.text, rows))
                return [None] * len(rows)
            except Unavailable as exc:  # what was written is not known
                return [exc] * len(rows)
            except BkError:
                pass  # nothing was written; the guilty are found below
        outcomes: list[BkError | None] = []
        for values in rows:
            try:
                await self._write(statement, values)
                outcomes.append(None)
            except BkError as exc:
                outcomes.append(exc)
        return outcomes

    async def begin(self) -> PgsqlTransaction:
        connection = await self.pool.take()
        try:
            await connection.execute("BEGIN")
        except BaseException as exc:
            self._fail(exc, self.pool.settle(connection, exc))
        self.pool.rest(connection)
        return PgsqlTransaction(self, connection)

    # -- tables --------------------------------------------------------------------------------

    async def describe(self) -> dict[str, dict[str, Mapping[str, Any]]]:
        return await self.run(tables.describe)

    async def create(self, table: Table) -> bool:
        return await self.run(lambda c: tables.create(c, table, self.dialect))

    async def drop(self, table: str) -> None:
        await self._write(Statement(f"DROP TABLE IF EXISTS {self.dialect.quote(table)}"), ())

    def error(self, exc: Exception) -> BkError:
        return translate(self.name, exc)

    def stats(self) -> dict[str, int]:
        pool = self.pool
        free = len(pool.free)
        return {"open": pool.count, "busy": pool.count - free, "waiting": len(pool.waiting)}


class PgsqlTransaction(SqlTransaction):
    """Holds a connection. After an error other than AlreadyExists it can only be rolled back."""

    dialect: ClassVar[PgsqlDialect] = PgsqlDriver.dialect

    def __init__(self, driver: PgsqlDriver, connection: Connection) -> None:
        self.plans = driver.plans
        self._driver = driver
        self._connection: Connection | None = connection

    async def add(self, req: Request) -> Written:
        # an existing key would end the transaction
        if not req.table.keys or any(c.props.get("auto") for c in req.table.columns.values()):
            return await super().add(req)
        fields = {name: getattr(req, name) for name in ("table", "values", "columns", "returning")}
        written = await self.put(Request(verb="put", expected=ABSENT, **fields))
        if not written.affected:
            raise AlreadyExists()
        return written

    async def _read(
        self, statement: Statement, values: Sequence[Any], *, short: bool = False
    ) -> Sequence[Any]:
        return await self._run(lambda c: c.fetch(statement.text, *values), statement, values)

    async def _write(
        self, statement: Statement, values: Sequence[Any]
    ) -> tuple[int, Sequence[Any]]:
        return await self._run(lambda c: _execute(c, statement, values), statement, values)

    async def _query(self, text: str, values: Sequence[Any]) -> Sequence[Mapping[str, Any]]:
        return await self._run(lambda c: c.fetch(text, *values))

    async def commit(self) -> None:
        status = await self._run(lambda c: c.execute("COMMIT"), last=True)
        if status != "COMMIT":
            raise Unavailable(
                f"{self._driver.name}: the transaction was rolled back by an earlier error"
            )

    async def rollback(self) -> None:
        if self._connection is not None:
            await self._run(lambda c: c.execute("ROLLBACK"), last=True)

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
                self._connection = None
                cause = pool.settle(connection, exc)
            else:
                pool.rest(connection)
            self._driver._fail(exc, cause, statement, values)
        if last:
            self._connection = None
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


def _ms(options: Mapping[str, Any], name: str, default: int) -> float:
    """An option in milliseconds, as seconds."""
    value = options.get(name)
    return float(default if value is None else value) / 1000


def _dsn(url: str, database: str) -> str:
    if url in ("", "default"):
        return f"postgresql://postgres@127.0.0.1/{database}"
    scheme, mark, rest = url.partition("://")
    return f"postgresql://{rest}" if mark else f"postgresql://postgres@127.0.0.1/{scheme}"


def _where(dsn: str) -> str:
    """Host and database of a URL, without its secrets."""
    parts = urlsplit(dsn)
    host = parts.netloc.rpartition("@")[2]
    return f"{host}{parts.path}"


def _path(schema: Any) -> str:
    names = [schema] if isinstance(schema, str) else list(schema)
    return ", ".join(PgsqlDriver.dialect.quote(str(name)) for name in names)


def _notice_silence(connection: Connection, timeout: float) -> None:
    """Let the system end a connection whose peer does not acknowledge what was sent."""
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    transport = getattr(connection, "_transport", None)
    found = transport.get_extra_info("socket") if transport is not None else None
    if option is not None and found is not None and found.family != getattr(socket, "AF_UNIX", -1):
        found.setsockopt(socket.IPPROTO_TCP, option, round(timeout * 1000))
