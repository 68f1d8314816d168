"""The types of columns: one row for each, which codec, conditions, files and drivers go by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

from bkjs.db.contract import Column, Kind, Shape
from bkjs.lib.convert import to_value

from . import generate, values
from .values import Convert


def _whole(column: Column, shape: Shape) -> Convert:
    exact = bool(column.props.get("primary"))
    return values.checked_number(column.name, column.kind != "real", shape.ints, exact=exact)


def _real(column: Column, shape: Shape) -> Convert:
    exact = bool(column.props.get("primary"))
    return values.checked_number(column.name, whole=False, limits=None, exact=exact)


def _text(column: Column, shape: Shape) -> Convert | None:
    return None if is_list(column) else values.checked_text(column.name)


def _date_text(column: Column, shape: Shape) -> Convert:
    return lambda v: values.date_text(v) if isinstance(v, datetime) else values.text(v)


def _other(column: Column, shape: Shape) -> Convert:
    return lambda value: None if value is None else to_value(value, column.type)


def _as_given(column: Column, shape: Shape) -> None:
    return None


def _by(convert: Convert) -> Callable[[Column, Shape], Convert]:
    """For types that need no more than the value."""
    return lambda column, shape: convert


class Type(NamedTuple):
    """What a type means."""

    kind: Kind = "text"
    convert: Callable[[Column, Shape], Convert | None] = _other
    """Makes of a given value one of the type; for strict shapes, and for counters everywhere."""
    make: Callable[[Column, bool, bool], generate.Generate | None] | None = None
    """How such a column makes its own value: when inserting or not, as part of the key or not."""
    made_of: Literal["", "account", "record"] = ""
    """What a made value depends on: nothing, the option `account`, or the rest of the record."""
    counter: bool = False
    """Begins at 0; `incr` adds to it without being told."""
    volatile: bool = False
    """Says only when a record was written: no reason to write it again."""
    dates: bool = False
    """Numbers that may be given as dates."""


TEXT: Final = Type("text", _text)
OTHER: Final = Type()
"""Text that is made by `to_value` with the name of the type: email, phone, url …"""

TYPES: Final[Mapping[str, Type]] = {
    **dict.fromkeys(("", "text", "str", "string"), TEXT),
    "datetime": Type("text", _date_text),
    "expr": Type("text", _as_given),
    **dict.fromkeys(("int", "int32", "integer", "smallint", "bigint", "long"), Type("int", _whole)),
    "counter": Type("int", _whole, counter=True),
    "now": Type("int", _whole, generate.now, volatile=True),
    "clock": Type("int", _whole, generate.clock),
    "mtime": Type("int", _by(values.mtime), volatile=True, dates=True),
    **dict.fromkeys(
        ("real", "float", "double", "decimal", "number", "numeric"), Type("real", _real)
    ),
    **dict.fromkeys(("bool", "boolean"), Type("bool", _by(values.boolean))),
    **dict.fromkeys(("date", "time", "timestamp"), Type("date", _by(values.date))),
    **dict.fromkeys(("json", "obj", "array"), Type("json", _as_given)),
    "list": Type("list", _as_given),
    **dict.fromkeys(("bytes", "binary", "buffer"), Type("bytes", _as_given)),
    "search": Type("search", _as_given),
    "uuid": Type(make=generate.uuid),
    "tuuid": Type(make=generate.tuuid),
    "uid": Type(make=generate.uid, made_of="account"),
    "uname": Type(make=generate.uname, made_of="account"),
    "geohash": Type(make=generate.geohash, made_of="record"),
    "geopoint": Type(make=generate.geopoint, made_of="record"),
}
"""Every type that has a meaning of its own; names that begin with text or str are text."""

NUMBERS: Final = frozenset({"int", "real"})
"""Kinds of columns that hold numbers."""


def type_of(column: Column) -> Type:
    """The row of a column's type."""
    return _named(column.type)


def _named(name: str) -> Type:
    return TYPES.get(name) or (TEXT if name.startswith(("text", "str")) else OTHER)


def make_column(name: str, props: Mapping[str, Any]) -> Column:
    """A column as it is described, its type in lower case."""
    type = str(props.get("type") or "").lower()
    kind = _named(type).kind
    if props.get("list") and kind != "json":
        kind = "list"
    elif type == "now" and props.get("clock"):
        kind = "real"  # milliseconds with a fraction
    return Column(name, type, dict(props), kind)


def is_list(column: Column) -> bool:
    """Whether the column holds a list of plain values."""
    return column.kind == "list" or bool(column.props.get("list"))


def only_numbers(column: Column) -> bool:
    """Whether nothing but a number, or its text, is a value of the column."""
    return column.kind in NUMBERS and not type_of(column).dates
