from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkjs.lib import convert, numbers
from bkjs.lib.wire import number_text, to_text

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)
TYPES = [
    "",
    "int",
    "real",
    "bool",
    "date",
    "mtime",
    "list",
    "email",
    "phone",
    "url",
    "text",
    "lower",
]


@given(JSON, st.sampled_from(TYPES))
def test_no_value_makes_a_conversion_raise(value, type):
    convert.to_value(value, type)


@given(st.text())
def test_phone_numbers_and_emails_convert_to_themselves(value):
    for type in ("phone", "email"):
        once = convert.to_value(value, type)
        assert convert.to_value(once, type) in (once, "")


@given(st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_survives_its_text(value):
    assert numbers.parse_float(number_text(value)) == value


@given(JSON, st.integers(-100, 100), st.integers(0, 100))
def test_a_number_stays_within_its_limits(value, low, span):
    assert low <= numbers.to_number(value, min=low, max=low + span) <= low + span


@given(st.lists(st.text(st.characters(exclude_characters=",|")).map(str.strip).filter(bool)))
def test_joined_items_split_into_the_same_items(items):
    assert convert.str_split(",".join(items)) == items
    assert convert.str_split(items) == items


@given(st.from_regex(r"[a-z]+(-[a-z]+)*", fullmatch=True))
def test_camel_case_is_undone_by_uncamel(name):
    assert convert.to_uncamel(convert.to_camel(name)) == name


@pytest.mark.parametrize("digits", ["9" * 400, "9" * 5000])
def test_more_digits_than_a_double_holds_are_infinite(digits):
    assert numbers.to_number(digits) == math.inf
    assert numbers.to_number(f"-{digits}", min=-5) == -5


def test_exact_lists_keep_texts_that_differ_in_case():
    assert convert.str_split_unique("a,A,a", exact=True) == ["a", "A"]
    assert convert.str_split_unique([{"a": 1}, {"a": 1}]) == [{"a": 1}]


def test_text_of_numbers_is_that_of_the_clients():
    texts = [to_text(n) for n in (5.0, 0.1, 1e21, 1e-7, 1.5e-5, -0.5, math.inf, math.nan)]
    assert texts == ["5", "0.1", "1e+21", "1e-7", "0.000015", "-0.5", "Infinity", "NaN"]


def test_missing_is_false_and_prints_its_name():
    assert not numbers.MISSING
    assert repr(numbers.MISSING) == "MISSING"
    assert convert.to_bool(numbers.MISSING, dflt=True) is True


def test_a_whole_number_of_any_size_is_itself():
    assert numbers.to_number(10**400, float=False, min=1) == 10**400
