"""What tables there are, and making those that are described."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bkjs.db.contract import Table
from bkjs.errors import StartError
from bkjs.lib.convert import str_split
from bkjs_sql import add_columns, create_table, indexes

from .connect import Connection
from .dialect import PgsqlDialect

LOCK = 0x626B6A73
"""Advisory lock of all who change tables: two starters at once must not collide."""
HOUR = 3600.0
"""Seconds in which an index has to be built."""

COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
       COALESCE(array_position(i.indkey::int2[], a.attnum) + 1, 0)
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
WHERE c.relkind IN ('r', 'p') AND c.relnamespace = ANY(
    SELECT oid FROM pg_namespace WHERE nspname = ANY(current_schemas(false)))
ORDER BY c.relname, a.attnum
"""
OF_TABLE = (
    "SELECT attname FROM pg_attribute "
    "WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped"
)
INDEXES = (
    "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
    "WHERE i.indrelid = to_regclass($1)"
)
TRIGGERS = "SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass($1)"


async def describe(connection: Connection) -> dict[str, dict[str, Mapping[str, Any]]]:
    """The tables of the current schemas: `{table: {column: {"type": …, "primary": n}}}`."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for table, column, type, primary in await connection.fetch(COLUMNS):
        props = {"type": type} | ({"primary": primary} if primary else {})
        found.setdefault(table, {})[column] = props
    return found


def triggers(dialect: PgsqlDialect, table: Table) -> dict[str, tuple[str, str]]:
    """For each `search` column with a `projection`: what keeps it up to date, and fills it for the
    rows that are there."""
    found = {}
    target = dialect.quote(table.name)
    for column in table.columns.values():
        sources = str_split(column.props.get("projection")) if column.kind == "search" else ()
        unknown = [name for name in sources if name not in table.columns]
        if unknown:
            raise StartError(f"{table.name}.{column.name}: projection: no column {unknown[0]!r}")
        if sources:
            trigger = dialect.name(table.name, column.name, "trigger")
            lang = dialect.literal(f"pg_catalog.{column.props.get('lang') or 'english'}")
            args = [dialect.literal(column.name), lang, *map(dialect.literal, sources)]
            source = dialect.quote(sources[0])  # the trigger looks at what an update names
            found[trigger] = (
                f"CREATE TRIGGER {dialect.quote(trigger)} BEFORE INSERT OR UPDATE ON {target} "
                f"FOR EACH ROW EXECUTE FUNCTION tsvector_update_trigger({', '.join(args)})",
                f"UPDATE {target} SET {source} = {source}",
            )
    return found


async def create(connection: Connection, table: Table, dialect: PgsqlDialect) -> bool:
    """Make the table and its indexes, or add what is missing; whether anything changed."""
    name = dialect.quote(table.name)
    async with connection.transaction():
        await connection.execute("SET LOCAL statement_timeout = 0")  # an index may take long
        await connection.execute(f"SELECT pg_advisory_xact_lock({LOCK})", timeout=HOUR)
        columns = {row[0] for row in await connection.fetch(OF_TABLE, name)}
        present = {row[0] for row in await connection.fetch(INDEXES, name)}
        todo = add_columns(dialect, table, columns) if columns else [create_table(dialect, table)]
        todo += [text for index, text in indexes(dialect, table).items() if index not in present]
        made = {row[0] for row in await connection.fetch(TRIGGERS, name)}
        for trigger, statements in triggers(dialect, table).items():
            todo += statements if trigger not in made else ()
        for text in todo:
            await connection.execute(text, timeout=HOUR)
    return bool(todo)
