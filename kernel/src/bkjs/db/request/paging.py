"""Paging tokens: where the next page begins, sealed so that only this server can make one.

A token holds the sort values of the last row (or a driver's own resume point) and opens only for
the query that it came from. Nobody can read it: clients may not see every sort column. It has to
fit into a header and an address: sort values that are long are left out and read again by the key.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

import orjson

from bkjs.db.conditions.build import Shape, leaves, shape
from bkjs.db.contract import Group, Order, Row, Table
from bkjs.errors import BadRequest
from bkjs.lib import sealed

INLINE: Final = 600
"""Bytes of sort values that a token holds."""
LONGEST: Final = 2200
"""Bytes of a position: what clients get has less than 3,000 characters."""
PURPOSE: Final = "next_token"
"""What tokens are sealed for, those of lists that are no rows of a table too."""

_PAGE: Final = b"."
"""How what a token of a page holds begins, which no JSON does."""
_DEFLATED: Final = b"z"
_LARGE: Final = 2**63
"""From here on a number is none of JSON's that orjson reads."""

Kind = Literal["after", "again", "resume", "offset"]


class Position(NamedTuple):
    """After a row's sort values, at a driver's resume point, or after a number of rows.

    `again` stands for either of the first two, to be made of the row as it is stored: it has the
    key and a digest.
    """

    kind: Kind
    value: Any
    key: tuple[Any, ...] = ()
    """The key of the row that it is behind, where it can be made of that again."""


def behind(row: Row, order: Sequence[Order], keys: Sequence[str]) -> Position:
    """The place behind a stored row."""
    values = tuple(row.get(o.column) for o in order)
    return Position("after", values, tuple(row.get(name) for name in keys))


def again(found: Iterable[Position], digest: bytes) -> Position:
    """Which of the places behind a row that was read again it was; raises BadRequest for none of
    them: the row has changed or is gone."""
    for place in found:
        if _digest(place) == digest:
            return place
    raise BadRequest(
        "start: the row where this page begins has changed or is gone; begin again with the"
        " first page",
        field="start",
    )


class Token(str):
    """A token that is known to be sealed with `key`, and the `data` in it."""

    __slots__ = ("data", "key")
    data: bytes
    key: bytes


def opened(key: bytes, text: str, data: bytes) -> Token | None:
    """The token that was found to hold this data, None when it is none of a page."""
    return _token(key, text, data) if data[:1] == _PAGE else None


def _token(key: bytes, text: str, data: bytes) -> Token:
    token = Token(text)
    token.key, token.data = key, data
    return token


def fingerprint(table: Table, where: Group, sort: tuple[Order, ...], search: Any = None) -> str:
    """What a token is good for: this table with these conditions, and words, in this order, as long
    as its key and what it is sorted by are of the same kinds."""
    values = [condition.value for condition in leaves(where)]
    asked = hashlib.blake2b(repr((values, search)).encode(), digest_size=8)
    asked.update(_stem(table, shape(where), sort))
    return asked.hexdigest()


@lru_cache(500)
def _stem(table: Table, where: Shape, sort: tuple[Order, ...]) -> bytes:
    names = (*table.keys, *(order.column for order in sort))
    kinds = [(name, table.columns[name].kind) for name in names]
    return hashlib.blake2b(repr((table.name, kinds, where, sort)).encode()).digest()


def seal(key: bytes, mark: str, position: Position) -> str:
    """The token for a position in the query with this fingerprint."""
    kind, value, row_key = position
    data = _pack(kind, value)
    if len(data) > INLINE and row_key and (kind == "resume" or len(row_key) < len(value)):
        data = _pack("again", (*row_key, _digest(position)))
    if len(data) > LONGEST:  # a driver's resume point that is a key as JSON escapes it
        data = _DEFLATED + zlib.compress(data)
    if len(data) > LONGEST:  # keys of this length are written by others only
        raise BadRequest("the key of the last row is too long to go on behind it", field="start")
    data = _good_for(mark) + data
    return _token(key, sealed.seal(key, PURPOSE, data), data)


def unseal(key: bytes, mark: str, token: str) -> Position:
    """The position of a token; raises BadRequest for one of another query or another maker."""
    known = type(token) is Token and token.key == key
    data = token.data if known else sealed.unseal(key, PURPOSE, token)  # type: ignore[attr-defined]
    stem = _good_for(mark)
    if data is None or not data.startswith(stem):
        raise _invalid()
    data = data[len(stem) :]
    return _unpack(zlib.decompress(data[1:]) if data[:1] == _DEFLATED else data)


def _good_for(mark: str) -> bytes:
    return b"%b%b\0" % (_PAGE, mark.encode())


def position(key: bytes, mark: str, start: Any) -> Position | None:
    """What the option `start` means: a token, a number of rows to skip, or nothing."""
    if start is None or start == "" or start is False:
        return None
    if isinstance(start, Position):  # of a scan, which needs no token
        return start
    if isinstance(start, int) and not isinstance(start, bool):
        return _offset(start)
    if isinstance(start, str):
        if start.isascii() and start.isdigit() and len(start) < 10:
            return _offset(int(start))
        return unseal(key, mark, start)
    raise _invalid()


def _offset(rows: int) -> Position | None:
    if rows < 0:
        raise _invalid()
    return Position("offset", rows) if rows else None


def _invalid() -> BadRequest:
    return BadRequest("start: invalid token", field="start")


def _digest(position: Position) -> bytes:
    return hashlib.sha256(_pack(position.kind, position.value)).digest()[:16]


def _pack(kind: Kind, value: Any) -> bytes:
    """A position as bytes. Text takes no more of them than it has: JSON would escape it."""
    listed = isinstance(value, (list, tuple))
    head: list[Any] = [kind, listed]
    texts: list[bytes] = []
    for item in value if listed else (value,):
        if item is None or type(item) is bool or (type(item) is int and abs(item) < _LARGE):
            head.append(item)
            continue
        name, text = _named(item)
        head.append((name, len(text)))
        texts.append(text)
    return b"%b\0%b" % (orjson.dumps(head), b"".join(texts))


def _unpack(data: bytes) -> Position:
    head, _, text = data.partition(b"\0")
    kind, listed, *items = orjson.loads(head)
    values: list[Any] = []
    for item in items:
        if isinstance(item, list):
            name, length = item
            values.append(_read(name, text[:length]))
            text = text[length:]
        else:
            values.append(item)
    if not listed:
        return Position(kind, values[0])
    return Position(kind, values if kind == "resume" else tuple(values))


def _named(value: Any) -> tuple[str, bytes]:
    """The name of a type, and the value as bytes."""
    match value:
        case str():
            return "text", value.encode(errors="surrogatepass")
        case bytes():
            return "bytes", value
        case int():
            return "int", str(int(value)).encode()
        case float():
            return "float", repr(value).encode()
        case datetime():
            return "date", value.isoformat().encode()
        case date():
            return "day", value.isoformat().encode()
        case Decimal() | UUID():
            return "decimal" if isinstance(value, Decimal) else "uuid", str(value).encode()
        case dict() | list() | tuple():
            return "json", json.dumps(value).encode()
    raise TypeError(f"cannot page by a value of type {type(value).__name__}")


def _read(name: str, data: bytes) -> Any:
    if name == "bytes":
        return data
    text = data.decode(errors="surrogatepass")
    match name:
        case "date":
            return datetime.fromisoformat(text)
        case "day":
            return date.fromisoformat(text)
        case "decimal":
            return Decimal(text)
        case "int" | "float":
            return int(text) if name == "int" else float(text)
        case "uuid":
            return UUID(text)
        case "json":
            return json.loads(text)
    return text
