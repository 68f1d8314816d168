"""Which of the few kinds of SQL column a described column becomes."""

from __future__ import annotations

from typing import Literal

from bkjs.db.contract import Column

Kind = Literal["text", "int", "real", "bool", "json", "bytes", "search"]
"""What the types of columns come down to; a dialect has a SQL type for each."""

KINDS: dict[str, Kind] = {
    **dict.fromkeys(
        (
            "int", "integer", "int32", "long", "smallint", "bigint",
            "counter", "now", "clock", "mtime",
        ),
        "int",
    ),
    **dict.fromkeys(("real", "float", "double", "decimal", "number", "numeric"), "real"),
    **dict.fromkeys(("bool", "boolean"), "bool"),
    **dict.fromkeys(("json", "obj", "array"), "json"),
    **dict.fromkeys(("bytes", "binary", "buffer"), "bytes"),
    "search": "search",
}  # fmt: skip
"""The kinds of column types; all others are text."""


def kind(column: Column) -> Kind:
    """The kind of a column; what is not known here is text."""
    if column.props.get("list"):
        return "text"  # items joined by the separator, whatever they are
    if column.type == "now" and column.props.get("clock"):
        return "real"  # milliseconds with a fraction
    return KINDS.get(column.type.lower(), "text")


def comparable(column: Column) -> bool:
    """Whether the stored value compares as the value itself does; encoded ones do not."""
    return kind(column) != "json" and not is_list(column)


def is_list(column: Column) -> bool:
    """Whether the column holds several values joined to one text."""
    return bool(column.props.get("list")) or column.type.lower() == "list"
