"""Stored rows as the caller gets them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bkjs.db.contract import Column, Row, Shape, Table
from bkjs.lib.convert import to_value

from .columns import reader, separator
from .values import Convert


def row_reader(
    table: Table, shape: Shape, columns: Sequence[str] | None, *, lenient: bool = False
) -> Callable[[Row], Row] | None:
    """Turns a stored row into what the caller gets, in place; None when there is nothing to do."""
    wanted = [table.columns[c] for c in (table.columns if columns is None else columns)]
    steps: list[Callable[[Row], None]] = []
    for column in wanted:
        read = reader(column, shape, lenient=lenient)
        if read:
            steps.append(_read_column(column.name, read))
        if column.props.get("unjoin"):
            steps.append(_unjoin(table, column))
        if column.props.get("noresult"):
            steps.append(_remove(column.name))
    if not steps:
        return None

    def convert(row: Row) -> Row:
        for step in steps:
            step(row)
        return row

    return convert


def _read_column(name: str, read: Convert) -> Callable[[Row], None]:
    def step(row: Row) -> None:
        value = read(row.get(name))
        if value is not None or name in row:
            row[name] = value

    return step


def _remove(name: str) -> Callable[[Row], None]:
    return lambda row: row.pop(name, None)


def _unjoin(table: Table, column: Column) -> Callable[[Row], None]:
    props = column.props
    names = props.get("join") if props["unjoin"] in (True, 1) else props["unjoin"]
    parts = list(names or ())
    by = separator(column, "|")
    keep = bool(props.get("keepjoined")) or column.name in parts
    types = [
        str(props.get("datatype") or (table.columns[p].type if p in table.columns else ""))
        for p in parts
    ]

    def step(row: Row) -> None:
        value = row.get(column.name)
        if not isinstance(value, str) or by not in value:
            return
        found = value.split(by)
        if len(found) < len(parts):
            return
        if not keep:
            del row[column.name]
        for part, kind, item in zip(parts, types, found, strict=False):
            row[part] = to_value(item, kind) if kind else item

    return step
