"""Values that columns make themselves: times, identifiers, owners, places."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from bkjs.db.contract import Column, Row
from bkjs.lib import ids
from bkjs.lib.convert import is_empty
from bkjs.lib.geo import geo_hash
from bkjs.lib.numbers import to_number
from bkjs.lib.wire import to_text

from .objects import refused

_DASHED = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Call(NamedTuple):
    """What generated values depend on."""

    now: Callable[[], float] = time.time
    account: Mapping[str, Any] | None = None


Generate = Callable[[Row, Call], None]
"""Sets the value of a column in a record."""


def now(column: Column, inserting: bool, key: bool, lenient: bool) -> Generate:
    """Milliseconds since 1970; `epoch` makes it seconds, `clock` keeps a fraction."""
    if column.props.get("epoch"):
        return _time(column.name, round, keep=key and not inserting)
    if column.props.get("clock"):
        return _time(column.name, lambda t: round(t * 1000, 3), keep=key and not inserting)
    return _time(column.name, lambda t: int(t * 1000), keep=key and not inserting)


def clock(column: Column, inserting: bool, key: bool, lenient: bool) -> Generate:
    """Microseconds since 1970."""
    return _time(column.name, lambda t: int(t * 1_000_000), keep=key and not inserting)


def _time(name: str, read: Callable[[float], float], *, keep: bool) -> Generate:
    def fill(row: Row, call: Call) -> None:
        if not (keep and row.get(name)):
            row[name] = read(call.now())

    return fill


def uuid(column: Column, inserting: bool, key: bool, lenient: bool) -> Generate | None:
    """A random identifier with the column's `prefix`, for records that bring none."""
    return _identifier(column, _is_uuid, ids.uuid, lenient) if inserting else None


def tuuid(column: Column, inserting: bool, key: bool, lenient: bool) -> Generate | None:
    """The same, in the order of time."""
    return _identifier(column, _is_tuuid, ids.tuuid, lenient) if inserting else None


def _identifier(
    column: Column, valid: Callable[[Any, str], bool], new: Callable[[str], str], lenient: bool
) -> Generate:
    name, prefix = column.name, str(column.props.get("prefix") or "")

    def fill(row: Row, call: Call) -> None:
        given = row.get(name)
        if valid(given, prefix):
            return
        if given and not lenient:
            raise refused(name, f"an identifier is expected, such as {new(prefix)}")
        row[name] = new(prefix)

    return fill


def _is_uuid(value: Any, prefix: str) -> bool:
    return ids.is_uuid(value, prefix) or (
        not prefix and isinstance(value, str) and _DASHED.fullmatch(value) is not None
    )


def _is_tuuid(value: Any, prefix: str) -> bool:
    return ids.is_tuuid(value) and value.startswith(prefix)


def uid(column: Column, inserting: bool, key: bool, lenient: bool) -> Generate:
    """The id of the account that asks."""
    return _account(column.name, "id")


def uname(column: Column, inserting: bool, key: bool, lenient: bool) -> Generate:
    """The name of the account that asks."""
    return _account(column.name, "name")


def _account(name: str, attribute: str) -> Generate:
    def fill(row: Row, call: Call) -> None:
        if call.account is not None and call.account.get(attribute) is not None:
            row[name] = to_text(call.account[attribute])

    return fill


def geopoint(column: Column, inserting: bool, key: bool, lenient: bool) -> Generate:
    """The latitude and longitude of the record, joined by a comma."""
    return _place(column, lambda lat, lon: f"{to_text(lat)},{to_text(lon)}")


def geohash(column: Column, inserting: bool, key: bool, lenient: bool) -> Generate:
    """The geohash of that place, of cells that are wider than `minDistance` (0.01) kilometres."""
    distance = float(column.props.get("minDistance") or 0) or 0.01
    return _place(column, lambda lat, lon: geo_hash(lat, lon, min_distance=distance).geohash)


def _place(column: Column, make: Callable[[float, float], str]) -> Generate:
    name, props = column.name, column.props
    lat, lon = str(props.get("lat") or "latitude"), str(props.get("lon") or "longitude")

    def fill(row: Row, call: Call) -> None:
        if not row.get(name) and row.get(lat) is not None and row.get(lon) is not None:
            row[name] = make(to_number(row[lat], float=True), to_number(row[lon], float=True))

    return fill


def fill_empty(name: str, stored: Any) -> Generate:
    """What is stored for a given value that is empty."""

    def fill(row: Row, call: Call) -> None:
        if name in row and is_empty(row[name]):
            row[name] = stored

    return fill


def when_absent(name: str, make: Generate) -> Generate:
    """Make a value only where none is given, not even null."""

    def fill(row: Row, call: Call) -> None:
        if name not in row:
            make(row, call)

    return fill
