"""A transaction: it has the writer to itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from bkjs.errors import BkError, Unavailable
from bkjs_sql import Plans, SqlTransaction, Statement

from .batch import Action
from .dialect import SqliteDialect
from .writer import Writer

Failed = Callable[..., BkError]


class SqliteTransaction(SqlTransaction):
    """Reads in it see its own writes; all other writes wait for its end."""

    dialect: SqliteDialect = SqliteDialect()

    def __init__(
        self, name: str, writer: Writer, plans: Plans, named: Callable[..., Any], failed: Failed
    ) -> None:
        self.plans = plans
        self._name = name
        self._writer: Writer | None = writer
        self._named = named
        self._failed = failed

    async def _read(
        self, statement: Statement, values: Sequence[Any], *, short: bool = False
    ) -> Sequence[Any]:
        return (await self._write(statement, values))[1]

    async def _write(
        self, statement: Statement, values: Sequence[Any]
    ) -> tuple[int, Sequence[Any]]:
        try:
            done: tuple[int, Sequence[Any]] = await self._held().inside(statement.text, values)
        except Exception as exc:
            raise self._failed(exc, statement, values) from exc
        return done

    async def _query(self, text: str, values: Sequence[Any]) -> Sequence[Mapping[str, Any]]:
        action: Action = self._named(text, values)
        try:
            rows: Sequence[Mapping[str, Any]] = await self._held().inside(text, (), action)
        except Exception as exc:
            raise self._failed(exc) from exc
        return rows

    async def commit(self) -> None:
        """Make everything durable as configured; raises what stops it, and nothing is written."""
        await self._end("COMMIT")

    async def rollback(self) -> None:
        """Undo everything; after the end it does nothing."""
        if self._writer is not None:
            await self._end("ROLLBACK")

    async def _end(self, text: Literal["COMMIT", "ROLLBACK"]) -> None:
        writer = self._held()
        self._writer = None
        try:
            await asyncio.shield(writer.end(text))
        except Exception as exc:
            raise self._failed(exc) from exc

    def _held(self) -> Writer:
        if self._writer is None:
            raise Unavailable(f"{self._name}: the transaction has ended")
        return self._writer
