from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkjs.helpers import crypto, dates, format, objects, template, text, values
from bkjs.lib import convert, ids, json
from bkjs.lib.text import sprintf
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
    "sprintf": sprintf,
    "str_split": keyword(convert.str_split),
    "str_split_unique": keyword(convert.str_split_unique),
    "strftime": keyword(dates.strftime),
    "stringify": json.stringify,
    "to_format": to_format,
    "to_template": lambda text, objs, options=None: template.to_template(
        text, objs, **(options or {})
    ),
    "tuuid_time": values.tuuid_time,
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


@given(st.lists(WORDS))
def test_a_phrase_splits_into_its_words_quoted_or_not(words):
    assert text.phrase_split(" ".join(words)) == words
    assert text.phrase_split(" ".join(f'"{word}"' for word in words)) == words


@given(st.lists(st.text(st.characters(exclude_characters="\"'\\"))))
def test_quoted_fields_keep_what_is_in_them(fields):
    line = ",".join(f'"{field}"' for field in fields)
    assert text.phrase_split(line, separator=",", keepempty=True) == fields


def test_versions_sort_by_a_property():
    rows = [{"name": "app-1.9"}, {"name": "app-1.10"}]
    assert text.sort_by_version(rows, "name") == [{"name": "app-1.10"}, {"name": "app-1.9"}]
