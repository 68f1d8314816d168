"""Single values: a number within limits, flags, types of columns, the time in an identifier."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bkjs.lib.convert import str_split
from bkjs.lib.numbers import MISSING, Number, to_number
from bkjs.lib.wire import to_text

_TEXT_TYPE = re.compile(r"text|str|$", re.I)
_TUUID_TIME = re.compile(r"(?:[^_]+_)?([0-9a-f]{8})([0-9a-f]{6})?", re.I)


def to_clamp(value: object, low: object, high: object) -> Number:
    """The number nearest to `value` that lies between two others."""
    return max(to_number(low), min(to_number(value), to_number(high)))


def is_text_type(type: object) -> bool:
    """Whether columns of that type, or of none, hold text."""
    return _TEXT_TYPE.match(to_text(type or "").strip()) is not None


def truthy(value: object) -> bool:
    """Whether clients of the wire format take a value for true: empty lists and dicts are, too."""
    if isinstance(value, (str, bool, int, float)):
        return bool(value) and value == value
    return value is not None and value is not MISSING


def listed(value: object) -> list[Any]:
    """What stands in a list; nothing for what is none, so that a text is not taken apart."""
    return list(value) if isinstance(value, (list, tuple, set, frozenset)) else []


def names_of(value: object) -> list[Any]:
    """The names in a list, or in a text where commas or bars separate them."""
    return str_split(value) if isinstance(value, str) else listed(value)


def fields_of(value: object) -> Mapping[str, Any]:
    """A mapping as it is, an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def to_flags(command: str, flags: object, names: object) -> list[Any]:
    """The flags after `add` or `del` of a name or a list of them, or those of the flags that are
    `present` or `absent` in it.
    """
    have = listed(flags)
    wanted = [name for name in listed(names) or [names] if truthy(name)]
    match command:
        case "add":
            for name in wanted:
                if name not in have:
                    have.append(name)
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
