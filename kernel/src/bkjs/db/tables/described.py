"""Described tables: merged from all plugins column by column, and what can be looked up in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bkjs.db.contract import Column, Row, Shape, Table
from bkjs.errors import BadRequest
from bkjs.lib.convert import is_empty, str_split
from bkjs.lib.text import near

from .columns import writer
from .objects import check_text
from .properties import check_properties
from .types import make_column
from .values import DROP

Definitions = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""`{table: {column: {property: value}}}`"""

_SUFFIXES = ("1", "2", "3", "4", "5", "")
"""Named indexes come before the plain one."""


class Schema:
    """All described tables. Names are lower case; a change makes new `Table` objects, and another
    mapping of them."""

    def __init__(self, *, hints: bool = False, lenient: bool = False) -> None:
        """`hints`: errors name the nearest table, for developers: clients may not know it.
        `lenient`: what is no value of a column is made one, defaults too."""
        self.hints, self.lenient = hints, lenient
        self.definitions: dict[str, dict[str, dict[str, Any]]] = {}
        self.tables: dict[str, Table] = {}

    def describe(self, tables: Definitions) -> None:
        """Merge definitions into the known ones: the later value of a property wins.

        Raises BadRequest for what is no description, a table without columns, a property or type
        that is not known, and a column name that begins with `_` or `$`, which mark what is no
        column in queries.
        """
        merged: dict[str, dict[str, dict[str, Any]]] = {}
        for name, columns in tables.items():
            _check(name, columns)
            known = self.definitions.get(name.lower(), {})
            table = merged.setdefault(name.lower(), {c: dict(props) for c, props in known.items()})
            for column, properties in columns.items():
                table.setdefault(column, {}).update(properties or {})
            if not table:
                raise BadRequest(f"table {name} has no columns")
        built = {name: build(name, table) for name, table in merged.items()}
        if not self.lenient:
            for made in built.values():
                _check_defaults(made)
        self.definitions |= merged
        self.tables = self.tables | built

    def table(self, name: str) -> Table:
        """The described table; raises BadRequest that names an unknown one."""
        found = self.tables.get(name) or self.tables.get(str(name).lower())
        if found is None:
            text = str(name)[:64]
            hint = near(text.lower(), self.tables) if self.hints else ""
            raise BadRequest(f"unknown table {text!r}{hint}")
        return found

    def columns(self, name: str) -> dict[str, dict[str, Any]]:
        """The definition of a table, empty for an unknown one."""
        return self.definitions.get(name.lower(), {})


def _check(name: object, columns: object) -> None:
    """Raises BadRequest where plugins or the configuration give something else than a table."""
    if not isinstance(name, str) or not isinstance(columns, Mapping):
        raise BadRequest(f"table {name}: columns are wanted as {{name: properties}}")
    check_text("name of a table", name)
    for column, properties in columns.items():
        if not isinstance(column, str) or not column or column[0] in "_$":
            raise BadRequest(f"table {name}: a column cannot be named {column!r}")
        check_text("name of a column", column)
        if not isinstance(properties or {}, Mapping):
            raise BadRequest(f"table {name}: column {column}: properties are wanted as {{…}}")
        check_properties(name, column, properties or {})


def build(name: str, definition: Mapping[str, Mapping[str, Any]]) -> Table:
    """The table that a definition describes, with its keys and indexes in order."""
    columns = {column: make_column(column, props) for column, props in definition.items()}
    return Table(
        name=name,
        columns=columns,
        keys=_ordered(columns, "primary"),
        indexes=_groups(columns, "index"),
        uniques=_groups(columns, "unique"),
        ttl=_end(name, columns),
    )


def _check_defaults(table: Table) -> None:
    """Raises BadRequest for a default that its own column refuses."""
    for column in table.columns.values():
        if column.props.get("value") is None:
            continue
        what = f"table {table.name}: column {column.name}: the default {column.props['value']!r}"
        check = writer(column, Shape())
        try:
            refused = check is not None and check(column.props["value"]) is DROP
        except BadRequest as error:
            reason = error.message.removeprefix(f"{column.name}: ")
            raise BadRequest(f"{what} is none of its values: {reason}") from None
        if refused:
            raise BadRequest(f"{what} is none of its values")


