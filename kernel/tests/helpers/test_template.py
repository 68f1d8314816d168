from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkjs.helpers import template

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


def test_a_template_nests_no_conditions_but_expands_their_body():
    row = {"type": "admin", "name": "Bob"}
    source = "Hi@if type admin,staff@ chief @name@@endif@!@exit@ not this"
    assert template.to_template(source, row) == "Hi chief Bob!"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("@ifstr name ^b@Y@endif@", "Y"),
        ("@ifstr name ^x@Y@endif@", ""),
        ("@iflt n 10@Y@endif@", "Y"),
        ("@ifeq name Bob@Y@endif@", "Y"),
        ("@ifgt none 1@Y@endif@", ""),
        ("@ifwhat n 1@Y@endif@", ""),
        ("@if name Bob@open", "open"),
        ("a @", "a @"),
    ],
)
def test_conditions_of_templates(source, expected):
    assert template.to_template(source, {"name": "Bob", "n": 9}) == expected


def test_random_numbers_in_templates_differ():
    assert template.to_template("@RAND@", {}) != template.to_template("@RAND@", {})


@given(st.text(), st.dictionaries(st.text(), JSON))
def test_no_template_raises(source, row):
    template.to_template(source, row)


def test_values_are_encoded_on_demand():
    assert template.to_template("@a@", {"a": "é/"}, encoding="base64") == "w6kv"
    assert template.to_template("@a@", {"a": "é/"}, encoding="url") == "%C3%A9%2F"
