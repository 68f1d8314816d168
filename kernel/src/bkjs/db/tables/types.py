"""The types of columns: one row for each, which codec, conditions, files and drivers go by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

from bkjs.db.contract import Column, Kind, Shape
from bkjs.lib.convert import to_value

from . import generate, strict, values
from .values import Convert

Make = Callable[[Column, Shape], Convert | None]
"""From a column and how a driver stores values to what makes such a value of a given one."""


def _whole(column: Column, shape: Shape) -> Convert:
    exact = bool(column.props.get("primary"))
    return values.checked_number(column.name, column.kind != "real", shape.ints, exact=exact)


def _real(column: Column, shape: Shape) -> Convert:
    exact = bool(column.props.get("primary"))
    return values.checked_number(column.name, whole=False, limits=None, exact=exact)


def _decimal(column: Column, shape: Shape) -> Convert:
    as_real = _real(column, shape)
    return lambda value: values.decimal(as_real(value))


def _text(column: Column, shape: Shape) -> Convert | None:
    return None if is_list(column) else values.checked_text(column.name)


def _date_text(column: Column, shape: Shape) -> Convert:
    return lambda v: values.date_text(v) if isinstance(v, datetime) else values.text(v)


def _other(column: Column, shape: Shape) -> Convert:
    return lambda value: None if value is None else to_value(value, column.type)


def _as_given(column: Column, shape: Shape) -> None:
    return None


def _by(convert: Convert) -> Make:
    """For types that need no more than the value."""
    return lambda column, shape: convert


class Type(NamedTuple):
    """What a type means."""

    kind: Kind = "text"
    strict: Make = strict.text
    """Makes of a given value one of the type, or raises BadRequest that names the column."""
    lenient: Make = _other
    """The same as the reference does it: what is no value becomes null, 0, its first digits …; for
    strict shapes, and for counters everywhere."""
    restore: Make | None = None
    """Takes a value as files have it that were exported, where that is not what clients send."""
    make: Callable[[Column, bool, bool, bool], generate.Generate | None] | None = None
    """How such a column makes its own value: when inserting or not, as part of the key or not, in
    place of a given one that is none of its type or not."""
    made_of: Literal["", "account", "record"] = ""
    """What a made value depends on: nothing, the option `account`, or the rest of the record."""
    counter: bool = False
    """Begins at 0; `incr` adds to it without being told."""
    volatile: bool = False
    """Says only when a record was written: no reason to write it again."""


TEXT: Final = Type("text", strict.text, _text)
OTHER: Final = Type()
_INT: Final = Type("int", strict.whole, _whole)
_MOMENT: Final = Type("date", strict.moment, _by(values.date))
_NESTED: Final = Type("json", strict.json, _as_given)

TYPES: Final[Mapping[str, Type]] = {
    **dict.fromkeys(("", "text", "str", "string"), TEXT),
    "datetime": Type("text", strict.moment_text, _date_text),
    "expr": Type("text", strict.text, _as_given),
    **{name: Type("text", strict.formed) for name in ("email", "phone", "url", "regexp", "lower")},
    **dict.fromkeys(("int", "int32", "integer", "smallint", "bigint", "long"), _INT),
    "counter": _INT._replace(counter=True),
    "now": _INT._replace(make=generate.now, volatile=True),
    "clock": _INT._replace(make=generate.clock),
    "mtime": Type("int", strict.mtime, _by(values.mtime), volatile=True),
    **dict.fromkeys(("real", "float", "double", "number"), Type("real", strict.real, _real)),
    **dict.fromkeys(("decimal", "numeric"), Type("decimal", strict.decimal, _decimal)),
    **dict.fromkeys(("bool", "boolean"), Type("bool", strict.boolean, _by(values.boolean))),
    "date": Type("day", strict.day, _by(values.date)),
    **dict.fromkeys(("time", "timestamp"), _MOMENT),
    **dict.fromkeys(("json", "obj", "array"), _NESTED),
    "list": Type("list", strict.text, _as_given),
    **dict.fromkeys(
        ("bytes", "binary", "buffer"),
        Type("bytes", strict.binary, _as_given, restore=strict.stored_binary),
    ),
    "search": Type("search", strict.text, _as_given),
    "uuid": Type(make=generate.uuid),
    "tuuid": Type(make=generate.tuuid),
    "uid": Type(make=generate.uid, made_of="account"),
    "uname": Type(make=generate.uname, made_of="account"),
    "geohash": Type(make=generate.geohash, made_of="record"),
    "geopoint": Type(make=generate.geopoint, made_of="record"),
}
"""Every type that has a meaning of its own; names that begin with text or str are text."""

NUMBERS: Final = frozenset({"int", "real", "decimal"})
"""Kinds of columns that hold numbers."""


def type_of(column: Column) -> Type:
    """The row of a column's type."""
    return _named(column.type)


def _named(name: str) -> Type:
    return TYPES.get(name) or (TEXT if name.startswith(("text", "str")) else OTHER)


def decode(
    column: Column, shape: Shape, use: Literal["write", "query", "import"], *, lenient: bool
) -> Convert | None:
    """What makes of a given value one that the column holds, or is compared with.

    `use` matters for lists, whose items are compared.
    """
    of = type_of(column)
    if lenient:
        if use == "write" and column.kind == "json":
            return values.nested(column, keep_empty=shape.json and not shape.strict)
        if use == "write" and column.kind == "list":
            return values.list_of(column, shape)
        return of.lenient(column, shape) if shape.strict or of.counter else None
    if column.kind == "list":
        as_item = item_decoder(column, shape)
        return as_item if use == "query" else strict.items(column, as_item)
    made = of.restore if use == "import" and of.restore else of.strict
    return made(column, shape)


def item_decoder(column: Column, shape: Shape) -> Convert:
    """The same for one item of a list: text without a `datatype`."""
    kind = item_type(column)
    made = _named(kind).strict(Column(column.name, kind), shape)
    assert made is not None
    return made


def item_type(column: Column) -> str:
    """The type of the items of a list, "" for text."""
    kind = str(column.props.get("datatype") or "").lower() or column.type
    return "" if kind == "list" or _named(kind).kind == "text" else kind


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