def _end(table: str, columns: Mapping[str, Column]) -> str:
    """The column that says when a row ends."""
    found = [column for column in columns.values() if column.props.get("ttl")]
    if len(found) > 1:
        names = ", ".join(column.name for column in found)
        raise BadRequest(f"table {table}: only one column can be the end of a row: {names}")
    for column in found:
        if column.kind not in ("int", "date") or column.props.get("primary"):
            raise BadRequest(
                f"table {table}: column {column.name}: with ttl a column holds a moment: seconds"
                " since 1970 (int), milliseconds (mtime), or a timestamp"
            )
        return column.name
    return ""


def _ordered(columns: Mapping[str, Column], prop: str) -> tuple[str, ...]:
    """Columns that have a property, in the order of its value."""
    having = [column for column in columns.values() if column.props.get(prop)]
    return tuple(c.name for c in sorted(having, key=lambda c: float(c.props[prop])))


def _groups(columns: Mapping[str, Column], prop: str) -> dict[str, tuple[str, ...]]:
    groups = (_ordered(columns, prop + suffix) for suffix in _SUFFIXES)
    return {"_".join(group): group for group in groups if group}


# -- look-ups ----------------------------------------------------------------------------------


def index_columns(table: Table) -> list[str]:
    """The columns of all indexes, one after another."""
    return [column for group in table.indexes.values() for column in group]


def index_for_keys(table: Table, query: Mapping[str, Any]) -> str | None:
    """The index of which the most leading columns are given in a query."""
    best, length = None, 0
    for name, columns in table.indexes.items():
        given = 0
        for column in columns:
            if not query.get(column):
                break
            given += 1
        if given > length:
            best, length = name, given
    return best


def query_for_keys(
    names: Iterable[str],
    obj: Mapping[str, Any],
    *,
    keys_map: Mapping[str, str] | None = None,
    noempty: bool = False,
) -> Row:
    """The named properties that an object has; `keys_map` says which property stands for a key."""
    query: Row = {}
    for name in names:
        prop = (keys_map or {}).get(name, name)
        if not name.startswith("_") and prop in obj and not (noempty and is_empty(obj[prop])):
            query[name] = obj[prop]
    return query


def selected_columns(
    table: Table, select: str | Sequence[str] | None, skip: Iterable[str] | None = None
) -> tuple[str, ...] | None:
    """The described columns that are wanted, in the order of definition; None for all."""
    skipped = frozenset(skip or ())
    wanted: Iterable[str] = str_split(select) if select else ()
    chosen = frozenset(wanted) & table.columns.keys() - skipped
    if chosen:
        return tuple(name for name in table.columns if name in chosen)
    if skipped and not select:
        return tuple(name for name in table.columns if name not in skipped)
    return None


def filtered_columns(
    table: Table, filter: str | Iterable[str] | Mapping[str, Any]
) -> dict[str, Column]:
    """Columns that have a property.

    A list means any of the properties. A mapping means all of them, each with that value, one of
    a list of values, one that a pattern matches, or None for not having it. `!name` is the same
    as None.
    """
    if isinstance(filter, Mapping):
        wanted = filter.items()
        return {
            name: column
            for name, column in table.columns.items()
            if all(_has(column, prop, value) for prop, value in wanted)
        }
    names = [filter] if isinstance(filter, str) else list(filter)
    return {
        name: column
        for name, column in table.columns.items()
        if any(_has(column, prop, ...) for prop in names)
    }


def _has(column: Column, prop: str, value: Any) -> bool:
    if prop.startswith("!"):
        prop, value = prop[1:], None
    actual = column.props.get(prop)
    if value is None:
        return not actual
    if value is ...:
        return bool(actual)
    if isinstance(value, re.Pattern):
        return actual is not None and value.search(str(actual)) is not None
    return actual in value if isinstance(value, (list, tuple, set, frozenset)) else actual == value
