from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkjs.helpers import match, values
from bkjs.helpers.dates import to_age, to_duration
from bkjs.lib import convert, dates, numbers, patterns, text
from bkjs.lib.ids import is_uuid
from bkjs.lib.wire import number_text, to_text
from bkjs.testing.vectors import decode, same, vectors

NOW = 1520000000

REPLACED = {
    "encode_uricomponent": 'urllib.parse.quote(text, safe="")',
    "exists": "the operator `in`",
    "is_array": "isinstance(value, list)",
    "is_date": "isinstance(value, datetime)",
    "is_number": "isinstance(value, (int, float))",
    "is_object": "isinstance(value, dict)",
    "is_positive": "value > 0",
    "is_unicode": "not text.isascii()",
    "type_name": "type(value)",
}

FLAGS = {"ignoreCase": "i", "globalMatch": "g", "multiLine": "m"}


def flags(options: object) -> str:
    """The options of a pattern of the golden data as letters."""
    if isinstance(options, dict):
        return "".join(FLAGS[name] for name in options)
    return str(options)


def to_value(value: Any, type: Any = "", options: Any = None) -> Any:
    if type == "regexp" and options:
        return convert.to_value(value, type, regexp=flags(options))
    return convert.to_value(value, type, **(options or {}))


def to_regexp_obj(current: Any, value: Any, options: Any = None) -> Any:
    o = options or {}
    value = None if value is numbers.MISSING else value
    return patterns.to_regexp_obj(current, value, set="set" in o, delete="del" in o)


def is_time_range(*args: Any) -> int:
    return int(match.is_time_range(*args, now=dates.from_ms(NOW * 1000)))


HELPERS = {
    "domain_name": text.domain_name,
    "is_flag": match.is_flag,
    "is_matched": match.is_matched,
    "is_time_range": is_time_range,
    "is_true": match.is_true,
    "is_uuid": is_uuid,
    "to_age": lambda ms: to_age(ms, now=NOW),
    "to_duration": to_duration,
    "to_number": lambda value, options=None: numbers.to_number(value, **(options or {})),
    "to_regexp": lambda value, options="": patterns.to_regexp(value, flags(options)),
    "to_regexp_obj": to_regexp_obj,
    "to_uncamel": lambda name, *args: convert.to_uncamel(to_text(name), *args),
    "to_value": to_value,
}


@pytest.mark.parametrize("case", vectors("lib-convert"))
def test_conversions_give_the_golden_results(case):
    name = case["fn"]
    if name in REPLACED:
        pytest.skip(f"{name} is replaced by {REPLACED[name]}")
    expected = decode(case.get("preferred", case["result"]))
    homes = (convert, numbers, dates, patterns, values)
    helper = HELPERS.get(name) or next(getattr(m, name) for m in homes if hasattr(m, name))
    actual = helper(*decode(case["args"]))
    if expected is numbers.MISSING and actual is False:
        expected = False  # a predicate answers yes or no
    assert same(actual, expected), f"{actual!r} instead of {expected!r}"


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


@pytest.mark.parametrize("digits", ["9" * 400, "9" * 5000, "0x" + "f" * 400])
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
