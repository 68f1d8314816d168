"""How SQLite writes SQL, and the functions that it lacks."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from bkjs.db.conditions.match import pattern_test
from bkjs.db.contract import Column, Order, Table
from bkjs.lib.bounded import kept
from bkjs.lib.wildcards import fold, like
from bkjs_sql import Dialect, Kind

from .search import ROW, index_name, match
from .sums import AGGREGATES, HALF, whole

LEADS = frozenset({"eq", "in", "gt", "ge", "lt", "le", "between", "begins_with", "null"})
"""Tests that enter an index at the column they are for."""
PATTERNS = frozenset({"like", "ilike", "ilike%", "regexp", "iregexp"})
"""Tests that call a Python function for each row: too slow for the event loop."""


class SqliteDialect(Dialect):
    """SQL of SQLite, 3.35 or newer for RETURNING; `register` adds the functions that it lacks."""

    # in double quotes the name of a missing column would silently become a text
    quote_mark = "`"
    max_name = 1000
    types: Mapping[Kind, str] = {
        **Dialect.types,
        "int": "integer",
        "real": "real",
        "decimal": "text",  # it has none: a number of any length would become a double
    }
    stored: Mapping[Kind, tuple[str, ...]] = {
        **Dialect.stored,
        "decimal": ("text", "char", "clob"),
        "int": (*Dialect.stored["int"], "mtime", "now", "counter", "bool"),
        "bool": ("bool", "int", "num"),
    }
    reads: Mapping[Kind, str] = {"bool": "None if {v} is None else {v} != 0"}
    operators: Mapping[str, str] = {
        **Dialect.operators,
        "contains": "instr({c}, {p}) > 0",
        "like": "bk_like({p}, {c})",
        "ilike": "bk_ilike({p}, {c})",
        "ilike%": "bk_ilike({p}, {c})",
        "regexp": "{c} REGEXP {p}",
        "iregexp": "iregexp({p}, {c})",
    }

    def auto(self, column: Column) -> str:
        """AUTOINCREMENT: the key of a deleted row is not given again."""
        return "integer PRIMARY KEY AUTOINCREMENT"

    def literal(self, value: Any) -> str:
        """A default as text; true and false are 1 and 0."""
        return str(int(value)) if isinstance(value, bool) else super().literal(value)

    def add(self, current: str, value: str, of: Kind) -> str:
        """A number increased by another; a sum that does not fit fails, as `add` below says."""
        # a sum beyond 64 bits would silently become a float
        plain = super().add(current, value, of)
        return f"bk_add(COALESCE({current}, 0), {value})" if of == "int" else plain

    def searched(self, texts: Sequence[str]) -> Sequence[str]:
        """One query of FTS5 in the place of all the texts."""
        return [match(texts)]

    def search(self, name: str, table: Table, column: Column, params: Sequence[str]) -> str:
        """A `search` column by its index, see `bkjs_db_sqlite.search`."""
        index = self.quote(index_name(self, table, column))
        return f"{ROW} IN (SELECT rowid FROM {index} WHERE words MATCH {params[0]})"

    sums: Mapping[Kind, Callable[[Any], Any]] = {
        **Dialect.sums,
        "int": whole,
    }

    def grouped(self, name: str, of: Kind) -> str:
        """Any number but 0 is true."""
        return f"({name} <> 0)" if of == "bool" else super().grouped(name, of)

    def measure(self, op: str, name: str, of: Kind) -> str | None:
        """A figure. `SUM` fails beyond 64 bits, so that of whole numbers comes in two halves; what
        is none in such a column makes it a float."""
        if op != "sum":
            return super().measure(op, name, of)
        if of != "int":
            return f"bk_sum_{of}({name})"
        return (
            f"CASE WHEN TOTAL(typeof({name}) = 'integer') = COUNT({name})"
            f" THEN SUM({name} >> 32) || ' ' || SUM({name} & {HALF}) ELSE TOTAL({name}) END"
        )

    def short(
        self, table: Table, tests: Sequence[Any], sort: Sequence[Order], *, limit: bool
    ) -> bool:
        """Whether an index leads to the rows; where they are many after all, or hard to find, the
        driver gives up."""
        leads = {columns[0] for columns in (table.keys, *table.indexes.values()) if columns}
        join, items = tests
        if not items:
            return limit and (not sort or sort[0].column in leads)
        simple = [item for item in items if len(item) == 3]
        return (
            join == "AND"
            and not any(item[1].removeprefix("not ") in PATTERNS for item in simple)
            and any(_first(item[0]) in leads and item[1] in LEADS for item in simple)
        )


def _first(column: str | tuple[str, ...]) -> str:
    return column if isinstance(column, str) else column[0]


def register(connection: sqlite3.Connection) -> None:
    """Give a connection the functions that the dialect calls."""
    functions: dict[str, Callable[[Any, Any], Any]] = {
        "regexp": regexp,
        "iregexp": iregexp,
        "bk_like": matches_like,
        "bk_ilike": matches_ilike,
        "bk_add": add,
    }
    for name, function in functions.items():
        connection.create_function(name, 2, function, deterministic=True)
    for name, aggregate in AGGREGATES.items():
        connection.create_aggregate(name, 1, aggregate)


def regexp(pattern: str, value: Any) -> bool | None:
    """Whether a pattern (RE2) is found in a value; null for null."""
    return None if value is None else _pattern(pattern, False)(value)


def iregexp(pattern: str, value: Any) -> bool | None:
    """The same whatever the case of letters."""
    return None if value is None else _pattern(pattern, True)(value)


def matches_like(pattern: str, value: Any) -> bool | None:
    """Whether the whole value matches a LIKE pattern; SQLite's own LIKE ignores the case."""
    return None if value is None else _like(pattern)(str(value))


def matches_ilike(pattern: str, value: Any) -> bool | None:
    """The same of a folded pattern, whatever the case of letters, all of Unicode's."""
    return None if value is None else _like(pattern)(fold(str(value)))


def add(current: int, amount: int) -> int:
    """Their sum; SQLite reports an error when it does not fit."""
    return current + amount


@lru_cache(256)
def _pattern(source: str, ignore_case: bool) -> Callable[[Any], bool]:
    return pattern_test(source, ignore_case=ignore_case)


@kept(256, 1000)
def _like(pattern: str) -> Callable[[str], bool]:
    return like(pattern)
