from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkjs.lib import json
from bkjs.lib.dates import parse_date
from bkjs.lib.numbers import MISSING

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@given(JSON)
def test_json_is_read_as_it_was_written(value):
    written = json.stringify(value)
    assert written.isascii()
    assert json.json_parse(written) == value


def test_json_has_no_nan_and_no_missing_values():
    value = {"a": float("nan"), "b": [MISSING, float("inf")], "c": MISSING, "d": 5.0, "e": "\x7f"}
    assert json.stringify(value) == r'{"a":null,"b":[null,null],"d":5,"e":"\u007f"}'
    with pytest.raises(TypeError):
        json.stringify({"a": object()})


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_a_decimal_that_json_does_not_have_is_null(text):
    assert json.wire_json([Decimal(text), Decimal("2.0"), Decimal("2.5")]) == b"[null,2.0,2.5]"


@pytest.mark.parametrize("broken", ["[" * 100000, "NaN", '{"a":', b"\xff", "9" * 5000 + "x"])
def test_broken_json_is_nothing(broken):
    assert json.json_parse(broken) is None
    assert json.json_parse(broken, datatype="list") == []


def test_what_is_stored_has_a_text_for_everything():
    value = {1: b"\xff\x00", "d": Decimal("1.50"), "t": datetime(2018, 1, 1, tzinfo=UTC)}
    assert json.stored_json(value) == '{"1":"ff00","d":"1.50","t":"2018-01-01T00:00:00+00:00"}'
    assert json.stored_json({"a": 1}, indent=True) == '{\n  "a": 1\n}'


def test_both_dialects_of_one_moment_are_read_as_that_moment():
    moment = datetime(2018, 1, 1, 12, tzinfo=UTC)
    for text in (json.wire_json(moment).decode(), json.stored_json(moment)):
        assert parse_date(json.json_parse(text)) == moment
