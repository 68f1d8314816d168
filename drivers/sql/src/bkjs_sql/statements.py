"""The text of each operation, by pure functions: no value is in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from bkjs.db.contract import Aggregate, Change, Column, Order, Table

from .dialect import Check, Dialect
from .types import kind
from .where import Draft, Outline, nullable, where


class Statement(NamedTuple):
    """A text, the column that each bound value belongs to, and the columns of the rows."""

    text: str
    names: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    short: bool = False
    """Probably reads few rows."""
    checks: tuple[tuple[int, Check], ...] = ()
    """What looks at bound values; see `check`."""


def check(statement: Statement, values: Sequence[Any]) -> None:
    """Raise BadRequest for a value that the database would change without a word."""
    for index, test in statement.checks:
        value = values[index]
        for item in value if isinstance(value, list) else (value,):
            if item is not None:
                test(item)


def auto_key(table: Table) -> Column | None:
    """The column that the database counts up when it is not given."""
    return next((c for c in table.columns.values() if c.props.get("auto")), None)


def select(
    dialect: Dialect,
    table: Table,
    columns: tuple[str, ...] | None,
    tests: Outline,
    sort: Sequence[Order] = (),
    *,
    limit: bool = False,
    offset: bool = False,
) -> Statement:
    """Rows that meet the tests; the limit, then the offset are the last values."""
    draft = Draft(dialect, table)
    names = columns or tuple(table.columns)
    text = f"SELECT {draft.selected(names)} FROM {draft.column(table.name)}{where(draft, tests)}"
    if sort:
        terms = (
            dialect.order(
                draft.column(order.column),
                dialect.kind(table, order.column),
                desc=order.desc,
                nullable=nullable(table, order.column),
            )
            for order in sort
        )
        text += " ORDER BY " + ", ".join(terms)
    if limit:
        text += f" LIMIT {draft.param('count')}"
    if offset:
        text += ("" if limit else f" LIMIT {2**63 - 1}") + f" OFFSET {draft.param('offset')}"
    short = not offset and dialect.short(table, tests, sort, limit=limit)
    return Statement(text, tuple(draft.names), names, short, tuple(draft.checks))


def many(dialect: Dialect, table: Table, columns: tuple[str, ...] | None, count: int) -> Statement:
    """Rows with any of so many keys; with arrays in place of keys `count` does not matter."""
    draft = Draft(dialect, table)
    names = columns or tuple(table.columns)
    params = [draft.param(key, many=dialect.arrays) for _ in range(count) for key in table.keys]
    kinds = [dialect.kind(table, key) for key in table.keys]
    test = dialect.key_in([draft.column(key) for key in table.keys], kinds, params)
    text = f"SELECT {draft.selected(names)} FROM {draft.column(table.name)} WHERE {test}"
    return Statement(text, tuple(draft.names), names, checks=tuple(draft.checks))


def total(dialect: Dialect, table: Table, tests: Outline) -> Statement:
    """How many rows meet the tests."""
    draft = Draft(dialect, table)
    text = f"SELECT COUNT(*) FROM {draft.column(table.name)}{where(draft, tests)}"
    return Statement(text, tuple(draft.names), ("count",), checks=tuple(draft.checks))


def aggregate(dialect: Dialect, table: Table, groups: Aggregate, tests: Outline) -> Statement:
    """Groups of the rows that meet the tests; the limit is the last value where there is `by`."""
    draft = Draft(dialect, table)
    kinds = [dialect.kind(table, name) for name in groups.by]
    terms = [dialect.grouped(draft.column(n), of) for n, of in zip(groups.by, kinds, strict=True)]
    read = [dialect.shown(term, of) for term, of in zip(terms, kinds, strict=True)]
    for op, name in groups.measures:
        of = dialect.kind(table, name) if name else "int"
        read.append(dialect.measure(op, draft.column(name) if name else "*", of) or "NULL")
    text = f"SELECT {', '.join(read)} FROM {draft.column(table.name)}{where(draft, tests)}"
    if terms:
        text += f" GROUP BY {', '.join(terms)} LIMIT {draft.param('count')}"
    return Statement(text, tuple(draft.names), checks=tuple(draft.checks))


def insert(
    dialect: Dialect,
    table: Table,
    columns: Sequence[str],
    *,
    replace: bool = False,
    absent: bool = False,
    many: bool = False,
    returning: tuple[str, ...] = (),
) -> Statement:
    """A new record of these columns; an existing one fails, is replaced, or stays (`absent`). With
    `many` there are any number, in an array for each column."""
    draft = Draft(dialect, table)
    values = [draft.param(name, stored=True) for name in columns]
    rows = dialect.unnested(values, [dialect.kind(table, name) for name in columns]) if many else ""
    text = _insert(draft, columns, values, rows)
    keys = [draft.column(name) for name in table.keys]
    if replace and keys:
        kept = [name for name in columns if name not in table.keys] or table.keys[:1]
        sets = [f"{draft.column(c)} = {dialect.incoming(draft.column(c))}" for c in kept]
        text += " " + dialect.on_conflict(keys, sets)
    elif absent and keys:
        text += " " + dialect.on_conflict(keys, [])
    return _finish(draft, text, returning)


def update(
    dialect: Dialect,
    table: Table,
    changes: Sequence[tuple[str, str]],
    tests: Outline,
    *,
    returning: tuple[str, ...] = (),
) -> Statement:
    """Changes `(column, operation)` of all rows that meet the tests; `remove` takes no value."""
    draft = Draft(dialect, table)
    sets = [f"{draft.column(c)} = {_change(draft, c, op)}" for c, op in changes]
    text = f"UPDATE {draft.column(table.name)} SET {', '.join(sets)}{where(draft, tests)}"
    return _finish(draft, text, returning)


def upsert(
    dialect: Dialect,
    table: Table,
    changes: Sequence[tuple[str, str]],
    *,
    returning: tuple[str, ...] = (),
) -> Statement:
    """The same changes to the row with a key, which is made when it is missing."""
    draft = Draft(dialect, table)
    columns = [*table.keys, *(column for column, _ in changes)]
    removed = {column for column, op in changes if op == "remove"}
    values = ["NULL" if n in removed else draft.param(n, stored=True) for n in columns]
    text = _insert(draft, columns, values)
    sets = []
    for name, op in changes:
        column = draft.column(name)
        current = f"{draft.column(table.name)}.{column}"
        value = _changed(dialect, current, dialect.incoming(column), op, table.columns[name])
        sets.append(f"{column} = {value}")
    text += " " + dialect.on_conflict([draft.column(name) for name in table.keys], sets)
    return _finish(draft, text, returning)


def delete(
    dialect: Dialect, table: Table, tests: Outline, *, returning: tuple[str, ...] = ()
) -> Statement:
    """Removes all rows that meet the tests; `returning` gives them as they were."""
    draft = Draft(dialect, table)
    text = f"DELETE FROM {draft.column(table.name)}{where(draft, tests)}"
    return _finish(draft, text, returning)


def change_values(changes: Sequence[Change]) -> list[Any]:
    """The values that `update` and `upsert` bind for these changes."""
    return [change.value for change in changes if change.op != "remove"]


def _insert(draft: Draft, columns: Sequence[str], values: Sequence[str], rows: str = "") -> str:
    target = draft.column(draft.table.name)
    rows = rows or f"VALUES ({', '.join(values)})"
    return f"INSERT INTO {target} ({draft.columns(columns)}) {rows}"


def _finish(draft: Draft, text: str, returning: tuple[str, ...]) -> Statement:
    if returning:
        text += f" RETURNING {draft.selected(returning)}"
    return Statement(text, tuple(draft.names), returning, checks=tuple(draft.checks))


def _change(draft: Draft, name: str, op: str) -> str:
    value = "NULL" if op == "remove" else draft.param(name, stored=True)
    return _changed(draft.dialect, draft.column(name), value, op, draft.table.columns[name])


def _changed(dialect: Dialect, current: str, value: str, op: str, column: Column) -> str:
    match op:
        case "incr":
            return dialect.add(current, value, kind(column))
        case "concat":
            return dialect.concat(current, value)
        case "not_exists":
            return f"COALESCE({current}, {value})"
    return value
