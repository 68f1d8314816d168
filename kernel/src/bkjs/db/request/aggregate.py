"""Figures of groups of rows: those of the driver where they are exactly these, else from rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Any, Final, Literal

from bkjs.db.conditions.groups import GROUPS, Groups, too_many
from bkjs.db.conditions.order import sort_rows
from bkjs.db.contract import ALL, NEVER, Aggregate, Group, Measure, Order, Request, Row
from bkjs.db.pools.pools import Target
from bkjs.db.tables.types import NUMBERS
from bkjs.db.tables.values import EXACT, canonical
from bkjs.errors import BadRequest
from bkjs.lib.convert import str_split
from bkjs.lib.text import near

from . import read
from .plan import Query, count, flag, split
from .prepare import Options

PAGE: Final = 1000
"""Rows that are read at a time."""
PLACES: Final = 20
"""Digits after the point of an average of decimals, or as many as their sum has."""
_ORDERED: Final = NUMBERS | {"text", "date", "day"}
_GROUPED: Final = _ORDERED | {"bool"}
KINDS: Final = {
    "by": _GROUPED,
    "sum": NUMBERS,
    "min": _ORDERED,
    "max": _ORDERED,
    "avg": NUMBERS,
    "distinct": _GROUPED,
}
"""The kinds of columns that each option takes."""

Part = Callable[[tuple[Any, ...]], Any]
"""One value of the answer, out of the values of a group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What is asked for, and how the answer is made of it."""

    groups: Aggregate
    parts: dict[str, Part]
    order: tuple[Order, ...]
    limit: int | None


def figures(target: Target, options: Options) -> Figures:
    """What the options of an aggregate ask for; raises BadRequest that names what cannot be."""
    chosen = {option: _columns(target, option, options.get(option)) for option in KINDS}
    by, measures = chosen["by"], list[Measure]()
    parts: dict[str, Part] = {}

    def place(op: Literal["count", "sum", "min", "max", "distinct"], column: str = "") -> int:
        measure = Measure(op, column)
        if measure not in measures:
            measures.append(measure)
        return len(by) + measures.index(measure)

    def part(name: str, make: Part) -> None:
        if name in parts:
            raise BadRequest(f"aggregate: the answer would have two columns {name!r}")
        parts[name] = make

    decoders = dict(target.codec.decoders)
    for at, name in enumerate(by):
        part(name, _stored(at, decoders.get(name)))
    if flag(options, "count"):
        part("count", _stored(place("count"), None))
    for name in chosen["sum"]:
        part(f"sum_{name}", _sum(f"sum_{name}", place("sum", name)))
    for name in chosen["min"]:
        part(f"min_{name}", _stored(place("min", name), decoders.get(name)))
    for name in chosen["max"]:
        part(f"max_{name}", _stored(place("max", name), decoders.get(name)))
    for name in chosen["avg"]:
        part(f"avg_{name}", _average(place("sum", name), place("count", name)))
    for name in chosen["distinct"]:
        part(f"distinct_{name}", _stored(place("distinct", name), None))
    if not parts:
        raise BadRequest(f"aggregate: nothing is asked for: count, {', '.join(KINDS)}")
    return Figures(
        groups=Aggregate(by, tuple(measures)),
        parts=parts,
        order=_order(target, parts, by, options),
        limit=count(options, "limit"),
    )


def _columns(target: Target, option: str, given: Any) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(str_split(given))) if given else ()
    accept, table = target.codec.query_plan("select").accept, target.table
    for name in names:
        if name not in accept:
            text = str(name)[:64]
            hint = near(text, accept) if target.codec.hints else ""
            raise BadRequest(f"{option}: {table.name} has no column {text!r}{hint}", field=option)
        column = table.columns[name]
        if column.kind not in KINDS[option]:
            raise BadRequest(
                f"{option}: not possible with {table.name}.{name}, a column of type"
                f" {column.type or column.kind}",
                field=option,
            )
    return names


def _order(
    target: Target, parts: dict[str, Part], by: tuple[str, ...], options: Options
) -> tuple[Order, ...]:
    """By a column of the answer, and by the group where that decides nothing."""
    name, desc = options.get("sort"), flag(options, "desc")
    if not name:
        return tuple(Order(column, desc) for column in by)
    if name not in parts:
        hint = near(str(name)[:64], parts) if target.codec.hints else ""
        raise BadRequest(f"sort: the answer has no column {str(name)[:64]!r}{hint}", field="sort")
    return (Order(name, desc), *map(Order, by))


def _stored(at: int, decode: Callable[[Any], Any] | None) -> Part:
    if decode is None:
        return lambda values: values[at]
    return lambda values: None if values[at] is None else decode(values[at])


def _sum(name: str, at: int) -> Part:
    def total(values: tuple[Any, ...]) -> Any:
        value = values[at]
        try:
            return float(value) if isinstance(value, Fraction) else _shortest(value)
        except OverflowError as err:
            raise BadRequest(f"{name}: number out of range", field="sum") from err

    return total


def _average(at: int, number: int) -> Part:
    def average(values: tuple[Any, ...]) -> Any:
        total, of = values[at], values[number]
        if total is None:
            return None
        if not isinstance(total, Decimal):
            return float(total / of) if isinstance(total, Fraction) else total / of
        exponent = canonical(total).as_tuple().exponent
        places = max(PLACES, -exponent if isinstance(exponent, int) else 0)
        exact = EXACT.divide(total, Decimal(of))
        return _shortest(exact.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN, EXACT))

    return average


def _shortest(value: Any) -> Any:
    return canonical(value) if isinstance(value, Decimal) and value.is_finite() else value


async def answer(target: Target, where: Group, wanted: Figures) -> list[Row]:
    """One row for each group, in order."""
    groups = wanted.groups
    parts = split(target, where)
    if where == NEVER:
        found = Groups(target.table, groups).found()
    elif parts.residual == ALL and target.pool.driver.aggregates(target.table, groups):
        request = Request(
            verb="aggregate",
            table=target.table,
            where=parts.native,
            groups=groups,
            count=GROUPS + 1,
        )
        found = await target.pool.call(target.ops.aggregate(request))
        if len(found) > GROUPS:
            raise too_many(target.table, groups)
    else:
        found = await completed(target, where, groups)
    return rows_of(wanted, found)


def rows_of(wanted: Figures, found: list[tuple[Any, ...]]) -> list[Row]:
    """The answer, out of the values of each group."""
    rows = [{name: part(values) for name, part in wanted.parts.items()} for values in found]
    sort_rows(rows, wanted.order)
    return rows[: wanted.limit]


async def completed(target: Target, where: Group, wanted: Aggregate) -> list[tuple[Any, ...]]:
    """The same as the driver's `aggregate`, from pages of rows."""
    groups = Groups(target.table, wanted)
    columns = dict.fromkeys((*wanted.by, *(m.column for m in wanted.measures if m.column)))
    query = Query(where=where, columns=tuple(columns) or target.table.keys or None)
    async for rows in read.pages(target, query, lambda: PAGE):
        groups.add(rows)
    return groups.found()
