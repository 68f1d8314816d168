"""Who is inside of a transaction, and what a call inside of one means.

A call on the database would not be part of the transaction of the task that makes it: it would not
see its writes, and on some engines wait for its end for ever. It is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextvars import ContextVar
from typing import TypeVar

from bkjs.db.contract import Table
from bkjs.db.tables.codec import Codec

from .pools import Pool

T = TypeVar("T")


class InTurn(Pool):
    """The pool of a transaction, where operations run one after the other."""

    __slots__ = ("_turn", "of", "open")

    def __init__(self, pool: Pool) -> None:
        """The same as `pool`, whose counters count."""
        super().__init__(
            pool.name, pool.driver, pool.tables, pool.lossy, pool.lenient, pool.allow, pool.real
        )
        self.of = pool
        self.open = True
        self._turn = asyncio.Lock()

    def codec(self, table: Table) -> Codec:
        """The table as the pool stores it."""
        return self.of.codec(table)

    async def call(self, operation: Awaitable[T]) -> T:
        """Await one operation once those before it are done."""
        try:
            await self._turn.acquire()
        except BaseException:
            if close := getattr(operation, "close", None):
                close()
            raise
        try:
            return await self.of.call(operation)
        finally:
            self._turn.release()


INSIDE: ContextVar[tuple[InTurn, ...]] = ContextVar("transactions of this task", default=())


def refuse_inside(pool: Pool) -> None:
    """Raise RuntimeError in a task that is in a transaction of the pool, or was begun in one."""
    for turn in INSIDE.get():
        if turn.open and turn.of is pool:
            raise RuntimeError(
                f"this call is made inside of a transaction of pool {pool.name!r} but is no part of"
                " it: call the verbs of the object that `async with db.transaction() as tx` gives,"
                " as in `await tx.get(…)`"
            )
