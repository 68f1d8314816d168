from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkjs.helpers.params import InvalidParams, to_params

NOW = 1520000000


def test_only_declared_names_come_through():
    assert to_params({"id": "1", "type": "admin"}, {"id": {}}) == {"id": "1"}


def test_a_prefix_is_before_the_names_of_the_query():
    assert to_params({"_page": "2", "page": "3"}, {"page": {"type": "int"}}, prefix="_") == {
        "page": 2
    }


def test_a_schema_is_not_changed():
    schema = {"c": {"type": "int", "max": 9}}
    to_params({"c": "50"}, schema, data={"c": {"max": 5}})
    assert schema == {"c": {"type": "int", "max": 9}}


def test_an_error_in_a_nested_list_is_the_error_of_the_whole():
    schema = {"a": {"type": "array", "params": {"id": {"required": True}}}}
    for item in ({}, "x", None):
        with pytest.raises(InvalidParams, match="id is required"):
            to_params({"a": [{"id": "1"}, item]}, schema)
    assert to_params({"a": ""}, schema) == {}


def test_one_call_may_ignore_a_parameter():
    schema = {"a": {"dflt": "x"}, "b": {"ignore": 1, "dflt": "x"}}
    assert to_params({"a": "1"}, schema, data={"a": {"ignore": 1}}) == {}
    assert to_params({"b": "1"}, schema, data={"b": {"ignore": 0}}) == {"a": "x"}


def test_an_optional_date_is_not_filled_in():
    schema = {"t": {"type": "timestamp", "optional": True}}
    assert to_params({}, schema, now=NOW) == {}
    assert to_params({"t": "junk"}, schema, now=NOW) == {}


def test_types_beside_the_golden_ones():
    schema = {
        "re": {"type": "regexp"},
        "bad": {"type": "regexp"},
        "when": {"type": "date"},
        "url": {"type": "url"},
    }
    result = to_params({"re": "^a", "bad": "(", "when": "0", "url": "a.b"}, schema)
    assert result["re"].pattern == "^a"
    assert result["when"].timestamp() == 0
    assert "bad" not in result
    assert result["url"] == "a.b"


@pytest.mark.parametrize("value", ["123", 123, "eyJhIjoxfQ=="])
@pytest.mark.parametrize("secret", ["k", None])
def test_a_token_that_was_not_encrypted_is_none_where_there_is_to_be_a_secret(value, secret):
    schema = {"t": {"type": "token"}}
    assert to_params({"t": value}, schema, data={"t": {"secret": secret}}) == {"t": ""}


NAMES = st.sampled_from(["a", "b", "c"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner),
    max_leaves=6,
)
TYPES = [
    "bool", "real", "int", "regexp", "list", "map", "obj", "array", "token", "mtime",
    "date", "datetime", "timestamp", "json", "email", "phone", "string",
]  # fmt: skip


@given(
    st.dictionaries(NAMES, JSON),
    st.dictionaries(NAMES, st.builds(lambda t: {"type": t, "params": {}}, st.sampled_from(TYPES))),
)
def test_no_value_makes_an_optional_parameter_fail(query, schema):
    assert set(to_params(query, schema)) <= set(schema)
