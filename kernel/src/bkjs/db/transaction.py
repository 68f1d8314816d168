"""Several operations that take effect together, or not at all."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from types import TracebackType

from bkjs.db.pools.inside import INSIDE, InTurn, refuse_inside
from bkjs.db.pools.pools import Pool, Target
from bkjs.db.request.plain import Outside
from bkjs.db.request.prepare import NO_OPTIONS, Options
from bkjs.errors import Unsupported

from .contract import Request, Transaction, Written
from .verbs import Verbs

log = logging.getLogger(__name__)


class DbTransaction(Verbs):
    """`async with db.transaction(pool="pgsql") as tx: await tx.put(…)`: the verbs of the database.

    Leaving the block commits, an exception rolls back. All requests go to the transaction's pool,
    one after the other. No update is lost: where another transaction got in the way, a verb or the
    end of the block raises Conflict, and `Database.transact` runs the whole again.
    """

    def __init__(self, db: Verbs, pool: Pool) -> None:
        self.hooks = db.hooks
        self.token_key = db.token_key
        self.now = db.now
        self.schema = db.schema
        self._db = db
        self._pool = InTurn(pool)
        self._open: Transaction | None = None
        self._after: list[Callable[[], Awaitable[None] | None]] = []

    def target(self, table: str, options: Options = NO_OPTIONS) -> Target:
        """The table in the transaction; raises RuntimeError when that is over."""
        if self._open is None:
            raise RuntimeError("the transaction is over")
        return Target(self._pool, self._open, self._pool.codec(self.schema.table(table)))

    async def run_write(self, verb: str, target: Target, request: Request) -> Written:
        """Run a prepared write; the cache hears of it once it is committed."""
        written = await super().run_write(verb, target, request)
        cache = self._db.cache
        if cache is not None:
            self.after_commit(lambda: cache.written(verb, target, request, written))
        return written

    def after_commit(self, call: Callable[[], Awaitable[None] | None]) -> None:
        """Call this once the transaction is committed; never when it is rolled back."""
        self._after.append(call)

    async def __aenter__(self) -> DbTransaction:
        if not self._pool.can.transactions:
            raise Unsupported(f"{self._pool.name}: driver {self._pool.type!r} has no transactions")
        refuse_inside(self._pool.of)
        self._open = await self._pool.call(self._pool.driver.begin())
        self._db.held += 1
        if self._db.held == 1:
            self._db.plans = Outside(self._db.plans)
        INSIDE.set((*(turn for turn in INSIDE.get() if turn.open), self._pool))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        running, self._open = self._open, None
        assert running is not None
        self._pool.open = False
        self._db.held -= 1
        if not self._db.held and isinstance(self._db.plans, Outside):
            self._db.plans = self._db.plans.plans
        INSIDE.set(tuple(turn for turn in INSIDE.get() if turn.open))
        if error is not None:
            await self._pool.call(running.rollback())
            return
        await self._pool.call(running.commit())
        for call in self._after:
            done = call()
            if isawaitable(done):
                await done
