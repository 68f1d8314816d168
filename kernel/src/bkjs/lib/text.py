"""Strings: formatted, shortened, guessed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from .numbers import parse_float, parse_int
from .wire import number_text, to_text

_FORMAT = re.compile(
    r"%(?P<left>-)?(?P<zero>0)?(?P<width>[0-9]{1,4})?(?:\.(?P<digits>[0-9]{1,2}))?"
    r"(?:#(?P<base>[0-9]{1,2}))?(?P<kind>[scfpexd])"
)


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
        if isinstance(value, (dict, list)):
            from .json import stringify

            value = stringify(value)
        text = to_text(value)
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


def near(name: str, known: Iterable[str]) -> str:
    """A hint such as `; did you mean 'pgsql'?`, empty when nothing is close."""
    from difflib import get_close_matches

    close = get_close_matches(name, list(known), 1)
    return f"; did you mean {close[0]!r}?" if close else ""
