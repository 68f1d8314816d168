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
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

from bkjs.core import sealed
from bkjs.db.contract import Group, Order, Row, Table
from bkjs.errors import BadRequest

INLINE: Final = 600
"""Bytes of sort values that a token holds."""
LONGEST: Final = 2200
"""Bytes of a position: what clients get is sealed twice and has less than 4,000 characters."""

_DEFLATED: Final = b"z"

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


def fingerprint(table: Table, where: Group, sort: tuple[Order, ...], search: Any = None) -> str:
    """What a token is good for: this table with these conditions, and words, in this order, as long
    as its key and what it is sorted by are of the same kinds."""
    kinds = [(n, table.columns[n].kind) for n in (*table.keys, *(o.column for o in sort))]
    text = repr((table.name, kinds, where, sort, search))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


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
    return sealed.seal(key, f"page {mark}", data)


def unseal(key: bytes, mark: str, token: str) -> Position:
    """The position of a token; raises BadRequest for one of another query or another maker."""
    data = sealed.unseal(key, f"page {mark}", token)
    if data is None:
        raise _invalid()
    return _unpack(zlib.decompress(data[1:]) if data[:1] == _DEFLATED else data)


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
    pairs = [_named(item) for item in (value if listed else [value])]
    texts = [text for _, text in pairs if isinstance(text, bytes)]
    head = [[n, len(t)] if isinstance(t, bytes) else t for n, t in pairs]
    return json.dumps([kind, listed, *head]).encode() + b"\0" + b"".join(texts)


def _unpack(data: bytes) -> Position:
    head, _, text = data.partition(b"\0")
    kind, listed, *items = json.loads(head)
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


def _named(value: Any) -> tuple[str, Any]:
    """The name of a type and the value as bytes, or as JSON has it."""
    match value:
        case None | bool() | int() | float():
            return "", value
        case str():
            return "text", value.encode(errors="surrogatepass")
        case bytes():
            return "bytes", value
        case datetime():
            return "date", value.isoformat().encode()
        case date():
            return "day", value.isoformat().encode()
        case Decimal() | UUID():
            return type(value).__name__.lower(), str(value).encode()
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
        case "uuid":
            return UUID(text)
        case "json":
            return json.loads(text)
    return text
