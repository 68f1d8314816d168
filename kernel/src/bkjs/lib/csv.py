"""Lines of CSV (RFC 4180); to read them there is `csv` of the standard library."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache


def csv_line(fields: Iterable[str], separator: str = ",", *, end: str = "\r\n") -> str:
    """The fields as one line, quoted where they must be.

    A single empty field is quoted, too: readers skip lines that are empty.
    """
    return (separator.join(csv_field(field, separator) for field in fields) or '""') + end


def csv_field(text: str, separator: str = ",", quotes: str = '"') -> str:
    """A text, in quotes when it has a separator, a quote, a blank or the end of a line."""
    if not _special(separator, quotes).search(text):
        return text
    return f"{quotes}{text.replace(quotes, quotes * 2)}{quotes}"


@lru_cache(16)
def _special(separator: str, quotes: str) -> re.Pattern[str]:
    return re.compile(f"[{re.escape(separator + quotes)} \r\n]")
