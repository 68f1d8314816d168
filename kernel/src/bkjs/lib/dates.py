"""Moments: read from what clients send, written in the formats of configuration files and replies.

A moment is an aware `datetime` in UTC. Text without a zone is in the local time of the process,
except for a plain ISO date, which is midnight UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any, Final

from .numbers import Number, to_number

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
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
    (?:(?:,?[ ]|T)(?P<H>[0-9]{1,2}):(?P<M>[0-9]{2})(?::(?P<S>[0-9]{2})(?:\.(?P<F>[0-9]{1,9}))?)?)?
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
    """The text of a moment on the wire: `2018-03-02T14:13:20.000Z`, with all of its digits."""
    utc = _aware(date).astimezone(UTC).replace(tzinfo=None)
    return (
        utc.isoformat(timespec="microseconds" if utc.microsecond % 1000 else "milliseconds") + "Z"
    )


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
            return parse_date(to_number(text))
        return _parse_text(text)
    except (ValueError, OverflowError):
        return None


def to_date(value: object, dflt: object = 0) -> datetime:
    """The moment that a value names, else `dflt`: a moment, or milliseconds since 1970.

    See `parse_date`; what is neither gives 1970.
    """
    found = parse_date(value)
    if found is None and isinstance(dflt, datetime):
        found = parse_date(dflt)
    if found is None:
        try:
            return from_ms(to_number(dflt))
        except OverflowError:
            return EPOCH
    return found


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
        int(year), month, int(day), hour, int(part["M"] or 0), int(part["S"] or 0),
        int((part["F"] or "")[:6].ljust(6, "0")),
    )  # fmt: skip
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
