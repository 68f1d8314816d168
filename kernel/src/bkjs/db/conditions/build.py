"""Query conditions out of values and operators: groups, as flat as they can be."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, Final, Literal, TypeAlias, TypeVar

from bkjs.db.contract import ALL, NEVER, Column, Condition, Group
from bkjs.db.operators import LISTS, NULLS, ORDERS, PATTERNS, TEXT_TESTS, WHOLE
from bkjs.db.tables.objects import check_text
from bkjs.db.tables.values import Convert
from bkjs.errors import BadRequest
from bkjs.lib.convert import str_split_unique, to_value
from bkjs.lib.patterns import LONGEST_PATTERN, compile_linear
from bkjs.lib.wire import to_text

T = TypeVar("T")
Shape: TypeAlias = tuple[str, tuple[Any, ...]]
"""A group of conditions without its values."""

VALUES: Final = 1000
"""Values that one condition may have, on every driver: some have no limit, some break at theirs."""


def operand(column: Column, op: str, value: Any, query: Convert | None) -> Any:
    """The value of one condition in the column's type; raises BadRequest for too many values, and
    for an operator that a column of JSON has not."""
    if column.kind == "json" and op not in WHOLE:
        known = ", ".join(sorted(WHOLE))
        raise BadRequest(f"{column.name}: {op}: a column of JSON has {known}", field=column.name)
    if op in NULLS:
        return value
    if column.kind == "json" and op in ("eq", "ne"):
        found = query(value) if query and value != "" else value
        return [found] if isinstance(found, (list, tuple, set, frozenset)) else found
    if op in LISTS:
        if value is None:
            return []
        if not isinstance(value, (list, tuple, set, frozenset)):
            if not isinstance(value, str):
                value = [value]
            else:
                value = str_split_unique(value, exact=True)
                if query is None and column.kind not in ("json", "list"):
                    value = [to_value(item, column.type) for item in value]
        _check_size(column, value)
        return [query(item) for item in value] if query else list(value)
    if op in TEXT_TESTS:
        if query and column.kind == "list" and op.endswith("contains"):  # asks for whole items
            many = isinstance(value, (list, tuple))
            value = [query(item) for item in value] if many else query(value)
        return _text_operand(column, op, value)
    if (
        query
        and op in ("eq", "ne")
        and column.kind != "json"
        and isinstance(value, (list, tuple, set, frozenset))
    ):
        return [query(item) for item in value]  # one of them, as `condition` reads it
    return query(value) if query else value


def _check_size(column: Column, values: Collection[Any]) -> None:
    if len(values) > VALUES:
        raise BadRequest(f"{column.name}: more than {VALUES} values", field=column.name)


def _text_operand(column: Column, op: str, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, (list, tuple)) and (op.endswith("contains") or op == "@@"):
        _check_size(column, value)
        if op == "@@" and any(isinstance(item, (list, tuple, dict)) for item in value):
            raise BadRequest(f"{column.name}: must be a list of texts", field=column.name)
        return [_text_operand(column, op, item) for item in value]
    text = check_text(column.name, to_text(value))
    if op in PATTERNS:
        return _pattern(column.name, text)
    if column.props.get("lower"):
        return text.lower()
    return text.upper() if column.props.get("upper") else text


def _pattern(name: str, source: str) -> str:
    if len(source) > LONGEST_PATTERN:
        raise BadRequest(f"{name}: the pattern is too long", field=name)
    try:
        compile_linear(source)
    except ValueError as err:
        raise BadRequest(f"{name}: invalid pattern", field=name) from err
    return source


def condition(column: str, op: str | None, value: Any, *, keep_empty: bool = False) -> Group:
    """One condition as a group: `ALL` when it is dropped, `NEVER` when nothing can match.

    Without an operator a list means `in` and None means null. An empty text drops the condition.
    """
    if op is None:
        op = "in" if isinstance(value, (list, tuple, set, frozenset)) else "eq"
    if op in NULLS:
        return Group("AND", (Condition(column, op),))
    if value == "" and isinstance(value, str) and not keep_empty:
        return ALL
    if op in ("eq", "ne") and isinstance(value, (list, tuple, set, frozenset)):
        op = "in" if op == "eq" else "not in"
    if op in LISTS:
        return _list_condition(column, op, list(value))
    if value is None:
        if op in ("eq", "ne"):
            return Group("AND", (Condition(column, "null" if op == "eq" else "not null"),))
        return NEVER
    if op in ORDERS and isinstance(value, (list, tuple, dict)):
        raise BadRequest(f"{column}: {op} needs one value", field=column)
    if op == "@@" and value == []:
        return NEVER  # one of no texts
    if isinstance(value, list) and op != "@@":  # contains: all of them
        return join_groups("AND", [condition(column, op, item) for item in value])
    return Group("AND", (Condition(column, op, value),))


def _list_condition(column: str, op: str, values: list[Any]) -> Group:
    items = [value for value in values if value is not None]
    if op.endswith("between"):
        if len(values) > 2 or len(items) < len(values) > 1:
            raise BadRequest(f"{column}: {op} needs two values, or one", field=column)
        if len(items) == 1:
            return condition(column, "eq" if op == "between" else "ne", items[0])
        if not items:
            return NEVER
        return Group("AND", (Condition(column, op, (items[0], items[1])),))
    if not items:
        return NEVER if op == "in" else ALL
    return Group("AND", (Condition(column, op, items),))


def join_groups(join: Literal["AND", "OR"], groups: Iterable[Group]) -> Group:
    """Groups joined into one, as flat as it can be; dropped ones (`ALL`) do not count."""
    given = [group for group in groups if group != ALL]
    if join == "AND" and NEVER in given:
        return NEVER
    useful = [group for group in given if group != NEVER]
    if given and not useful:
        return NEVER
    if len(useful) == 1:
        return useful[0]
    items: list[Condition | Group] = []
    for group in useful:
        items += group.items if group.join == join or len(group.items) == 1 else [group]
    return Group(join, tuple(items)) if items else ALL


def both(first: Group, second: Group) -> Group:
    """What meets two groups of conditions."""
    return join_groups("AND", (first, second))


def fold_group(
    group: Group,
    leaf: Callable[[Condition], T],
    join: Callable[[Literal["AND", "OR"], list[T]], T],
) -> T:
    """What `join` makes of a group, whose conditions are what `leaf` makes of them, groups in it
    first: a filter of a document store, for example. An empty AND is everything, an empty OR
    nothing."""
    return join(
        group.join,
        [fold_group(i, leaf, join) if isinstance(i, Group) else leaf(i) for i in group.items],
    )


def leaves(group: Group) -> Iterable[Condition]:
    """Every condition of a group and of the groups in it."""
    for item in group.items:
        if isinstance(item, Group):
            yield from leaves(item)
        else:
            yield item


def shape(group: Group) -> Shape:
    """A group of conditions without its values."""
    join, items = group
    return (join, tuple([(i[0], i[1]) if type(i) is Condition else shape(i) for i in items]))  # type: ignore[arg-type]
