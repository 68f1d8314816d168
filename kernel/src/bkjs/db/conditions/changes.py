"""What update operations do to a record, for every driver that does not do it itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from bkjs.db.contract import Change, Row
from bkjs.db.tables.values import EXACT
from bkjs.lib.wire import to_text


def apply_changes(row: Row, changes: Sequence[Change]) -> Row:
    """A changed copy of a record."""
    changed = dict(row)
    for change in changes:
        changed[change.column] = OPERATIONS[change.op](row.get(change.column), change.value)
    return changed


def _items(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple, set, frozenset)) else [value]


def _append(old: Any, value: Any) -> Any:
    return _items(old) + _items(value)


def _add(old: Any, value: Any) -> Any:
    items = _items(old)
    for item in _items(value):
        if item not in items:
            items.append(item)
    return items


def _delete(old: Any, value: Any) -> Any:
    gone = _items(value)
    return [item for item in _items(old) if item not in gone]


def _sum(old: Any, value: Any) -> Any:
    if isinstance(old, Decimal) or isinstance(value, Decimal):
        return EXACT.add(Decimal(old or 0), Decimal(value))
    return (old or 0) + value


OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "set": lambda old, value: value,
    "incr": _sum,
    "concat": lambda old, value: to_text(old or "") + to_text("" if value is None else value),
    "append": _append,
    "prepend": lambda old, value: _append(value, old),
    "add": _add,
    "del": _delete,
    "not_exists": lambda old, value: value if old is None else old,
    "remove": lambda old, value: None,
}
