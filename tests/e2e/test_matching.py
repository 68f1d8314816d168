"""The comparison that the transcripts rest on notices what is wrong."""

import time

import pytest

from tests.e2e.matching import Matcher, fields, without


def test_further_fields_are_allowed_and_null_may_be_missing_or_empty():
    matcher = Matcher()
    assert matcher.differences({"a": 1, "b": None, "c": None}, {"a": 1, "c": "", "d": 2}) == []


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"a": "1"}),
        ({"a": None}, {"a": 0}),
        ({"a": "x"}, {}),
        ({"a": "$any"}, {"a": None}),
        ({"a": "$uuid"}, {"a": "zz"}),
        ({"a": "$now"}, {"a": 1}),
        ({"a": "$starts:ab"}, {"a": "ba"}),
        ({"a": "$contains:x,y"}, {"a": ["x"]}),
        ([1, 2], [2, 1]),
        ([{"a": 1}], [{"a": 1}, {"a": 1}]),
        ([{"a": 1}, {"a": 1}], [{"a": 1}, {"a": 2}]),
        ({"a": []}, {"a": {}}),
        ([], {}),
    ],
)
def test_a_difference_is_found(expected, actual):
    assert Matcher().differences(expected, actual)


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        (True, 1),
        (2, 2.0),
        ("a\r\nb\n", "a\nb"),
        ([{"a": 1}, {"a": 2}], [{"a": 2}, {"a": 1}]),
        ({"a": "$contains:x,y"}, {"a": ["y", "z", "x"]}),
        ({"a": "$uuid"}, {"a": "0" * 32}),
    ],
)
def test_equal_in_the_sense_of_the_transcripts(expected, actual):
    assert Matcher().differences(expected, actual) == []


def test_now_is_a_time_since_the_start_as_number_or_digits():
    matcher = Matcher()
    now = int(time.time() * 1000)
    assert matcher.differences(["$now", "$now"], [now, str(now)]) == []


def test_a_name_is_bound_once_and_stays():
    matcher = Matcher()
    assert matcher.differences({"id": "$a1"}, {"id": "xyz"}) == []
    assert matcher.fill("/get?id=$a1,$a1s") == "/get?id=xyz,xyzs"
    assert matcher.differences({"id": "$a1"}, {"id": "other"})


def test_rows_are_assigned_so_that_names_agree():
    rows = [{"id": "1", "of": "2"}, {"id": "2", "of": "1"}]
    wanted = [{"id": "$x", "of": "$y"}, {"id": "$y", "of": "1"}]
    matcher = Matcher()
    assert matcher.differences(wanted, rows) == []
    assert matcher.bound == {"x": "1", "y": "2"}


def test_a_list_may_name_fewer_rows_only_when_allowed():
    rows = [{"a": 1}, {"a": 2}]
    assert Matcher().differences([{"a": 2}], rows, fewer=True) == []
    assert Matcher().differences([{"a": 3}], rows, fewer=True)


def test_fields_are_found_and_removed_at_any_depth():
    value = {"a": [{"b": 1, "c": {"d": 2}}]}
    assert fields(value) == {"a", "b", "c", "d"}
    assert without(value, {"c"}) == {"a": [{"b": 1}]}
