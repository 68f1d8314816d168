"""Short ways for the commonest requests: where no option, hook or cache takes part, all that can be
worked out before is kept by the table and the names that are given, and only values are bound.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import Any, Literal, NamedTuple, Unpack

from bkjs.db.contract import Getter, Row, Setter, Written
from bkjs.db.pools.pools import Pool
from bkjs.db.results import Rows
from bkjs.db.tables import described as schema
from bkjs.db.verbs import Verbs
from bkjs.errors import BadRequest

from .direct import Values, direct
from .find import SIMPLE, Finder, finder
from .options import GetOptions, SelectOptions, UpdateOptions, WriteOptions
from .prepare import Input, Options, as_dict

PLANS = 2000
"""Cached plans before they are all forgotten: table and column names may come from clients."""


class _GetPlan(NamedTuple):
    """All that a plain `get` of one table needs."""

    pool: Pool
    key: Any
    getter: Getter
    read: Any


class _WritePlan(NamedTuple):
    """All that a plain write of records with certain properties needs."""

    pool: Pool
    values: Values
    setter: Setter


class ShortWays(Verbs):
    """`get`, `select`, `add` and `update` take the short way where there is one."""

    def __init__(self) -> None:
        self._gets: dict[Any, _GetPlan | None] = {}
        self._finders: dict[tuple[Any, ...], Finder | None] = {}
        self._writes: dict[tuple[Any, ...], _WritePlan | None] = {}

    def forget_plans(self) -> None:
        """Tables, pools, hooks or the cache have changed."""
        self._gets.clear()
        self._finders.clear()
        self._writes.clear()

    async def get(self, table: str, query: Input, **options: Unpack[GetOptions]) -> Row | None:
        """The row with this primary key, None when it is missing or the key is not complete.

        Properties of the query that are no part of the key are ignored.
        """
        if not options:
            try:
                plan = self._gets[table]
            except KeyError:
                plan = self._get_plan(table, table, None)
        elif len(options) == 1 and "select" in options:
            select = options["select"]
            name = (table, select if isinstance(select, str) else tuple(select or ()))
            try:
                plan = self._gets[name]
            except KeyError:
                plan = self._get_plan(name, table, select)
        else:
            plan = None
        if plan is None:
            return await self._get(table, query, options)
        pool, key, getter, read = plan
        values = key(query if type(query) is dict else as_dict(query, "query"))
        if values is None:
            return None
        pool.count += 1
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

    def _get_plan(self, name: Any, table: str, select: Any) -> _GetPlan | None:
        """The plan of a plain get, None where hooks or the cache take part."""
        target = self.target(table)
        described = target.table
        plan = None
        if (
            self.cache is None
            and not self.hooks.find("pre", described.name)
            and not self.hooks.find("post", described.name)
        ):
            columns = schema.selected_columns(described, select)
            plan = _GetPlan(
                target.pool,
                target.codec.key,
                target.pool.driver.getter(described, columns),
                target.codec.reader(columns),
            )
            target.codec.key({})
            plan = plan._replace(key=target.codec._key)
        if len(self._gets) >= PLANS:
            self._gets.clear()
        self._gets[name] = plan
        return plan

    async def select(
        self, table: str, query: Input = None, **options: Unpack[SelectOptions]
    ) -> Rows:
        """The rows that match; all of them, or a page of `count` rows and a token for the next.

        A list as query means `list`.
        """
        if type(query) is dict and options.keys() <= SIMPLE:
            find = self._finder(table, query, options)
            where = None if find is None else find.where(query)
            if find is not None and where is not None:
                pool, count = find.target.pool, options.get("count")
                page = await pool.call(pool.driver.select(find.request(where, count)))
                if page.resume is None:
                    return find.rows(where, count, page.rows, self.token_key)
        return await super().select(table, query, **options)

    def _finder(self, table: str, query: dict[Any, Any], options: Options) -> Finder | None:
        """The plan of a plain select, None where it takes more than conversion."""
        count, ops = options.get("count"), options.get("ops")
        if count is not None and (type(count) is not int or count <= 0):
            return None
        name = (
            table,
            count is None,
            tuple(query),
            tuple(ops.items()) if ops else (),
            options.get("sort"),
            options.get("desc"),
            options.get("select"),
        )
        try:
            return self._finders[name]
        except KeyError:
            pass
        except TypeError:  # an option is no text
            return None
        target = self.target(table)
        hooked = any(self.hooks.find(when, target.table.name) for when in ("pre", "post"))
        try:
            plan = None if hooked else finder(target, tuple(query), options)
        except BadRequest:  # the general way knows which of several errors comes first
            plan = None
        if len(self._finders) >= PLANS:
            self._finders.clear()
        self._finders[name] = plan
        return plan

    async def add(self, table: str, obj: Input, **options: Unpack[WriteOptions]) -> Written:
        """Insert a record; raises AlreadyExists when its key is taken."""
        plan = None if options or type(obj) is not dict else self._write_plan("add", table, obj)
        if plan is not None:
            values = plan.values(obj, self.now)
            if values is not None:
                return Written(await plan.pool.call(plan.setter(values)))
        return await self._write("add", table, obj, options)

    async def update(self, table: str, obj: Input, **options: Unpack[UpdateOptions]) -> Written:
        """Change the given columns of the row with the given key.

        `affected` is 0 when the row is missing or not as `expected`, or nothing is to be changed.
        """
        plan = None if options or type(obj) is not dict else self._write_plan("update", table, obj)
        if plan is not None:
            values = plan.values(obj, self.now)
            if values is not None:
                return Written(await plan.pool.call(plan.setter(values)))
        return await self._write("update", table, obj, options)

    def _write_plan(
        self, verb: Literal["add", "update"], table: str, obj: dict[Any, Any]
    ) -> _WritePlan | None:
        """The plan of a plain write, None where it takes more than conversion."""
        name = (verb, table, *obj)
        try:
            return self._writes[name]
        except KeyError:
            pass
        target = self.target(table)
        can = target.can
        plan = None
        if (
            self.cache is None
            and (can.add if verb == "add" else can.update)
            and not self.hooks.find("pre", target.table.name)
        ):
            made = direct(target.codec, verb, tuple(obj))
            if made is not None:
                write = target.pool.driver.setter(verb, target.table, made.columns)
                plan = _WritePlan(target.pool, made.values, write)
        if len(self._writes) >= PLANS:
            self._writes.clear()
        self._writes[name] = plan
        return plan
