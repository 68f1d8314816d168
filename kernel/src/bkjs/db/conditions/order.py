"""The order of rows: nulls first, text by code point, and what comes after a row."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from bkjs.db.contract import Order, Row
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
