"""Strings: split, cased, formatted."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from functools import cmp_to_key
from typing import Any

from .convert import str_split, str_split_unique, to_camel, to_title, to_uncamel
from .dates import strftime
from .numbers import parse_float, parse_int, to_version
from .wire import number_text, to_text

__all__ = [
    "domain_name",
    "phrase_split",
    "sort_by_version",
    "sprintf",
    "str_split",
    "str_split_unique",
    "strftime",
    "to_camel",
    "to_title",
    "to_uncamel",
]

_FORMAT = re.compile(
    r"%(?P<left>-)?(?P<zero>0)?(?P<width>[0-9]{1,4})?(?:\.(?P<digits>[0-9]{1,2}))?"
    r"(?:#(?P<base>[0-9]{1,2}))?(?P<kind>[scfpexd])"
)
_VERSIONED = re.compile(r"(.+)-([0-9.]+)$")


def phrase_split(
    text: str, *, separator: str = " ", quotes: str = "\"'", keepempty: bool = False
) -> list[str]:
    """The fields of a text that any character of `separator` separates.

    A field that begins with a quote runs to the next one without a backslash before it; what
    follows up to the separator is dropped. A quote without a second one is left out. Empty fields
    are dropped unless `keepempty`; the last one always is.
    """
    fields = []
    at = 0
    while at < len(text):
        if text[at] in quotes:
            close = _closing(text, at + 1, quotes)
            if close >= 0:
                if close > at + 1 or keepempty:
                    fields.append(text[at + 1 : close])
                at = _until(text, close + 1, separator) + 1
                continue
            at += 1
        end = _until(text, at, separator)
        if end > at or (keepempty and end < len(text)):
            fields.append(text[at:end])
        at = end + 1
    return fields


def _closing(text: str, start: int, quotes: str) -> int:
    for at in range(start, len(text)):
        if text[at] in quotes and text[at - 1] != "\\":
            return at
    return -1


def _until(text: str, start: int, separator: str) -> int:
    return next((at for at in range(start, len(text)) if text[at] in separator), len(text))


def sprintf(format: str, *args: object) -> str:
    """The format with `%s %d %f %e %p %x %c` filled in from `args`, which may be one list.

    `%-8s` fills on the right, `%05d` with zeros, `%.2f` rounds, `%.3p` gives significant digits,
    `%#2x` another base. What an argument lacks is `undefined`, and a text that is no number `NaN`.
    """
    if len(args) == 1 and isinstance(args[0], (list, tuple)):
        args = tuple(args[0])
    values = iter(args)

    def fill(found: re.Match[str]) -> str:
        text = _formatted(next(values, "undefined"), found)
        width = int(found["width"] or 0)
        if found["left"]:
            return text.ljust(width)
        return text.rjust(width, "0" if found["zero"] else " ")

    return _FORMAT.sub(fill, format)


def _formatted(value: object, found: re.Match[str]) -> str:
    kind, digits, base = found["kind"], found["digits"], int(found["base"] or 0)
    if kind in "sc":
        text = _json(value) if isinstance(value, (dict, list)) else to_text(value)
        return text[:1] if kind == "c" else text
    text = to_text(value)
    number = parse_int(text) if kind in "dx" else parse_float(text)
    if not math.isfinite(number):
        return number_text(number)
    if kind in "dx":
        return _in_base(int(number), base or (16 if kind == "x" else 10))
    if kind == "p" and not digits:
        return number_text(number)
    if kind == "f":
        return _fixed(number, int(digits or 0))
    text = f"{number:#.{digits}g}" if kind == "p" else f"{number:.{digits or 0}e}"
    return re.sub(r"e([-+])0", r"e\1", text.removesuffix("."))


def _json(value: object) -> str:
    from .json import stringify

    return stringify(value)


def _fixed(number: float, digits: int) -> str:
    """Rounded half up, as the clients round."""
    from decimal import ROUND_HALF_UP, Decimal

    return f"{Decimal(number).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP):f}"


def _in_base(number: int, base: int) -> str:
    if base == 10:
        return str(number)
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    base = min(max(base, 2), 36)
    rest, text = abs(number), ""
    while rest or not text:
        rest, digit = divmod(rest, base)
        text = digits[digit] + text
    return f"-{text}" if number < 0 else text


def domain_name(host: str | None) -> str:
    """The host without its first label when it has more than two, in lower case."""
    name = (host or "").lower()
    return name.split(".", 1)[1] if name.count(".") > 1 else name


def sort_by_version(names: Iterable[Any] | None, key: str = "") -> list[Any]:
    """`NAME-1.2.3` texts, or objects that have one as `key`: names and versions descending.

    What has no version keeps its place among its neighbours.
    """

    def compare(one: Any, other: Any) -> int:
        first, second = (_VERSIONED.match(str(x[key] if key else x)) for x in (one, other))
        if not first or not second:
            return 0
        left, right = ((found[1], to_version(found[2])) for found in (first, second))
        return (left < right) - (left > right)

    return sorted(names or (), key=cmp_to_key(compare))
