"""The verbs that address one table, for the database and for a transaction in it."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Unpack

from bkjs.db.conditions.build import NEVER
from bkjs.db.pools.cache import RowCache
from bkjs.db.pools.pools import Target
from bkjs.db.request.hooks import Hooks, RowRequest, run_pre
from bkjs.db.request.options import (
    DelOptions,
    GetOptions,
    SelectOptions,
    UpdateOptions,
    WriteOptions,
    check,
)
from bkjs.db.request.paging import Position, fingerprint, position, seal
from bkjs.db.request.plan import count, elsewhere, flag, orders, sort_columns, total_order
from bkjs.db.request.prepare import Input, Options, as_dict
from bkjs.db.tables.generate import Call
from bkjs.errors import BadRequest, BkError, Unsupported
from bkjs.lib.convert import str_split

from .contract import ALL, Request, Row, Table, Written
from .request import prepare, read, write
from .results import Rows, finish
from .tables import described as schema

log = logging.getLogger(__name__)


class Verbs(ABC):
    """Reads and writes. Options are keyword arguments; an unknown one is a TypeError."""

    hooks: Hooks
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

        Properties of the query that are no part of the key are ignored.
        """
        return await self._get(table, query, options)

    async def _get(self, table: str, query: Input, options: Options) -> Row | None:
        check("get", options)
        target = self.target(table, options)
        if elsewhere(target, options):
            return None
        req, query = self._pre(target, "get", as_dict(query, "query"), options)
        values = target.codec.key(query)
        if values is None:
            return None
        key = prepare.key_row(target.codec, values)

        async def load(options: Options) -> Row | None:
            columns = self._columns(target, options)
            request = Request(
                verb="get",
                table=target.table,
                key=key,
                columns=columns,
                native=write.native(options),
            )
            row = await target.pool.call(target.ops.get(request))
            rows = finish(target, self.hooks, req, [] if row is None else [row], columns, options)
            return rows[0] if rows else None

        try:
            if self.cache is None:
                return await load(options)
            return await self.cache.get(target, key, options, load)
        except BkError as err:
            _suppress(err, options)
            return None

    async def select(
        self, table: str, query: Input = None, **options: Unpack[SelectOptions]
    ) -> Rows:
        """The rows that match; all of them, or a page of `count` rows and a token for the next.

        A list as query means `list`.
        """
        if isinstance(query, (list, tuple)):
            return await self.list(table, query, **options)
        return await self._select("select", table, query, options)

    async def search(
        self, table: str, query: Input = None, **options: Unpack[SelectOptions]
    ) -> Rows:
        """A full-text search where the database has one, else the same as `select`."""
        target = self.target(table, options)
        if isinstance(query, str) and not target.can.search:
            raise target.unsupported("full-text search")
        return await self._select("search", table, query, options)

    async def _select(self, verb: str, table: str, query: Input, options: Options) -> Rows:
        check(verb, options)
        target = self.target(table, options)
        if elsewhere(target, options):
            return Rows()
        native = dict(write.native(options))
        if verb == "search" and target.can.search:
            native["search"] = query
            query = None
        req, query = self._pre(target, verb, as_dict(query, "query"), options)
        where = prepare.select_where(target.codec, verb, query, options)
        if where == NEVER or (where == ALL and flag(options, "noscan") and not native):
            return Rows([{"count": 0}] if flag(options, "total") else [])
        try:
            if flag(options, "total"):
                return Rows([{"count": await read.total(target, where)}])
            plan = self._query(target, where, options, native)
            found = await read.select(target, plan)
        except BkError as err:
            _suppress(err, options)
            return Rows()
        columns = self._columns(target, options)
        rows = finish(target, self.hooks, req, found.rows, columns, options)
        after = found.next
        if after is None or flag(options, "first"):
            return Rows(rows)
        return Rows(rows, lambda: seal(self.token_key, _mark(target, plan), after))

    def _query(
        self, target: Target, where: Any, options: Options, native: Mapping[str, Any]
    ) -> read.Query:
        """The prepared select."""
        columns = self._columns(target, options)
        unique = options.get("unique")
        if unique:
            sort_columns(target, unique)
            if columns is not None and unique not in columns:
                columns = (*columns, unique)
        if not options:
            return read.Query(where=where)
        sort = orders(target, options)
        limit = 1 if flag(options, "first") else count(options)
        plan = read.Query(
            where=where,
            columns=columns,
            sort=sort,
            order=total_order(target.table, sort, flag(options, "desc")),
            count=limit,
            native=native,
        )
        page = count(options, "page")
        if page and page > 1 and limit:
            return replace(plan, position=Position("offset", (page - 1) * limit))
        start = options.get("start")
        if not start:
            return plan
        return replace(plan, position=position(self.token_key, _mark(target, plan), start))

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
        columns = self._columns(target, options)
        req = RowRequest("list", target.table.name, target.pool.name, query)
        found = self.hooks.find("pre", target.table.name, own=not options.get("noprocessrows"))
        if found:
            items = [run_pre(found, req, item, options) for item in items]
        keys = [target.codec.key(item) for item in items]
        try:
            rows = await read.many(target, [key for key in keys if key is not None], columns)
            partial = [item for item, key in zip(items, keys, strict=True) if key is None]
            if partial and len(target.table.keys) > 1:
                rows += await self._partial(target, partial, columns)
        except BkError as err:
            _suppress(err, options)
            return Rows()
        return Rows(finish(target, self.hooks, req, rows, columns, options))

    async def _partial(
        self, target: Target, items: Sequence[Row], columns: tuple[str, ...] | None
    ) -> Sequence[Row]:
        """Rows of which only the first part of the key is given."""
        first = target.table.keys[0]
        values = [item[first] for item in items if item.get(first) not in (None, "")]
        if not values:
            return []
        where = prepare.select_where(target.codec, "select", {first: values}, {})
        return (await read.select(target, read.Query(where=where, columns=columns))).rows

    # -- writes ------------------------------------------------------------------------------

    async def add(self, table: str, obj: Input, **options: Unpack[WriteOptions]) -> Written:
        """Insert a record; raises AlreadyExists when its key is taken."""
        return await self._write("add", table, obj, options)

    async def put(self, table: str, obj: Input, **options: Unpack[WriteOptions]) -> Written:
        """Insert a record or replace the whole stored one."""
        return await self._write("put", table, obj, options)

    async def update(self, table: str, obj: Input, **options: Unpack[UpdateOptions]) -> Written:
        """Change the given columns of the row with the given key.

        `affected` is 0 when the row is missing or not as `expected`, or nothing is to be changed.
        """
        return await self._write("update", table, obj, options)

    async def incr(self, table: str, obj: Input, **options: Unpack[UpdateOptions]) -> Written:
        """Add to counter columns, or to those that `update_ops` names, and set the others."""
        return await self._write("incr", table, obj, options)

    async def del_(self, table: str, obj: Input, **options: Unpack[DelOptions]) -> Written:
        """Delete the row with the given key; a missing one is no error."""
        return await self._write("del", table, obj, options)

    async def _write(self, verb: str, table: str, obj: Input, options: Options) -> Written:
        if options:
            check(verb, options)
        target = self.target(table, options)
        if options and elsewhere(target, options):
            return Written()
        try:
            if options and options.get("keys") and _other_keys(target.table, options["keys"]):
                return await self._by_other_keys(verb, target, as_dict(obj), options)
            request, row = self.write_request(verb, target, obj, options)
            if request is None:
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

    def write_request(
        self, verb: str, target: Target, obj: Input, options: Options
    ) -> tuple[Request | None, Row]:
        """The prepared request of a write and the record; None when there is nothing to do."""
        given = obj if type(obj) is dict else as_dict(obj)
        hooks = self.hooks.find("pre", target.table.name, own=not options.get("noprocessrows"))
        if hooks:
            req = RowRequest(verb, target.table.name, target.pool.name, given)
            given = run_pre(hooks, req, given, options)
        if verb == "del":
            return write.delete(target, given, options), {}
        call = Call(self.now, options.get("account") if options else None)
        prepared = write.insert if verb in ("add", "put") else write.update
        return prepared(verb, target, given, options, call)

    async def run_write(self, verb: str, target: Target, request: Request) -> Written:
        """Run a prepared write and tell the cache of it."""
        written = await write.run(verb, target, request)
        if self.cache is not None:
            await self.cache.written(verb, target, request, written)
        return written

    async def _by_other_keys(
        self, verb: str, target: Target, obj: Mapping[str, Any], options: Options
    ) -> Written:
        """Update or delete the rows that other columns than the primary key find."""
        from .many import scan

        names = options["keys"]
        query = schema.query_for_keys(names, obj)
        if not query:
            return Written()
        more = {k: options[k] for k in ("ops", "ops_map", "aliases", "pool") if k in options}
        passed = {k: v for k, v in options.items() if k != "keys"}
        if verb == "del":
            done = await scan.del_all(
                self, target.table.name, query, {**more, "del_options": passed}
            )
        else:
            values = {name: value for name, value in obj.items() if name not in query}
            done = await scan.update_all(
                self, target.table.name, query, values, {**more, "update_options": passed}
            )
        return Written(affected=done if isinstance(done, int) else len(done))

    # -- shared steps ------------------------------------------------------------------------

    def _pre(
        self, target: Target, verb: str, obj: Mapping[str, Any], options: Options
    ) -> tuple[RowRequest, Mapping[str, Any]]:
        """What hooks learn about a request, and its input as they leave it."""
        req = RowRequest(verb, target.table.name, target.pool.name, obj)
        found = self.hooks.find("pre", req.table, own=not options.get("noprocessrows"))
        return req, run_pre(found, req, obj, options) if found else obj

    def _columns(self, target: Target, options: Options) -> tuple[str, ...] | None:
        select, skip = options.get("select"), options.get("skip_columns")
        if not select and not skip:
            return None
        if select and options.get("strict"):
            unknown = set(str_split(select)) - target.table.columns.keys()
            if unknown:
                raise BadRequest(f"unknown column {sorted(unknown)[0][:64]!r}", field="select")
        return schema.selected_columns(target.table, select, skip)

    def _readable(self, target: Target, row: Row) -> Row:
        convert = target.codec.reader(None)
        return convert(row) if convert else row


def _mark(target: Target, plan: read.Query) -> str:
    """What a paging token of this select is good for."""
    return fingerprint(target.table, plan.where, plan.order if plan.sort or target.can.sort else ())


def _suppress(err: BkError, options: Options) -> None:
    """Swallow an error when the caller asked for that; what it was stays in the log.

    What the database can never do is not an error that passes: it is raised all the same.
    """
    if not options.get("ignore_error") or isinstance(err, Unsupported):
        raise err
    log.log(logging.DEBUG if options.get("quiet") else logging.WARNING, "ignored: %s", err)


def _other_keys(table: Table, keys: Sequence[str]) -> bool:
    return set(keys) != set(table.keys)


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
            items.append(dict(item))
        elif isinstance(item, (str, int, float)):
            items.append({table.keys[0]: item})
        elif item is not None:
            items.append(dict(as_dict(item, "list")))
    return items
