"""How the tables of a database differ from those that are described."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from bkjs.db.contract import Column, Table

Real = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""`{table: {column: {"type": …}}}`, as `DbDriver.describe` gives it."""


def orphans(described: Iterable[str], real: Real) -> list[str]:
    """The tables of a database that nobody describes, by name."""
    return sorted({name.lower() for name in real} - set(described))


def differences(
    tables: Iterable[Table], real: Real, fits: Callable[[Column, str], bool]
) -> Iterator[str]:
    """One sentence for all tables that are missing, and one for each table that is not as
    described: columns that it lacks, another key, or a type that does not hold what is described.
    """
    missing = [table.name for table in tables if table.name not in real]
    if missing:
        yield f"no table {', '.join(sorted(missing))}; start once with -db-create-tables"
    for table in tables:
        if table.name not in real:
            continue
        columns = {name.lower(): props for name, props in real[table.name].items()}
        absent = [name for name in table.columns if name.lower() not in columns]
        if absent:
            names = ", ".join(absent)
            yield f"table {table.name} has no column {names}; start once with -db-create-tables"
        key = {name for name, props in columns.items() if props.get("primary")}
        if key != {name.lower() for name in table.keys}:
            found, wanted = ", ".join(sorted(key)) or "none", ", ".join(table.keys) or "none"
            yield f"table {table.name}: the key is {found}, described as {wanted}"
        for name, column in table.columns.items():
            stored = str(columns.get(name.lower(), {}).get("type") or "")
            if name not in absent and not fits(column, stored):
                wanted = column.type or "text"
                yield f"table {table.name}: column {name} is {stored!r}, described as {wanted!r}"
