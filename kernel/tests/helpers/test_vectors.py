"""The helpers give the golden results, or differ as the documentation says."""

from __future__ import annotations

import copy
import csv
import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatch
from io import StringIO
from json import loads
from pathlib import Path
from typing import Any

import pytest

from bkjs.helpers import crypto, dates, format, match, objects, params, template, text, values
from bkjs.lib import convert, geo, ids, json, numbers, patterns
from bkjs.lib import dates as lib_dates
from bkjs.lib import text as lib_text
from bkjs.lib.i18n import Catalogs
from bkjs.testing.vectors import Case, decode, known, same, vectors

DOCUMENT = Path(__file__).parents[3] / "docs" / "compatibility.md"
NOW = 1520000000
_MORE = loads(Path(__file__).with_name("more_cases.json").read_text(encoding="utf-8"))
MORE = [Case(case, _MORE, f"{case['fn']}-{number}") for number, case in enumerate(_MORE["cases"])]


def section() -> str:
    return DOCUMENT.read_text(encoding="utf-8").partition("\n## Helpers\n")[2].partition("\n## ")[0]


def replaced() -> list[str]:
    """The functions that the table in the documentation names; `*` stands for any ending."""
    rows = re.findall(r"^\| (.+?) \| .+ \|$", section(), re.M)
    return [name for row in rows for name in re.findall(r"`([A-Za-z0-9_*]+)`", row)]


REPLACED = replaced()


def differs(sentence: str) -> str:
    """A sentence of the documentation that says what is different on purpose."""
    assert sentence in " ".join(section().split()), f"compatibility.md does not say: {sentence}"
    return sentence


# -- how the recorded arguments become those of ours ----------------------------------------------

FLAGS = {"ignoreCase": "i", "globalMatch": "g", "multiLine": "m", "unicode": "u", "sticky": "y"}
NUMBER = ("dflt", "float", "min", "max", "zero", "novalue")
LIST = ("separator", "datatype", "lower", "upper")
DEFINITION = (
    *NUMBER, *LIST, "type", "ignore", "name", "required", "errmsg", "trunc", "values", "value",
    "notempty", "optional", "empty", "unique", "trim", "strip", "camel", "cap", "regexp", "params",
    "secret", "format",
)  # fmt: skip
CONDITION = ("name", "value", "op", "type", "set")


def flags(options: Any) -> str:
    """The options of a pattern as letters."""
    if not isinstance(options, Mapping):
        return str(options or "")
    known(options, FLAGS)
    return "".join(FLAGS[name] for name, value in options.items() if value)


def options(given: Any, names: Iterable[str], **renamed: str) -> dict[str, Any]:
    known(given or {}, [*names, *renamed])
    return {renamed.get(name, name): value for name, value in (given or {}).items()}


def with_options(
    helper: Callable[..., Any], place: int, *names: str, **renamed: str
) -> Callable[..., Any]:
    """A helper whose options are keywords, called with a dict of them after `place` arguments."""

    def call(*args: Any) -> Any:
        assert len(args) <= place + 1, f"unknown argument {args[place + 1]!r}"
        return helper(
            *args[:place], **options(args[place] if len(args) > place else None, names, **renamed)
        )

    return call


def to_value(value: Any, type: Any = "", given: Any = None) -> Any:
    if type == "regexp":
        return convert.to_value(value, type, regexp=flags(given))
    known(given or {}, (*NUMBER, *LIST))
    return convert.to_value(value, type, exact=given is not None, **(given or {}))


def str_split_unique(value: Any, separator: Any = None, given: Any = None) -> Any:
    names = ("datatype", "lower", "upper")
    found = options(given, names)
    return convert.str_split_unique(value, separator, exact=given is not None, **found)


def to_date(value: Any, dflt: Any = 0, invalid: Any = False) -> Any:
    return lib_dates.parse_date(value) if invalid else lib_dates.to_date(value, dflt)


def to_regexp_obj(current: Any, value: Any, given: Any = None) -> Any:
    found = options(given, ("set",), **{"del": "delete", "regexp": "flags"})
    return patterns.to_regexp_obj(current, value, **{k: v or "" for k, v in found.items()})


def to_regexp_map(current: Any, value: Any, given: Any = None) -> Any:
    found = options(given, ("set",), regexp="flags")
    return patterns.to_regexp_map(current, value, **{k: v or "" for k, v in found.items()})


def to_params(query: Any, schema: Any, given: Any = None) -> Any:
    found = options(given, ("null", "prefix", "data"))
    for definition in [*schema.values(), *(found.get("data") or {}).values()]:
        known_definition(definition)
    null = found.pop("null", False)  # then nobody asks what is wrong
    try:
        return params.to_params(query, schema, **found, now=NOW)
    except params.InvalidParams as error:
        return None if null else str(error)


def known_definition(definition: Mapping[str, Any]) -> None:
    known(definition, DEFINITION)
    for inner in (definition.get("params") or {}).values():
        known_definition(inner)
    conditions = definition.get("value")
    for condition in conditions if isinstance(conditions, list) else [conditions]:
        if isinstance(condition, Mapping):
            known(condition, CONDITION)


