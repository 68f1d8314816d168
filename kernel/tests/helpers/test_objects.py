from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkjs.helpers import objects
from bkjs.lib.numbers import MISSING


def test_nested_values_are_set_and_read_by_path():
    obj = objects.obj_set({}, "a.b.c", 1)
    assert objects.obj_get(obj, ["a", "b", "c"]) == 1
    assert objects.obj_get(objects.obj_set(obj, "a.b.c", 2, incr=True), "a.b.c") == 3
    assert objects.obj_set({"l": [{"x": 1}]}, "l.0.x", 2) == {"l": [{"x": 2}]}
    assert objects.obj_get({"l": [1]}, "l.²") is None
    assert objects.obj_get({"l": [1]}, "l.1") is None
    assert objects.obj_set({"l": [1]}, "l.1", 2) == {"l": [1]}
    assert objects.obj_set({"l": [1]}, "l.1.x", 2) == {"l": [1]}
    assert objects.obj_set({"t": "a"}, "t", "b", append=True) == {"t": "ab"}


@pytest.mark.parametrize("path", ["__class__", "a.__init__.b", ["a", "__dict__"]])
def test_a_path_with_special_names_is_refused(path):
    with pytest.raises(ValueError, match="is not allowed"):
        objects.obj_set({}, path, 1)


def test_merging_changes_neither_side():
    one, other = {"a": {"x": 1}}, {"a": {"y": 2}}
    assert objects.obj_merge(one, other) == {"a": {"x": 1, "y": 2}}
    assert (one, other) == ({"a": {"x": 1}}, {"a": {"y": 2}})


def test_cleaning_makes_a_copy():
    obj = {"a": MISSING, "b": {"c": None, "_d": 1}, "e": 5}
    clean = objects.obj_clean(obj, null=True, name=re.compile("^_"), type=re.compile("number"))
    assert clean == {"b": {}}
    assert len(obj) == 3


@given(st.dictionaries(st.from_regex("[a-z]+", fullmatch=True), st.integers()))
def test_flattening_is_undone_by_setting_the_paths(flat):
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        objects.obj_set(nested, f"top.{name}.value", value)
    expected = {f"top.{name}.value": value for name, value in flat.items()}
    assert objects.obj_flatten(nested) == expected
