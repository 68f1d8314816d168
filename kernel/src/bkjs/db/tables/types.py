"""Values on their way into a database and back: one small function per column that needs one.

A *writer* makes of a given value what is stored, or `DROP` where the property is left out; a
*querier* does the same for a value in a condition; a *reader* makes of a stored value what the
caller gets. Each is None where nothing has to be done, so that most columns cost nothing.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from bkjs.db.contract import Column, Shape
from bkjs.errors import BadRequest
from bkjs.lib.convert import str_split, str_split_unique, to_bool, to_title, to_value
from bkjs.lib.dates import parse_date, to_ms
from bkjs.lib.json import stored_json
from bkjs.lib.numbers import to_number
from bkjs.lib.wire import to_text

Convert = Callable[[Any], Any]

DROP: Final = object()
"""What a writer returns when the property must not be stored."""

INTS: Final = frozenset(
    {"int", "int32", "integer", "smallint", "bigint", "long", "counter", "now", "clock"}
)
REALS: Final = frozenset({"real", "float", "double", "decimal", "number", "numeric"})
BOOLS: Final = frozenset({"bool", "boolean"})
DATES: Final = frozenset({"date", "time", "timestamp"})
NESTED: Final = frozenset({"json", "obj", "array"})
TEXTS: Final = frozenset({"", "text", "str", "string"})
AS_GIVEN: Final = frozenset({"expr", "buffer", "binary", "bytes", "search"})
NUMERIC: Final = INTS | REALS | {"mtime"}

_WHOLE: Final = re.compile(r"\s*[-+]?[0-9]{1,19}\s*")
_NUMBER: Final = re.compile(r"\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\s*|null|")


def is_list(column: Column) -> bool:
    """Whether the column holds a list of plain values."""
    return column.type == "list" or bool(column.props.get("list"))


def separator(column: Column, default: str) -> str:
    return str(column.props.get("separator") or default)


# -- single values -----------------------------------------------------------------------------


def number(value: Any) -> int | float | None:
    """A number; null for "" and "null". Whole numbers are exact, text that is none counts as 0."""
    if type(value) is int or value is None:
        return value
    if isinstance(value, str):
        if value in ("", "null"):
            return None
        if _WHOLE.fullmatch(value):
            return int(value)
        return to_number(value, float=True if value[:1] not in "tf" else None)
    return value if isinstance(value, float) else to_number(value)


def is_number(value: Any) -> bool:
    """Whether `number` reads a value as what it is: a number, its text, or null."""
    if isinstance(value, str):
        return bool(_NUMBER.fullmatch(value))
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def mtime(value: Any) -> int | None:
    """Milliseconds since 1970; a number below 2147483647 and text dates are understood too."""
    if value is None or value == "":
        return None
    date = parse_date(value)
    return 0 if date is None else to_ms(date)


def date(value: Any) -> datetime | None:
    if value is None or value == "":
        return None
    return parse_date(value)


def date_text(value: datetime) -> str:
    """ISO 8601 in UTC with microseconds, so that text sorts as time does."""
    utc = (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
    return utc.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def text(value: Any) -> str | None:
    if type(value) is str or value is None:
        return value
    return to_text(value)


def boolean(value: Any) -> bool | None:
    return value if value is None or value is True or value is False else to_bool(value)


def json_value(value: Any) -> Any:
    if isinstance(value, (str, bytes)) and value:
        return orjson.loads(value)
    return value


def _checked_number(
    name: str, whole: bool, limits: tuple[int, int] | None, *, key: bool
) -> Convert:
    """A converter that refuses what is out of range and, for a key, what is not exactly a number:
    a key that became 0 would be another row."""
    low, high = limits or (-math.inf, math.inf)

    def convert(value: Any) -> Any:
        if type(value) is int and low <= value <= high:
            return value
        if not whole and type(value) is float and value - value == 0:
            return value  # finite: the difference is nan for the others
        if key and not is_number(value):
            raise BadRequest(f"{name}: not a number", field=name)
        found = number(value)
        if found is None:
            return None
        if found != found or found in (math.inf, -math.inf):
            raise BadRequest(f"{name}: number out of range", field=name)
        if whole:
            if key and found != int(found):
                raise BadRequest(f"{name}: not a whole number", field=name)
            found = int(found)
            if not low <= found <= high:
                raise BadRequest(f"{name}: number out of range", field=name)
        return found

    return convert


def _checked_text(name: str) -> Convert:
    def convert(value: Any) -> Any:
        if type(value) is str or value is None:
            return value
        if isinstance(value, Mapping):
            raise BadRequest(f"{name}: must be text", field=name)
        return to_text(value)

    return convert


def _base(column: Column, shape: Shape) -> Convert | None:
    """Conversion to the column's type, as values appear to the caller."""
    kind, key = column.type, bool(column.props.get("primary"))
    if kind in INTS:
        if not shape.strict and kind != "counter":
            return None
        return _checked_number(column.name, whole=True, limits=shape.ints, key=key)
    if not shape.strict:
        return None
    if kind in TEXTS or kind.startswith(("text", "str")):
        return None if is_list(column) else _checked_text(column.name)
    if kind in REALS:
        return _checked_number(column.name, whole=False, limits=None, key=key)
    if kind in BOOLS:
        return boolean
    if kind in DATES:
        return date
    if kind == "mtime":
        return mtime
    if kind == "datetime":
        return lambda value: date_text(value) if isinstance(value, datetime) else text(value)
    if kind in NESTED or kind == "list" or kind in AS_GIVEN:
        return None
    return lambda value: None if value is None else to_value(value, kind)


