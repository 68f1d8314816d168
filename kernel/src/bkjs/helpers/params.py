"""Parameters of a request checked and converted by a schema.

A schema is a dict of names and definitions: `{"page": {"type": "int", "min": 1}}`. Only declared
names come through, so that a client sets nothing else.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from bkjs.lib.convert import (
    is_empty,
    str_split,
    str_split_unique,
    to_bool,
    to_camel,
    to_title,
    to_value,
)
from bkjs.lib.dates import from_ms, iso, parse_date, to_date, to_ms
from bkjs.lib.numbers import MISSING, NUMBER_OPTIONS, to_number
from bkjs.lib.patterns import to_regexp
from bkjs.lib.wire import to_text

from .dates import strftime
from .match import is_matched, is_true
from .values import fields_of, listed, truthy

Definition = Mapping[str, Any]
Schema = Mapping[str, Definition]


class InvalidParams(ValueError):
    """A required parameter is not there or a text has the wrong length; the message says which."""


def to_params(
    query: object,
    schema: Schema,
    *,
    prefix: str = "",
    data: Mapping[str, Definition] | None = None,
    now: float | None = None,
) -> dict[str, Any]:
    """The declared parameters of a query, converted; what does not convert is left out.

    A definition has `type` and options of its converter (`min`, `max`, `values`, `separator` …),
    and `name` (of the result), `dflt`, `value`, `required` with `errmsg`, `ignore`, `notempty`.
    `prefix` is before the names in the query, `data` holds changes of definitions, `now` is in
    seconds. Raises `InvalidParams` with the first problem.
    """
    source = fields_of(query)
    result: dict[str, Any] = {}
    for key, definition in schema.items():
        if definition.get("ignore"):
            continue
        o = {**definition, **((data or {}).get(key) or {})}
        if o.get("ignore"):
            continue
        name = o.get("name") or key
        value = source.get(prefix + key, MISSING)
        if value is MISSING or (o.get("notempty") and is_empty(value)):
            value = o.get("dflt", MISSING)
        type = (o.get("type") or "").strip()
        if "value" in o:
            type, value = _given(o, type, value, result)
        value = _CONVERTERS.get(type, _to_text)(value, Field(o, key, now))
        if value is not MISSING:
            result[name] = value
        elif type == "set":
            result.pop(name, None)
        if type != "list" and _unwanted(result.get(name), o, result):
            del result[name]
        if is_empty(result.get(name)) and _required(o, source):
            raise InvalidParams(o.get("errmsg") or f"{key} is required")
    return result


class Field(NamedTuple):
    """What a converter needs to know beside the value."""

    o: Definition
    name: str
    now: float | None


def _given(o: Definition, type: str, value: Any, result: Mapping[str, Any]) -> tuple[str, Any]:
    """The fixed value of a definition, or the one of the first of its conditions that holds."""
    given = o["value"]
    conditions = given if isinstance(given, list) else [given]
    if not all(isinstance(condition, dict) for condition in conditions):
        return "set", given
    for condition in conditions:
        name = condition.get("name")
        subject = result.get(name, MISSING) if name else value
        wanted = condition.get("value", MISSING)
        if is_true(subject, wanted, condition.get("op"), condition.get("type") or type):
            return "set", condition.get("set", MISSING)
    return type, value


def _unwanted(value: Any, o: Definition, result: Mapping[str, Any]) -> bool:
    if is_empty(value):
        return False
    values, novalue = o.get("values"), o.get("novalue", MISSING)
    if isinstance(values, (list, tuple)) and not any(_same(value, item) for item in values):
        return True
    if isinstance(novalue, dict):
        name = novalue.get("name")
        novalue = [result.get(name, MISSING) if name else MISSING, novalue.get("value", MISSING)]
    return any(_same(value, item) for item in (listed(novalue) or [novalue]))


def _same(one: Any, other: Any) -> bool:
    """Equality that tells True from 1."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _required(o: Definition, query: Mapping[str, Any]) -> bool:
    required = o.get("required")
    return is_matched(query, required) if isinstance(required, dict) else bool(required)


def _to_text(value: Any, field: Field) -> Any:
    o = field.o
    if value is None or value is MISSING:
        return MISSING
    text = to_text(value)
    if o.get("trim"):
        text = text.strip()
    if o.get("upper"):
        text = text.upper()
    if o.get("lower"):
        text = text.lower()
    strip = to_regexp(o["strip"]) if o.get("strip") else None
    if strip:
        text = strip.sub("", text)
    if o.get("camel"):
        text = to_camel(text, o["camel"]) if isinstance(o["camel"], str) else to_camel(text)
    if o.get("cap"):
        text = to_title(text)
    least, most = _limits(o)
    if 0 < most < len(text):
        if not o.get("trunc"):
            message = f"{field.name} is too long, the max is {most}"
            raise InvalidParams(o.get("errmsg") or message)
        text = text[:most]
    if len(text) < least:
        message = f"{field.name} is too short, the min is {least}"
        raise InvalidParams(o.get("errmsg") or message)
    if o.get("regexp"):
        pattern = to_regexp(o["regexp"])
        if pattern is None or not pattern.search(text):
            return MISSING
    return text if text or o.get("empty") else MISSING


