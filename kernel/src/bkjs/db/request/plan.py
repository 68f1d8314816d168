"""Second stage: what the driver does itself and what is left for the kernel."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from bkjs.db.conditions.build import both, leaves, shape
from bkjs.db.contract import ALL, Condition, Group, Order, Table
from bkjs.db.pools.pools import Target
from bkjs.db.tables.described import selected_columns
from bkjs.db.tables.types import is_list
from bkjs.errors import BadRequest
from bkjs.lib.convert import str_split
from bkjs.lib.text import near

from .paging import Position, fingerprint, position
from .prepare import Options

SORTS: Final = 8
"""Names of one sort."""
_INDEX_NAME = re.compile(r"[a-z_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A prepared select."""

    where: Group = ALL
    columns: tuple[str, ...] | None = None
    sort: tuple[Order, ...] = ()
    """What the caller asked for."""
    order: tuple[Order, ...] = ()
    """The same, for pages made total by the key."""
    count: int | None = None
    position: Position | None = None
    native: Mapping[str, Any] = field(default_factory=dict)
    search: Any = None
    """What a database with full text of its own is asked for."""
    alive: Group = ALL
    """Which rows have not ended: no part of what a token is good for, since it moves."""
    ends: bool = False
    """Nobody wants to know what follows."""
    spent: list[float] = field(default_factory=list)
    """What each answer cost, where the database counts that."""

    def fetch(self, residual: Group = ALL) -> tuple[str, ...] | None:
        """The columns and those that are needed to sort, to filter and to go on; None for all."""
        if self.columns is None:
            return None
        needed = [o.column for o in self.order or self.sort]
        needed += [c.column for c in leaves(residual)]
        return tuple(dict.fromkeys((*self.columns, *needed)))

    def mark(self, target: Target) -> str:
        """What a paging token of this select is good for."""
        ordered = self.sort or split(target, self.where, self.order).ordered
        return fingerprint(target.table, self.where, self.order if ordered else (), self.search)


def prepared(target: Target, options: Options, **more: Any) -> Query:
    """What the options of a select ask for, without its conditions and where it starts."""
    chosen, unique = columns(target, options), options.get("unique")
    if unique:
        sort_columns(target, unique)
        if chosen is not None and unique not in chosen:
            chosen = (*chosen, unique)
    sort = order = orders(target, options)
    first = flag(options, "first")
    limit = 1 if first else count(options)
    if limit or options.get("start"):
        order = total_order(target.table, sort, flag(options, "desc"))
    return Query(columns=chosen, sort=sort, order=order, count=limit, ends=first, **more)


def started(target: Target, query: Query, options: Options, token_key: bytes) -> Query:
    """The select from the page or the row where it starts.

    Raises BadRequest for a token that is not good for it.
    """
    page, start = count(options, "page"), options.get("start")
    if page and page > 1 and query.count:
        return replace(query, position=Position("offset", (page - 1) * query.count))
    if not start:
        return query
    return replace(query, position=position(token_key, query.mark(target), start))


def columns(target: Target, options: Options) -> tuple[str, ...] | None:
    """The columns that a read gives, None for all.

    With `strict` it raises BadRequest for an unknown one.
    """
    select, skip = options.get("select"), options.get("skip_columns")
    if not select and not skip:
        return None
    strict = options.get("strict")
    if select and strict is not False:
        for name in str_split(select):
            if name not in target.table.columns:
                if strict:
                    raise BadRequest(f"unknown column {str(name)[:64]!r}", field="select")
                target.codec.undescribed(name)
    return selected_columns(target.table, select, skip)


class Split(NamedTuple):
    """Conditions for the driver, those that are left to check on what it returns, and whether it
    has the order that was asked for and goes on behind a row of it."""

    native: Group
    residual: Group = ALL
    ordered: bool = False
    seek: bool = False


Way = tuple[tuple[bool, ...] | None, bool, bool]
"""Which items of an AND the driver evaluates, None for the whole; whether it is ordered and may
seek."""


def split(target: Target, where: Group, sort: tuple[Order, ...] = ()) -> Split:
    """Give the driver as much of the conditions as it can evaluate in this order."""
    kept = target.codec.ways
    asked = (shape(where), sort)
    way = kept.get(asked)
    if way is None:
        way = _way(target, where, sort)
        if len({*asked[0][1]}) == len(where.items):  # else it depends on which of them are equal
            kept[asked] = way
    mine, ordered, seek = way
    if mine is None:
        return Split(where, ALL, ordered, seek)
    if where.join == "OR":
        return Split(ALL, where, ordered, seek)
    items = where.items
    native = Group("AND", tuple([item for item, take in zip(items, mine, strict=True) if take]))
    rest = Group("AND", tuple([item for item, take in zip(items, mine, strict=True) if not take]))
    return Split(native, rest, ordered, seek)


def _way(target: Target, where: Group, sort: tuple[Order, ...]) -> Way:
    possible = [_possible(target, item) for item in where.items]
    asked = where
    if not all(possible):
        kept = zip(where.items, possible, strict=True) if where.join == "AND" else ()
        asked = Group("AND", tuple(item for item, can in kept if can))
    plan = target.pool.driver.plan(target.table, asked, sort)
    seek = plan.ordered and plan.seek
    if plan.native == where:
        return None, plan.ordered, seek
    taken = list(plan.native.items)
    mine = tuple([_take(item, taken) for item in asked.items])
    if taken:
        raise TypeError(
            f"{target.pool.type}: plan() must give back the group that it was asked about, or some"
            f" items of it where that is an AND; asked about {asked}, it gave {plan.native}"
        )
    if where.join == "OR":
        return (), plan.ordered, seek
    rest = iter(mine)
    return tuple([can and next(rest) for can in possible]), plan.ordered, seek


