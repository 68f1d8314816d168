from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkjs.lib import text
from bkjs.lib.numbers import MISSING
from bkjs.lib.wire import to_text

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@given(st.text(), st.lists(JSON))
def test_no_format_makes_sprintf_raise(pattern, args):
    text.sprintf(pattern, *args)


@pytest.mark.parametrize(
    ("pattern", "value", "expected"),
    [
        ("%e", 12345, "1.2345e+4"),
        ("%e", -0.000015, "-1.5e-5"),
        ("%e", 0, "0e+0"),
        ("%.0e", 25, "3e+1"),
        ("%.3e", 0, "0.000e+0"),
        ("%.3p", 0.00001234, "0.0000123"),
        ("%p", 1.3450060102e20, "134500601020000000000"),
        ("%.20f", 12345678901.5, "12345678901.50000000000000000000"),
        ("%.2f", 1e21, "1e+21"),
        ("%.2d", 1250, "1300"),
        ("%-06d|", 42, "420000|"),
        ("%z", 5, "undefined"),
        ("%.2e", 12345, "1.23e+4"),
        ("%.3p", 1234567, "1.23e+6"),
        ("%p", 0.5, "0.5"),
        ("%.2f", -1.005, "-1.00"),
        ("%#2x", -5, "-101"),
        ("%#2d", "-101", "-5"),
        ("%-8s|", "ab", "ab      |"),
        ("%12s", MISSING, "undefined"),
        ("%s", None, "null"),
    ],
)
def test_sprintf(pattern, value, expected):
    assert text.sprintf(pattern, value) == expected


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(FINITE)
def test_an_exponent_keeps_every_digit(number):
    assert float(text.sprintf("%e", number)) == number
    assert float(text.sprintf("%p", number)) == number


@given(st.integers(-(2**53), 2**53), st.sampled_from(["%d", "%x", "%8d", "%-8d", "%s"]))
def test_whole_numbers_print_as_python_prints_them(number, pattern):
    assert text.sprintf(pattern, number) == pattern % number


@given(FINITE.filter(lambda n: abs(n) < 1e21), st.integers(0, 20))
def test_a_rounded_number_is_within_half_a_digit(number, digits):
    found = Decimal(text.sprintf(f"%.{digits}f", number))
    assert abs(found - Decimal(number)) <= Decimal(5).scaleb(-digits - 1)
    assert -found.as_tuple().exponent == digits


def test_sprintf_takes_its_arguments_as_a_list_too():
    assert text.sprintf("%s-%s", ["a", "b"]) == "a-b"


def test_to_text_of_a_pattern_is_its_source():
    assert to_text(re.compile("a+")) == "a+"
