"""Nested dicts and lists: reaching into them, merging, flattening, describing."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from bkjs.lib.metrics import obj_flatten as obj_flatten  # the statistics need it, too
from bkjs.lib.numbers import MISSING, to_number
from bkjs.lib.wire import to_text

from .values import fields_of, truthy

Path = str | Sequence[str | int]

_INDEX = re.compile("[0-9]{1,15}")


def _steps(path: Path, separator: str = "") -> list[str]:
    return path.split(separator or ".") if isinstance(path, str) else [to_text(p) for p in path]


def obj_get(obj: Any, path: Path, *, datatype: str | None = None, owner: bool = False) -> Any:
    """The value at `a.b.0` or a list of such names, None when there is none.

    `datatype` promises the kind: `list` puts a single value in a list, `obj` names it, `str` and
    `num` convert, `func` wants a function; each gives its own empty value for none, and leaves 0,
    False and "" as they are. `owner` asks for what the value is in.
    """
    value, within = obj, obj
    for step in _steps(path):
        within, value = value, _member(value, step)
    if owner:
        return within
    if value is None or value is MISSING:
        return _NONE[datatype]() if datatype in _NONE else None
    if not truthy(value):
        return value
    match datatype:
        case "list":
            return value if isinstance(value, list) else [value]
        case "obj":
            return value if isinstance(value, (dict, list)) else {"name": path, "value": value}
        case "str":
            return to_text(value)
        case "num":
            return to_number(value)
        case "func":
            return value if callable(value) else None
    return value


_NONE: Final[dict[str | None, Callable[[], Any]]] = {
    "list": list, "obj": dict, "str": str, "num": int,
}  # fmt: skip


def _member(value: Any, step: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(step)
    if isinstance(value, (list, tuple)) and _INDEX.fullmatch(step) and int(step) < len(value):
        return value[int(step)]
    return None


def obj_set(
    obj: Any,
    path: Path,
    value: Any,
    *,
    incr: bool = False,
    push: bool = False,
    append: bool = False,
    unique: bool = False,
    separator: str = ".",
) -> Any:
    """The same object with the value at a path; what lies on the way is made.

    What is no dict or list begins as an empty dict. `incr` adds to a number, `append` to a text and
    `push` to a list, there `unique` only what it has not. A path that leads through a plain value
    changes nothing. Raises `ValueError` for names such as `__class__`.
    """
    root = obj if isinstance(obj, (dict, list)) else {}
    *way, last = _steps(path, separator)
    place: Any = root
    for step in (*way, last):
        if step.startswith("__"):
            raise ValueError(f"the name {step!r} in the path {path!r} is not allowed")
    for step in way:
        key = _key(place, step)
        if isinstance(place, dict) and place.get(step) is None:
            place[step] = {}
        place = place[key] if key is not None else None
    key = _key(place, last)
    if key is None:
        return root
    old = place.get(key) if isinstance(place, dict) else place[key]
    if incr:
        place[key] = to_number(old) + to_number(value)
    elif append:
        place[key] = ("" if old is None else to_text(old)) + to_text(value)
    elif push:
        items = old if isinstance(old, list) else []
        place[key] = items if unique and value in items else [*items, value]
    else:
        place[key] = value
    return root


def _key(place: Any, step: str) -> Any:
    """The key of a step where there is a place for it."""
    if isinstance(place, dict):
        return step
    if isinstance(place, list) and _INDEX.fullmatch(step) and int(step) < len(place):
        return int(step)
    return None


def obj_merge(one: object, other: object) -> dict[str, Any]:
    """A new dict of both where `other` wins; what is null in `one` is left out.

    Dicts of the same name are merged as well, one level deep.
    """
    merged = {key: value for key, value in fields_of(one).items() if value is not None}
    for key, value in fields_of(other).items():
        if value is MISSING:
            continue
        mine = merged.get(key)
        if isinstance(mine, Mapping) and isinstance(value, Mapping):
            value = {**mine, **value}
        merged[key] = value
    return {key: value for key, value in merged.items() if value is not MISSING}


def obj_clean(
    obj: Any,
    *,
    null: bool = False,
    array: bool = False,
    type: re.Pattern[str] | None = None,
    name: re.Pattern[str] | None = None,
    value: re.Pattern[str] | None = None,
) -> Any:
    """A copy without missing values, at all depths of dicts, and with `array` of lists.

    It also leaves out nulls (`null`), and what one of the patterns matches: the `type` (`null`,
    `array`, `buffer`, `date`, `regexp`, `object`, `string`, `number`, `boolean`, `function`), the
    `name` of a property, or the text of a `value` that is a string, number or boolean.
    """

    def kept(item: Any, key: str = "") -> bool:
        return not (
            item is MISSING
            or (null and item is None)
            or (type and type.search(_type_name(item)))
            or (name and key and name.search(key))
            or (value and isinstance(item, (str, int, float)) and value.search(to_text(item)))
        )

    def cleaned(item: Any) -> Any:
        if isinstance(item, dict):
            return {k: cleaned(v) for k, v in item.items() if kept(v, to_text(k))}
        if array and isinstance(item, list):
            return [cleaned(each) for each in item if kept(each)]
        return item

    return cleaned(obj)


def _type_name(value: object) -> str:
    for name, types in _TYPE_NAMES.items():
        if isinstance(value, types):
            return name
    return "function" if callable(value) else "object"


_TYPE_NAMES: Final[dict[str, type | tuple[type, ...]]] = {
    "null": type(None), "boolean": bool, "number": (int, float), "string": str,
    "array": (list, tuple), "buffer": (bytes, bytearray), "date": datetime, "regexp": re.Pattern,
}  # fmt: skip


def obj_search(
    obj: object,
    *,
    exists: str = "",
    hasvalue: Any = None,
    sort: bool | str = False,
    value: str = "",
) -> dict[str, Any]:
    """The properties that have something: in the order of `sort`.

    A property is taken when its own name is `exists` or it is a dict with that name, and when it
    is `hasvalue` or a dict with that value. `sort` names the value to order by, True for the one
    of `exists`. With `value` the result has only that value of each.
    """

    def has(item: Any) -> bool:
        if isinstance(item, Mapping):
            return any(_alike(each, hasvalue) for each in item.values())
        return any(_alike(each, hasvalue) for each in (item if isinstance(item, list) else [item]))

    found = {
        key: item
        for key, item in fields_of(obj).items()
        if (not exists or key == exists or (isinstance(item, Mapping) and exists in item))
        and (hasvalue is None or has(item))
    }
    if sort:
        order = sort if isinstance(sort, str) else exists
        found = dict(sorted(found.items(), key=lambda pair: to_number(obj_get(pair[1], [order]))))
    return {key: obj_get(item, [value]) for key, item in found.items()} if value else found


def _alike(one: Any, other: Any) -> bool:
    plain = (str, int, float)
    if isinstance(one, plain) and isinstance(other, plain):
        return one == other or to_text(one) == to_text(other)
    return bool(one == other)


def obj_descr(
    obj: Any,
    *,
    depth: object = 4,
    count: object = 10,
    length: object = 256,
    ignore: re.Pattern[str] | None = None,
    allow: re.Pattern[str] | None = None,
    keepempty: bool = False,
) -> str:
    """One line about a value for a log: `a:1, s:text, l:[2] x,y, o:{ … }`.

    It stops after `count` + 1 properties and five items of a list, cuts texts at `length`, and
    goes `depth` levels below the first. Only names that `allow` matches and `ignore` does not are
    shown, and empty strings, lists and nulls only with `keepempty`.
    """
    deepest = int(to_number(depth, zero=4, max=100))
    most = int(to_number(count, zero=10, max=10000))
    longest = int(to_number(length, zero=256, max=10**6))

    def text(value: Any, level: int) -> str:
        if isinstance(value, bytes):
            return f"[{len(value)}] {value[:32].hex()}"
        if isinstance(value, (list, tuple)):
            return f"[{len(value)}] " + ",".join(text(item, level) for item in value[:5])
        if isinstance(value, Mapping):
            return properties(value, level)
        return "" if value is None or value is MISSING else to_text(value)[:longest]

    def properties(value: Mapping[Any, Any], level: int) -> str:
        if level > deepest:
            return "{...}"
        shown: list[str] = []
        for key, item in value.items():
            name = str(key)
            if (ignore and ignore.search(name)) or (allow and not allow.search(name)):
                continue
            if not keepempty and (item is None or item is MISSING or item in ("", [], b"")):
                continue
            words = text(item, level + 1)
            if isinstance(item, Mapping):
                words = f"{{ {words} }}" if level < deepest else f" {words}"
            shown.append(f"{name}:{words}")
            if len(shown) > most:
                break
        return ", ".join(shown)

    return text(obj, 0)
