"""Nested dicts and lists: reaching into them, merging, flattening, describing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bkjs.lib.metrics import obj_flatten as obj_flatten  # the statistics need it, too
from bkjs.lib.numbers import MISSING, to_number
from bkjs.lib.wire import to_text

Path = str | Sequence[str]


def _steps(path: Path, separator: str = ".") -> list[str]:
    return path.split(separator) if isinstance(path, str) else list(path)


def obj_get(obj: Any, path: Path, *, datatype: str | None = None) -> Any:
    """The value at `a.b.0` or a list of such names, None when there is none.

    `datatype` promises the kind: `list` puts a single value in a list, `obj` names it, `str` and
    `num` convert; each gives its own empty value for none.
    """
    value = obj
    for step in _steps(path):
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, (list, tuple)) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            value = None
    missing = value is None or value is MISSING
    match datatype:
        case "list":
            return [] if missing else value if isinstance(value, list) else [value]
        case "obj":
            if missing or isinstance(value, dict):
                return value or {}
            return {"name": path, "value": value}
        case "str":
            return "" if missing else to_text(value)
        case "num":
            return to_number(value)
    return None if missing else value


def obj_set(
    obj: dict[str, Any] | None,
    path: Path,
    value: Any,
    *,
    incr: bool = False,
    push: bool = False,
    append: bool = False,
    unique: bool = False,
    separator: str = ".",
) -> dict[str, Any]:
    """The same object with the value at a path; what lies on the way is made.

    `incr` adds to a number, `append` to a text and `push` to a list, there `unique` only what it
    has not. A path that leads through a plain value changes nothing. Raises `ValueError` for
    names such as `__class__`.
    """
    root: dict[str, Any] = {} if obj is None else obj
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
    if isinstance(place, list) and step.isdecimal() and int(step) < len(place):
        return int(step)
    return None


def obj_merge(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """A new dict of both where `other` wins; what is null in `one` is left out.

    Dicts of the same name are merged as well, one level deep.
    """
    merged = {key: value for key, value in one.items() if value is not None}
    for key, value in other.items():
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
    types: type | tuple[type, ...] = (),
    name: re.Pattern[str] | None = None,
    value: re.Pattern[str] | None = None,
) -> Any:
    """A copy without missing values, at all depths of dicts.

    It also leaves out nulls (`null`), values of some `types`, and the properties whose name or
    text matches a pattern; `array` drops missing items of lists.
    """
    if isinstance(obj, list):
        return [item for item in obj if item is not MISSING] if array else obj
    if not isinstance(obj, dict):
        return obj
    return {
        key: obj_clean(item, null=null, array=array, types=types, name=name, value=value)
        for key, item in obj.items()
        if item is not MISSING
        and not (null and item is None)
        and not isinstance(item, types)
        and not (name and name.search(key))
        and not (value and not isinstance(item, (dict, list)) and value.search(to_text(item)))
    }


def obj_search(
    obj: Mapping[str, Any] | None,
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
    found = {
        key: item
        for key, item in (obj or {}).items()
        if (not exists or key == exists or (isinstance(item, Mapping) and exists in item))
        and (
            hasvalue is None or hasvalue in (item.values() if isinstance(item, Mapping) else [item])
        )
    }
    if sort:
        order = sort if isinstance(sort, str) else exists
        found = dict(sorted(found.items(), key=lambda pair: to_number(obj_get(pair[1], [order]))))
    return {key: obj_get(item, [value]) for key, item in found.items()} if value else found


def obj_descr(
    obj: Any,
    *,
    depth: int = 4,
    count: int = 10,
    length: int = 256,
    ignore: re.Pattern[str] | None = None,
    allow: re.Pattern[str] | None = None,
    keepempty: bool = False,
) -> str:
    """One line about a value for a log: `a:1, s:text, l:[2] x,y, o:{ … }`.

    It stops after `count` + 1 properties and five items of a list, cuts texts at `length`, and
    goes `depth` levels below the first. Only names that `allow` matches and `ignore` does not are
    shown, and empty values only with `keepempty`.
    """

    def text(value: Any, level: int) -> str:
        if isinstance(value, bytes):
            return f"[{len(value)}] {value[:32].hex()}"
        if isinstance(value, (list, tuple)):
            return f"[{len(value)}] " + ",".join(text(item, level) for item in value[:5])
        if isinstance(value, Mapping):
            return properties(value, level)
        return "" if value is None or value is MISSING else to_text(value)[:length]

    def properties(value: Mapping[Any, Any], level: int) -> str:
        if level > depth:
            return "{...}"
        shown: list[str] = []
        for key, item in value.items():
            name = str(key)
            if (ignore and ignore.search(name)) or (allow and not allow.search(name)):
                continue
            if not keepempty and (item is None or item is MISSING or item in ("", [], {}, b"")):
                continue
            words = text(item, level + 1)
            if isinstance(item, Mapping):
                words = f"{{ {words} }}" if level < depth else f" {words}"
            shown.append(f"{name}:{words}")
            if len(shown) > count:
                break
        return ", ".join(shown)

    return text(obj, 0)
