"""Numbers out of untrusted text. These never raise: what is no number becomes the default."""

from __future__ import annotations

import enum
import math
import re
from typing import Any, Final

Number = int | float


class Missing(enum.Enum):
    """The type of `MISSING`."""

    MISSING = "missing"

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing.MISSING
"""A value that was not given at all, where that differs from one given as null."""

NUMBER_OPTIONS: Final = ("dflt", "float", "min", "max", "zero", "novalue")
"""The keywords of `to_number`, to pick them out of a wider set of options."""

_INTEGER = re.compile(r"\s*([-+]?)([0-9]+)")
_FLOAT = re.compile(r"\s*([-+]?(?:Infinity|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?))")
_PLAIN_FLOAT = re.compile(r"[-+]?[0-9]+\.[0-9]+")
_NUMERIC = re.compile(r"[-+]?[0-9]+(?:\.[0-9]+)?")
_EXACT = 2**53
_LONGEST_VERSION = 100  # parts; later ones are below what a double can tell apart
_LONGEST = 256  # digits; a double has no more than 309, and int() refuses thousands


def is_numeric(value: object) -> bool:
    """Whether this is a number or plain text of one: `12`, `-1.5`, no exponent, no blanks."""
    if isinstance(value, str):
        return _NUMERIC.fullmatch(value) is not None
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def to_number(
    value: object,
    *,
    dflt: Number | None = 0,
    float: bool | int | None = None,
    min: Number | None = None,
    max: Number | None = None,
    zero: Number | None = None,
    novalue: Any = None,
) -> Number:
    """The number that a value stands for, or `dflt`.

    Text is read up to its first character that is no digit (`12abc` is 12), text that begins with
    `t` is 1 and with `f` is 0. Fractions are read when `float` is true, or by default when the
    whole text is one; a false `float` asks for whole numbers. The result is `dflt` when it equals
    `novalue`, it is kept within `min` and `max`, and `zero` replaces a 0. Options that are no
    numbers, nan included, count as not given.
    """
    number = _read(value, float)
    if number != number or (novalue is not None and number == novalue):
        number = _option(dflt) or 0
    if min is not None and (low := _option(min)) is not None and number < low:
        number = low
    if max is not None and (high := _option(max)) is not None and number > high:
        number = high
    if float is not None and not float:
        number = _whole(number)
    return _option(zero) or number if zero and number == 0 else number


def to_version(value: object) -> float:
    """A dotted version as a number that sorts: `1.2.3` is 1.002003.

    Parts above 999 collide with their neighbours.
    """
    if not isinstance(value, str):
        return to_number(value)
    digits = re.sub(r"[^0-9.]", "", value.replace("_", ".", 1))
    parts = enumerate(digits.split(".")[:_LONGEST_VERSION])
    return math.fsum(float(part or 0) / 10.0 ** (3 * place) for place, part in parts)


def _option(value: object) -> Number | None:
    """A limit or default as a number, also one written as text, None for anything else."""
    if isinstance(value, (int, float)):
        return value if value == value else None
    return to_number(value) if is_numeric(value) else None


def _whole(number: Number) -> Number:
    """Rounded, halves up."""
    if isinstance(number, float) and math.isfinite(number):
        return math.floor(number + 0.5)
    return number


def _read(value: object, fraction: bool | int | None) -> Number:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, (int, float)):
        return value
    if not isinstance(value, str):
        return math.nan
    if value[:1] == "t":
        return 1
    if value[:1] == "f":
        return 0
    if value == "infinity":
        return math.inf
    if fraction is None:
        fraction = _PLAIN_FLOAT.fullmatch(value) is not None
    return parse_float(value) if fraction else parse_int(value)


def parse_int(text: str) -> Number:
    """The whole number at the start of a text, nan if there is none.

    Above 2**53 it is rounded as the clients, which know only doubles, round it.
    """
    found = _INTEGER.match(text)
    if not found:
        return math.nan
    sign, digits = found.groups()
    number: Number = math.inf
    if len(digits) <= _LONGEST:
        number = int(digits)
        if number > _EXACT:
            number = int(float(number))
    return -number if sign == "-" else number


def parse_float(text: str) -> Number:
    """The number at the start of a text, nan if there is none; a whole one is an `int`."""
    found = _FLOAT.match(text)
    if not found:
        return math.nan
    number = float(found[1])
    return int(number) if number.is_integer() and abs(number) <= _EXACT else number
