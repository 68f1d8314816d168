"""Plain selects: all but the values of their conditions is worked out once.

As with plain writes, what is not that simple is left to the general way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from bkjs.db.conditions.build import condition, operand, operator
from bkjs.db.contract import Column, Condition, Group, Order, Request, Row
from bkjs.db.pools.pools import Target
from bkjs.db.results import Rows
from bkjs.db.tables import described as schema
from bkjs.db.tables.rows import trim
from bkjs.db.tables.types import Convert, is_list
from bkjs.lib.numbers import MISSING

from .paging import Position, fingerprint, seal
from .plan import flag, orders, total_order
from .prepare import Options

SIMPLE: Final = frozenset({"ops", "sort", "desc", "count", "select"})
"""Options that a plain select may have; they are all that such a plan depends on."""
_LISTS = (list, tuple, set, frozenset)


class _Test(NamedTuple):
    """How a condition is made of the value of one property."""

    column: Column
    op: str | None
    convert: Convert | None


class Finder(NamedTuple):
    """A select of one table by certain properties."""

    target: Target
    tests: tuple[_Test | None, ...]
    """One for each property in its order; None for what is no column."""
    columns: tuple[str, ...] | None
    fetch: tuple[str, ...] | None
    """The columns and those that tell where a page ends."""
    order: tuple[Order, ...]
    read: Callable[[Row], Row] | None

    def where(self, query: Mapping[Any, Any]) -> Group | None:
        """The conditions, None when they are not simple or the driver does not have them all."""
        table, native = self.target.table, self.target.pool.driver.native
        items: list[Condition | Group] = []
        for test, value in zip(self.tests, query.values(), strict=True):
            if test is None:
                continue
            if value is MISSING:
                return None
            column, op, convert = test
            as_op = op or ("in" if isinstance(value, _LISTS) else "eq")
            found = condition(column.name, op, operand(column, as_op, value, convert)).items
            if len(found) != 1 or isinstance(found[0], Group) or not native(table, found[0]):
                return None
            items += found
        return Group("AND", tuple(items))

    def request(self, where: Group, count: int | None) -> Request:
        """One row more than `count` tells whether another page follows."""
        return Request(
            verb="select",
            table=self.target.table,
            where=where,
            columns=self.fetch,
            sort=self.order,
            count=None if count is None else count + 1,
        )

    def rows(self, where: Group, count: int | None, rows: list[Row], token_key: bytes) -> Rows:
        """The rows of the request as the caller gets them."""
        token = None
        if count is not None and len(rows) > count:
            rows = rows[:count]
            after = Position("after", tuple(rows[-1].get(o.column) for o in self.order))
            table, order = self.target.table, self.order
            token = lambda: seal(token_key, fingerprint(table, where, order), after)  # noqa: E731
        if self.fetch != self.columns:
            rows = trim(rows, self.columns)
        if self.read:
            rows = [self.read(row) for row in rows]
        return Rows(rows, token)


def finder(target: Target, names: tuple[Any, ...], options: Options) -> Finder | None:
    """How rows are selected by these properties; None when it is not that simple."""
    codec, table = target.codec, target.table
    plan = codec.query_plan("select")
    paged = options.get("count") is not None
    if (
        plan.joins
        or codec.loose
        or not target.can.sort
        or (paged and not table.keys)
        or any(not isinstance(name, str) or name[:1] == "$" for name in names)
    ):
        return None
    ops = {**plan.ops, **(options.get("ops") or {})}
    tests: list[_Test | None] = []
    for name in names:
        if name not in plan.accept:
            tests.append(None)
            continue
        op = ops.get(name)
        column = codec.columns[name]
        if is_list(column):
            return None
        canonical = None if op is None else operator(op, name)
        tests.append(_Test(column, canonical, plan.accept[name]))
    columns = schema.selected_columns(table, options.get("select"))
    order = orders(target, options)
    if paged:
        order = total_order(table, order, flag(options, "desc"))
    fetch = columns
    if columns is not None:
        fetch = tuple(dict.fromkeys((*columns, *(o.column for o in order))))
    return Finder(target, tuple(tests), columns, fetch, order, codec.reader(columns))
