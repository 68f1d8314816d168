from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkjs.lib import dates

MOMENTS = st.integers(-(10**13), 10**14).map(dates.from_ms)


@given(MOMENTS)
def test_a_moment_survives_its_wire_text(moment):
    assert dates.parse_date(dates.iso(moment)) == moment
    assert dates.from_ms(dates.to_ms(moment)) == moment


@given(st.text() | st.floats() | st.integers() | st.none() | st.booleans() | st.lists(st.text()))
def test_nothing_makes_a_date_raise(value):
    dates.to_date(value)


@pytest.mark.parametrize(
    "text",
    [
        "2018-03-02T14:13:20Z",
        "2018-03-02T15:13:20+01:00",
        "2018-3-2 14:13:20",
        "2018/03/02 14:13:20",
        "03/02/2018 02:13:20 pm",
        "Mar 2, 2018 14:13:20",
        "March 2 2018 14:13:20",
        "2 Mar 2018 14:13:20",
        "Fri, 02 Mar 2018 14:13:20 GMT",
        "Fri Mar 02 2018 06:13:20 GMT-0800 (Pacific Standard Time)",
        "Fri Mar 2 2018 14:13:20 UTC",
        "02-Mar-2018 14:13:20",
    ],
)
def test_the_ways_to_write_a_date(text):
    assert dates.parse_date(text) == datetime(2018, 3, 2, 14, 13, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2018-02-30",
        "Foo 2, 2018",
        "2018-13-01",
        "13/13/2018",
        "Mar 2, 2018 25:00",
        "2018-",
        "J 1, 2018",
    ],
)
def test_what_is_no_date_is_none(text):
    assert dates.parse_date(text) is None
    assert dates.to_date(text, 5000) == dates.from_ms(5000)


def test_text_without_a_zone_is_local_but_a_plain_date_is_not(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    assert dates.parse_date("2018-03-01 10:00") == datetime(2018, 3, 1, 9, tzinfo=UTC)
    assert dates.parse_date("Mar 1, 2018") == datetime(2018, 2, 28, 23, tzinfo=UTC)
    assert dates.parse_date("2018-03-01") == datetime(2018, 3, 1, tzinfo=UTC)


def test_a_moment_without_a_zone_is_utc_and_one_with_another_is_converted():
    assert dates.parse_date(datetime(2018, 3, 1)) == datetime(2018, 3, 1, tzinfo=UTC)  # noqa: DTZ001
    east = datetime(2018, 3, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert dates.iso(east) == "2018-03-01T00:00:00.000Z"


def test_no_digit_of_a_moment_is_lost():
    moment = datetime(2018, 3, 2, 14, 13, 20, 120001, UTC)
    assert dates.iso(moment) == "2018-03-02T14:13:20.120001Z"
    assert dates.iso(moment.replace(microsecond=120000)) == "2018-03-02T14:13:20.120Z"
    for text in ("2018-03-02T14:13:20.120001Z", "3/2/2018 14:13:20.120001 GMT"):
        assert dates.parse_date(text) == moment
    assert dates.parse_date("3/2/2018 14:13:20.1 GMT") == moment.replace(microsecond=100000)


def test_a_long_text_is_no_date():
    assert dates.parse_date("Mar 1, 2018" + " " * 50 + "x") is None
    assert dates.parse_date("Mar 1, 2018" + " 1" * 50000) is None
