"""Values on their way into a database and back: one small function per column that needs one.

A *writer* makes of a given value what is stored, or `DROP` where the property is left out; a
*querier* does the same for a value in a condition; a *reader* makes of a stored value what the
caller gets. Each is None where nothing has to be done, so that most columns cost nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import orjson

from bkjs.db.contract import Column, Shape
from bkjs.errors import BadRequest
from bkjs.lib.convert import str_split, to_title
from bkjs.lib.dates import parse_date
from bkjs.lib.json import stored_json
from bkjs.lib.wire import to_text

from .types import TEXT, decode, is_list, item_decoder, item_type, make_column, type_of
from .values import (
    DROP,
    EXACT,
    Convert,
    date_text,
    day_text,
    decimal_text,
    json_value,
    read_day,
    read_decimal,
)


def separator(column: Column, default: str) -> str:
    """What stands between the items of a list or the parts of a join."""
    return str(column.props.get("separator") or default)


def encoder(column: Column, shape: Shape) -> Convert | None:
    """How a typed value is stored where the driver does not hold it as it is, and what it refuses
    because it cannot hold it at all."""
    return chain([_form(column, shape), _limits(column, shape)])


def _limits(column: Column, shape: Shape) -> Convert | None:
    kind, longest, reals = column.kind, shape.longest, shape.reals
    if kind == "real" and reals:
        return partial(_check_real, column.name, reals)
    as_text = not (shape.json if kind == "json" else shape.lists if kind == "list" else False)
    if longest is not None and as_text and kind in ("text", "search", "json", "list"):
        return partial(_check_length, column.name, longest)
    return None


def _check_real(name: str, limits: tuple[float, float], value: Any) -> Any:
    near, far = limits
    if isinstance(value, (int, float)) and value and not near <= abs(value) <= far:
        raise BadRequest(f"{name}: number out of range", field=name)
    return value


def _check_length(name: str, longest: int, value: Any) -> Any:
    if isinstance(value, str) and 4 * len(value) > longest and len(value.encode()) > longest:
        raise BadRequest(f"{name}: longer than {longest} bytes", field=name)
    return value


def _form(column: Column, shape: Shape) -> Convert | None:
    match column.kind:
        case "json" if not shape.json:
            return _json(column)
        case "list" if not shape.lists:
            return _list_text(column)
        case "list" if item := encoder(
            make_column(column.name, {"type": item_type(column)}), shape
        ):
            return _each(item)
        case "bool" if not shape.bools:
            return lambda value: int(value) if isinstance(value, bool) else value
        case "date" if not shape.dates:
            return lambda value: date_text(value) if isinstance(value, datetime) else value
        case "day" if not shape.dates:
            return lambda value: day_text(value) if isinstance(value, date) else value
        case "bytes" if not shape.binary:
            return lambda value: value.hex() if isinstance(value, bytes) else value
        case "decimal" if not shape.decimals:
            return lambda value: value if value is None else decimal_text(read_decimal(value))
    return None


def _json(column: Column) -> Convert:
    def encode(value: Any) -> Any:
        try:
            return None if value is None else stored_json(value)
        except (TypeError, ValueError, RecursionError) as err:
            raise BadRequest(f"{column.name}: not a JSON value", field=column.name) from err

    return encode


def _each(encode: Convert) -> Convert:
    def encode_all(value: Any) -> Any:
        return [encode(item) for item in value] if isinstance(value, (list, tuple)) else value

    return encode_all


def _list_text(column: Column) -> Convert:
    join = separator(column, ",")
    split = {join} if column.props.get("separator") else {",", "|"}

    def encode(value: Any) -> Any:
        if not isinstance(value, (list, tuple, set, frozenset)):
            return value
        items = [item_text(item) for item in value]
        if any(mark in item for item in items for mark in split):
            raise BadRequest(f"{column.name}: an item contains the separator", field=column.name)
        return join.join(items)

    return encode


def item_text(item: Any) -> str:
    """An item of a list as it is stored where lists are text, and compared everywhere."""
    return date_text(item) if isinstance(item, datetime) else to_text(item)


def modifier(column: Column) -> Convert | None:
    """What `lower`, `upper`, `cap`, `multiplier`, `increment` and `decimal` do to a value."""
    props = column.props
    multiplier, increment = props.get("multiplier"), props.get("increment")
    decimals = int(props.get("decimal") or 0)
    steps: list[Convert] = []
    if multiplier or increment or decimals > 0:
        whole = column.kind == "int"

        def scale(value: Any) -> Any:
            if isinstance(value, Decimal):
                by, more = Decimal(str(multiplier or 1)), Decimal(str(increment or 0))
                value = EXACT.add(EXACT.multiply(value, by), more)
                return round(value, decimals) if decimals > 0 else value
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                return value
            value = value * (multiplier or 1) + (increment or 0)
            if decimals > 0:
                value = round(value, decimals)
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
    if len(todo) == 2:
        first, second = todo

        def both(value: Any) -> Any:
            value = first(value)
            return value if value is DROP else second(value)

        return both

    def convert(value: Any) -> Any:
        for step in todo:
            value = step(value)
            if value is DROP:
                return DROP
        return value

    return convert


def writer(column: Column, shape: Shape, *, lenient: bool = False) -> Convert | None:
    """What becomes of a value that is written, before it is encoded."""
    props = column.props
    steps = [decode(column, shape, "write", lenient=lenient)]
    if props.get("values"):
        allowed = frozenset(to_text(value) for value in str_split(props["values"]))
        steps.append(lambda value: value if value is None or to_text(value) in allowed else DROP)
    if props.get("maxlength") and type_of(column) is TEXT:
        longest = int(props["maxlength"])
        steps.append(lambda value: value[:longest] if isinstance(value, str) else value)
    steps.append(modifier(column))
    return chain(steps)


def restorer(column: Column, shape: Shape, *, as_it_is: bool = False) -> Convert | None:
    """The type alone: what a value becomes that was stored before and is written as it was.

    `as_it_is` takes any text where text is stored, whatever form the type asks for.
    """
    if as_it_is and column.kind == "text":
        return TEXT.strict(column, shape)
    return decode(column, shape, "import", lenient=False)


def querier(column: Column, shape: Shape, *, lenient: bool = False) -> Convert | None:
    """What becomes of one value in a condition."""
    steps = [decode(column, shape, "query", lenient=lenient), _case(column)]
    if column.kind == "list":
        steps.append(lambda value: None if value is None else item_text(value))
    elif not is_list(column):
        steps.append(encoder(column, shape))
    return chain(steps)


def decoder(column: Column, shape: Shape, *, lenient: bool = False) -> Convert | None:
    """The opposite of `encoder`: a stored value in the column's own type."""
    match column.kind:
        case "json" if not shape.json or lenient:
            return _read_nested(shape, lenient)
        case "list":
            return _read_list(column, shape)
        case "bool" if not shape.bools:
            return lambda value: None if value is None else bool(value)
        case "date" if not shape.dates:
            # what is no moment, as the infinity of others, is read as it is
            return lambda value: (parse_date(value) or value) if isinstance(value, str) else value
        case "day" if not shape.dates:
            return read_day
        case "bytes" if not shape.binary:
            return lambda value: bytes.fromhex(value) if isinstance(value, str) else value
        case "decimal" if not shape.decimals:
            return read_decimal
    return None


def reader(column: Column, shape: Shape, *, lenient: bool = False) -> Convert | None:
    """What becomes of a stored value."""
    props = column.props
    steps = [decoder(column, shape, lenient=lenient)]
    if "dflt" in props:
        steps.append(lambda value: value if value else copy.deepcopy(props["dflt"]))
    return chain(steps)


def _read_nested(shape: Shape, lenient: bool) -> Convert:
    def read(value: Any) -> Any:
        if not shape.json:
            try:
                value = json_value(value)
            except orjson.JSONDecodeError:
                return None
        return None if lenient and (value == {} or value == []) else value

    return read


def _read_list(column: Column, shape: Shape) -> Convert:
    by, always = column.props.get("separator"), bool(column.props.get("list"))
    as_item = item_decoder(column, shape) if item_type(column) else None

    def read(value: Any) -> Any:
        if value is None:
            return [] if always else None
        items = str_split(value, by)
        if as_item is None:
            return items
        try:
            return [as_item(item) for item in items]
        except BadRequest:  # stored by somebody else
            return items

    return read
