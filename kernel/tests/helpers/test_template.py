from __future__ import annotations

from base64 import b64decode
from urllib.parse import unquote

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


KINDS = ["if", "ifnot", "ifall", "ifstr", "ifeq", "ifgt", "ifge", "iflt", "ifle", "ifx"]
VALUES = JSON | st.floats() | st.datetimes() | st.decimals() | st.binary() | st.just("\ud800")


@given(st.sampled_from(KINDS), VALUES, st.text(), st.sampled_from(["", "url", "base64"]))
def test_no_value_ends_a_template(kind, value, words, encoding):
    words = words.replace("@", "")
    text = template.to_template(f"<@{kind} v {words}@@v@@endif@>", {"v": value}, encoding=encoding)
    assert text[0] == "<"
    assert text[-1] == ">"


@given(st.dictionaries(st.from_regex("[a-z]+", fullmatch=True), st.text().filter(bool)))
def test_what_is_encoded_can_be_decoded(row):
    source = "\n".join(f"@{name}@" for name in row)
    for encoding, back in (("url", unquote), ("base64", lambda t: b64decode(t).decode())):
        lines = template.to_template(source, row, encoding=encoding).split("\n")
        assert [back(line) for line in lines] == (list(row.values()) or [""])


def test_values_are_encoded_on_demand():
    assert template.to_template("@a@", {"a": "é/"}, encoding="base64") == "w6kv"
    assert template.to_template("@a@", {"a": "é/"}, encoding="url") == "%C3%A9%2F"
