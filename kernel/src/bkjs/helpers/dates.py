"""Moments and spans as text, in the reader's language if wanted."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from bkjs.lib.dates import MONTHS, from_ms, parse_date, to_ms
from bkjs.lib.numbers import to_number

Translate = Callable[..., str]
"""Says a phrase, with its arguments, in the reader's language; see `i18n`."""

WEEKDAYS: Final = (
    "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
)  # fmt: skip


def strftime(
    date: object,
    format: str = "",
    *,
    utc: bool = False,
    translate: Translate | None = None,
) -> str:
    """A moment as text in local time or UTC, "" when it is none.

    Codes: `a A b B` names, `d H I m M p S y Y` as usual, `L` milliseconds, `w` weekday from 0,
    `W` week, `t` and `u` milliseconds and seconds since 1970, `c` all of it, `Z` the zone. Other
    codes stay. A text of digits counts milliseconds. `translate` gets the names.
    """
    try:
        moment = _milliseconds(date)
        local = moment.astimezone(UTC if utc else None) if moment else None
    except (ValueError, OverflowError):
        local = None
    if local is None:
        return ""
    return _render(local, format or "%Y-%m-%d %H:%M:%S %Z", translate, utc=utc)


def _render(
    date: datetime, format: str, translate: Translate | None = None, *, utc: bool = False
) -> str:
    def code(found: re.Match[str]) -> str:
        letter = found[1]
        if utc and letter == "c":
            return _render(date, "%a, %d %b %Y %H:%M:%S GMT")
        if letter in _NAMES:
            name = _NAMES[letter](date)
            return translate(name) if translate else name
        return _CODES[letter](date) if letter in _CODES else found[0]

    return re.sub(r"%([a-zA-Z%])", code, format)


def _milliseconds(date: object) -> datetime | None:
    if isinstance(date, str) and date.isdecimal():
        date = float(date)
    if isinstance(date, bool) or not isinstance(date, (int, float)):
        return parse_date(date)
    return from_ms(date)


def _weekday(date: datetime) -> int:
    return date.isoweekday() % 7


def _week(date: datetime) -> int:
    """Weeks begin on Sunday; the first is the one of January 1st."""
    day = date.timetuple().tm_yday - 1
    return (day + (_weekday(date) - day) % 7) // 7 + 1


def _zone(date: datetime) -> str:
    offset = f"{date:%z}"[:5]
    return "GMT-0000" if offset == "+0000" else f"GMT{offset}"


def _full(date: datetime) -> str:
    name = date.tzname()
    name = "Coordinated Universal Time" if name == "UTC" else name
    return _render(date, "%a %b %d %Y %H:%M:%S ") + f"GMT{date:%z} ({name})"


_NAMES: Final[dict[str, Callable[[datetime], str]]] = {
    "a": lambda date: WEEKDAYS[_weekday(date)][:3],
    "A": lambda date: WEEKDAYS[_weekday(date)],
    "b": lambda date: MONTHS[date.month - 1][:3],
    "B": lambda date: MONTHS[date.month - 1],
}
_CODES: Final[dict[str, Callable[[datetime], str]]] = {
    "c": _full,
    "d": lambda date: f"{date.day:02}",
    "H": lambda date: f"{date.hour:02}",
    "I": lambda date: f"{date.hour % 12:02}",
    "L": lambda date: f"{date.microsecond // 1000:02}",
    "m": lambda date: f"{date.month:02}",
    "M": lambda date: f"{date.minute:02}",
    "p": lambda date: "AM" if date.hour < 12 else "PM",
    "S": lambda date: f"{date.second:02}",
    "t": lambda date: str(to_ms(date)),
    "u": lambda date: str(to_ms(date) // 1000),
    "w": lambda date: str(_weekday(date)),
    "W": lambda date: f"{_week(date):02}",
    "y": lambda date: f"{date.year % 100:02}",
    "Y": lambda date: f"{date.year:04}",
    "Z": _zone,
    "%": lambda date: "%",
}


def _counted(translate: Translate | None, *counts: tuple[int, str]) -> str:
    """`2 hours 1 minute`: every count but zeros after the first."""
    words = []
    for place, (count, unit) in enumerate(counts):
        if count or not place:
            phrase, args = (f"1 {unit}", ()) if count == 1 else (f"%s {unit}s", (count,))
            words.append(
                translate(phrase, *args) if translate else phrase.replace("%s", str(count))
            )
    return " ".join(words)


def to_duration(ms: object, *, translate: Translate | None = None) -> str:
    """How long so many milliseconds are, in words: `2 hours 2 minutes`; "" for none."""
    number = to_number(ms)
    if not 0 < number < math.inf:
        return ""
    seconds = int(number // 1000)
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return _counted(translate, (days, "day"), (hours, "hour"), (minutes, "minute"))
    if hours:
        return _counted(translate, (hours, "hour"), (minutes, "minute"))
    if minutes:
        return _counted(translate, (minutes, "minute"), (seconds % 60, "second"))
    return _counted(translate, (max(seconds, 1), "second"))


def to_age(ms: object, *, now: float | None = None, translate: Translate | None = None) -> str:
    """How long ago a moment was, given in milliseconds: `2 weeks 15 days 5 hours`; "" for 0.

    Weeks and months are followed by the whole number of days. `now` is in seconds.
    """
    since = to_number(ms)
    if not 0 < since < math.inf:
        return ""
    age = max(0, int((time.time() if now is None else now) * 1000 - since))
    days, hours = age // 86400000, age // 3600000 % 24
    if days >= 30:
        return _counted(translate, (days // 30, "month"), (days, "day"), (hours, "hour"))
    if days >= 7:
        return _counted(translate, (days // 7, "week"), (days, "day"), (hours, "hour"))
    return to_duration(max(age, 1), translate=translate)
