"""Texts with `@name@` in them."""

from __future__ import annotations

import base64
import operator
import re
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from bkjs.lib.convert import str_split
from bkjs.lib.numbers import MISSING, parse_float
from bkjs.lib.patterns import to_regexp
from bkjs.lib.wire import to_text

_NAME = re.compile(r"[a-zA-Z0-9_]+")
_CONDITION = re.compile(r"(if[a-z]*)\s+([a-zA-Z0-9_]+)(?:\s+(.+))?", re.S)

Objects = Mapping[str, Any] | Sequence[Mapping[str, Any] | None] | None


def to_template(
    text: str | None,
    objects: Objects,
    *,
    encoding: str = "",
    allow: Collection[str] | None = None,
    skip: Collection[str] = (),
) -> str:
    """The text with each `@name@` replaced by the value of that name in the first object with one.

    Names without a value vanish, as do those that `allow` does not have or `skip` has. `@exit@`
    ends the text, `@RAND@` is a random number, and `@if NAME LIST@ … @endif@` keeps what is
    between when the value has any of the list; `ifnot`, `ifall`, `ifstr` (pattern), `ifeq`,
    `ifgt`, `ifge`, `iflt` and `ifle` likewise, but not one within another. Values are put in as
    they are, not escaped for HTML; `encoding` may be `url` or `base64`. Runs of blanks shrink.
    """
    sources = [objects] if isinstance(objects, Mapping) else list(objects or ())

    def value(name: str) -> Any:
        found = None
        for source in sources:
            found = source.get(name) if source else None
            if found:
                break
        return None if found is MISSING else found

    def placed(name: str) -> str:
        if name in skip or (allow is not None and name not in allow):
            return ""
        if name == "RAND":
            return str(secrets.randbelow(1 << 32))
        found = value(name)
        words = "" if found is None else to_text(found)
        if encoding == "url":
            return quote(words, safe="")
        return base64.b64encode(words.encode()).decode() if encoding == "base64" else words

    def expand(text: str) -> str:
        pieces = text.split("@")  # texts and tags in turn
        parts = [pieces[0]]
        at = 1
        while at < len(pieces) - 1:
            tag, after = pieces[at], at + 1
            condition = _CONDITION.fullmatch(tag)
            if tag == "exit":
                return "".join(parts)
            if condition:
                end = _end(pieces, after)
                if end:
                    kind, name, words = condition.groups(default="")
                    if _holds(kind, value(name), words):
                        parts.append(expand("@".join(pieces[after:end])))
                    after = end + 1
            elif _NAME.fullmatch(tag):
                parts.append(placed(tag))
            else:
                parts.append(f"@{tag}@")
            parts.append(pieces[after])
            at = after + 1
        return "@".join(["".join(parts), *pieces[at:]])

    return re.sub(r" {2,}", " ", expand(text or ""))


def _end(pieces: Sequence[str], start: int) -> int:
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
            pattern = to_regexp(words, "i")
            return bool(pattern and pattern.search("" if value is None else to_text(value)))
    compare = _COMPARE.get(kind)
    if not compare:
        return False
    if isinstance(value, str):
        return compare(value, words)
    return value is not None and compare(float(to_text(value) or 0), parse_float(words))


_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "ifeq": operator.eq,
    "ifgt": operator.gt,
    "ifge": operator.ge,
    "iflt": operator.lt,
    "ifle": operator.le,
}