# -- columns -----------------------------------------------------------------------------------


def encoder(column: Column, shape: Shape) -> Convert | None:
    """How a typed value is stored where the driver does not hold it as it is."""
    kind = column.type
    if kind in NESTED and not shape.json:
        return _json(column)
    if is_list(column):
        return None if shape.lists else _list_text(column)
    if kind in BOOLS and not shape.bools:
        return lambda value: int(value) if isinstance(value, bool) else value
    if kind in DATES and not shape.dates:
        return lambda value: date_text(value) if isinstance(value, datetime) else value
    return None


def _json(column: Column) -> Convert:
    def encode(value: Any) -> Any:
        try:
            return None if value is None else stored_json(value)
        except (TypeError, ValueError, RecursionError) as err:
            raise BadRequest(f"{column.name}: not a JSON value", field=column.name) from err

    return encode


def _list_text(column: Column) -> Convert:
    join = separator(column, ",")
    split = {join} if column.props.get("separator") else {",", "|"}

    def encode(value: Any) -> Any:
        if not isinstance(value, (list, tuple, set, frozenset)):
            return value
        items = [to_text(item) for item in value]
        if any(mark in item for item in items for mark in split):
            raise BadRequest(f"{column.name}: an item contains the separator", field=column.name)
        return join.join(items)

    return encode


def _nested(column: Column, shape: Shape) -> Convert:
    """Only dicts for obj, only lists for array; empty ones are null."""
    kind, keep_empty = column.type, shape.json and not shape.strict

    def convert(value: Any) -> Any:
        if value is None:
            return None
        if kind == "obj" and not isinstance(value, Mapping):
            return DROP
        if kind == "array":
            if not isinstance(value, (list, tuple)):
                return DROP
            value = list(value)
        if isinstance(value, (Mapping, list)) and not value and not keep_empty:
            return None
        try:
            stored_json(value)
        except (TypeError, ValueError, RecursionError) as err:
            raise BadRequest(f"{column.name}: not a JSON value", field=column.name) from err
        return value

    return convert


def _list(column: Column, shape: Shape) -> Convert:
    datatype = str(column.props.get("datatype") or "")
    by = column.props.get("separator")

    def convert(value: Any) -> Any:
        if isinstance(value, (list, tuple, set, frozenset)):
            return [to_value(item, datatype) for item in value] if shape.strict else list(value)
        if column.type == "list" and shape.strict and value is not None:
            return str_split_unique(value, by, datatype=datatype or None, exact=True)
        return value

    return convert


