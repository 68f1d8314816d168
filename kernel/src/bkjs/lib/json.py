"""JSON read without raising and written as the wire format has it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime
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


def stringify(value: object) -> str:
    """Compact JSON in ASCII; nan is null, missing values are left out, moments are ISO text.

    Raises `TypeError` for what JSON cannot hold.
    """
    text = json.dumps(_plain(value), separators=(",", ":"), allow_nan=False)
    return text.replace("\x7f", "\\u007f")


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items() if item is not MISSING}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return iso(value)
    if value is MISSING or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return int(value) if isinstance(value, float) and value.is_integer() else value
