"""Python objects as the JSON values that are stored for them."""

from __future__ import annotations

import dataclasses
import re
from collections import deque
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

import orjson

from bkjs.errors import BadRequest

_AS_TEXT: Final = (
    UUID, PurePath, IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
)  # fmt: skip
_KEPT: Final = frozenset(
    {str, int, float, bool, bytes, Decimal, datetime, date, list, dict, type(None)}
)
_AS_GIVEN: Final = (
    orjson.OPT_PASSTHROUGH_SUBCLASS
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
)
_UNSTORABLE: Final = re.compile(r"[\0\ud800-\udfff]")
_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def refused(name: str, problem: str) -> BadRequest:
    """The error for a value that is none of a column's type; it never shows the value."""
    return BadRequest(f"{name}: {problem}", field=name)


def simple(name: str, value: Any) -> Any:
    """An object as text, number, list, mapping … of the types that columns are made for.

    Enumerations are their value, intervals seconds, identifiers, addresses, paths and URLs text.
    Raises BadRequest that names the column for a type that has no such value, as secrets.
    """
    if type(value) in _KEPT:
        return value
    if isinstance(value, Enum):
        return simple(name, value.value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, (Decimal, datetime, date)):
        return value
    if isinstance(value, time):
        return value.isoformat()
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
        return int(seconds) if seconds.is_integer() else seconds
    if isinstance(value, _AS_TEXT) or hasattr(value, "unicode_string"):  # a URL of pydantic
        return str(value)
    if isinstance(value, re.Pattern):
        return value.pattern
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (list, tuple, set, frozenset, deque)):
        return list(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if hasattr(value, "model_dump") and not isinstance(value, type):
        return dict(value)
    raise refused(name, f"a value of type {type(value).__name__} cannot be stored")


def check_text(name: str, value: str) -> str:
    """The text; raises BadRequest for a NUL or half a character, which engines cut or refuse."""
    if value.isascii():
        if "\0" not in value:
            return value
    elif not _UNSTORABLE.search(value):
        return value
    raise refused(name, "text without NUL and half characters is expected")


def check_key(name: str, value: Any, longest: int) -> Any:
    """The value of a key column; raises BadRequest when it has more bytes than that."""
    if isinstance(value, str) and 4 * len(value) <= longest:  # the commonest
        return value
    if isinstance(value, (str, bytes, list, dict)):
        text = value if isinstance(value, (str, bytes)) else str(value)
        if len(text if isinstance(text, bytes) else text.encode(errors="surrogatepass")) > longest:
            raise refused(name, f"longer than {longest} bytes, which a key may have")
    return value


def nested(name: str, value: Any) -> Any:
    """A copy of a value as JSON holds it; raises BadRequest that names the column for what JSON has
    no form for: bytes, numbers beyond 64 bits, nan, half characters, and NUL as everywhere."""

    def default(item: Any) -> Any:
        found = simple(name, item)
        match found:
            case Decimal():
                return format(found, "f")
            case datetime() | date():
                return found.isoformat()
            case bytes():
                raise refused(name, "bytes cannot be part of JSON")
        return found

    try:
        text = orjson.dumps(value, default, _AS_GIVEN)
    except (TypeError, ValueError, RecursionError) as err:  # JSONEncodeError is a TypeError
        if isinstance(err.__cause__, BadRequest):
            raise err.__cause__ from None
        if "surrogates" in str(err):
            raise refused(name, "text without NUL and half characters is expected") from err
        raise refused(name, "not a JSON value") from err
    if b"\\u0000" in text and _NUL.search(text):
        raise refused(name, "text without NUL and half characters is expected")
    found = orjson.loads(text)
    if b"null" in text and has_nan(value):
        raise refused(name, "not a JSON value")
    return found


def has_nan(value: Any) -> bool:
    """Whether a number that JSON does not have is somewhere in a value: NaN, infinity."""
    if isinstance(value, float):
        return value - value != 0
    if isinstance(value, Mapping):
        return any(map(has_nan, value.values()))
    return isinstance(value, (list, tuple, set, frozenset)) and any(map(has_nan, value))
