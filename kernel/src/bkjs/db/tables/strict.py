"""Values given for a column: one of its type, or a refusal that names it and says what is expected.

Text stands for a value only when all of it does. Nothing is rounded or cut, but for what the type
itself cannot tell apart: a `real` is the nearest double of its text, a moment has microseconds.
"""

from __future__ import annotations

import base64
import math
import re
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from bkjs.db.contract import Column, Shape
from bkjs.lib.convert import str_split, str_split_unique, to_value
from bkjs.lib.dates import EPOCH, parse_date, to_ms
from bkjs.lib.wire import to_text

from .objects import check_text, nested, refused, simple
from .values import DIGITS, Convert, canonical, date_text

_NUMBER: Final = re.compile(r"\s*[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]{1,4})?\s*", re.A)
_LONGEST: Final = 400
_EXACT: Final = 2**53
_SECONDS_BELOW: Final = 2147483647
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.A)
_MIDNIGHT: Final = re.compile(r"[T ]00:00(:00(\.0+)?)?(Z|\+00:?00)?", re.A)
_TRUE: Final = frozenset({"true", "t", "yes", "y", "on", "1"})
_FALSE: Final = frozenset({"false", "f", "no", "n", "off", "0"})

NUMBER = "a number is expected"
WHOLE = "a whole number is expected"
RANGE = "number out of range"
DAY = "a date is expected, such as 2018-03-02"
MOMENT = "a time is expected, such as 2018-03-02T14:13:20Z"


# -- numbers -------------------------------------------------------------------------------------


def _number(name: str, value: Any, expected: str = NUMBER) -> int | float | Decimal | None:
    """The number that a value is; a text gives a whole number or a decimal."""
    value = simple(name, value)
    match value:
        case None | "":
            return None
        case bool():
            raise refused(name, expected)
        case int():
            return value
        case float() if not math.isfinite(value):
            raise refused(name, RANGE)
        case Decimal() if not value.is_finite():
            raise refused(name, RANGE)
        case float() | Decimal():
            return value
        case str() if len(value) <= _LONGEST and (found := _NUMBER.fullmatch(value)):
            return (
                int(value)
                if found[2] is None and found[3] is None and "." not in value
                else (Decimal(value.strip()))
            )
    raise refused(name, expected)


def whole(column: Column, shape: Shape) -> Convert:
    """A whole number within the limits of the driver."""
    if column.kind == "real":  # times with a fraction
        return real(column, shape)
    name = column.name
    low, high = shape.ints or (-math.inf, math.inf)

    def convert(value: Any) -> int | None:
        if type(value) is not int:
            found = _number(name, value, WHOLE)
            if found is None:
                return None
            if isinstance(found, float) and abs(found) > _EXACT:
                raise refused(name, RANGE)  # another number may have become this one
            if isinstance(found, Decimal) and found.adjusted() > DIGITS:
                raise refused(name, RANGE)
            value = int(found)
            if value != found:
                raise refused(name, WHOLE)
        if not low <= value <= high:
            raise refused(name, RANGE)
        return value  # type: ignore[no-any-return]

    return convert


def real(column: Column, shape: Shape) -> Convert:
    """A double; whole numbers and decimals have to be one exactly."""
    name = column.name

    def convert(value: Any) -> int | float | None:
        if type(value) is float and value - value == 0:  # finite: it is nan for the others
            return value
        found = _number(name, value)
        if found is None or isinstance(found, float):
            return found
        try:
            near = float(found)
        except OverflowError:
            near = math.inf
        if math.isinf(near):
            raise refused(name, RANGE)
        if isinstance(found, int):
            if near != found:
                raise refused(name, "more digits than the column holds")
            return found
        if isinstance(value, Decimal) and Decimal(repr(near)) != value:
            raise refused(name, "more digits than the column holds")
        return near

    return convert


def decimal(column: Column, shape: Shape) -> Convert:
    """A decimal, all of its digits and no zeros after them."""
    name = column.name

    def convert(value: Any) -> Decimal | None:
        found = _number(name, value)
        if found is None:
            return None
        if isinstance(found, float):
            exact = canonical(
                Decimal(repr(found))
            )  # without the zero after the point of a whole one
            if len(exact.as_tuple().digits) > 15:
                # what the sender wrote may have become this float
                raise refused(name, "more than 15 digits are expected as text")
            found = exact
        elif isinstance(found, int):
            if abs(found) >= 10**DIGITS:
                raise refused(name, RANGE)
            return Decimal(found)
        if not found:
            return Decimal(0)
        if found.adjusted() >= DIGITS:
            raise refused(name, RANGE)
        found = canonical(found)
        if int(found.as_tuple().exponent) < -DIGITS:
            raise refused(name, f"more than {DIGITS} digits after the point")
        return found

    return convert


def boolean(column: Column, shape: Shape) -> Convert:
    """True or false: also 1 and 0, and the usual words."""
    name = column.name

    def convert(value: Any) -> bool | None:
        if value is True or value is False or value is None:
            return value
        value = simple(name, value)
        if isinstance(value, str):
            word = value.strip().lower()
            if not value:
                return None
            if word in _TRUE or word in _FALSE:
                return word in _TRUE
        elif isinstance(value, (int, float)) and value in (0, 1):
            return bool(value)
        raise refused(name, "true or false is expected")

    return convert


# -- times ---------------------------------------------------------------------------------------


