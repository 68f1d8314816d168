"""Single values as the reference reads them, which never refuses one, and as they are stored.

What a value must be otherwise is in `strict`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from datetime import date as calendar_date
from decimal import Context, Decimal
from typing import Any, Final

import orjson

from bkjs.db.contract import Column, Shape
from bkjs.errors import BadRequest
from bkjs.lib.convert import str_split_unique, to_bool, to_value
from bkjs.lib.dates import parse_date, to_ms
from bkjs.lib.json import stored_json
from bkjs.lib.numbers import to_number
from bkjs.lib.wire import to_text

from .objects import check_text

Convert = Callable[[Any], Any]

DROP: Final = object()
"""What a writer returns when the property must not be stored."""
DIGITS: Final = 100
"""Digits of a decimal before its point, and after it."""
EXACT: Final = Context(prec=4 * DIGITS)
"""Arithmetic of decimals that loses no digit."""
_WHOLE: Final = re.compile(r"\s*[-+]?[0-9]{1,19}\s*")
_NUMBER: Final = re.compile(r"\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\s*|null|")


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
    """A time with a zone, from a number or a text, too; null for "" and what is none."""
    if value is None or value == "":
        return None
    return parse_date(value)


def date_text(value: datetime) -> str:
    """ISO 8601 in UTC with microseconds, so that text sorts as time does."""
    utc = (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
    return utc.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def day_text(value: calendar_date) -> str:
    """A date of the calendar as text; a moment where the reference makes one of it."""
    return date_text(value) if isinstance(value, datetime) else value.isoformat()


def read_day(value: Any) -> Any:
    """The opposite of `day_text`; what is no date, as the infinity of others, is read as it is."""
    if isinstance(value, str):
        with suppress(ValueError):
            return (
                calendar_date.fromisoformat(value)
                if len(value) == 10
                else parse_date(value) or value
            )
    return value


def text(value: Any) -> str | None:
    """The value as text, as every part of the platform writes it."""
    if type(value) is str or value is None:
        return value
    return to_text(value)


def boolean(value: Any) -> bool | None:
    """True, False or null; see `to_bool`."""
    return value if value is None or value is True or value is False else to_bool(value)


def json_value(value: Any) -> Any:
    """The value of stored JSON; what is neither text nor bytes stays as it is."""
    if isinstance(value, (str, bytes)) and value:
        return orjson.loads(value)
    return value


def equal_json(value: Any) -> str:
    """A text that is the same for equal values: 1 and 1.0 are, and keys may have any order."""
    return json.dumps(_whole(value), sort_keys=True)


def _whole(value: Any) -> Any:
    match value:
        case float():
            return int(value) if value.is_integer() else value
        case list():
            return [_whole(item) for item in value]
        case dict():
            return {name: _whole(item) for name, item in value.items()}
    return value


def checked_number(
    name: str, whole: bool, limits: tuple[int, int] | None, *, exact: bool
) -> Convert:
    """A converter that raises BadRequest for what is out of the limits.

    With `exact` also for what is not exactly a number: a key that became 0 would be another row.
    """
    low, high = limits or (-math.inf, math.inf)

    def convert(value: Any) -> Any:
        if type(value) is int and low <= value <= high:
            return value
        if not whole and type(value) is float and value - value == 0:
            return value  # finite: the difference is nan for the others
        if exact and not is_number(value):
            raise BadRequest(f"{name}: not a number", field=name)
        found = number(value)
        if found is None:
            return None
        if found != found or found in (math.inf, -math.inf):
            raise BadRequest(f"{name}: number out of range", field=name)
        if whole:
            if exact and found != int(found):
                raise BadRequest(f"{name}: not a whole number", field=name)
            found = int(found)
            if not low <= found <= high:
                raise BadRequest(f"{name}: number out of range", field=name)
        return found

    return convert


def checked_text(name: str) -> Convert:
    """A converter that refuses a mapping, which has no text."""

    def convert(value: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, Mapping):
            raise BadRequest(f"{name}: must be text", field=name)
        return check_text(name, to_text(value))

    return convert


def nested(column: Column, *, keep_empty: bool) -> Convert:
    """Only dicts for obj, only lists for array; empty ones are null."""
    name, kind = column.name, column.type

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
            raise BadRequest(f"{name}: not a JSON value", field=name) from err
        return value

    return convert


def list_of(column: Column, shape: Shape) -> Convert:
    """The items of a list in their type; a text is split where the type is list."""
    datatype = str(column.props.get("datatype") or "")
    by = column.props.get("separator")

    def convert(value: Any) -> Any:
        if isinstance(value, (list, tuple, set, frozenset)):
            return [to_value(item, datatype) for item in value] if shape.strict else list(value)
        if column.type == "list" and shape.strict and value is not None:
            return str_split_unique(value, by, datatype=datatype or None, exact=True)
        return value

    return convert


# -- as text that sorts --------------------------------------------------------------------------


def decimal(value: Any) -> Decimal | None:
    """A number as a decimal; a float is the one that is written with its digits."""
    if value is None or isinstance(value, Decimal):
        return value
    return Decimal(repr(value))


def canonical(value: Decimal) -> Decimal:
    """The same number without zeros at its end and without an exponent."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return Decimal(text) if value else Decimal(0)


_NINES: Final = str.maketrans("0123456789", "9876543210")


def decimal_text(value: Decimal) -> str:
    """A text that sorts as the number does and is equal for equal ones: its sign, the place of its
    first digit, its digits (for negative numbers in reverse), and after a blank the number."""
    value = canonical(value)
    plain, place = format(value, "f"), value.adjusted() + 5000
    if not value:
        return "1 0"
    digits = plain.lstrip("-").replace(".", "").strip("0")
    if value > 0:
        return f"2{place:04}{digits} {plain}"
    return f"0{9999 - place:04}{digits.translate(_NINES)}~ {plain}"


def read_decimal(value: Any) -> Any:
    """The decimal of such a text, or of a number in a table that somebody else made."""
    if isinstance(value, str):
        return Decimal(value.rpartition(" ")[2])
    return decimal(value)
