"""Values as the text that clients of the wire format make of them."""

from __future__ import annotations

import math
import re
from datetime import datetime

from .dates import iso
from .numbers import Missing, Number


def to_text(value: object) -> str:
    """A value as the text that clients of the wire format make of it: `true`, `5`, `a,b`."""
    match value:
        case str():
            return value
        case None | Missing.MISSING:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return number_text(value)
        case datetime():
            return iso(value)
        case bytes():
            return value.decode(errors="replace")
        case list() | tuple():
            return ",".join("" if item is None else to_text(item) for item in value)
        case dict():
            return "[object Object]"
        case re.Pattern():
            return str(value.pattern)
    return str(value)


def number_text(value: Number) -> str:
    """The text of a number as clients write it: `5` for 5.0, `1e-7`, `NaN`."""
    if isinstance(value, int):
        return str(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    text = repr(value)
    if ("e-" in text and abs(value) >= 1e-6) or 2**53 <= abs(value) < 1e21:
        from decimal import Decimal

        return format(Decimal(text), "f")
    return re.sub(r"e([-+])0", r"e\1", text)