def obj_get(obj: Any, path: Any, given: Any = None) -> Any:
    found = options(given, ("list", "obj", "str", "num", "func", "owner"))
    asked = [name for name, value in found.items() if value]
    kind = next((name for name in asked if name != "owner"), None)
    return objects.obj_get(obj, path, datatype=kind, owner="owner" in asked)


def obj_search(obj: Any, given: Any) -> Any:
    """`names`, `flag` and `count` are what Python does with the result."""
    found = options(given, ("exists", "hasvalue", "sort", "value", "names", "flag", "count"))
    names, flag, count = (found.pop(name, None) for name in ("names", "flag", "count"))
    rows = objects.obj_search(obj, **found)
    if count:
        return len(rows)
    if flag:
        rows = dict.fromkeys(rows, flag)
    return list(rows) if names else rows


def translated(
    helper: Callable[..., Any], place: int, *names: str, **more: Any
) -> Callable[..., Any]:
    """A helper that translates; no catalogs are recorded, so phrases stay as they are."""

    def call(*args: Any, lang: str = "", **found: Any) -> Any:
        return helper(*args, translate=Catalogs().bound(lang), **found, **more)

    return with_options(call, place, "lang", *names)


def geo_hash(latitude: Any, longitude: Any, given: Any = None) -> Any:
    found = options(given, ("distance",), minDistance="min_distance")
    place = geo.geo_hash(latitude, longitude, **found)
    return {
        "geohash": place.geohash,
        "_geohash": place.full,
        "neighbors": place.neighbors,
        "latitude": place.latitude,
        "longitude": place.longitude,
        "minRange": place.min_range,
        "minDistance": place.min_distance,
        "distance": place.distance,
    }


HELPERS: dict[str, Callable[..., Any]] = {
    "base64_to_json": crypto.base64_to_json,
    "decrypt": lambda key, data, alg="aes192", enc="base64": crypto.decrypt(
        key, data, alg=alg, enc=enc
    ),
    "domain_name": lib_text.domain_name,
    "encrypt": lambda key, data, alg="aes192", enc="base64": crypto.encrypt(
        key, data, legacy=True, alg=alg, enc=enc
    ),
    "geo_distance": with_options(geo.geo_distance, 4, "round"),
    "geo_hash": geo_hash,
    "hash": crypto.hash_,
    "is_empty": convert.is_empty,
    "is_flag": match.is_flag,
    "is_matched": match.is_matched,
    "is_numeric": numbers.is_numeric,
    "is_numeric_type": convert.is_numeric_type,
    "is_text_type": values.is_text_type,
    "is_time_range": lambda *args: match.is_time_range(*args, now=lib_dates.from_ms(NOW * 1000)),
    "is_true": match.is_true,
    "is_tuuid": ids.is_tuuid,
    "is_uuid": ids.is_uuid,
    "json_parse": with_options(json.json_parse, 1, "datatype"),
    "json_to_base64": lambda value, secret="": crypto.json_to_base64(value, secret, legacy=True),
    "obj_clean": with_options(objects.obj_clean, 1, "null", "type", "name", "value", "array"),
    "obj_descr": with_options(
        objects.obj_descr, 1, "depth", "count", "length", "ignore", "allow", "keepempty"
    ),
    "obj_flatten": with_options(objects.obj_flatten, 1, "separator"),
    "obj_get": obj_get,
    "obj_merge": objects.obj_merge,
    "obj_search": obj_search,
    "obj_set": with_options(
        objects.obj_set, 3, "incr", "push", "append", "unique", "separator"
    ),
    "phrase_split": with_options(text.phrase_split, 1, "separator", "quotes", "keepempty"),
    "sign": crypto.sign,
    "sort_by_version": text.sort_by_version,
    "sprintf": lib_text.sprintf,
    "str_split": with_options(convert.str_split, 2, "datatype", "lower", "upper"),
    "str_split_unique": str_split_unique,
    "strftime": translated(dates.strftime, 2, "utc"),
    "stringify": json.stringify,
    "to_age": translated(dates.to_age, 1, now=NOW),
    "to_bool": convert.to_bool,
    "to_camel": convert.to_camel,
    "to_clamp": values.to_clamp,
    "to_date": to_date,
    "to_duration": translated(dates.to_duration, 1),
    "to_flags": values.to_flags,
    "to_format": with_options(
        format.to_format, 2,
        "header", "separator", "quotes", "controls", "allow", "mapping", "tag",
    ),
    "to_number": with_options(numbers.to_number, 1, *NUMBER),
    "to_params": to_params,
    "to_regexp": lambda value, given="": patterns.to_regexp(value, flags(given)),
    "to_regexp_map": to_regexp_map,
    "to_regexp_obj": to_regexp_obj,
    "to_template": with_options(template.to_template, 2, "encoding", "allow", "skip", "only"),
    "to_title": convert.to_title,
    "to_uncamel": convert.to_uncamel,
    "to_value": to_value,
    "to_version": numbers.to_version,
    "tuuid_time": values.tuuid_time,
}  # fmt: skip
CHANGING = ("obj_set",)
"""What changes its arguments; all others return copies."""


