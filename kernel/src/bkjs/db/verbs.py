"""The verbs that address one table, for the database and for a transaction in it."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter_ns
from typing import Any, Unpack

from bkjs.errors import BadRequest, BkError, Unsupported
from bkjs.lib.convert import str_split
from bkjs.lib.given import Given
from bkjs.readonly import READ_ONLY, refuse_write

from .conditions.build import both
from .contract import ALL, NEVER, Request, Row, Table, Written
from .pools.cache import RowCache
from .pools.pools import Target
from .request import expiry, matching, prepare, read, write
from .request.aggregate import answer, figures
from .request.finish import finish
from .request.hooks import Hooks, RowRequest, run_pre
from .request.options import (
    AggregateOptions,
    DelOptions,
    GetOptions,
    PutOptions,
    SelectOptions,
    UpdateOptions,
    WriteOptions,
    check,
)
from .request.paging import seal
from .request.plain import Plans
from .request.plan import Query, columns, elsewhere, flag, prepared, started
from .request.prepare import Input, Options, as_dict
from .results import Rows
from .tables.described import Schema

log = logging.getLogger(__name__)


class Verbs(ABC):
    """Reads and writes. Options are keyword arguments; an unknown one is a TypeError."""

    schema: Schema
    hooks: Hooks
    plans: Plans = Plans()
    """How plain requests are served without looking at their options again."""
    held: int = 0
    """Transactions that are open: while there are any, calls from inside of them are refused."""
    token_key: bytes
    now: Callable[[], float]
    cache: RowCache | None = None
    """The cache of rows: asked by `get`, told of every write."""

    @abstractmethod
    def target(self, table: str, options: Options = prepare.NO_OPTIONS) -> Target:
        """The table and the pool that serve a request; raises BadRequest for an unknown table."""

    # -- reads -------------------------------------------------------------------------------

    async def get(self, table: str, query: Input, **options: Unpack[GetOptions]) -> Row | None:
        """The row with this primary key, None when it is missing or the key is not complete.

        In development a program that does not name the key is told so.

        Properties of the query that are no part of the key are ignored.
        """
        # not even a call for the commonest request
        plan = self.plans.get_plan(table, options) if options else self.plans[table]
        if plan is None:
            return await self._get(table, query, options)
        pool, key, getter, read = plan
        values = key(query if type(query) is dict else as_dict(query, "query"))
        if values is None:
            return await self._get(table, query, options)
        pool.count += 1  # what `pool.call` does, without its coroutine
        start = perf_counter_ns()
        try:
            row = await getter(values)
        except Exception as exc:
            err = pool.failure(exc)
            if err is exc:
                raise
            raise err from exc
        pool.nanoseconds += perf_counter_ns() - start
        return row if read is None or row is None else read(row)

    async def _get(self, table: str, query: Input, options: Options) -> Row | None:
        check("get", options)
        target = self.target(table, options)
        if elsewhere(target, options):
            return None
        req, query = self._pre(target, "get", as_dict(query, "query"), options)
        values = target.codec.key(query)
        if values is None:
            prepare.check_names(target.codec, query, query, options)
            prepare.check_key(target.codec, query)
            return None
        key = prepare.key_row(target.codec, values)

        async def load(options: Options) -> Row | None:
            chosen = columns(target, options)
            request = Request(
                verb="get",
                table=target.table,
                key=key,
                columns=expiry.with_end(target, chosen),
                native=write.native(options),
            )
            row = await target.pool.call(target.ops.get(request))
            row = expiry.alive(target, row, self.now())
            found = [] if row is None else [row]
            rows = finish(target, self.hooks, req, found, chosen, options)
            return rows[0] if rows else None

        try:
            if self.cache is None or target.table.ttl:
                return await load(options)
            return await self.cache.get(target, key, options, load)
        except BkError as err:
            _suppress(err, options)
            return None

    async def get_stored(self, table: str, query: Input) -> tuple[Row, Row] | None:
        """The row with this primary key as `get` gives it, and as the database has it.

        Neither comes from a cache. `same` makes an `expected` of the latter.
        """
        plan = self.plans[table]
        if plan is not None:
            values = plan.key(as_dict(query, "query"))
            if values is not None:
                stored = await plan.pool.call(plan.getter(values))
                if stored is None or plan.read is None:
                    return stored and (stored, stored)
                return plan.read(dict(stored)), stored
        target = self.target(table)
        req, query = self._pre(target, "get", as_dict(query, "query"), {})
        values = target.codec.key(query)
        if values is None:
            return None
        key = prepare.key_row(target.codec, values)
        stored = await target.pool.call(
            target.ops.get(Request(verb="get", table=target.table, key=key))
        )
        stored = expiry.alive(target, stored, self.now())
        found = [] if stored is None else [dict(stored)]
        rows = finish(target, self.hooks, req, found, None, {})
        return (rows[0], stored) if rows and stored is not None else None

    async def select(
        self, table: str, query: Input = None, **options: Unpack[SelectOptions]
    ) -> Rows:
        """The rows that match; all of them, or a page of `count` rows and a token for the next.

        A list as query means `list`.
        """
        plan = self.plans.select_plan(table, query, options)
        req = None if plan is None else plan.request(query, options, self.token_key)
        if plan is not None and req is not None:
            pool = plan.target.pool
            page = await pool.call(pool.driver.select(req))
            if page.resume is None or (req.count and len(page.rows) >= req.count):
                return plan.rows(req, page.rows, self.token_key)
        if isinstance(query, (list, tuple)):
            return await self.list(table, query, **options)
        return await self.find("select", table, query, options)

    async def search(
        self, table: str, query: Input = None, **options: Unpack[SelectOptions]
    ) -> Rows:
        """A full-text search where the database has one, else the same as `select`.

        A text, or a list of texts of which one must be found, is searched in all columns of the
        type `search`: their words, whatever else is in them. Raises Unsupported where it cannot be.
        """
        return await self.find("search", table, query, options)

    async def find(self, verb: str, table: str, query: Input, options: Options) -> Rows:
        """What `select` or `search`, whichever the verb is, give for these options."""
        check(verb, options)
        target = self.target(table, options)
        if elsewhere(target, options):
            return Rows()
        more: dict[str, Any] = {
            "native": write.native(options),
            "alive": expiry.living(target, self.now()),
        }
        if verb == "search" and target.can.search:
            query, more["search"] = _searched(target, query)
        elif verb == "search" and isinstance(query, (str, list, tuple)):
            query, options = _by_words(target, query, options)
        req, query = self._pre(target, verb, as_dict(query, "query"), options)
        where = prepare.select_where(target.codec, verb, query, options)
        asked = more["native"] or more.get("search") is not None
        if where == NEVER or (where == ALL and flag(options, "noscan") and not asked):
            return Rows([{"count": 0}] if flag(options, "total") else [])
        try:
            if flag(options, "total"):
                return Rows([{"count": await read.total(target, Query(where=where, **more))}])
            plan = prepared(target, options, where=where, **more)
            plan = started(target, plan, options, self.token_key)
            found = await read.select(target, plan)
        except BkError as err:
            _suppress(err, options)
            return Rows()
        rows = finish(target, self.hooks, req, found.rows, columns(target, options), options)
        info = {"consumed_capacity": sum(plan.spent)} if plan.spent else None
        after = found.next
        if after is None or flag(options, "first"):
            return Rows(rows, info=info)
        token = lambda: seal(self.token_key, plan.mark(target), after)  # noqa: E731
        return Rows(rows, token, info, after)

    async def aggregate(
        self, table: str, query: Input = None, **options: Unpack[AggregateOptions]
    ) -> Rows:
        """Figures of the rows that match: one row for each group, or one of all of them.

            await db.aggregate("book", {"lang": "en"}, by="year", count=True, sum="price")

        gives `{"year": 1999, "count": 3, "sum_price": …}` for each year. Sums are exact. Raises
        BadRequest for columns that have no such figure and for more than 10,000 groups. Hooks
        before a select run, those after it do not: they are for rows of the table.
        """
        check("aggregate", options)
        target = self.target(table, options)
        wanted = figures(target, options)
        if elsewhere(target, options):
            return Rows()
        _, query = self._pre(target, "select", as_dict(query, "query"), options)
        where = prepare.select_where(target.codec, "select", query, options)
        try:
            where = both(where, expiry.living(target, self.now()))
            return Rows(await answer(target, where, wanted))
        except BkError as err:
            _suppress(err, options)
            return Rows()

    async def list(
        self, table: str, query: Sequence[Any] | str, **options: Unpack[SelectOptions]
    ) -> Rows:
        """The rows of these keys, in the order of the keys; missing rows are left out.

        Keys are dicts, or plain values of the first key column; a text is split by commas and
        bars. Raises BadRequest for anything else and for a table without a key.
        """
        check("list", options)
        target = self.target(table, options)
        items = _key_items(target.table, query)
        if not items or elsewhere(target, options):
            return Rows()
        chosen = columns(target, options)
        req = RowRequest("list", target.table.name, target.pool.name, query)
        found = self.hooks.find("pre", req.table, req.op, own=not options.get("noprocessrows"))
        if found:
            items = [run_pre(found, req, item, options) for item in items]
        keys = [target.codec.key(item) for item in items]
        try:
            whole = [key for key in keys if key is not None]
            fetched = expiry.with_end(target, chosen)
            rows = await read.many(target, whole, fetched, write.native(options))
            partial = [item for item, key in zip(items, keys, strict=True) if key is None]
            for item in partial:
                prepare.check_names(target.codec, item, item, options)
            if partial and len(target.table.keys) > 1:
                rows += await self._partial(target, partial, fetched)
            if target.table.ttl:
                now = self.now()
                rows = [row for row in rows if expiry.alive(target, row, now)]
        except BkError as err:
            _suppress(err, options)
            return Rows()
        return Rows(finish(target, self.hooks, req, rows, chosen, options))

    async def _partial(
        self, target: Target, items: Sequence[Row], columns: tuple[str, ...] | None
    ) -> Sequence[Row]:
        """Rows of which only the first part of the key is given."""
        first = target.table.keys[0]
        values = [item[first] for item in items if item.get(first) not in (None, "")]
        if not values:
            return []
        where = prepare.select_where(target.codec, "select", {first: values}, {})
        return (await read.select(target, Query(where=where, columns=columns))).rows

    # -- writes ------------------------------------------------------------------------------

    async def add(self, table: str, obj: Input, **options: Unpack[WriteOptions]) -> Written:
        """Insert a record; raises AlreadyExists when its key is taken."""
        return await self._plain("add", table, obj, options)

    async def put(self, table: str, obj: Input, **options: Unpack[PutOptions]) -> Written:
        """Insert a record or replace the whole stored one; `affected` is 0 when that is not as
        `expected`."""
        return await self._plain("put", table, obj, options)

    async def update(self, table: str, obj: Input, **options: Unpack[UpdateOptions]) -> Written:
        """Change the given columns of the row with the given key.

        `affected` is 0 when the row is missing or not as `expected`, or nothing is to be changed.
        """
        return await self._plain("update", table, obj, options)

    async def incr(self, table: str, obj: Input, **options: Unpack[UpdateOptions]) -> Written:
        """Add to counter columns, or to those that `update_ops` names, and set the others."""
        return await self.write("incr", table, obj, options)

    async def del_(self, table: str, obj: Input, **options: Unpack[DelOptions]) -> Written:
        """Delete the row with the given key; a missing one is no error."""
        return await self.write("del", table, obj, options)

    async def _plain(self, verb: str, table: str, obj: Any, options: Options) -> Written:
        told = bool(options) and len(options) == 1 and bool(options.get("info_obj"))
        plan = self.plans.write_plan(verb, table, obj) if told or not options else None
        values = None if plan is None else plan.values(obj, self.now)
        if plan is None or values is None or plan.setter is None:
            return await self.write(verb, table, obj, options)
        if READ_ONLY.get():
            refuse_write()
        affected = await plan.target.pool.call(plan.setter(values))
        return Written(affected, obj=plan.record(values) if told else None)

    async def write(self, verb: str, table: str, obj: Input, options: Options) -> Written:
        """What the write with this name (add, put, update, incr, del) does with these options."""
        if READ_ONLY.get():
            refuse_write()
        if options:
            check(verb, options)
        target = self.target(table, options)
        if options and elsewhere(target, options):
            return Written()
        try:
            if options and options.get("keys") and set(options["keys"]) != set(target.table.keys):
                return await matching.by_other_keys(self, verb, target, as_dict(obj), options)
            request, row = write.prepare_write(self, verb, target, obj, options)
            if request is None:
                prepare.check_key(target.codec, as_dict(obj))
                return Written()
            written = await self.run_write(verb, target, request)
        except BkError as err:
            _suppress(err, options)
            return Written()
        if options:
            if options.get("info_obj"):
                made = {} if written.oid is None else {target.table.keys[0]: written.oid}
                written.obj = self._readable(target, {**row, **made})
            if written.row is not None:
                written.row = self._readable(target, written.row)
        return written

    async def run_write(self, verb: str, target: Target, request: Request) -> Written:
        """Run a prepared write and tell the cache of it."""
        written = await write.run(verb, target, request, self.now)
        if self.cache is not None:
            await self.cache.written(verb, target, request, written)
        return written

    # -- shared steps ------------------------------------------------------------------------

    def _pre(
        self, target: Target, verb: str, obj: Mapping[str, Any], options: Options
    ) -> tuple[RowRequest, Mapping[str, Any]]:
        """What hooks learn about a request, and its input as they leave it."""
        req = RowRequest(verb, target.table.name, target.pool.name, obj)
        found = self.hooks.find("pre", req.table, verb, own=not options.get("noprocessrows"))
        return req, run_pre(found, req, obj, options) if found else obj

    def _readable(self, target: Target, row: Row) -> Row:
        convert = target.codec.reader(None)
        return convert(row) if convert else row


def _by_words(target: Target, texts: str | Sequence[Any], options: Options) -> tuple[Row, Options]:
    """A search for words as a query of the columns that are there for it."""
    accept = target.codec.query_plan("search").accept
    columns = [name for name in accept if target.codec.columns[name].kind == "search"]
    if "@@" not in target.can.operators:
        raise target.unsupported("full-text search")
    if not columns:
        raise Unsupported(f"{target.table.name} has no column of the type 'search' to look in")
    values = dict.fromkeys(columns, [texts] if isinstance(texts, str) else [*texts])
    ops = {**(options.get("ops") or {}), **dict.fromkeys(columns, "@@")}
    return (values if len(columns) == 1 else {"$or": values}), {**options, "ops": ops}


def _searched(target: Target, query: Any) -> tuple[Any, Any]:
    """What of a search are conditions on columns, and what is for the database to understand."""
    prepare.check_search(query)
    if not isinstance(query, Mapping):
        return None, query or None
    columns = target.table.columns
    words = {name: value for name, value in query.items() if name not in columns}
    return {name: value for name, value in query.items() if name in columns}, words or None


def _suppress(err: BkError, options: Options) -> None:
    """Swallow an error when the caller asked for that; what it was stays in the log.

    What the database can never do is not an error that passes: it is raised all the same.
    """
    if not options.get("ignore_error") or isinstance(err, Unsupported):
        raise err
    log.log(logging.DEBUG if options.get("quiet") else logging.WARNING, "ignored: %s", err)


def _key_items(table: Table, query: Any) -> list[Row]:
    """The items of `list` as dicts."""
    if isinstance(query, str):
        query = str_split(query)
    if not isinstance(query, (list, tuple, set, frozenset)):
        raise BadRequest("invalid list")
    if query and not table.keys:
        raise BadRequest("invalid keys")
    items: list[Row] = []
    for item in query:
        if isinstance(item, Mapping):
            items.append(item if type(item) is Given else dict(item))
        elif isinstance(item, (str, int, float)):
            items.append({table.keys[0]: item})
        elif item is not None:
            items.append(dict(as_dict(item, "list")))
    return items
