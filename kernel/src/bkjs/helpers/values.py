"""Single values: a number within limits, flags, types of columns, the time in an identifier."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bkjs.lib.numbers import Number, to_number

_TEXT_TYPE = re.compile(r"text|str|$", re.I)
_TUUID_TIME = re.compile(r"(?:[^_]+_)?([0-9a-f]{8})([0-9a-f]{6})?", re.I)


def to_clamp(value: object, low: object, high: object) -> Number:
    """The number nearest to `value` that lies between two others."""
    return max(to_number(low), min(to_number(value), to_number(high)))


def is_text_type(type: str | None) -> bool:
    """Whether columns of that type, or of none, hold text."""
    return _TEXT_TYPE.match((type or "").strip()) is not None


def to_flags(
    command: str, flags: Iterable[str] | None, names: str | Iterable[str] | None
) -> list[str]:
    """The flags after `add` or `del` of some names, or the names that are `present` or `absent`."""
    have = list(flags or ())
    wanted = [name for name in ([names] if isinstance(names, str) else names or ()) if name]
    match command:
        case "add":
            return have + [name for name in wanted if name not in have]
        case "del":
            return [name for name in have if name not in wanted]
        case "present":
            return [name for name in have if name in wanted]
        case "absent":
            return [name for name in have if name not in wanted]
    return have


def tuuid_time(value: object) -> float:
    """When a `tuuid` was made, in milliseconds since 1970; 0 for anything else.

    The first 14 digits are enough.
    """
    found = _TUUID_TIME.match(value) if isinstance(value, str) else None
    if not found:
        return 0
    return int(found[1], 16) * 1000 + int(found[2] or "0", 16) / 1000