def _limits(o: Definition) -> tuple[int, int]:
    """`min` and `max` of a length, 0 for none."""
    least, most = (int(to_number(o.get(name), max=sys.maxsize)) for name in ("min", "max"))
    return least, most


def _to_number(value: Any, field: Field) -> Any:
    return to_number(value, **{k: field.o[k] for k in NUMBER_OPTIONS if k in field.o})


def _to_real(value: Any, field: Field) -> Any:
    return _to_number(value, field._replace(o={**field.o, "float": True}))


def _to_list(value: Any, field: Field) -> Any:
    o = field.o
    if o.get("unique"):
        items = str_split_unique(value, o.get("separator"), exact=True, **_splitting(o))
    else:
        items = str_split(value, o.get("separator"), **_splitting(o))
    if isinstance(o.get("values"), (list, tuple)):
        items = [item for item in items if item in o["values"]]
    if isinstance(o.get("novalue"), (list, tuple)):
        items = [item for item in items if item not in o["novalue"]]
    least, most = _limits(o)
    if len(items) < least or (0 < most < len(items) and not o.get("trunc")):
        return MISSING
    return items[:most] if most > 0 else items


def _splitting(o: Definition) -> dict[str, Any]:
    return {key: o.get(key) for key in ("datatype", "lower", "upper")}


def _to_map(value: Any, field: Field) -> Any:
    items = str_split(value, field.o.get("separator"), **_splitting(field.o))
    names = map(to_text, items[::2])
    return dict(zip(names, items[1::2], strict=False)) if items else MISSING


def _to_obj(value: Any, field: Field) -> Any:
    return to_params(value, field.o.get("params") or {}, now=field.now) or MISSING


def _to_array(value: Any, field: Field) -> Any:
    if not isinstance(value, list):
        return MISSING
    items = [_to_obj(item, field) for item in value]
    return [item for item in items if item is not MISSING] or MISSING


def _to_token(value: Any, field: Field) -> Any:
    from .crypto import base64_to_json

    secret = field.o.get("secret", "")
    # an account without the secret that is asked for has no tokens
    return "" if secret is None or secret is MISSING else base64_to_json(value, secret)


def _to_mtime(value: Any, field: Field) -> Any:
    date = parse_date(value)
    return MISSING if date is None else to_ms(date)


def _now(value: Any, field: Field) -> Any:
    """Now for a value that is empty or `true`, unless the parameter is optional."""
    if field.o.get("optional") or (truthy(value) and value is not True):
        return value
    return from_ms((time.time() if field.now is None else field.now) * 1000)


def _to_datetime(value: Any, field: Field) -> Any:
    value = _now(value, field)
    if not truthy(value):
        return MISSING
    date = to_date(value, field.o.get("dflt"))
    return strftime(date, field.o.get("format") or "%Y/%m/%d %H:%M")


def _to_timestamp(value: Any, field: Field) -> Any:
    date = parse_date(_now(value, field))
    if date is None:
        return MISSING
    return strftime(date, field.o["format"]) if field.o.get("format") else iso(date)


def _to_json(value: Any, field: Field) -> Any:
    from bkjs.lib.json import json_parse

    return json_parse(value, datatype=field.o.get("datatype"))


Converter = Callable[[Any, Field], Any]


def _when_given(convert: Converter) -> Converter:
    """For types of which null and an empty text are values: False and 0."""
    return lambda value, field: MISSING if value is MISSING else convert(value, field)


def _when_truthy(convert: Converter) -> Converter:
    """For types of which null, an empty text, 0 and False are the same as nothing given."""
    return lambda value, field: convert(value, field) if truthy(value) else MISSING


def _to_pattern(value: Any, field: Field) -> Any:
    flags = field.o.get("regexp")
    return to_regexp(value, flags if isinstance(flags, str) else "") or MISSING


def _by_type(type: str) -> Converter:
    return lambda value, field: to_value(value, type) or MISSING


_CONVERTERS: Final[dict[str, Converter]] = {
    "set": lambda value, field: value,
    "datetime": _to_datetime,
    "timestamp": _to_timestamp,
    **dict.fromkeys(("bool", "boolean"), _when_given(lambda value, field: to_bool(value))),
    **dict.fromkeys(("real", "float", "double"), _when_given(_to_real)),
    **dict.fromkeys(
        ("int", "long", "number", "bigint", "counter", "clock", "now"), _when_given(_to_number)
    ),
    "regexp": _when_given(_to_pattern),
    **{
        name: _when_truthy(convert)
        for name, convert in (
            ("list", _to_list),
            ("map", _to_map),
            ("obj", _to_obj),
            ("array", _to_array),
            ("token", _to_token),
            ("mtime", _to_mtime),
            ("date", lambda value, field: parse_date(value)),
            ("time", lambda value, field: parse_date(value)),
            ("json", _to_json),
            ("email", _by_type("email")),
            ("phone", _by_type("phone")),
        )
    },
}
