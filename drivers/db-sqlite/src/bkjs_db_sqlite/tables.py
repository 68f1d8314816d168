"""What tables there are, and making those that are described; these run in a thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from bkjs.db.contract import Table
from bkjs_sql import add_columns, create_table, indexes

from . import search
from .dialect import SqliteDialect

Described = dict[str, dict[str, Mapping[str, Any]]]
"""The real columns of each table, with `type` and, for those of the key, `primary` from 1."""


def describe(connection: sqlite3.Connection) -> Described:
    """`{table: {column: {"type": …, "primary": n}}}`, without those that full-text search needs."""
    tables: Described = {}
    indexes = [name for (name,) in connection.execute(search.INDEXES)]
    hidden = {name + ending for name in indexes for ending in search.SHADOWS}
    for table, column, type, primary in connection.execute(
        "SELECT m.name, p.name, p.type, p.pk FROM sqlite_master m, pragma_table_info(m.name) p "
        "WHERE m.type = 'table' AND substr(m.name, 1, 7) <> 'sqlite_' "
        f"AND m.name NOT IN ({search.INDEXES}) ORDER BY m.name, p.cid"
    ):
        if table in hidden:
            continue
        props = {"type": type} | ({"primary": primary} if primary else {})
        tables.setdefault(table, {})[column] = props
    return tables


def create(table: Table, dialect: SqliteDialect, connection: sqlite3.Connection) -> bool:
    """Make the table and its indexes, or add what is missing; whether anything changed."""
    columns = connection.execute("SELECT name FROM pragma_table_info(?)", (table.name,))
    real = {name.lower() for (name,) in columns}  # names do not differ by case here
    present = {name for name in table.columns if name.lower() in real}
    todo = add_columns(dialect, table, present) if real else [create_table(dialect, table)]
    known = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ?", (table.name,)
    )
    made = {name for (name,) in known}
    made |= {dialect.name(table.name, column.name, "idx") for column in search.searched(table)}
    todo += [text for name, text in indexes(dialect, table).items() if name not in made]
    for text in todo:
        connection.execute(text)
    return search.create(table, dialect, connection) or bool(todo)
