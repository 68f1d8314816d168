"""Strings: formatted, shortened, guessed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Final

from .convert import to_value
from .numbers import MISSING, Number, parse_float, parse_int
from .wire import number_text, to_text

_FORMAT = re.compile(
    r"%(?P<left>-)?(?P<zero>0)?(?P<width>[0-9]{1,4})?(?:\.(?P<digits>[0-9]{1,2}))?"
    r"(?:#(?P<base>[0-9]{1,2}))?(?P<kind>[scfpexdz])"
)
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


def sprintf(format: str, *args: object) -> str:
    """The format with `%s %d %f %e %p %x %c` filled in from `args`, which may be one list.

    `%8s` fills with blanks, `%05d` with zeros, `%-8s` on the right. `%.2f` and `%.2e` round, `%e`
    alone has all the digits of the number, `%.3p` and `%.3d` so many significant ones. `%#2x`
    writes in another base, `%#2d` reads in one. A missing argument is `undefined`, as is what `%z`
    takes, and a text that is no number `NaN`. `%%` stays.
    """
    if len(args) == 1 and isinstance(args[0], (list, tuple)):
        args = tuple(args[0])
    values = iter(args)

    def fill(found: re.Match[str]) -> str:
        value = next(values, MISSING)
        if value is MISSING or found["kind"] == "z":
            return "undefined"
        text, width = _formatted(value, found), int(found["width"] or 0)
        filling = "0" if found["zero"] else " "
        return text.ljust(width, filling) if found["left"] else text.rjust(width, filling)

    return _FORMAT.sub(fill, to_text(format))


def _formatted(value: object, found: re.Match[str]) -> str:
    kind, base = found["kind"], int(found["base"] or 0)
    base = base if 2 <= base <= 36 else 0
    digits = int(found["digits"]) if found["digits"] else None
    if kind in "sc":
        text = to_value(value, "json") if isinstance(value, (dict, list)) else to_text(value)
        return text[:1] if kind == "c" else text
    text = to_text(value)
    if kind == "d" and base:
        number = _in_digits(text, base)
    else:
        number = parse_int(text) if kind in "dx" else parse_float(text)
    if not math.isfinite(number) or (kind == "p" and digits is None):
        return number_text(number)
    if kind == "x":
        return _in_base(int(number), base or 16)
    return _rounded(number, kind, digits)


def _rounded(number: Number, kind: str, digits: int | None) -> str:
    """Halves up, as the clients round: `f` to decimals, the others to significant digits."""
    from decimal import MAX_PREC, ROUND_HALF_UP, Context, Decimal

    value = Decimal(number)
    if kind == "e" and digits is None:
        value = Decimal(repr(number)).normalize()
        digits = len(value.as_tuple().digits) - 1
    if kind == "f":
        if abs(number) >= 1e21:
            return number_text(float(number))
        exact = Context(MAX_PREC, ROUND_HALF_UP)
        return f"{value.quantize(Decimal(1).scaleb(-(digits or 0)), context=exact):f}"
    if kind == "d":
        return str(int(Context(digits, ROUND_HALF_UP).plus(value) if digits else value))
    most = (digits or 0) + 1 if kind == "e" else digits or 1
    value = Context(most, ROUND_HALF_UP).plus(value) or Decimal(0).scaleb(1 - most)
    place = value.adjusted() if value else 0
    if kind == "e" or not -7 < place < most:
        return f"{value:.{most - 1}e}"
    return f"{value:.{most - 1 - place}f}"


def _in_digits(text: str, base: int) -> Number:
    """The whole number at the start of a text in that base, nan if there is none."""
    found = re.match(rf"\s*([-+]?[{_DIGITS[:base]}]{{1,256}})", text, re.I)
    return int(found[1], base) if found else math.nan


def _in_base(number: int, base: int) -> str:
    rest, text = abs(number), ""
    while rest or not text:
        rest, digit = divmod(rest, base)
        text = _DIGITS[digit] + text
    return f"-{text}" if number < 0 else text


def domain_name(host: object) -> str:
    """The host without its first label when it has more than two, in lower case."""
    name = host.lower() if isinstance(host, str) else ""
    return name.split(".", 1)[1] if name.count(".") > 1 else name


def near(name: str, known: Iterable[str]) -> str:
    """A hint such as `; did you mean 'pgsql'?`, empty when nothing is close."""
    close = closest(name, known)
    return f"; did you mean {close!r}?" if close else ""


def closest(name: str, known: Iterable[str]) -> str:
    """The known name most alike, empty when none is close."""
    from difflib import get_close_matches

    return (get_close_matches(name, list(known), 1, 0.65) or [""])[0]
