"""JSON read without raising, and written in one of two dialects: for the wire, and to be stored."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, overload

import orjson

from .dates import iso
from .numbers import MISSING


@overload
def json_parse(text: object, *, datatype: Literal["obj"]) -> dict[str, Any]: ...
@overload
def json_parse(text: object, *, datatype: Literal["list"]) -> list[Any]: ...
@overload
def json_parse(text: object, *, datatype: Literal["str"]) -> str: ...
@overload
def json_parse(text: object, *, datatype: str | None = None) -> Any: ...


def json_parse(text: object, *, datatype: str | None = None) -> Any:
    """The value of a JSON text, None when it is not valid.

    `datatype` promises the kind: `obj`, `list` and `str` give `{}`, `[]` and "" for anything else.
    What is no text is taken as already parsed.
    """
    value: Any = text
    if isinstance(text, (str, bytes)):
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            value = None
    match datatype:
        case "obj":
            return value if isinstance(value, dict) else {}
        case "list":
            return value if isinstance(value, list) else []
        case "str":
            return value if isinstance(value, str) else ""
    return value


def wire_json(value: object) -> bytes:
    """JSON as replies have it, compact and in UTF-8.

    Moments are ISO text with milliseconds, or microseconds where there are some, decimals numbers
    with all of their digits, bytes base64, sets lists, nan null; models of pydantic and the like
    become dicts. Raises `TypeError` for what JSON cannot hold, which names its place.
    """
    try:
        return orjson.dumps(value, _exact_for_wire, orjson.OPT_PASSTHROUGH_DATETIME)
    except orjson.JSONEncodeError:  # integers above 64 bits, keys that are no text, half characters
        try:
            return stringify(value).encode("ascii")
        except TypeError as error:
            misfit = _misfit(value, "")
            raise TypeError(misfit or str(error)) from None


def _misfit(value: object, path: str) -> str:
    """What of a value JSON cannot hold, by its path, such as `rows[3].owner`; "" when nothing."""
    inside: Iterable[tuple[str, object]] = ()
    if isinstance(value, Mapping):
        inside = ((f"{path}.{key}".lstrip("."), item) for key, item in value.items())
    elif isinstance(value, (list, tuple)):
        inside = ((f"{path}[{number}]", item) for number, item in enumerate(value))
    else:
        try:
            orjson.dumps(value, _exact_for_wire, orjson.OPT_PASSTHROUGH_DATETIME)
        except orjson.JSONEncodeError as error:
            if isinstance(error.__cause__, TypeError):
                hint = "; is an await missing?" if hasattr(value, "__await__") else ""
                return f"{path or 'all of it'}: {error.__cause__}{hint}"
    return next(filter(None, (_misfit(item, where) for where, item in inside)), "")


def stored_json(value: object, *, indent: bool = False) -> str:
    """JSON as databases and exported files have it, and commands that print rows: bytes are
    hexadecimal digits, and what JSON has no form for is the text that Python makes of it.

    `indent` spreads it over lines for people. Raises `TypeError` for half characters, integers
    above 64 bits and what is nested too deep.
    """
    options = orjson.OPT_NON_STR_KEYS | (orjson.OPT_INDENT_2 if indent else 0)
    return orjson.dumps(value, _for_store, options).decode()


def stringify(value: object) -> str:
    """The JSON of `wire_json` in ASCII, as clients of 2018 write it: whole numbers have no
    fraction, missing values are left out.
    """
    text = json.dumps(_plain(value), separators=(",", ":"), default=_for_wire, allow_nan=False)
    return text.replace("\x7f", "\\u007f")


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items() if item is not MISSING}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is MISSING or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _exact_for_wire(value: object) -> object:
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(format(value, "f"))
    return _for_wire(value)


def _for_wire(value: object) -> object:
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        if not value.is_finite():
            return None
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, (set, frozenset)):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump()
    raise TypeError(f"a reply cannot hold a {type(value).__name__}")


def _for_store(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