def modifier(column: Column) -> Convert | None:
    """What `lower`, `upper`, `cap`, `multiplier`, `increment` and `decimal` do to a value."""
    props = column.props
    multiplier, increment = props.get("multiplier"), props.get("increment")
    decimal = int(props.get("decimal") or 0)
    steps: list[Convert] = []
    if multiplier or increment or decimal > 0:
        whole = column.type in INTS

        def scale(value: Any) -> Any:
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                return value
            value = value * (multiplier or 1) + (increment or 0)
            if decimal > 0:
                value = round(value, decimal)
            return int(value) if whole else value

        steps.append(scale)
    case = _case(column)
    if case:
        steps.append(case)
    if props.get("cap"):
        steps.append(lambda value: to_title(value) if isinstance(value, str) else value)
    return chain(steps)


def _case(column: Column) -> Convert | None:
    if column.props.get("lower"):
        return lambda value: value.lower() if isinstance(value, str) else value
    if column.props.get("upper"):
        return lambda value: value.upper() if isinstance(value, str) else value
    return None


def chain(steps: Sequence[Convert | None]) -> Convert | None:
    """One function out of several; `DROP` ends it."""
    todo = [step for step in steps if step]
    if len(todo) < 2:
        return todo[0] if todo else None

    def convert(value: Any) -> Any:
        for step in todo:
            value = step(value)
            if value is DROP:
                return DROP
        return value

    return convert


def writer(column: Column, shape: Shape) -> Convert | None:
    """What becomes of a value that is written, before it is encoded."""
    props = column.props
    steps: list[Convert | None] = []
    if column.type in NESTED:
        steps.append(_nested(column, shape))
    elif is_list(column):
        steps.append(_list(column, shape))
    else:
        steps.append(_base(column, shape))
    if props.get("values"):
        allowed = frozenset(to_text(value) for value in str_split(props["values"]))
        steps.append(lambda value: value if value is None or to_text(value) in allowed else DROP)
    if props.get("maxlength") and column.type in TEXTS:
        longest = int(props["maxlength"])
        steps.append(lambda value: value[:longest] if isinstance(value, str) else value)
    steps.append(modifier(column))
    return chain(steps)


def restorer(column: Column, shape: Shape) -> Convert | None:
    """The type alone: what a value becomes that was stored before and is written as it was."""
    if column.type in NESTED:
        return _nested(column, shape)
    return _list(column, shape) if is_list(column) else _base(column, shape)


def querier(column: Column, shape: Shape) -> Convert | None:
    """What becomes of one value in a condition."""
    steps: list[Convert | None] = [_base(column, shape), _case(column)]
    if not is_list(column):
        steps.append(encoder(column, shape))
    return chain(steps)


def decoder(column: Column, shape: Shape) -> Convert | None:
    """The opposite of `encoder`: a stored value in the column's own type."""
    kind = column.type
    if kind in NESTED:
        return _read_nested(shape)
    if is_list(column):
        return _read_list(column)
    if kind in BOOLS and not shape.bools:
        return lambda value: None if value is None else bool(value)
    if kind in DATES and not shape.dates:
        return lambda value: parse_date(value) if isinstance(value, str) else value
    return None


def reader(column: Column, shape: Shape) -> Convert | None:
    """What becomes of a stored value."""
    props = column.props
    steps = [decoder(column, shape)]
    if "dflt" in props:
        steps.append(lambda value: value if value else copy.deepcopy(props["dflt"]))
    return chain(steps)


def _read_nested(shape: Shape) -> Convert:
    def read(value: Any) -> Any:
        if not shape.json:
            try:
                value = json_value(value)
            except orjson.JSONDecodeError:
                return None
        return None if value == {} or value == [] else value

    return read


def _read_list(column: Column) -> Convert:
    by, datatype = column.props.get("separator"), column.props.get("datatype")
    always = bool(column.props.get("list"))

    def read(value: Any) -> Any:
        if value is None:
            return [] if always else None
        return str_split(value, by, datatype=datatype)

    return read
