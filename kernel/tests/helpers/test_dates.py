from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkjs.helpers import dates
from bkjs.lib.dates import from_ms, parse_date


@given(st.text() | st.floats() | st.integers() | st.none() | st.booleans() | st.lists(st.text()))
def test_nothing_makes_the_text_of_a_date_raise(value):
    dates.strftime(value, "%c %Z %W")
    dates.to_duration(value)
    dates.to_age(value)


def test_a_moment_is_told_in_local_time_or_utc(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    assert dates.strftime("2018-03-01T00:00:00Z", "%H %Z") == "01 GMT+0100"
    assert dates.strftime("2018-03-01T00:00:00Z", "%H %Z", utc=True) == "00 GMT-0000"


def test_names_and_durations_are_translated():
    spanish = {"March": "marzo", "%s hours": "%s horas", "1 minute": "1 minuto"}

    def translate(phrase, *args):
        text = spanish[phrase]
        return text.replace("%s", str(args[0])) if args else text

    assert dates.strftime("2018-03-01", "%d %B", translate=translate) == "01 marzo"
    assert dates.to_duration(7260000, translate=translate) == "2 horas 1 minuto"


@given(st.integers(0, 7 * 10**9))
def test_a_moment_is_read_again_from_what_was_written(seconds):
    moment = from_ms(seconds * 1000)
    assert parse_date(dates.strftime(moment, "%Y-%m-%dT%H:%M:%SZ", utc=True)) == moment
    assert from_ms(int(dates.strftime(moment, "%t"))) == moment


@pytest.mark.parametrize("text", ["²", "١٢", "9" * 99])
def test_digits_that_are_no_moment_format_as_nothing_or_a_date(text):
    assert dates.strftime(text, "%Y") in ("", "1970")
