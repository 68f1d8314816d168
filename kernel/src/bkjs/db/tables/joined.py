"""Columns that are made of others, joined by a separator."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from bkjs.db.contract import Column, Row
from bkjs.lib.wire import to_text

from .columns import separator
from .objects import check_text

_PARTIAL: Final = frozenset({"lt", "le", "gt", "ge", "begins_with"})


class Join(NamedTuple):
    """A column made of others, joined by a separator."""

    column: str
    parts: tuple[str, ...]
    by: str
    strict: bool
    all: bool
    ifempty: bool
    case: Callable[[str], str] | None


def find_joins(columns: Iterable[Column], verb: str, pool: str) -> tuple[Join, ...]:
    """The joined columns that a verb makes in this pool."""
    found = []
    for column in columns:
        props = column.props
        parts = props.get("join")
        if not isinstance(parts, (list, tuple)) or not parts:
            continue
        ops, only = props.get("join_ops"), props.get("join_pools")
        never = props.get("nojoin_pools")
        if (ops and verb not in ops) or (only and pool not in only) or (never and pool in never):
            continue
        found.append(
            Join(
                column.name,
                tuple(parts),
                separator(column, "|"),
                bool(props.get("join_strict")),
                bool(props.get("join_all")),
                bool(props.get("join_ifempty")),
                _join_case(props),
            )
        )
    return tuple(found)


def _join_case(props: Mapping[str, Any]) -> Callable[[str], str] | None:
    if props.get("join_lower"):
        return str.lower
    if props.get("join_upper"):
        return str.upper
    return str.title if props.get("join_cap") else None


def fill_joins(
    joins: Sequence[Join],
    given: Mapping[str, Any],
    row: Row,
    options: Mapping[str, Any],
    ops: Mapping[str, str],
) -> None:
    """Set every joined column of which the parts are there.

    A second round serves columns that are made of other joined ones.
    """
    if options.get("no_join_columns"):
        return
    skip = options.get("skip_join") or ()
    todo = [join for join in joins if join.column not in skip]
    for _ in range(2):
        todo = [join for join in todo if not _join_column(join, given, row, options, ops)]
        if not todo:
            return


def _join_column(
    join: Join,
    given: Mapping[str, Any],
    row: Row,
    options: Mapping[str, Any],
    ops: Mapping[str, str],
) -> bool:
    current = row.get(join.column)
    if current and (join.ifempty or (isinstance(current, str) and join.by in current)):
        return True
    values = [_part(given, row, part) for part in join.parts]
    if not all(values):
        if join.strict or options.get("join_strict"):
            return False
        if ops.get(join.column) in _PARTIAL:
            if not all(values[:-1]):
                return False
        elif not join.all:
            return False
    if any(values):
        text = check_text(join.column, join.by.join(values))  # of parts that no column checks
        row[join.column] = join.case(text) if join.case else text
    return not join.all or all(values)


def _part(given: Mapping[str, Any], row: Row, name: str) -> str:
    value = given.get(name) or row.get(name)
    return to_text(value) if value else ""
