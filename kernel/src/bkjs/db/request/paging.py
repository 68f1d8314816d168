"""Paging tokens: where the next page begins, sealed so that only this server can make one.

A token holds the sort values of the last row (or a driver's own resume point) and opens only for
the query that it came from. Nobody can read it: clients may not see every sort column.
"""

from __future__ import annotations

import hashlib
import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple
from uuid import UUID

from bkjs.core import sealed
from bkjs.db.contract import Group, Order, Table
from bkjs.errors import BadRequest


class Position(NamedTuple):
    """After a row's sort values, at a driver's resume point, or after a number of rows."""

    kind: Literal["after", "resume", "offset"]
    value: Any


def fingerprint(table: Table, where: Group, sort: tuple[Order, ...]) -> str:
    """What a token is good for: this table with these conditions in this order."""
    text = repr((table.name, where, sort))
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


def seal(key: bytes, mark: str, position: Position) -> str:
    """The token for a position in the query with this fingerprint."""
    data = json.dumps(position, separators=(",", ":"), default=_tag).encode()
    return sealed.seal(key, f"page {mark}", data)


def unseal(key: bytes, mark: str, token: str) -> Position:
    """The position of a token; raises BadRequest for one of another query or another maker."""
    data = sealed.unseal(key, f"page {mark}", token)
    if data is None:
        raise _invalid()
    kind, value = json.loads(data, object_hook=_untag)
    return Position(kind, tuple(value) if kind == "after" else value)


def position(key: bytes, mark: str, start: Any) -> Position | None:
    """What the option `start` means: a token, a number of rows to skip, or nothing."""
    if start is None or start == "" or start is False:
        return None
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


def _tag(value: Any) -> Any:
    """Values of sort columns that JSON does not have."""
    match value:
        case datetime():
            return {"$date": value.isoformat()}
        case date():
            return {"$day": value.isoformat()}
        case bytes():
            return {"$bytes": value.hex()}
        case Decimal() | UUID():
            return {"$" + type(value).__name__.lower(): str(value)}
    raise TypeError(f"cannot page by a value of type {type(value).__name__}")


def _untag(value: dict[str, Any]) -> Any:
    match value:
        case {"$date": str(text)}:
            return datetime.fromisoformat(text)
        case {"$day": str(text)}:
            return date.fromisoformat(text)
        case {"$bytes": str(text)}:
            return bytes.fromhex(text)
        case {"$decimal": str(text)}:
            return Decimal(text)
        case {"$uuid": str(text)}:
            return UUID(text)
    return value
