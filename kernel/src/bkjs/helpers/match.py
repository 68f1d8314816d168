"""Comparisons named by text, as rules in configuration files and parameter schemas write them."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any, Final

from bkjs.lib.convert import is_empty, str_split, to_value
from bkjs.lib.numbers import MISSING
from bkjs.lib.patterns import to_regexp
from bkjs.lib.wire import to_text

from .values import fields_of, listed, truthy

Operator = Callable[[Any, Any, str], bool]

_NOT = re.compile(r"not[ _]")
_TIME = re.compile(r"\s*([0-9]{1,2}):([0-9]{2})\s*([ap]m)?\s*", re.I)
_ZONE = re.compile(r"(?:GMT|UTC)(?:([-+])([01][0-9]|2[0-3]):?([0-5][0-9]))?")


def is_true(value: object, other: object, op: object = None, type: object = None) -> bool:
    """Whether `value OP other` holds for both as values of that type.

    Operators: `gt lt ge le` and their signs, `between` (`"1,3"`), `in`, `like%` or `begins_with`
    (other begins with value), `ilike%`, `ilike`, `regexp` or `~`, `iregexp`, `contains` (value is
    part of other), `ne`, `null`; `not` before one inverts it. Anything else is equality. Two
    values that are both missing, or both null, are true for any operator.
    """
    if (value is MISSING and other is MISSING) or (value is None and other is None):
        return True
    name, kind = to_text(op or "").strip().lower(), to_text(type or "").strip()
    negated = _NOT.match(name)
    if negated:
        name = name[negated.end() :]
    try:
        holds = _OPERATORS.get(name, _equal)(value, other, kind)
    except TypeError:  # values without an order, such as patterns
        holds = False
    return holds != bool(negated)


def _equal(value: object, other: object, type: str) -> bool:
    if type in ("list", "array"):
        wanted = str_split(other)
        return all(item in wanted for item in str_split(value))
    return bool(to_value(value, type) == to_value(other, type))


def _in(value: object, other: object, type: str) -> bool:
    if type in ("list", "array"):
        return _equal(value, other, type)
    return to_value(value, type) in [to_value(item, type) for item in _items(other)]


def _between(value: object, other: object, type: str) -> bool:
    bounds = [to_value(bound, type) for bound in _items(other)]
    if len(bounds) < 2:
        return _equal(value, other, type)
    return bool(bounds[0] <= to_value(value, type) <= bounds[1])


def _items(value: object) -> list[Any]:
    return str_split(value) if isinstance(value, (str, list, tuple)) else [value]


def _typed(compare: Callable[[Any, Any], bool]) -> Operator:
    return lambda value, other, type: compare(to_value(value, type), to_value(other, type))


def _text(compare: Callable[[str, str], bool]) -> Operator:
    return lambda value, other, type: compare(to_value(value), to_value(other))


def _folded(compare: Callable[[str, str], bool]) -> Operator:
    return _text(lambda value, other: compare(value.lower(), other.lower()))


def _pattern(flags: str) -> Operator:
    def search(value: object, pattern: object, type: str) -> bool:
        compiled = to_regexp(pattern, flags)
        return compiled is not None and compiled.search(to_value(value)) is not None

    return search


def _null(value: object, other: object, type: str) -> bool:
    return not truthy(value)


def _begins(value: str, other: str) -> bool:
    return other.startswith(value)


_OPERATORS: Final[dict[str, Operator]] = {
    "null": _null,
    **dict.fromkeys(("gt", ">"), _typed(operator.gt)),
    **dict.fromkeys(("lt", "<"), _typed(operator.lt)),
    **dict.fromkeys(("ge", ">="), _typed(operator.ge)),
    **dict.fromkeys(("le", "<="), _typed(operator.le)),
    **dict.fromkeys(("ne", "!=", "<>"), lambda *args: not _equal(*args)),
    "between": _between,
    "in": _in,
    **dict.fromkeys(("like%", "begins_with"), _text(_begins)),
    "ilike%": _folded(_begins),
    "ilike": _folded(operator.eq),
    "contains": _text(lambda value, other: value in other),
    **dict.fromkeys(("regexp", "~", "~*"), _pattern("")),
    # the sign says "no match", but rules written for it rely on a match in any case
    **dict.fromkeys(("iregexp", "!~", "!~*"), _pattern("i")),
}


def is_matched(obj: object, condition: object) -> bool:
    """Whether each named value of an object matches its pattern.

    A leading `!` means that it must not match, null that the value must be empty; what the
    condition leaves out does not matter. A pattern that is not valid matches nothing, and neither
    does a condition that is no dict.
    """
    if truthy(condition) and not isinstance(condition, Mapping):
        return False
    for name, pattern in fields_of(condition).items():
        value = fields_of(obj).get(name, MISSING)
        if pattern is MISSING:
            continue
        if pattern is None:
            if not is_empty(value):
                return False
            continue
        wanted = True
        if isinstance(pattern, str) and pattern.startswith("!"):
            pattern, wanted = pattern[1:], False
        compiled = to_regexp(pattern)
        if compiled is None or (compiled.search(to_value(value)) is not None) != wanted:
            return False
    return True


def is_flag(flags: object, names: object) -> bool:
    """Whether any of the names, or the one name, is among the flags; what is no list has none."""
    have = listed(flags)
    wanted = listed(names) if isinstance(names, (list, tuple, set, frozenset)) else [names]
    return any(name in have for name in wanted)


def is_time_range(
    start: object = None,
    end: object = None,
    zone: object = None,
    *,
    now: datetime | None = None,
) -> bool:
    """Whether it is now between two times of day: `10:00` or `2:30 pm`.

    A bound that is missing or cannot be read does not limit; a range may pass midnight. `zone` is
    `UTC`, `GMT-08:00` and so on, else local time is meant.
    """
    moment = (now or datetime.now(UTC)).astimezone(_zone(to_text(zone or "")))
    minute = moment.hour * 60 + moment.minute
    first, last = _minute(start), _minute(end)
    if first is not None and last is not None and first > last:
        return minute >= first or minute <= last
    return (first is None or minute >= first) and (last is None or minute <= last)


def _minute(text: object) -> int | None:
    found = _TIME.fullmatch(to_text(text or ""))
    if not found:
        return None
    hour = int(found[1])
    if found[3]:
        hour = hour % 12 + (12 if found[3].lower() == "pm" else 0)
    return hour * 60 + int(found[2])


def _zone(text: str) -> tzinfo | None:
    found = _ZONE.fullmatch(text.strip())
    if not found:
        return None
    sign, hours, minutes = found.groups(default="0")
    away = timedelta(hours=int(hours), minutes=int(minutes))
    return timezone(-away if sign == "-" else away)
