from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bkjs.helpers.match import is_flag, is_matched, is_time_range, is_true
from bkjs.lib.numbers import MISSING


@pytest.mark.parametrize(
    ("value", "other", "op", "type", "expected"),
    [
        (None, None, "not in", "", True),
        (MISSING, None, "eq", "", True),
        (3, [1, 2, 3], "in", "int", True),
        ("3", "1,2", "in", "int", False),
        ("a", "a", "between", "", True),
        (5, 5.0, "", "number", True),
        ("a", "a,b", "", "list", True),
        ("x", "(", "regexp", "", False),
        ("A", "ab", "ilike%", "", True),
        ("2018-01-02", "2018-01-01", "gt", "date", True),
        ("x", MISSING, "not null", "", True),
        ([], MISSING, "null", "", False),
    ],
)
def test_operators(value, other, op, type, expected):
    assert is_true(value, other, op, type) is expected


def test_a_condition_stays_as_it_is():
    condition = {"type": "!admin"}
    assert is_matched({"type": "user"}, condition)
    assert condition == {"type": "!admin"}


def test_a_pattern_that_is_not_valid_matches_nothing():
    assert not is_matched({"a": "("}, {"a": "("})
    assert not is_matched({"a": "("}, {"a": "!("})


def test_flags_are_compared_exactly():
    assert is_flag(["a", "b"], ["x", "b"])
    assert not is_flag(["ab"], "a")


@pytest.mark.parametrize(("hour", "inside"), [(21, False), (22, True), (2, True), (7, False)])
def test_a_range_of_time_may_pass_midnight(hour, inside):
    now = datetime(2018, 3, 2, hour, tzinfo=UTC)
    assert is_time_range("22:00", "6:00", "UTC", now=now) is inside


def test_twelve_is_noon_or_midnight():
    now = datetime(2018, 3, 2, 12, 30, tzinfo=UTC)
    assert is_time_range("12:15 pm", "12:45 pm", "UTC", now=now)
    assert not is_time_range("12:15 am", "12:45 am", "UTC", now=now)
