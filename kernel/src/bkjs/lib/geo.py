"""Places on Earth: distances, bounding boxes and geohashes."""

from __future__ import annotations

import builtins
import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple

from .numbers import Number, is_numeric, to_number

EARTH_RADIUS: Final = 6378.1  # km
DIGITS: Final = "0123456789bcdefghjkmnpqrstuvwxyz"
RANGES: Final = (
    (12, 0), (8, 0.019), (7, 0.076), (6, 0.61), (5, 2.4),
    (4, 20), (3, 78), (2, 630), (1, 2500), (1, 99999),
)  # fmt: skip
"""How long a geohash is for cells of about so many kilometres."""

_STEPS: Final = {"left": (0, -1), "right": (0, 1), "top": (1, 0), "bottom": (-1, 0)}


class Box(NamedTuple):
    """Limits in degrees; where `lon_min` is above `lon_max` it crosses the date line."""

    lat_min: float
    lat_max: float
    lon_min: float
    lon_max: float


class Cell(NamedTuple):
    """The centre of a geohash and its limits."""

    latitude: float
    longitude: float
    box: Box


@dataclass(frozen=True, slots=True)
class GeoHash:
    """A place as the cell to look in, and the cells around it that a distance reaches."""

    geohash: str
    full: str
    neighbors: list[str]
    latitude: float
    longitude: float
    min_range: float
    min_distance: float
    distance: float


def geo_distance(
    lat1: object, lon1: object, lat2: object, lon2: object, *, round: object = None
) -> float | None:
    """Kilometres between two places in degrees; None when one of the four is no number.

    Numbers may be text, as they come in a query. `round` gives a multiple of it, at most the
    distance.
    """
    degrees = [number for number in map(_degrees, (lat1, lon1, lat2, lon2)) if number is not None]
    if len(degrees) < 4:
        return None
    # in this order: math.radians rounds otherwise, which shows in distances of a kilometre
    north1, east1, north2, east2 = (n * math.pi / 180 for n in degrees)
    cosine = math.sin(north1) * math.sin(north2)
    cosine += math.cos(north1) * math.cos(north2) * math.cos(east2 - east1)
    distance = math.acos(max(-1.0, min(1.0, cosine))) * EARTH_RADIUS
    step = to_number(round)
    if not 0 < step < math.inf:
        return distance
    decimals = len(f"{Decimal(repr(step)):f}".partition(".")[2].rstrip("0"))
    return builtins.round(math.floor(distance / step) * step, decimals)


def _degrees(value: object) -> Number | None:
    if is_numeric(value):
        number = to_number(value, float=True)
        return number if math.isfinite(number) else None
    return None


def geo_box(latitude: float, longitude: float, distance: float) -> Box:
    """The smallest box around everything within so many kilometres of a place."""
    angle = distance / EARTH_RADIUS
    lat_min = latitude - math.degrees(angle)
    lat_max = latitude + math.degrees(angle)
    if lat_min <= -90 or lat_max >= 90:
        return Box(max(lat_min, -90), min(lat_max, 90), -180, 180)
    aside = math.degrees(math.asin(math.sin(angle) / math.cos(math.radians(latitude))))
    lon_min, lon_max = longitude - aside, longitude + aside
    return Box(
        lat_min,
        lat_max,
        lon_min + 360 if lon_min < -180 else lon_min,
        lon_max - 360 if lon_max > 180 else lon_max,
    )


def geo_hash(
    latitude: object, longitude: object, *, distance: object = 0, min_distance: object = 0.01
) -> GeoHash:
    """The cell of a place and, when a distance in kilometres is given, the cells that it reaches.

    The cell is the smallest kind that is wider than `min_distance`. Neighbours leave out the cell
    itself and come column by column from the middle; see `geohash_grid`. All numbers may be text;
    what is none is 0, a `min_distance` that is none 0.01.
    """
    lat, lon = _degrees(latitude) or 0, _degrees(longitude) or 0
    around, least = max(0, _degrees(distance) or 0), _degrees(min_distance) or 0.01
    full = geohash_encode(lat, lon)
    length, size = next((r for r in RANGES if r[1] > least), RANGES[-1])
    geohash = full[:length]
    neighbors = geohash_grid(geohash, math.ceil(around / size))[1:] if around else []
    return GeoHash(geohash, full, neighbors, lat, lon, size, least, around)


def geohash_encode(latitude: float, longitude: float, length: int = 8) -> str:
    """The geohash of a place, up to 12 digits; a place between two cells is in the lower one."""
    length = max(1, min(length, 12))
    row_bits, column_bits = _bits(length)
    row, column = _index(latitude, 90, row_bits), _index(longitude, 180, column_bits)
    return _digits(row, column, length)


def geohash_decode(geohash: str) -> Cell:
    """The cell of a geohash; raises `ValueError` for a text that is none."""
    row, column = _place(geohash)
    row_bits, column_bits = _bits(len(geohash))
    height, width = 180 / (1 << row_bits), 360 / (1 << column_bits)
    south, west = row * height - 90, column * width - 180
    box = Box(south, south + height, west, west + width)
    return Cell(south + height / 2, west + width / 2, box)


def geohash_adjacent(geohash: str, direction: str) -> str:
    """The cell at the `left`, `right`, `top` or `bottom`; past an edge it is on the other side."""
    up, right = _STEPS[direction]
    row, column = _place(geohash)
    return _digits(row + up, column + right, len(geohash))


def geohash_row(geohash: str, steps: int) -> list[str]:
    """A cell and those beside it: itself, left, right, second left, second right …"""
    row, column = _place(geohash)
    return [_digits(row, column + right, len(geohash)) for right in _outwards(steps, first=-1)]


def geohash_grid(geohash: str, steps: int) -> list[str]:
    """The square of (2 · steps + 1)² cells around a cell, column by column from the middle."""
    row, column = _place(geohash)
    return [
        _digits(row + up, column + right, len(geohash))
        for right in _outwards(steps, first=-1)
        for up in _outwards(steps, first=1)
    ]


def _outwards(steps: int, *, first: int) -> Iterator[int]:
    yield 0
    for step in range(1, steps + 1):
        yield first * step
        yield -first * step


def _place(geohash: str) -> tuple[int, int]:
    """Row from the south and column from the date line of a cell.

    The bits of its digits belong to the two in turn, beginning with the column.
    """
    number = 0
    for digit in geohash:
        number = number << 5 | DIGITS.index(digit)
    bits = f"{number:0{5 * len(geohash)}b}"
    return int(bits[1::2], 2), int(bits[::2], 2)


def _index(degrees: float, most: float, bits: int) -> int:
    """In which of the halves of halves a value lies, counted from the lowest."""
    low, high, index = -most, most, 0
    for _ in range(bits):
        middle = (low + high) / 2
        upper = degrees > middle
        low, high = (middle, high) if upper else (low, middle)
        index = index << 1 | upper
    return index


def _bits(length: int) -> tuple[int, int]:
    return 5 * length // 2, (5 * length + 1) // 2


def _digits(row: int, column: int, length: int) -> str:
    row_bits, column_bits = _bits(length)
    bits = [""] * (5 * length)
    bits[1::2] = f"{row % (1 << row_bits):0{row_bits}b}"
    bits[::2] = f"{column % (1 << column_bits):0{column_bits}b}"
    number = int("".join(bits), 2)
    return "".join(DIGITS[number >> 5 * place & 31] for place in reversed(range(length)))
