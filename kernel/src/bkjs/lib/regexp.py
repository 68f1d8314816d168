"""Patterns as configuration files write them: in the syntax of JavaScript."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from typing import Any, Final

from .wire import to_text

log = logging.getLogger(__name__)

_FLAGS: Final = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}
_TOKEN = re.compile(r"\\.|\[|\]|\$|\(\?<(?=[A-Za-z_])", re.S)
_ASCII: Final = {r"\d": "0-9", r"\w": "A-Za-z0-9_"}
_NOT_ASCII: Final = {r"\D": "[^0-9]", r"\W": "[^A-Za-z0-9_]"}


def to_regexp(pattern: object, flags: str = "") -> re.Pattern[str] | None:
    """The compiled pattern; None, and an error in the log, when it is no valid one.

    `flags` are letters: `i`, `m` and `s` count, others are ignored.
    """
    try:
        return compile_regexp(pattern, flags)
    except ValueError as err:
        log.error("invalid pattern %.200r: %s", to_text(pattern), err)
        return None


def compile_regexp(pattern: object, flags: str = "") -> re.Pattern[str]:
    """As `to_regexp`; raises ValueError, which says what is wrong, for an invalid pattern."""
    if isinstance(pattern, re.Pattern):
        return pattern
    bits = re.RegexFlag(0)
    for letter in flags:
        bits |= _FLAGS.get(letter, re.RegexFlag(0))
    try:
        return re.compile(_python(to_text(pattern), multiline=bool(bits & re.MULTILINE)), bits)
    except (re.error, OverflowError, RecursionError) as err:
        raise ValueError(str(err)) from err


def _python(source: str, *, multiline: bool) -> str:
    """The same pattern for `re`, which differs in a few points that decide what is let through.

    There `$` also matches before a last newline, `\\d` and `\\w` all of Unicode, and named groups
    are spelled otherwise.
    """
    inside = False

    def token(found: re.Match[str]) -> str:
        nonlocal inside
        text = found[0]
        if text in _ASCII:
            return _ASCII[text] if inside else f"[{_ASCII[text]}]"
        if text == "[":
            nested, inside = inside, True
            return r"\[" if nested else text
        if text == "]":
            inside = False
        elif inside:
            return text
        elif text in _NOT_ASCII:
            return _NOT_ASCII[text]
        elif text == "(?<":
            return "(?P<"
        elif text == "$" and not multiline:
            return r"\Z"
        return text

    return _TOKEN.sub(token, source)


def to_regexp_obj(
    current: object, value: object, *, set: bool = False, delete: bool = False, flags: str = ""
) -> dict[str, Any]:
    """A list of patterns and the one pattern `rx` that matches any: `{"list": […], "rx": …}`.

    `value`, a pattern or a list of them, joins those of `current`, or replaces (`set`) or leaves
    (`delete`) them; None clears. `rx` is None when the list is empty or not valid.
    """
    patterns: list[str] = []
    if value is not None and not set and isinstance(current, dict):
        patterns += current.get("list") or ()
    for item in value if isinstance(value, (list, tuple)) else [value]:
        if not item:
            continue
        if delete:
            patterns = [pattern for pattern in patterns if pattern != item]
        elif item not in patterns:
            patterns.append(to_text(item))
    return {"list": patterns, "rx": _any_of(patterns, flags)}


def to_regexp_map(
    current: object, value: object, *, set: bool = False, flags: str = ""
) -> list[dict[str, Any]]:
    """A list of `{"list": [pattern], "rx": …, "value": …}` out of a dict or JSON text of one.

    New patterns follow those of `current`, or replace them with `set`; known ones are skipped.
    """
    from .json import json_parse

    entries: list[dict[str, Any]] = []
    if value is not None and not set and isinstance(current, list):
        entries += current
    for pattern, item in json_parse(value, datatype="obj").items():
        if not any(pattern in entry["list"] for entry in entries):
            entries.append({"list": [pattern], "rx": _any_of([pattern], flags), "value": item})
    return entries


def _any_of(patterns: Iterable[str], flags: str) -> re.Pattern[str] | None:
    source = "|".join(f"({pattern})" for pattern in patterns)
    return to_regexp(source, flags) if source else None
