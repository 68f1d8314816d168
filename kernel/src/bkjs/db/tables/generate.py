"""Values that columns make themselves: times, identifiers, owners, places."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from bkjs.db.contract import Column, Row
from bkjs.lib import ids
from bkjs.lib.convert import is_empty
from bkjs.lib.geo import geo_hash
from bkjs.lib.numbers import to_number
from bkjs.lib.wire import to_text


class Call(NamedTuple):
    """What generated values depend on."""

    now: Callable[[], float] = time.time
    account: Mapping[str, Any] | None = None


Generate = Callable[[Row, Call], None]


def generator(column: Column, *, inserting: bool, key: bool) -> Generate | None:
    name, props = column.name, column.props
    match column.type:
        case "now" | "clock":
            return _now(column, keep=not inserting and key)
        case "uuid" | "tuuid" if inserting:
            prefix = str(props.get("prefix") or "")
            if column.type == "uuid":
                return _identifier(name, prefix, ids.is_uuid, ids.uuid)
            return _identifier(name, prefix, _is_tuuid, ids.tuuid)
        case "uid" | "uname":
            return _account(name, "id" if column.type == "uid" else "name")
        case "geohash" | "geopoint":
            return _geo(column)
    return None


def _now(column: Column, keep: bool) -> Generate:
    name, props = column.name, column.props
    clock, epoch = column.type == "clock", bool(props.get("epoch"))
    fraction = bool(props.get("clock"))

    def fill(row: Row, call: Call) -> None:
        if keep and row.get(name):
            return
        now = call.now()
        if clock:
            row[name] = int(now * 1_000_000)
        elif epoch:
            row[name] = round(now)
        else:
            row[name] = round(now * 1000, 3) if fraction else int(now * 1000)

    return fill


def _identifier(
    name: str, prefix: str, valid: Callable[[Any, str], bool], new: Callable[[str], str]
) -> Generate:
    def fill(row: Row, call: Call) -> None:
        if not valid(row.get(name), prefix):
            row[name] = new(prefix)

    return fill


def _is_tuuid(value: Any, prefix: str) -> bool:
    return ids.is_tuuid(value) and value.startswith(prefix)


def _account(name: str, attribute: str) -> Generate:
    def fill(row: Row, call: Call) -> None:
        if call.account is not None and call.account.get(attribute) is not None:
            row[name] = to_text(call.account[attribute])

    return fill


def _geo(column: Column) -> Generate:
    name, props = column.name, column.props
    lat, lon = str(props.get("lat") or "latitude"), str(props.get("lon") or "longitude")
    distance = float(props.get("minDistance") or 0)

    def fill(row: Row, call: Call) -> None:
        if row.get(name) or row.get(lat) is None or row.get(lon) is None:
            return
        latitude, longitude = to_number(row[lat], float=True), to_number(row[lon], float=True)
        if column.type == "geopoint":
            row[name] = f"{to_text(latitude)},{to_text(longitude)}"
        else:
            row[name] = geo_hash(latitude, longitude, min_distance=distance or 0.01).geohash

    return fill


def fill_empty(name: str, stored: Any) -> Generate:
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
