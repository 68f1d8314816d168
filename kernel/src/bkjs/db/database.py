"""The database of an application: described tables, pools, and every verb over them."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar, Unpack

from bkjs.errors import AlreadyExists, Conflict, Denied, StartError
from bkjs.lib.bounded import Bounded
from bkjs.readonly import READ_ONLY, refuse_write

from .contract import DbDriver, Row, Table, Written
from .many import backup, batch, join, migrate, replace, scan
from .many.backup import Progress
from .many.batch import Outcome
from .pools.cache import RowCache
from .pools.inside import refuse_inside
from .pools.pools import Pool, Pools, Target
from .request import expiry, guards, matching, plan, write
from .request.hooks import Hooks, RowHook, When
from .request.options import (
    BatchOptions,
    DelAllOptions,
    JoinOptions,
    MigrateOptions,
    OnRow,
    ReplaceOptions,
    ScanOptions,
    UpdateAllOptions,
)
from .request.plain import PLANS, Plans
from .request.prepare import NO_OPTIONS, Input, Options
from .results import Rows
from .tables import described
from .tables.described import Definitions, Schema
from .transaction import DbTransaction
from .verbs import Verbs

log = logging.getLogger(__name__)

T = TypeVar("T")

PAUSE: Final = 0.01
"""Seconds at most before a transaction is tried again, times the number of tries: by chance, or two
that meet would meet again."""


class Database(Verbs):
    """`app.db`. Tables are described first, then pools are opened; verbs find the rest."""

    def __init__(
        self,
        *,
        token_key: bytes = b"",
        strict: bool = False,
        hints: bool = False,
        lenient: bool = False,
    ) -> None:
        """`token_key` signs paging tokens; by default one that only this process knows.

        `strict`: calls that name a column which is not described are refused, unless a client
        chose the name (`Given`); else there is a warning. `hints`, which `strict` includes: errors
        name what is nearest, whoever reads them may know. `lenient` makes something of values that
        are none of a column's type (`api-compat=values`).
        """
        self.strict, self.hints, self.lenient = strict, strict or hints, lenient
        self.schema = Schema(hints=self.hints, lenient=lenient)
        self.pools = Pools()
        self.hooks = Hooks()
        self.token_key = token_key or secrets.token_bytes(32)
        self.now = time.time
        self.plans = Plans(self)
        self._targets: Bounded[str, Target] = Bounded(PLANS)
        self._column_hooks: list[Callable[[Pool], object]] = []

    # -- tables and pools -----------------------------------------------------------------------

    def describe_tables(self, tables: Definitions) -> None:
        """Merge table definitions, column by column and property by property."""
        self.schema.describe(tables)
        self.forget()

    def set_process_row(
        self, when: When, table: str, hook: RowHook, *, verbs: Collection[str] | None = None
    ) -> None:
        """Register a callback `(req, row, options)` for rows of a table, or of all with `*`.

        With `verbs`, such as `("add", "put")`, it is called for these only, and calls of other
        verbs are as fast as without it. Raises ValueError for an unknown verb.
        """
        self.hooks.add(when, table, hook, verbs)
        self.forget()

    def set_process_columns(self, hook: Callable[[Pool], object]) -> None:
        """Register a callback for a pool whose real columns (`pool.real`) were just read."""
        self._column_hooks.append(hook)

    def add_pool(
        self, name: str, driver: DbDriver, *, tables: Sequence[str] = (), default: bool = False
    ) -> Pool:
        """Serve requests by a driver, which must be open, under this name."""
        emulate = str(driver.options.get("emulate") or "")
        if emulate not in ("", "lossy"):
            raise StartError(f"{name}: option emulate is {emulate!r}, it can only be 'lossy'")
        lossy = emulate == "lossy" and not driver.can.conditional
        if lossy:
            log.warning("%s: emulate=lossy, of writes at the same moment some may be lost", name)
        mine = frozenset(t.lower() for t in tables)
        pool = Pool(
            name, driver, mine, lossy, strict=self.strict, hints=self.hints, lenient=self.lenient
        )
        self.pools.add(pool)
        if default or not self.pools.default:
            self.pools.default = name
        self.forget()
        return pool

    def pool(self, name: str | None = None) -> Pool:
        """The pool with this name; without or with an unknown one the default."""
        return self.pools.find("", name)

    def get_pools(self) -> list[dict[str, str]]:
        """Name and type of every pool."""
        return [{"name": pool.name, "type": pool.type} for pool in self.pools.opened()]

    def exists_pool(self, name: str) -> bool:
        """Whether a pool has this name; `none` always is there."""
        return name in self.pools.by_name

    def set_cache(self, cache: RowCache | None) -> None:
        """Have rows cached from now on, or no more."""
        self.cache = cache
        self.forget()

    def forget(self) -> None:
        """Drop everything that was worked out from tables, pools, hooks and the cache."""
        self._targets.clear()
        self.plans.clear()
        for pool in self.pools.by_name.values():
            pool.forget()

    def target(self, table: str, options: Options = NO_OPTIONS) -> Target:
        """The table and its pool, or the one that the option `pool` names; raises BadRequest for an
        unknown table."""
        name = options.get("pool") if options else None
        if not name:
            found = self._targets.get(table)
            if found is not None:
                if self.held:
                    refuse_inside(found.pool)
                return found
        known = self.schema.table(table)
        pool = self.pools.find(known.name, name)
        found = Target(pool, pool.driver, pool.codec(known))
        if not name:
            self._targets[table] = found
        if self.held:
            refuse_inside(pool)
        return found

    def sort_columns(self, table: str, sort: str | Sequence[str]) -> tuple[str, ...]:
        """The columns that an option `sort` means, those of an index for its name.

        Raises BadRequest for a name that means none.
        """
        return tuple(order.column for order in plan.sort_orders(self.target(table), sort))

    # -- verbs over many rows -------------------------------------------------------------------

    async def replace(self, table: str, obj: Input, **options: Unpack[ReplaceOptions]) -> Written:
        """Update the row, or add it when it is missing; `affected` is 0 when that was skipped."""
        return await replace.replace(self, table, obj, options)

    async def scan(
        self, table: str, query: Input, on_row: OnRow, **options: Unpack[ScanOptions]
    ) -> int:
        """Call back with every matching row, a page of `count` (100) at a time; how many."""
        return await scan.scan(self, table, query, on_row, options)

    async def update_all(
        self, table: str, query: Input, obj: Input, **options: Unpack[UpdateAllOptions]
    ) -> Any:
        """Change every matching row; how many, or the rows with `update_collect`."""
        return await matching.update_all(self, table, query, obj, options)

    async def del_all(self, table: str, query: Input, **options: Unpack[DelAllOptions]) -> Any:
        """Delete every matching row, all for an empty query; how many, or the rows with
        `del_collect`."""
        return await matching.del_all(self, table, query, options)

    async def purge(self, table: str, *, pool: str | None = None) -> int:
        """Delete the rows whose `ttl` has passed; how many. They are no rows any more as it is."""
        if READ_ONLY.get():
            refuse_write()
        target = self.target(table, {"pool": pool})
        if not target.table.ttl:
            return 0
        return await expiry.purge(target, self.now(), write.writing("del", target, self.now))

    async def join(self, table: str, rows: Sequence[Row], **options: Unpack[JoinOptions]) -> Rows:
        """The rows with the properties of the records that their keys name."""
        return await join.join(self, table, rows, options)

    async def batch(
        self, items: Sequence[Mapping[str, Any]], **options: Unpack[BatchOptions]
    ) -> list[Outcome]:
        """Run `{op, table, obj, options}` items, tables in parallel; `[(error, item)]`."""
        return await batch.batch(self, items, options)

    async def bulk(
        self, items: Sequence[Mapping[str, Any]], **options: Unpack[BatchOptions]
    ) -> list[Outcome]:
        """The same in as few calls of the database as possible; `[(error, item)]`.

        With `atomic` all items take effect or none: the error of the first that fails is raised,
        `extra["item"]` is its number. Raises Unsupported where the database has neither
        transactions nor such a call, or not for so many.
        """
        if options.get("atomic"):

            async def transact(work: Callable[[Verbs], Awaitable[None]], pool: str) -> None:
                await self.transact(work, pool=pool)

            return await batch.together(self, items, options, transact)
        return await batch.bulk(self, items, options)

    async def query(
        self, text: str, values: Sequence[Any] = (), *, pool: str | None = None
    ) -> Rows:
        """Rows of a query in the database's own language; values are always bound.

        Where nothing may be written, in an endpoint that did not say that it writes, the database
        runs it so that it cannot; ReadOnly is raised for a text that would, and by drivers that
        cannot tell.
        """
        target = self.pool(pool)
        refuse_inside(target)
        if READ_ONLY.get():
            try:
                return Rows(await target.call(target.driver.read_query(text, values)))
            except Denied:
                refuse_write()
        return Rows(await target.call(target.driver.query(text, values)))

    def transaction(self, *, pool: str | None = None) -> DbTransaction:
        """Operations that take effect together; to enter raises Unsupported where none exist."""
        return DbTransaction(self, self.pool(pool))

    async def transact(
        self,
        work: Callable[[DbTransaction], Awaitable[T]],
        *,
        pool: str | None = None,
        tries: int = 3,
    ) -> T:
        """What `work(tx)` returns, all of it in one transaction.

        It is run again, up to so many times in all, when another transaction got in its way; then
        Conflict is raised. What it does besides must bear that.
        """
        for again in range(tries - 1, -1, -1):
            try:
                async with self.transaction(pool=pool) as tx:
                    return await work(tx)
            except Conflict:
                if not again:
                    raise
            await asyncio.sleep(random.random() * PAUSE * (tries - again))
        raise ValueError("tries: at least 1")

    # -- the schema in the database -------------------------------------------------------------

    async def create(self, table: str, *, pool: str | None = None) -> bool:
        """Create a table or add what is missing; True when something changed."""
        if READ_ONLY.get():
            refuse_write()
        target = self.target(table, {"pool": pool})
        return await guards.create(target.pool, target.table)

    upgrade = create

    async def drop(self, table: str, *, pool: str | None = None) -> None:
        """Remove a table and its rows; a missing one is no error."""
        if READ_ONLY.get():
            refuse_write()
        found = self.pools.find(table.lower(), pool)
        await guards.drop(found, table.lower(), self.schema.tables.get(table.lower()))

    async def create_tables(self, *, pool: str | None = None) -> int:
        """Create or upgrade all described tables that a pool has; how many changed.

        A pool has the tables routed to it, or all that are routed nowhere else.
        """
        if READ_ONLY.get():
            refuse_write()
        pools = [self.pool(pool)] if pool else self.pools.opened()
        changed = 0
        for target in pools:
            for table in self.tables_of(target):
                changed += await guards.create(target, table)
            await self.cache_columns(target.name)
        return changed

    async def backup(
        self, path: str, *, pool: str | None = None, progress: Progress = lambda text: None
    ) -> None:
        """Copy a whole database, as it is at one moment, while it is in use.

        A new file where the engine copies itself (SQLite), else a new folder with a file for each
        described table, read in one transaction. It is there whole or not at all. Raises BadRequest
        when it is there already or cannot be written, Unsupported where neither is possible.
        """
        if READ_ONLY.get():
            refuse_write()
        target = self.pool(pool)
        if target.can.copies:
            await target.call(target.driver.backup(path, progress))
        else:
            begin = partial(self.transaction, pool=target.name)
            await backup.save(begin, target, await self._there(target), Path(path), progress)

    async def restore(
        self,
        path: str,
        *,
        pool: str | None = None,
        overwrite: bool = False,
        progress: Progress = lambda text: None,
    ) -> None:
        """Make a database what it was when `backup` wrote this file or folder.

        All of it or nothing. Raises AlreadyExists when a described table has rows, unless
        `overwrite` says that they may go, and BadRequest for what is no whole backup.
        """
        if READ_ONLY.get():
            refuse_write()
        target = self.pool(pool)
        there = await self._there(target)
        for name in () if overwrite else there:
            if await self.select(name, pool=target.name, count=1):
                raise AlreadyExists(f"{target.name} is not empty: table {name} has rows")
        if target.can.copies:
            await target.call(target.driver.restore(path, progress))
        else:
            begin = partial(self.transaction, pool=target.name)
            away = there if overwrite else ()
            await backup.load(self, begin, Path(path), overwrite=away, progress=progress)
        await self.cache_columns(target.name)

    async def _there(self, pool: Pool) -> list[str]:
        """The described tables that a pool has and that have been made."""
        names = [table.name for table in self.tables_of(pool)]
        if not (pool.can.tables or pool.can.columns):
            return names
        real = await pool.call(pool.driver.describe())
        return [name for name in names if name in real]

    async def alive(self, *, pool: str | None = None) -> None:
        """Raises Unavailable, or what else a request would, when a database does not answer now."""
        target = self.pool(pool)
        await target.call(target.driver.alive())

    def tables_of(self, pool: Pool) -> list[Table]:
        """The described tables that a pool has."""
        routed = self.pools.by_table
        return [
            table
            for name, table in self.schema.tables.items()
            if (name in pool.tables if pool.tables else name not in routed)
        ]

    async def drop_tables(self, tables: Sequence[str], *, pool: str | None = None) -> None:
        """Remove tables."""
        for table in tables:
            await self.drop(table, pool=pool)

    async def migrate(self, table: str, **options: Unpack[MigrateOptions]) -> int:
        """Copy a table away, create it anew and copy the rows back; how many."""
        if READ_ONLY.get():
            refuse_write()
        return await migrate.migrate(self, table, options)

    async def cache_columns(self, pool: str | None = None) -> None:
        """Read the tables and columns that a pool really has."""
        target = self.pool(pool)
        known, target.real = target.real, await target.call(target.driver.describe())
        if target.real != known:
            self.forget()
        for hook in self._column_hooks:
            hook(target)

    async def refresh_columns(self) -> None:
        """`cache_columns` of every pool."""
        for pool in self.pools.opened():
            await self.cache_columns(pool.name)

    # -- look-ups -------------------------------------------------------------------------------

    def get_columns(self, table: str) -> dict[str, dict[str, Any]]:
        """The definition of a table, empty for an unknown one."""
        return self.schema.columns(table)

    def get_column(self, table: str, name: str) -> dict[str, Any]:
        """The definition of a column, empty for an unknown one."""
        return self.schema.columns(table).get(name.lower(), {})

    def get_keys(self, table: str, *, allkeys: bool = False) -> list[str]:
        """The primary key; `allkeys` adds the parts of joined key columns."""
        found = self.schema.tables.get(table.lower())
        names = list(found.keys) if found else []
        if found and allkeys:
            for name in found.keys:
                parts = found.columns[name].props.get("join") or ()
                names += [part for part in parts if part not in names]
        return names

    def get_indexes(self, table: str) -> dict[str, list[str]]:
        """The columns of each index by its name, empty for an unknown table."""
        found = self.schema.tables.get(table.lower())
        return {name: list(columns) for name, columns in found.indexes.items()} if found else {}

    def get_index_columns(self, table: str) -> list[str]:
        """The columns of all indexes; one that is in two of them comes twice."""
        found = self.schema.tables.get(table.lower())
        return described.index_columns(found) if found else []

    def get_index_for_keys(self, table: str, query: Mapping[str, Any]) -> str | None:
        """The index of which the most leading columns are given."""
        found = self.schema.tables.get(table.lower())
        return described.index_for_keys(found, query) if found else None

    def get_search_keys(self, table: str, keys: Sequence[str] = ()) -> list[str]:
        """These columns, or the primary key without any."""
        return list(keys) or self.get_keys(table)

    def get_query_for_keys(
        self,
        keys: Sequence[str],
        obj: Mapping[str, Any],
        *,
        keys_map: Mapping[str, str] | None = None,
        noempty: bool = False,
    ) -> Row:
        """The named properties that an object has."""
        return described.query_for_keys(keys, obj, keys_map=keys_map, noempty=noempty)

    def get_search_query(self, table: str, obj: Mapping[str, Any], keys: Sequence[str] = ()) -> Row:
        """The properties by which a row of the table is found."""
        return described.query_for_keys(self.get_search_keys(table, keys), obj)

    def get_selected_columns(
        self, table: str, *, select: Any = None, skip_columns: Sequence[str] = ()
    ) -> list[str] | None:
        """The described columns that are wanted, in the order of definition; None for all."""
        found = self.schema.tables.get(table.lower())
        columns = described.selected_columns(found, select, skip_columns) if found else None
        return None if columns is None else list(columns)

    def get_filtered_columns(self, table: str, filter: Any) -> dict[str, dict[str, Any]]:
        """Columns that have a property; see `described.filtered_columns`."""
        found = self.schema.tables.get(table.lower())
        if not found:
            return {}
        return {n: dict(c.props) for n, c in described.filtered_columns(found, filter).items()}

    def exists_table(self, table: str, *, pool: str | None = None) -> bool:
        """Whether the database has the table, as far as `cache_columns` has read."""
        return table.lower() in self.pools.find(table.lower(), pool).real

    def get_pool_tables(self, name: str) -> list[str]:
        """The tables of a pool: the real ones when they were read, else the described ones."""
        return sorted(self.pool(name).real) or sorted(self.schema.tables)

    async def close(self) -> None:
        """Close every pool; one that fails is logged and keeps no other open."""
        for pool in list(self.pools.opened()):
            self.pools.remove(pool.name)
            try:
                await pool.driver.close()
            except Exception:
                log.exception("database pool %s did not close properly", pool.name)
        self.forget()
