"""The order of rows: nulls first, text by code point, and what comes after a row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bkjs.db.contract import NEVER, Condition, Group, Order, Row
from bkjs.lib.wire import to_text


def sort_key(value: Any) -> tuple[bool, Any]:
    """Orders nulls before all values."""
    return (value is not None, _Text(value) if isinstance(value, (dict, list)) else value)


class _Text:
    """Values that have no order of their own compare as text."""

    __slots__ = ("text",)

    def __init__(self, value: Any) -> None:
        self.text = to_text(value)

    def __lt__(self, other: object) -> bool:
        return self.text < (other.text if isinstance(other, _Text) else to_text(other))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Text) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


def sort_rows(rows: list[Row], orders: Iterable[Order]) -> None:
    """Sort in place by several columns, nulls first, or last when descending."""
    for order in reversed(list(orders)):
        rows.sort(key=lambda row, name=order.column: sort_key(row.get(name)), reverse=order.desc)  # type: ignore[misc]


def comes_after(orders: tuple[Order, ...], values: tuple[Any, ...]) -> Callable[[Row], bool]:
    """Whether a row comes after these values of the sort columns."""

    def match(row: Row) -> bool:
        for order, value in zip(orders, values, strict=True):
            a, b = sort_key(row.get(order.column)), sort_key(value)
            if a != b:
                return b < a if not order.desc else a < b
        return False

    return match


def beyond(sort: Sequence[Order], after: Sequence[Any], nullable: Callable[[str], bool]) -> Group:
    """The rows that come after one with these sort values; nulls come before every value."""
    steps: list[Group] = []
    same: list[Condition | Group] = []
    for (column, desc), value in zip(sort, after, strict=True):
        step: Condition | Group | None
        if not desc:
            step = Condition(column, "not null" if value is None else "gt", value)
        elif value is None:
            step = None  # nothing comes after null
        elif nullable(column):
            step = Group("OR", (Condition(column, "lt", value), Condition(column, "null")))
        else:
            step = Condition(column, "lt", value)
        if step is not None:
            steps.append(Group("AND", (*same, step)))
        same.append(Condition(column, "null" if value is None else "eq", value))
    if len(steps) < 2:
        return steps[0] if steps else NEVER
    first, value = sort[0], after[0]
    if value is None or (first.desc and nullable(first.column)):
        return Group("OR", tuple(steps))
    # implied by the steps, said so that an index on the first column is entered at the right place
    bound = Condition(first.column, "le" if first.desc else "ge", value)
    return Group("AND", (bound, Group("OR", tuple(steps))))
