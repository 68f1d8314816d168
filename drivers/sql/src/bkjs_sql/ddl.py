"""Tables and indexes from a description."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from bkjs.db.contract import Column, Table
from bkjs.errors import StartError

from .dialect import Dialect
from .statements import auto_key
from .types import kind
from .where import nullable


def create_table(dialect: Dialect, table: Table) -> str:
    """The statement that makes the table, without its indexes."""
    auto = auto_key(table)
    if auto and table.keys != (auto.name,):
        raise StartError(f"{table.name}.{auto.name}: auto is only for a table's single key column")
    parts = []
    for column in table.columns.values():
        text = dialect.auto(column) if column is auto else dialect.type(column)
        key = column.name in table.keys
        parts.append(f"{dialect.quote(column.name)} {text}{_rules(dialect, column, key=key)}")
    if table.keys and not auto:
        parts.append(f"PRIMARY KEY ({', '.join(map(dialect.quote, table.keys))})")
    return f"CREATE TABLE IF NOT EXISTS {dialect.quote(table.name)} ({', '.join(parts)})"


def add_columns(dialect: Dialect, table: Table, present: Collection[str]) -> list[str]:
    """The statements that add the columns which the real table lacks."""
    name = dialect.quote(table.name)
    missing = (column for column in table.columns.values() if column.name not in present)
    return [
        f"ALTER TABLE {name} ADD COLUMN {dialect.quote(c.name)} {dialect.type(c)}"
        + (_rules(dialect, c) if c.props.get("value") is not None else "")  # rows may be there
        for c in missing
    ]


def indexes(dialect: Dialect, table: Table) -> Mapping[str, str]:
    """The statement for each index, by the index's name in the database."""
    found = {}
    for columns in table.indexes.values():
        name = dialect.name(table.name, *columns, "idx")
        found[name] = _index(dialect, table, name, columns, "INDEX")
    for columns in table.uniques.values():
        name = dialect.name(table.name, *columns, "key")
        found[name] = _index(dialect, table, name, columns, "UNIQUE INDEX")
    return found


def _index(dialect: Dialect, table: Table, name: str, columns: Sequence[str], what: str) -> str:
    terms = (
        dialect.index_term(
            dialect.quote(column), kind(table.columns[column]), nullable=nullable(table, column)
        )
        for column in columns
    )
    target = dialect.quote(table.name)
    target += dialect.index_method([kind(table.columns[column]) for column in columns])
    return f"CREATE {what} IF NOT EXISTS {dialect.quote(name)} ON {target} ({', '.join(terms)})"


def _rules(dialect: Dialect, column: Column, *, key: bool = False) -> str:
    default = column.props.get("value")
    text = " NOT NULL" if key or column.props.get("notnull") else ""
    if isinstance(default, (str, int, float)):
        text += f" DEFAULT {dialect.literal(default)}"
    return text
