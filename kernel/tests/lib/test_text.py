from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkjs.helpers import format, objects, template
from bkjs.lib import convert, crypto, dates, ids, json, text
from bkjs.lib.numbers import MISSING
from bkjs.lib.wire import to_text
from bkjs.testing.vectors import decode, same, vectors

REPLACED = {
    "array_flatten": "itertools.chain.from_iterable",
    "array_unique": "dict.fromkeys",
    "entity_to_text": "html.unescape",
    "escape_unicode": "json.dumps",
    "json_format": "json.dumps(value, indent=4)",
    "match_regexp": "re.Pattern.search",
    "new_error": "the classes of bkjs.errors",
    "obj_clone": "dict(obj, name=value) or copy.deepcopy",
    "obj_del": "dict.pop(name, None)",
    "obj_extend": "dict.update with a comprehension",
    "obj_keys": "list(obj)",
    "obj_new": "a dict literal",
    "replace_regexp": "re.Pattern.sub",
    "text_to_entity": "html.escape",
    "to_rfc3339": 'datetime.isoformat(timespec="milliseconds")',
    "unescape": 'codecs.decode(text, "unicode_escape")',
    "zeropad": "str.zfill or f'{number:02}'",
}


def different(case: dict[str, Any]) -> str:
    """Why a case means something only in JavaScript, else ""."""
    if case["fn"] != "obj_get":
        return ""
    obj, *_, options = case["args"]
    if "func" in options:
        return "functions are not looked up in data"
    if "owner" in options:
        return "the owner of a value is what the path without its last step leads to"
    return "a text is asked for, so 0 is '0'" if obj == {"a": 0} else ""


def obj_get(obj: Any, path: Any, options: Any = None) -> Any:
    return objects.obj_get(obj, path, datatype=next(iter(options)) if options else None)


def obj_search(obj: Any, options: Any) -> Any:
    names = ("exists", "hasvalue", "sort", "value")
    found = objects.obj_search(obj, **{k: v for k, v in options.items() if k in names})
    if "count" in options:
        return len(found)
    if "flag" in options:
        return dict.fromkeys(found, 1)
    return list(found) if "names" in options else found


def to_format(kind: Any, rows: Any, options: Any = None) -> Any:
    return format.to_format(kind, rows, **(options or {}))


def keyword(helper: Any) -> Any:
    """A helper whose options are keywords, called with a dict of them at the end."""

    def call(*args: Any) -> Any:
        if len(args) > 1 and isinstance(args[-1], dict):
            return helper(*args[:-1], **args[-1])
        return helper(*args)

    return call


HELPERS = {
    "base64_to_json": crypto.base64_to_json,
    "is_tuuid": lambda value: int(ids.is_tuuid(value)),
    "json_parse": keyword(json.json_parse),
    "json_to_base64": crypto.json_to_base64,
    "obj_clean": keyword(objects.obj_clean),
    "obj_descr": lambda obj, options=None: objects.obj_descr(obj, **(options or {})),
    "obj_flatten": keyword(objects.obj_flatten),
    "obj_get": obj_get,
    "obj_merge": objects.obj_merge,
    "obj_search": obj_search,
    "obj_set": keyword(objects.obj_set),
    "phrase_split": keyword(text.phrase_split),
    "sprintf": text.sprintf,
    "str_split": keyword(text.str_split),
    "str_split_unique": keyword(text.str_split_unique),
    "strftime": keyword(dates.strftime),
    "stringify": json.stringify,
    "to_format": to_format,
    "to_template": lambda text, objs, options=None: template.to_template(
        text, objs, **(options or {})
    ),
    "tuuid_time": ids.tuuid_time,
}


@pytest.mark.parametrize("case", vectors("lib-text"))
def test_texts_and_objects_give_the_golden_results(case):
    name = case["fn"]
    if name in REPLACED:
        pytest.skip(f"{name} is replaced by {REPLACED[name]}")
    if different(case):
        pytest.skip(f"{name}: {different(case)}")
    expected = decode(case.get("preferred", case["result"]))
    if name == "obj_descr":
        expected = str(expected)
    actual = (HELPERS.get(name) or getattr(text, name))(*decode(case["args"]))
    assert same(actual, expected), f"{actual!r} instead of {expected!r}"


WORDS = st.text(st.characters(exclude_characters=" \"'\\"), min_size=1)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@given(st.lists(WORDS))
def test_a_phrase_splits_into_its_words_quoted_or_not(words):
    assert text.phrase_split(" ".join(words)) == words
    assert text.phrase_split(" ".join(f'"{word}"' for word in words)) == words


@given(st.lists(st.text(st.characters(exclude_characters="\"'\\"))))
def test_quoted_fields_keep_what_is_in_them(fields):
    line = ",".join(f'"{field}"' for field in fields)
    assert text.phrase_split(line, separator=",", keepempty=True) == fields


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


def test_versions_sort_by_a_property():
    rows = [{"name": "app-1.9"}, {"name": "app-1.10"}]
    assert text.sort_by_version(rows, "name") == [{"name": "app-1.10"}, {"name": "app-1.9"}]


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


@pytest.mark.parametrize("broken", ["[" * 100000, "NaN", '{"a":', b"\xff", "9" * 5000 + "x"])
def test_broken_json_is_nothing(broken):
    assert json.json_parse(broken) is None
    assert json.json_parse(broken, datatype="list") == []


@given(JSON)
def test_a_token_gives_back_what_it_was_made_of(value):
    token = crypto.json_to_base64(value)
    assert crypto.base64_to_json(token) == ("" if value is None else value)


def test_nested_values_are_set_and_read_by_path():
    obj = objects.obj_set({}, "a.b.c", 1)
    assert objects.obj_get(obj, ["a", "b", "c"]) == 1
    assert objects.obj_get(objects.obj_set(obj, "a.b.c", 2, incr=True), "a.b.c") == 3
    assert objects.obj_set({"l": [{"x": 1}]}, "l.0.x", 2) == {"l": [{"x": 2}]}
    assert objects.obj_get({"l": [1]}, "l.²") is None
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
    clean = objects.obj_clean(obj, null=True, name=re.compile("^_"), types=int)
    assert clean == {"b": {}}
    assert len(obj) == 3


@given(st.dictionaries(st.from_regex("[a-z]+", fullmatch=True), st.integers()))
def test_flattening_is_undone_by_setting_the_paths(flat):
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        objects.obj_set(nested, f"top.{name}.value", value)
    expected = {f"top.{name}.value": value for name, value in flat.items()}
    assert objects.obj_flatten(nested) == expected


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


def test_names_that_xml_does_not_allow_become_ones_that_it_does():
    assert format.to_format("xml", {"a b><c": 1, "9": 2}) == (
        "<row>\n<a_b__c>1</a_b__c>\n<_9>2</_9>\n</row>\n"
    )


def test_csv_columns_are_the_same_in_every_line():
    rows = [{"a": 1}, {"b": 'x"y', "a": 2}]
    assert format.to_format("csv", rows, header=True) == 'a,b\r\n1,\r\n2,"x""y"\r\n'


def test_to_text_of_a_pattern_is_its_source():
    assert to_text(re.compile("a+")) == "a+"


def test_flags_come_and_go_without_changing_the_list():
    flags = ["a"]
    assert convert.to_flags("add", flags, ["a", "b"]) == ["a", "b"]
    assert flags == ["a"]
    assert convert.to_flags("what", flags, "x") == ["a"]
