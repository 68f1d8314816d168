from __future__ import annotations

import re

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


def test_sprintf_takes_its_arguments_as_a_list_too():
    assert text.sprintf("%s-%s", ["a", "b"]) == "a-b"


def test_to_text_of_a_pattern_is_its_source():
    assert to_text(re.compile("a+")) == "a+"
