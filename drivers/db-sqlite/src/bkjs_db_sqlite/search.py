"""Full-text search: an index of FTS5 for each `search` column, which triggers keep up to date.

The index holds words and row ids, no texts (`content=''`), so what was indexed has to be said again
when a row leaves it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

from bkjs.db.contract import Column, Table
from bkjs.errors import StartError
from bkjs.lib.convert import str_split
from bkjs_sql import Dialect, kind

MODULE = "SELECT 1 FROM pragma_module_list WHERE name = 'fts5'"
FULL_TEXT = (
    "CREATE VIRTUAL TABLE {name} USING fts5(words, content='', columnsize=0, tokenize={how})"
)
PLAIN = "unicode61 remove_diacritics 0"
TOKENIZERS = {"english": f"porter {PLAIN}"}
"""How a column's text is taken apart by its `lang`; without a line here words are not stemmed."""
INDEXES = (
    "SELECT name FROM sqlite_master WHERE type = 'table'"
    " AND sql LIKE 'CREATE VIRTUAL TABLE % USING fts5(words, content='''', %'"
)
"""The indexes that were made here."""
SHADOWS = ("", "_data", "_idx", "_docsize", "_config")
"""Endings of the tables that FTS5 keeps for an index."""
ROW = "_rowid_"


def match(texts: Iterable[str | None]) -> str:
    """The query of FTS5 that finds all words of any of the texts, whatever characters they have.

    It takes what is between quotes apart itself, and what has no letters for nothing.
    """
    found = [part for text in texts if (part := _all_words(text or ""))]
    return " OR ".join(f"({part})" for part in found) or '""'


def _all_words(text: str) -> str:
    return " ".join('"' + word.replace('"', '""') + '"' for word in text.split())


def index_name(dialect: Dialect, table: Table, column: Column) -> str:
    """The name of a column's index in the database."""
    return dialect.name(table.name, column.name, "fts")


def searched(table: Table) -> Iterator[Column]:
    """The columns that have such an index."""
    return (column for column in table.columns.values() if column.kind == "search")


def create(table: Table, dialect: Dialect, connection: sqlite3.Connection) -> bool:
    """Make the indexes and triggers that are missing or are not as described, and fill them;
    whether any was. Raises StartError for what cannot be."""
    changed = False
    for column in searched(table):
        if not connection.execute(MODULE).fetchone():
            raise StartError(
                f"{table.name}.{column.name}: the SQLite library of this Python was built without"
                " FTS5, which columns of type search need"
            )
        name = index_name(dialect, table, column)
        wanted = _statements(table, column, dialect, name)
        known = connection.execute(
            "SELECT sql FROM sqlite_master WHERE name IN (?, ?, ?, ?)",
            (name, *(f"{name}_{event}" for event in ("add", "set", "del"))),
        )
        if {text for (text,) in known} != set(wanted):
            _remove(name, dialect, connection)
            for text in (*wanted, _fill(table, column, dialect, name)):
                connection.execute(text)
            changed = True
    return changed


def drop(table: str, dialect: Dialect, connection: sqlite3.Connection) -> None:
    """Remove a table and its indexes; a missing one is no error."""
    triggers = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", (table,)
    )
    names = {name.removesuffix("_add") for (name,) in triggers.fetchall()}
    for (name,) in connection.execute(INDEXES).fetchall():
        if name in names:
            _remove(name, dialect, connection)
    connection.execute(f"DROP TABLE IF EXISTS {dialect.quote(table)}")


def _remove(name: str, dialect: Dialect, connection: sqlite3.Connection) -> None:
    for event in ("add", "set", "del"):
        connection.execute(f"DROP TRIGGER IF EXISTS {dialect.quote(f'{name}_{event}')}")
    connection.execute(f"DROP TABLE IF EXISTS {dialect.quote(name)}")


def _statements(table: Table, column: Column, dialect: Dialect, name: str) -> list[str]:
    """The index and its triggers, as SQLite remembers them."""
    sources = _sources(table, column)
    index, target = dialect.quote(name), dialect.quote(table.name)
    lang = str(column.props.get("lang") or "english")
    how = dialect.literal(TOKENIZERS.get(lang, PLAIN))
    remove = (
        f"INSERT INTO {index} ({index}, rowid, words)"
        f" VALUES ('delete', old.{ROW}, {_text(dialect, sources, 'old.')});"
    )
    add = (
        f"INSERT INTO {index} (rowid, words) VALUES (new.{ROW}, {_text(dialect, sources, 'new.')});"
    )
    changed = " OR ".join(
        f"old.{name} IS NOT new.{name}" for name in (ROW, *map(dialect.quote, sources))
    )
    return [
        FULL_TEXT.format(name=index, how=how),
        f"CREATE TRIGGER {dialect.quote(f'{name}_add')} AFTER INSERT ON {target} BEGIN {add} END",
        f"CREATE TRIGGER {dialect.quote(f'{name}_set')} AFTER UPDATE ON {target}"
        f" WHEN {changed} BEGIN {remove} {add} END",
        f"CREATE TRIGGER {dialect.quote(f'{name}_del')} AFTER DELETE ON {target}"
        f" BEGIN {remove} END",
    ]


def _fill(table: Table, column: Column, dialect: Dialect, name: str) -> str:
    text = _text(dialect, _sources(table, column), "")
    return (
        f"INSERT INTO {dialect.quote(name)} (rowid, words)"
        f" SELECT {ROW}, {text} FROM {dialect.quote(table.name)}"
    )


def _sources(table: Table, column: Column) -> list[str]:
    """The columns whose text is searched: those of `projection`, or the column itself."""
    where = f"{table.name}.{column.name}: projection:"
    names = list(str_split(column.props.get("projection"))) or [column.name]
    for name in names:
        if name not in table.columns:
            raise StartError(f"{where} no column {name!r}")
        if kind(table.columns[name]) not in ("text", "search"):
            raise StartError(f"{where} column {name!r} holds no text")
    if not table.keys or any(name.lower() == ROW for name in table.columns):
        # without an index of their own rows get other ids when the file is vacuumed
        raise StartError(f"{table.name}.{column.name}: only a table with a key can be searched")
    return names


def _text(dialect: Dialect, names: Iterable[str], row: str) -> str:
    return " || ' ' || ".join(f"COALESCE({row}{dialect.quote(name)}, '')" for name in names)