def _take(item: Condition | Group, taken: list[Condition | Group]) -> bool:
    """Whether an item is one of these, and no more than once: two conditions may be equal."""
    if item not in taken:
        return False
    taken.remove(item)
    return True


def _possible(target: Target, item: Condition | Group) -> bool:
    """Whether a driver may be asked for a condition: it knows the column, and its stored form."""
    if isinstance(item, Group):
        return all(_possible(target, part) for part in item.items)
    column = target.table.columns.get(item.column)
    if column is None:
        return target.codec.loose
    return not (  # where lists are text a part of an item would match too
        is_list(column) and not target.codec.shape.lists and item.op.endswith("contains")
    )


def expressible(target: Target, expected: Group) -> bool:
    """Whether a conditional write may get these conditions as they are.

    Equality and null any such driver has, of values that it can compare.
    """
    plain = expected.join == "AND" and not any(isinstance(i, Group) for i in expected.items)
    if not plain and not target.can.groups:
        return False
    return all(_expects(target, condition) for condition in leaves(expected))


def _expects(target: Target, condition: Condition) -> bool:
    driver, table = target.pool.driver, target.table
    if condition.op == "null":
        return True
    if condition.op == "eq":
        column = table.columns.get(condition.column)
        as_text = column is not None and column.kind == "json" and not driver.shape.json
        return not as_text and comparable(target, condition.column)
    return _possible(target, condition) and driver.expects(table, condition)


def comparable(target: Target, name: str) -> bool:
    """Whether a conditional write can tell values of this column apart."""
    column = target.table.columns.get(name)
    return column is None or target.pool.driver.comparable(column)


def orders(target: Target, options: Options) -> tuple[Order, ...]:
    """What `sort`, `sort1`, `sort2` ask for; raises BadRequest for an unknown column."""
    found: list[Order] = []
    hint = options.get("strict") is None
    for suffix in ("", "1", "2"):
        sort = options.get("sort" + suffix)
        if sort:
            asked = sort_orders(target, sort, flag(options, "desc" + suffix), hint=hint)
            found += [o for o in asked if o.column not in {other.column for other in found}]
    return tuple(found)


def sort_orders(
    target: Target, sort: Any, desc: bool = False, *, hint: bool = False
) -> tuple[Order, ...]:
    """The order of a sort: `name`, `a,-b` or a list of such names, a minus for descending.

    The name of an index stands for its columns. Raises BadRequest for an unknown name, for more
    than `SORTS`, and for `desc` with several, since each has its own direction.
    """
    accept = target.codec.query_plan("select").accept
    if isinstance(sort, str) and sort not in accept:
        sort = sort.split(",", SORTS)
    names = list(sort) if isinstance(sort, (list, tuple)) else [sort]
    if len(names) > SORTS:
        raise BadRequest(f"sort: more than {SORTS} columns", field="sort")
    if desc and len(names) > 1:
        text = "desc: of several sort columns each has its own direction, as in sort=a,-b"
        raise BadRequest(text, field="desc")
    found: dict[str, Order] = {}
    for name in names:
        down = desc
        if isinstance(name, str) and name not in accept:
            name = name.strip()
            if name[:1] == "-":
                name, down = name[1:], True
        for column in sort_columns(target, name, hint=hint):
            found.setdefault(column, Order(column, down))
    return tuple(found.values())


def sort_columns(target: Target, name: Any, *, hint: bool = False) -> tuple[str, ...]:
    """The columns that a sort name means. With `hint` the error names the nearest while a program
    is developed: a client may not know it."""
    accept = target.codec.query_plan("select").accept
    if isinstance(name, str):
        if name in accept:
            return (name,)
        index = target.table.indexes.get(name) or target.table.uniques.get(name)
        if not index and _INDEX_NAME.fullmatch(name):
            index = tuple(part for part in name.split("_") if part)
        if index and all(column in accept for column in index):
            return index
    text = str(name)[:64]
    nearest = near(text, (*accept, *target.table.indexes)) if hint and target.codec.hints else ""
    raise BadRequest(f"{target.table.name}: unknown sort column {text!r}{nearest}", field="sort")


def total_order(table: Table, sort: tuple[Order, ...], desc: bool) -> tuple[Order, ...]:
    """A sort that leaves no two rows equal: the key decides where the rest does not."""
    down = sort[-1].desc if sort else desc
    known = {order.column for order in sort}
    return (*sort, *(Order(key, down) for key in table.keys if key not in known))


def _flag(value: Any) -> bool:
    return value not in (None, False, 0, "", "0", "false")


def flag(options: Options, name: str) -> bool:
    """An option that is on or off, however it was given."""
    return _flag(options.get(name))


def elsewhere(target: Target, options: Options) -> bool:
    """Whether `allow_pools` or `skip_pools` say that a request is not for this pool."""
    only, never = options.get("allow_pools"), options.get("skip_pools")
    name = target.pool.name
    return bool(only and name not in only) or bool(never and name in never)


def count(options: Options, name: str = "count") -> int | None:
    """A number of rows, None when it is absent or 0; raises BadRequest for anything else."""
    value = options.get(name)
    if value is None or value == "" or value is False:
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    if not isinstance(value, int) or value < 0:
        raise BadRequest(f"{name}: not a number of rows", field=name)
    return value or None


def narrowed(target: Target, where: Group, order: Order, value: Any) -> Group:
    """Conditions that also leave out most rows before a sort value, where that is safe.

    Rows with a null in the column come first, so descending only a key column may be cut off.
    """
    if value is None or (order.desc and order.column not in target.table.keys):
        return where
    return both(
        where, Group("AND", (Condition(order.column, "le" if order.desc else "ge", value),))
    )