def is_unknown_algorithm(case: Case) -> bool:
    return case["fn"] in ("hash", "sign") and case["result"] == ""


def is_predicate(case: Case) -> bool:
    return case["fn"].startswith("is_")


def is_number_described(case: Case) -> bool:
    return case["fn"] == "obj_descr" and isinstance(case["result"], (int, float))


def is_list_in_csv(case: Case) -> bool:
    if case["fn"] != "to_format" or case["args"][0] != "csv" or "preferred" in case:
        return False
    rows = case["args"][1]
    rows = rows.get("data", [rows]) if isinstance(rows, dict) else rows
    return any(isinstance(value, list) for row in rows or () for value in (row or {}).values())


def same_cells(actual: str, expected: str) -> bool:
    """The same text in the cells, wherever the border between two of them is."""
    read = [[",".join(row) for row in csv.reader(StringIO(t))] for t in (actual, expected)]
    return read[0] == read[1]


def wanted(case: Case) -> Any:
    """The golden result, in the form that the documentation gives it here."""
    expected = decode(case.wanted())
    if is_predicate(case):
        assert differs("Predicates answer `True` or `False`")
        return bool(expected)
    if is_number_described(case):
        assert differs("`obj_descr` is always text")
        return str(expected)
    return expected


def no_results(case: Case) -> str:
    """The table's entry for a function that is not ours, "" for one that is."""
    return next((name for name in REPLACED if fnmatch(case["orig"], name)), "")


@pytest.mark.parametrize("case", vectors("lib"))
def test_helpers_give_the_golden_results(case: Case):
    if no_results(case):
        pytest.skip(f"{case['orig']} is replaced; see docs/compatibility.md")
    assert case["fn"] in HELPERS, f"unknown function {case['fn']!r}"
    known(case.get("compat", ()), ("tokens",), "compat")
    helper, args = HELPERS[case["fn"]], decode(case["args"])
    if is_unknown_algorithm(case):
        assert differs("An unknown digest algorithm raises `ValueError`")
        with pytest.raises(ValueError, match="unknown digest algorithm"):
            helper(*args)
        return
    before = copy.deepcopy(args)
    actual = helper(*args)
    expected = wanted(case)
    if is_list_in_csv(case):
        assert differs("a list in a CSV cell is quoted like any text with the separator in it")
        assert same_cells(actual, expected), f"{actual!r} instead of {expected!r}"
        return
    assert same(actual, expected), f"{actual!r} instead of {expected!r}"
    if case["fn"] in CHANGING:
        after = decode(case["args_after"]) if "args_after" in case else before
        assert same(args[0], after[0]) or args[0] is None, f"changed to {args[0]!r}"
    else:
        assert differs("Helpers return copies instead of changing their arguments")
        assert repr(args) == repr(before), f"changed to {args!r}"


@pytest.mark.parametrize("case", MORE, ids=lambda case: case.where)
def test_helpers_give_what_follows_from_their_description(case: Case):
    """Further cases of the same form: odd values, options, what is empty and what is not given."""
    test_helpers_give_the_golden_results(case)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ({"fn": "no_such", "args": []}, "unknown function 'no_such'"),
        ({"fn": "to_number", "args": ["1", {"flaot": 1}]}, "unknown option 'flaot'"),
        ({"fn": "to_params", "args": [{}, {"a": {"typ": "int"}}]}, "unknown option 'typ'"),
        ({"fn": "to_params", "args": [{}, {}, {"nul": 1}]}, "unknown option 'nul'"),
        ({"fn": "to_value", "args": ["1", "int", {"mni": 1}]}, "unknown option 'mni'"),
        ({"fn": "obj_get", "args": [{}, "a", {"lst": 1}]}, "unknown option 'lst'"),
        ({"fn": "obj_search", "args": [{}, {"nams": 1}]}, "unknown option 'nams'"),
        ({"fn": "to_regexp", "args": ["a", {"ignorecase": 1}]}, "unknown option 'ignorecase'"),
        ({"fn": "encrypt", "args": ["k", "d"], "compat": ["x"]}, "unknown compat 'x'"),
    ],
)
def test_what_a_case_names_and_nobody_knows_fails_by_name(case, message):
    made = Case({"orig": "-", "result": None, **case}, {}, "made")
    with pytest.raises(AssertionError, match=message):
        test_helpers_give_the_golden_results(made)


def test_a_function_is_ours_or_in_the_table_but_not_both():
    ours = {re.sub("_([a-z])", lambda found: found[1].upper(), name) for name in HELPERS}
    assert [name for name in ours for entry in REPLACED if fnmatch(name, entry)] == []
    assert len(REPLACED) > 40
