from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkjs.lib import geo
from bkjs.testing.vectors import same, vectors


def near(actual: Any, expected: Any) -> bool:
    """Within the tolerance that the golden data names."""
    if isinstance(expected, list):
        return len(actual) == len(expected) and all(map(near, actual, expected))
    if isinstance(expected, float):
        return actual == pytest.approx(expected, rel=1e-9, abs=1e-9)
    return same(actual, expected)


def wire(found: geo.GeoHash) -> dict[str, Any]:
    return {
        "geohash": found.geohash,
        "_geohash": found.full,
        "neighbors": found.neighbors,
        "latitude": found.latitude,
        "longitude": found.longitude,
        "minRange": found.min_range,
        "minDistance": found.min_distance,
        "distance": found.distance,
    }


def decoded(geohash: str) -> list[float]:
    cell = geo.geohash_decode(geohash)
    return [cell.latitude, cell.longitude, *cell.box]


HELPERS = {
    "adjacent": geo.geohash_adjacent,
    "decode": decoded,
    "distance": geo.geo_distance,
    "distance_round": lambda *args: geo.geo_distance(*args[:4], round=args[4]),
    "encode": geo.geohash_encode,
    "grid": geo.geohash_grid,
    "row": geo.geohash_row,
}


@pytest.mark.parametrize("case", vectors("db-geohash"))
def test_geohashes_give_the_golden_results(case):
    if case["fn"] == "geo_hash":
        found = wire(geo.geo_hash(**case["args"]))
        found |= {"min_range": found["minRange"], "min_distance": found["minDistance"]}
        assert {name: found[name] for name in case.wanted()} == case.wanted()
    else:
        assert case["fn"] in HELPERS, f"unknown function {case['fn']!r}"
        assert near(HELPERS[case["fn"]](*case["args"]), case.wanted())


LATITUDES = st.floats(-90, 90)
LONGITUDES = st.floats(-180, 180)
HASHES = st.text(geo.DIGITS, min_size=1, max_size=12)


@given(HASHES)
def test_the_centre_of_a_cell_is_in_the_cell(geohash):
    cell = geo.geohash_decode(geohash)
    assert geo.geohash_encode(cell.latitude, cell.longitude, len(geohash)) == geohash


@given(LATITUDES, LONGITUDES, st.integers(1, 12))
def test_a_place_is_in_its_cell(latitude, longitude, length):
    box = geo.geohash_decode(geo.geohash_encode(latitude, longitude, length)).box
    assert box.lat_min <= latitude <= box.lat_max
    assert box.lon_min <= longitude <= box.lon_max


@given(HASHES, st.sampled_from([("left", "right"), ("top", "bottom")]))
def test_there_and_back_is_the_same_cell(geohash, ways):
    there, back = ways
    assert geo.geohash_adjacent(geo.geohash_adjacent(geohash, there), back) == geohash


@given(HASHES.filter(lambda geohash: len(geohash) > 2), st.integers(0, 3))
def test_a_grid_has_every_cell_once(geohash, steps):
    grid = geo.geohash_grid(geohash, steps)
    assert grid[0] == geohash
    assert len(set(grid)) == len(grid) == (2 * steps + 1) ** 2


@given(LATITUDES, LONGITUDES, LATITUDES, LONGITUDES)
def test_a_distance_is_the_same_both_ways(lat1, lon1, lat2, lon2):
    there = geo.geo_distance(lat1, lon1, lat2, lon2)
    assert there == pytest.approx(geo.geo_distance(lat2, lon2, lat1, lon1), abs=1e-3)
    assert 0 <= there <= 20038
    assert geo.geo_distance(lat1, lon1, lat1, lon1) == pytest.approx(0, abs=1e-3)


@given(LATITUDES, LONGITUDES, LATITUDES, LONGITUDES, st.floats(1, 5000))
def test_what_is_within_a_distance_is_in_its_box(lat1, lon1, lat2, lon2, distance):
    found = geo.geo_distance(lat1, lon1, lat2, lon2)
    box = geo.geo_box(lat1, lon1, distance)
    if found is None or found > distance - 0.01:
        return
    assert box.lat_min <= lat2 <= box.lat_max
    if box.lon_min <= box.lon_max:
        assert box.lon_min <= lon2 <= box.lon_max
    else:
        assert lon2 >= box.lon_min or lon2 <= box.lon_max


def test_a_box_at_the_equator_the_pole_and_the_date_line():
    assert geo.geo_box(0, 0, 111.3189) == pytest.approx((-1, 1, -1, 1), abs=1e-4)
    assert geo.geo_box(89.9, 10, 100) == pytest.approx((89.00169, 90, -180, 180), abs=1e-4)
    across = geo.geo_box(0, 179.5, 111.3189)
    assert across == pytest.approx((-1, 1, 178.5, -179.5), abs=1e-4)


@pytest.mark.parametrize("geohash", ["9a", "9Q", "9q "])
def test_a_text_that_is_no_geohash_is_an_error(geohash):
    with pytest.raises(ValueError, match=r"."):
        geo.geohash_decode(geohash)
