"""Which of the few kinds of SQL column a described column becomes."""

from __future__ import annotations

from typing import Literal, cast

from bkjs.db.contract import Column

Kind = Literal["text", "int", "real", "decimal", "bool", "json", "bytes", "search", "other"]
"""What the types of columns come down to; a dialect has a SQL type for each. `other` are columns of
somebody else's tables in a type that is none of ours."""


def kind(column: Column) -> Kind:
    """The kind of a column; dates and lists are stored as text."""
    return "text" if column.kind in ("date", "day", "list") else cast("Kind", column.kind)


def comparable(column: Column) -> bool:
    """Whether the stored value compares as the value itself does; encoded ones do not."""
    return column.kind not in ("json", "list")
