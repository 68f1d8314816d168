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
        ("%e", 12345, "1e+4"),
        ("%.2e", 12345, "1.23e+4"),
        ("%.3p", 1234567, "1.23e+6"),
        ("%p", 0.5, "0.5"),
        ("%.2f", -1.005, "-1.00"),
        ("%#2d", -5, "-101"),
        ("%-8s|", "ab", "ab      |"),
        ("%s", MISSING, "null"),
    ],
)
def test_sprintf(pattern, value, expected):
    assert text.sprintf(pattern, value) == expected


def test_sprintf_takes_its_arguments_as_a_list_too():
    assert text.sprintf("%s-%s", ["a", "b"]) == "a-b"


def test_to_text_of_a_pattern_is_its_source():
    assert to_text(re.compile("a+")) == "a+"
