"""Moments: read from what clients send, written in the formats of configuration files and replies.

A moment is an aware `datetime` in UTC. Text without a zone is in the local time of the process,
except for a plain ISO date, which is midnight UTC.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any, Final

from .numbers import Number, to_number

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Translate = Callable[..., str]
"""Says a phrase, with its arguments, in the reader's language; see `i18n`."""

MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
)  # fmt: skip
WEEKDAYS: Final = (
    "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
)  # fmt: skip

_SECONDS_BELOW = 2147483647  # a smaller number counts seconds, any other milliseconds
_DIGITS = re.compile(r"[0-9.]+")
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}(-[0-9]{2})?")
_TEXT_DATE = re.compile(  # of a text whose blanks are single, so that it takes no time to fail
    r"""(?:[a-z]{3,9},?[ ])??                                      # weekday
    (?: (?P<y1>[0-9]{4})[-/](?P<m1>[0-9]{1,2})[-/](?P<d1>[0-9]{1,2})
      | (?P<m2>[0-9]{1,2})/(?P<d2>[0-9]{1,2})/(?P<y2>[0-9]{4})
      | (?P<n3>[a-z]{3,9})\.?[ ](?P<d3>[0-9]{1,2}),?[ ](?P<y3>[0-9]{4})
      | (?P<d4>[0-9]{1,2})[ -](?P<n4>[a-z]{3,9})\.?,?[ -](?P<y4>[0-9]{4})
    )
    (?:(?:,?[ ]|T)(?P<H>[0-9]{1,2}):(?P<M>[0-9]{2})(?::(?P<S>[0-9]{2})(?:\.[0-9]{1,9})?)?)?
    [ ]?(?P<half>[ap]m)?
    [ ]?(?P<zone>Z|UTC|GMT)?(?P<offset>[-+][0-9]{2}:?[0-9]{2})?
    (?:[ ]?\([^()]*\))?""",
    re.X | re.I | re.A,
)
_LONGEST = 100  # characters of a date as text


def from_ms(ms: Number) -> datetime:
    """The moment so many milliseconds after 1970; raises `OverflowError` outside years 1-9999."""
    return EPOCH + timedelta(milliseconds=int(ms))


def to_ms(date: datetime) -> int:
    """Milliseconds since 1970."""
    return (_aware(date) - EPOCH) // timedelta(milliseconds=1)


def iso(date: datetime) -> str:
    """The text of a moment on the wire: `2018-03-02T14:13:20.000Z`."""
    utc = _aware(date).astimezone(UTC).replace(tzinfo=None)
    return utc.isoformat(timespec="milliseconds") + "Z"


def parse_date(value: object) -> datetime | None:
    """The moment that a value names, None if it names none.

    Numbers, also as text, count seconds below 2147483647 and milliseconds from there on.
    """
    try:
        if isinstance(value, datetime):
            return _aware(value).astimezone(UTC)
        if isinstance(value, bool):
            return None
        if isinstance(value, (int, float)):
            return from_ms(value * 1000 if value < _SECONDS_BELOW else value)
        if not isinstance(value, str):
            return None
        text = value.strip()
        if len(text) > _LONGEST:
            return None
        if _DIGITS.fullmatch(text):
            return parse_date(to_number(text, float=True))
        return _parse_text(text)
    except (ValueError, OverflowError):
        return None


def to_date(value: object, dflt: Number = 0) -> datetime:
    """The moment that a value names, else the one at `dflt` milliseconds; see `parse_date`."""
    return parse_date(value) or from_ms(dflt or 0)


def _aware(date: datetime) -> datetime:
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _parse_text(text: str) -> datetime | None:
    if _ISO_DATE.fullmatch(text):
        return datetime.fromisoformat(text if len(text) == 10 else f"{text}-01").replace(tzinfo=UTC)
    if text[:4].isdecimal() and text[4:5] == "-":
        try:
            return datetime.fromisoformat(text).astimezone(UTC)
        except ValueError:
            pass
    found = _TEXT_DATE.fullmatch(" ".join(text.split()))
    if not found:
        return None
    part = found.groupdict()
    year, day = (_first(part, name) for name in ("y", "d"))
    name = _first(part, "n").lower()
    if name:
        month = next((i for i, full in enumerate(MONTHS, 1) if full.lower().startswith(name)), 0)
    else:
        month = int(_first(part, "m"))
    hour = int(part["H"] or 0)
    if part["half"]:
        hour = hour % 12 + (12 if part["half"].lower() == "pm" else 0)
    date = datetime(  # noqa: DTZ001 - text without a zone is local time
        int(year), month, int(day), hour, int(part["M"] or 0), int(part["S"] or 0)
    )
    zone: tzinfo | None = None
    if part["offset"]:
        sign, digits = part["offset"][0], part["offset"][1:].replace(":", "")
        away = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
        zone = timezone(-away if sign == "-" else away)
    elif part["zone"]:
        zone = UTC
    return date.replace(tzinfo=zone).astimezone(UTC)


def _first(part: dict[str, Any], letter: str) -> str:
    return next((part[key] for key in part if key[0] == letter and key[1:] and part[key]), "")


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
    moment = _milliseconds(date)
    if moment is None:
        return ""
    local = moment.astimezone(UTC if utc else None)
    if utc:
        format = format.replace("%c", "%a, %d %b %Y %H:%M:%S GMT")
    return _render(local, format or "%Y-%m-%d %H:%M:%S %Z", translate)


def _render(date: datetime, format: str, translate: Translate | None = None) -> str:
    def code(found: re.Match[str]) -> str:
        letter = found[1]
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
    try:
        return from_ms(date)
    except (ValueError, OverflowError):
        return None


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
