"""Patterns that others write.

Those of configuration files are in the syntax of JavaScript, and trusted. Those of strangers, who
send them in requests or had them stored in a row, are matched in linear time.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from typing import Any, Final

from .numbers import MISSING
from .wire import to_text

log = logging.getLogger(__name__)

LONGEST_PATTERN: Final = 1000
"""Characters of a pattern in a request."""
LONGEST_RULE: Final = 256
"""Characters of a pattern in the row of an account."""

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
    bits = re.NOFLAG
    for letter in flags:
        bits |= _FLAGS.get(letter, re.NOFLAG)
    return _compile(_python(to_text(pattern), multiline=bool(bits & re.MULTILINE)), bits)


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
    if value is None or value is MISSING:
        value = ()
    elif not set and isinstance(current, dict):
        patterns += current.get("list") or ()
    for item in value if isinstance(value, (list, tuple)) else [value]:
        if not item:
            continue
        text = to_text(item)
        if delete:
            patterns = [pattern for pattern in patterns if pattern != text]
        elif text not in patterns:
            patterns.append(text)
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
        if not any(pattern in (entry.get("list") or ()) for entry in entries):
            entries.append({"list": [pattern], "rx": _any_of([pattern], flags), "value": item})
    return entries


def _any_of(patterns: Iterable[str], flags: str) -> re.Pattern[str] | None:
    source = "|".join(f"({pattern})" for pattern in patterns)
    return to_regexp(source, flags) if source else None


def compile_linear(
    source: str, *, longest: int = LONGEST_PATTERN, ignore_case: bool = False, strict: bool = False
) -> re.Pattern[str]:
    """A stranger's pattern in the syntax of RE2, whose search takes time linear in the text.

    Raises `ValueError` for one that is not valid or has more than `longest` characters. Without
    the package `google-re2` it is one of `re`, which a bad pattern can keep busy for ever; when
    `strict`, it raises `ImportError` instead. Searching a text with half a character (a lone
    surrogate) raises `UnicodeEncodeError`.
    """
    if len(source) > longest:
        raise ValueError(f"longer than {longest} characters")
    if ignore_case:
        source = f"(?i){source}"
    try:
        import re2  # when the first such pattern comes: many processes never see one
    except ImportError:
        if strict:
            raise ImportError(
                "the package that matches patterns safely is missing: pip install bkjs[auth]"
            ) from None
        return _compile(source)
    options = re2.Options()
    options.log_errors = False  # the caller says what is wrong, and where
    try:
        return re2.compile(source, options)  # type: ignore[no-any-return]
    except re2.error as err:
        raise ValueError(str(err)) from err


def _compile(source: str, flags: re.RegexFlag = re.NOFLAG) -> re.Pattern[str]:
    try:
        return re.compile(source, flags)
    except (re.error, OverflowError, RecursionError) as err:
        raise ValueError(str(err)) from err
