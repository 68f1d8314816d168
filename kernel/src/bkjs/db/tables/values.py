"""Single values as columns hold them: numbers, texts, times, JSON."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from bkjs.errors import BadRequest
from bkjs.lib.convert import to_bool
from bkjs.lib.dates import parse_date, to_ms
from bkjs.lib.numbers import to_number
from bkjs.lib.wire import to_text

Convert = Callable[[Any], Any]

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
        if type(value) is str or value is None:
            return value
        if isinstance(value, Mapping):
            raise BadRequest(f"{name}: must be text", field=name)
        return to_text(value)

    return convert
