"""Parameters out of a query string or a urlencoded form, nested names included.

`a=1&a=2` and `a[]=1&a[]=2` are lists, `a[b]=1` is an object; five levels deep at most.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote_plus

from bkjs.errors import BadRequest

MAX_FIELDS = 1000
MAX_DEPTH = 5
MAX_INDEX = 20
"""`a[21]=x` is a member of an object, not of a list: nobody makes us fill the places before it."""

_PART = re.compile(r"\[([^\[\]]*)\]")


def parse(raw: bytes, limit: int = MAX_FIELDS) -> dict[str, Any]:
    """The parameters in the order of their names' first appearance; empty names are left out.

    Raises BadRequest for more than `limit` of them (413) and for bytes that are no UTF-8.
    """
    if raw.count(b"&") >= limit:
        raise BadRequest(f"Too many parameters, at most {limit} are accepted", status=413)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise _not_utf8() from None
    encoded = "%" in text or "+" in text
    items = text.split("&")
    if encoded:
        return nest(map(_pair, items))
    return nest([(name, value) for name, _, value in [item.partition("=") for item in items]])


def nest(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The parameters that decoded names and values stand for."""
    found = _Node()
    for name, value in pairs:
        if "[" in name:
            found.insert(_path(name), value)
        elif name in found:
            found.repeat(name, value)
        elif name:
            found[name] = value
    return {n: v.plain() if type(v) is _Node else v for n, v in found.items()}


def _pair(item: str) -> tuple[str, str]:
    name, _, value = item.partition("=")
    return _decode(name), _decode(value)


def _decode(text: str) -> str:
    if "%" not in text and "+" not in text:
        return text
    try:
        return unquote_plus(text, errors="strict")
    except UnicodeDecodeError:
        raise _not_utf8() from None


def _not_utf8() -> BadRequest:
    return BadRequest("Invalid parameters: not UTF-8")


def _path(name: str) -> list[str]:
    """`a[b][]` -> ["a", "b", ""]; what lies too deep, or is no bracket, stays text."""
    base = name.partition("[")[0]
    rest = name[len(base) :]
    parts = [base]
    at = 0
    while len(parts) <= MAX_DEPTH and (found := _PART.match(rest, at)):
        parts.append(found[1])
        at = found.end()
    if at < len(rest):
        if len(parts) == 1 or not base:
            return [name]
        parts.append(rest[at:])
    return parts if base else [name]


class _Node(dict[str, Any]):
    """A level of names; it turns into a list when they are all places in one."""

    __slots__ = ("following", "is_list")

    def __init__(self) -> None:
        self.following = 0
        self.is_list = True

    def insert(self, parts: list[str], value: str) -> None:
        node = self
        for part in parts[:-1]:
            node = node.level(node.place(part))
        name = node.place(parts[-1])
        if name in node:
            node.repeat(name, value)
        else:
            node[name] = value

    def level(self, name: str) -> _Node:
        """The level under a name; a value that stood there is its first item."""
        child = self.get(name)
        if type(child) is _Node:
            return child
        fresh = self[name] = _Node()
        if child is not None:
            fresh[fresh.place("")] = child
        return fresh

    def place(self, part: str) -> str:
        """The key of a part: the next place for an empty one."""
        if part == "":
            part = str(self.following)
        elif not (part.isascii() and part.isdigit() and len(part) <= 2 and int(part) <= MAX_INDEX):
            self.is_list = False
            return part
        self.following = max(self.following, int(part) + 1)
        return part

    def repeat(self, name: str, value: str) -> None:
        child = self.level(name)
        child[child.place("")] = value

    def plain(self) -> list[Any] | dict[str, Any]:
        values = {n: v.plain() if type(v) is _Node else v for n, v in self.items()}
        if self.is_list:
            return [values[n] for n in sorted(values, key=int)]
        return values
