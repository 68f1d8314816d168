"""Texts with `@name@` in them."""

from __future__ import annotations

import base64
import math
import operator
import re
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

from bkjs.lib.convert import str_split
from bkjs.lib.dates import to_ms
from bkjs.lib.numbers import MISSING, Number, parse_float
from bkjs.lib.patterns import to_regexp
from bkjs.lib.wire import to_text

from .values import names_of, truthy

_NAME = re.compile(r"[a-zA-Z0-9_]+")
_CONDITION = re.compile(r"(if[a-z]*)\s+([a-zA-Z0-9_]+)(?:\s+(.+))?", re.S)
_NUMBER = re.compile(r"\s*(?:[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)?\s*")


def to_template(
    text: object,
    objects: object,
    *,
    encoding: str = "",
    allow: object = None,
    skip: object = (),
    only: object = None,
) -> str:
    """The text with each `@name@` replaced by the value of that name in the first object with one.

    Names without a value vanish, as do those that `allow` or `only` do not have or `skip` has, with
    the conditions on them. `@exit@` ends the text, `@RAND@` is a random number, and
    `@if NAME LIST@ … @endif@` keeps what is between when the value has any of the list; `ifnot`,
    `ifall`, `ifstr` (pattern), `ifeq`, `ifgt`, `ifge`, `iflt` and `ifle` likewise, but not one
    within another. Values are put in as they are, not escaped for HTML; `encoding` may be `url` or
    `base64`. Runs of blanks shrink.
    """
    listed = objects if isinstance(objects, (list, tuple)) else [objects]
    sources = [source for source in listed if isinstance(source, Mapping)]
    allowed = [names_of(names) for names in (allow, only) if names is not None]
    skipped = names_of(skip)
    over = False

    def hidden(name: str) -> bool:
        return name in skipped or any(name not in names for names in allowed)

    def value(name: str) -> Any:
        found = MISSING
        for source in sources:
            found = source.get(name, MISSING)
            if truthy(found):
                break
        return found

    def placed(name: str) -> str:
        if hidden(name):
            return ""
        if name == "RAND":
            return str(secrets.randbelow(1 << 32))
        found = value(name)
        words = "" if found is None or found is MISSING else to_text(found)
        try:
            data = words.encode()
        except UnicodeEncodeError:  # half a character has no bytes
            return "" if encoding in ("url", "base64") else words
        if encoding == "url":
            return quote(data, safe="")
        return base64.b64encode(data).decode() if encoding == "base64" else words

    def expand(text: str) -> str:
        nonlocal over
        pieces = text.split("@")  # texts and tags in turn
        parts = [pieces[0]]
        at = 1
        while at < len(pieces) - 1:
            tag, after = pieces[at], at + 1
            condition = _CONDITION.fullmatch(tag)
            if tag == "exit":
                over = True
                return "".join(parts)
            if condition:
                end = _end(pieces, after)
                if end:
                    kind, name, words = condition.groups(default="")
                    if not hidden(name) and _holds(kind, value(name), words):
                        parts.append(expand("@".join(pieces[after:end])))
                    if over:
                        return "".join(parts)
                    after = end + 1
            elif _NAME.fullmatch(tag):
                parts.append(placed(tag))
            else:
                parts.append(f"@{tag}@")
            parts.append(pieces[after])
            at = after + 1
        return "@".join(["".join(parts), *pieces[at:]])

    return re.sub(r" {2,}", " ", expand(text)) if isinstance(text, str) else ""


def _end(pieces: list[str], start: int) -> int:
    """Where the next `endif` is that a further @ closes, 0 for nowhere."""
    try:
        return pieces.index("endif", start, len(pieces) - 1)
    except ValueError:
        return 0


def _holds(kind: str, value: Any, words: str) -> bool:
    have, wanted = str_split(value), str_split(words)
    match kind:
        case "if":
            return any(to_text(item) in wanted for item in have)
        case "ifnot":
            return not any(to_text(item) in wanted for item in have)
        case "ifall":
            known = [to_text(item) for item in have]
            return all(item in known for item in wanted)
        case "ifstr":
            pattern = to_regexp(words, "i") if truthy(value) else None
            return pattern is not None and pattern.search(to_text(value)) is not None
    compare = _COMPARE.get(kind)
    return compare is not None and _loosely(compare, value, words, order=kind != "ifeq")


def _loosely(compare: Callable[[Any, Any], bool], value: Any, words: str, *, order: bool) -> bool:
    """As clients compare a value with a text: as numbers when the value is one, in order also for
    moments and null.
    """
    number: Number | None = None
    if isinstance(value, (int, float, Decimal)):
        number = math.nan if isinstance(value, Decimal) and value.is_nan() else float(value)
    elif order and isinstance(value, datetime):
        number = to_ms(value)
    elif value is None or value is MISSING:
        if value is MISSING or not order:
            return False
        number = 0
    if number is None:
        return compare(to_text(value), words)
    return _NUMBER.fullmatch(words) is not None and compare(
        number, parse_float(words.strip() or "0")
    )


_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "ifeq": operator.eq,
    "ifgt": operator.gt,
    "ifge": operator.ge,
    "iflt": operator.lt,
    "ifle": operator.le,
}
