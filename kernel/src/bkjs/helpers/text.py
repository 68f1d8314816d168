"""Strings: fields with quotes, names with versions."""

from __future__ import annotations

import re
from functools import cmp_to_key
from typing import Any

from bkjs.lib.numbers import to_version
from bkjs.lib.wire import to_text

from .values import fields_of, listed

_VERSIONED = re.compile(r"(.+)-([0-9.]+)$")


def phrase_split(
    text: object, *, separator: str = " ", quotes: str = "\"'", keepempty: bool = False
) -> list[str]:
    """The fields of a text that any character of `separator` separates.

    A field that begins with a quote runs to the next one without a backslash before it; what
    follows up to the separator is dropped. A quote without a second one is left out. Empty fields
    are dropped unless `keepempty`; the last one always is.
    """
    if not isinstance(text, str):
        return []
    separator, quotes = separator or " ", quotes or "\"'"
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


def sort_by_version(names: object, key: str = "") -> list[Any]:
    """`NAME-1.2.3` texts, or objects that have one as `key`: names and versions descending.

    What has no version keeps its place among its neighbours.
    """

    def name(item: object) -> str:
        return item if isinstance(item, str) else to_text(fields_of(item).get(key))

    def compare(one: Any, other: Any) -> int:
        first, second = (_VERSIONED.match(name(item)) for item in (one, other))
        if not first or not second:
            return 0
        left, right = ((found[1], to_version(found[2])) for found in (first, second))
        return (left < right) - (left > right)

    return sorted(listed(names), key=cmp_to_key(compare))