def _moment(name: str, value: Any) -> datetime | None:
    """Numbers count seconds below 2147483647 and milliseconds from there on."""
    value = simple(name, value)
    match value:
        case None | "":
            return None
        case datetime():
            pass
        case date():
            return datetime(value.year, value.month, value.day, tzinfo=UTC)
        case str() if len(value) <= _LONGEST and _NUMBER.fullmatch(value):
            value = int(value) if value.strip().isdigit() else float(value)
        case str() if value.replace(".", "").strip().isdigit():
            raise refused(name, MOMENT)  # 15.05.2024 is no number of seconds
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if value < _SECONDS_BELOW:
                return EPOCH + timedelta(seconds=value)
            return EPOCH + timedelta(milliseconds=value)
        found = parse_date(value)
    except (ValueError, OverflowError):
        raise refused(name, RANGE) from None
    if found is None:
        raise refused(name, MOMENT)
    return found


def moment(column: Column, shape: Shape) -> Convert:
    """A moment, from a number or a text, too."""
    name = column.name

    def convert(value: Any) -> datetime | None:
        if type(value) is datetime and value.tzinfo is UTC:
            return value
        return _moment(name, value)

    return convert


def mtime(column: Column, shape: Shape) -> Convert:
    """Milliseconds since 1970, or those of a moment as text.

    Small numbers are no seconds as in other types: what was read is written back as it is.
    """
    name = column.name
    low, high = shape.ints or (-(2**63), 2**63 - 1)

    def convert(value: Any) -> int | None:
        if type(value) is not int:
            value = simple(name, value)
            is_text = isinstance(value, str) and not _NUMBER.fullmatch(value)
            if value is None or is_text or isinstance(value, date):
                found = _moment(name, value)
                return None if found is None else to_ms(found)
            value = math.floor(_number(name, value, MOMENT) or 0)
        if not low <= value <= high:
            raise refused(name, RANGE)
        return value  # type: ignore[no-any-return]

    return convert


def moment_text(column: Column, shape: Shape) -> Convert:
    """The text of a moment as it was given; numbers are moments as for the other types of time."""
    name, as_text = column.name, text(column, shape)

    def convert(value: Any) -> str | None:
        found: str | None = as_text(value)
        _moment(name, found)
        return found

    return convert


def day(column: Column, shape: Shape) -> Convert:
    """A date of the calendar; a moment is one at midnight only."""
    name = column.name

    def convert(value: Any) -> date | None:
        value = simple(name, value)
        match value:
            case None | "":
                return None
            case datetime():
                if value.time() == datetime.min.time():
                    return value.date()
            case date():
                return value
            case str() if _DAY.match(value) and (not value[10:] or _MIDNIGHT.fullmatch(value[10:])):
                with suppress(ValueError):
                    return date.fromisoformat(value[:10])
        raise refused(name, DAY)

    return convert


# -- text, bytes, nested values ------------------------------------------------------------------


def text(column: Column, shape: Shape) -> Convert:
    """Text; a single value of another type becomes its text."""
    name = column.name

    def convert(value: Any) -> str | None:
        if type(value) is str:
            if value.isascii() and "\0" not in value:  # as `check_text`, without a call
                return value
            return check_text(name, value)
        value = simple(name, value)
        match value:
            case None:
                return None
            case str():
                return check_text(name, value)
            case float() if not math.isfinite(value):
                raise refused(name, RANGE)
            case Decimal():
                return format(value, "f")
            case datetime():
                return date_text(value)
            case bool() | int() | float() | date():
                return to_text(value)
        raise refused(name, "must be text")

    return convert


def formed(column: Column, shape: Shape) -> Convert:
    """Text in the form of the column's type, which `to_value` knows: email, phone, url …"""
    as_text, kind = text(column, shape), column.type

    def convert(value: Any) -> str | None:
        given: str | None = as_text(value)
        if not given:
            return given
        found = to_value(given, kind)
        if not found:
            raise refused(column.name, f"not a valid {kind}")
        return given if kind == "regexp" else str(found)

    return convert


def binary(column: Column, shape: Shape) -> Convert:
    """Bytes; text is base64, as replies have it."""
    name = column.name

    def convert(value: Any) -> bytes | None:
        value = simple(name, value)
        match value:
            case None | "":
                return None
            case bytes():
                return value
            case str():
                with suppress(ValueError):
                    return base64.b64decode(value, validate=True)
        raise refused(name, "bytes are expected, base64 as text")

    return convert


def stored_binary(column: Column, shape: Shape) -> Convert:
    """Bytes, or their hexadecimal digits as files have them."""
    as_bytes = binary(column, shape)

    def convert(value: Any) -> bytes | None:
        if not isinstance(value, str):
            found: bytes | None = as_bytes(value)
            return found
        try:
            return bytes.fromhex(value)
        except ValueError:
            raise refused(column.name, "hexadecimal digits are expected") from None

    return convert


def json(column: Column, shape: Shape) -> Convert:
    """What JSON can hold; only an object for the type obj, only a list for array."""
    name, type_name = column.name, column.type

    def convert(value: Any) -> Any:
        if value is None:
            return None
        found = nested(name, value)
        if type_name == "obj" and not isinstance(found, dict):
            raise refused(name, "an object is expected")
        if type_name == "array" and not isinstance(found, list):
            raise refused(name, "a list is expected")
        return found

    return convert


def items(column: Column, convert_item: Convert) -> Convert:
    """A list of plain values; a text is split."""
    name, by = column.name, column.props.get("separator")

    def convert(value: Any) -> list[Any] | None:
        value = simple(name, value)
        if value is None:
            return None
        if isinstance(value, str):
            value = str_split_unique(value, by, exact=True)
        if not isinstance(value, list):
            raise refused(name, "a list is expected")
        found = [convert_item(item) for item in value]
        if None in found or found != str_split(found):
            raise refused(name, "an item is empty or has blanks around it")
        return found

    return convert
