"""One token applied to one parameter: where the value goes, and how it joins what is there."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from bkjs.lib.convert import to_camel, to_uncamel
from bkjs.lib.numbers import MISSING
from bkjs.lib.patterns import to_regexp_obj

from .param import Param, Text
from .values import Context, cleared, compile_pattern, convert, guess, initial

Path = tuple[str, ...]
Values = dict[str, Any]


def locate(param: Param, name: str, captures: tuple[str, ...] = ()) -> Path:
    """The keys, from the outermost dict to the attribute, under which a parameter is stored."""
    name = param.attr or name
    if param.make:
        name = _fill(param.make, captures)
    outer: Path = ()
    if "." in param.obj:
        outer = tuple(_fill(part, captures) for part in param.obj.split("."))
    elif param.obj:
        obj = _fill(param.obj, captures)
        outer = (to_camel(obj),)
        name = name.removeprefix(to_uncamel(obj).replace("_", "-") + "-")
    if not param.nocamel:
        name = to_camel(name, param.camel)
    if param.upper:
        name = re.sub(param.upper, lambda found: found[0].upper(), name, count=1)
    if param.lower:
        name = re.sub(param.lower, lambda found: found[0].lower(), name, count=1)
    return (*outer, _remove(name, param.strip))


def preset(param: Param, values: Values) -> list[tuple[str, Path]]:
    """Store the default, that of a family is a dict of them; the names and places that have one.

    A parameter that stands for itself is named in any case.
    """
    path, default = locate(param, param.name), initial(param)
    if param.literal:
        members = {param.name: (path, default)}
    elif default is None:
        members = {}
    elif isinstance(default, dict) and param.obj and "$" not in param.obj:
        members = {
            param.title.replace("NAME", name): ((*path[:-1], name), value)
            for name, value in default.items()
        }
    else:
        raise ValueError(f"parameter {param.name!r}: the default of a family is a dict in an obj")
    for place, value in members.values():
        if value is not None:
            put(values, place, _copy(value))
    return [(name, place) for name, (place, _) in members.items()]


def apply(
    param: Param, name: str, captures: Path, text: str | None, values: Values, context: Context
) -> list[Path] | None:
    """Store one value; the places that it concerns, or None when a value was needed and not given.

    `name` is the parameter as written, without prefix. Of what is no proper value the nearest
    thing is stored, if there is one, and `context.report` hears of it.
    """
    if param.on_parse:
        param = param.on_parse(text, param, captures)
    if param.kind == "none":
        return []
    path = locate(param, name, captures)
    current = get(values, path)
    if not text and param.novalue is not None:
        if current is not MISSING:
            return []
        text, context = param.novalue, replace(context, base=context.home)
    if not text and param.kind != "bool":
        return None if text is None else []
    if param.once and path in context.once:
        return []
    context.once.add(path)
    if text in ("~", "<null>"):
        put(values, path, cleared(param))
        return [path]
    text = "" if not text or text in ("''", '""') else text
    kind = guess(text) if param.autotype else param.kind
    if param.trim:
        text = text.strip()
    if param.reverse:
        return _reverse(param, kind, text, path, values, context)
    value = convert(param, kind, text, current, context)
    if value is MISSING:
        return []
    _check_values(param, value, context)
    if param.array and kind not in ("regexpobj", "regexpmap"):
        value = _extend([] if param.set else current, value, split=kind == "list")
    put(values, path, value)
    return [path]


def get(values: Values, path: Path) -> Any:
    """What is stored under these keys, or MISSING."""
    node: Any = values
    for key in path:
        node = node.get(key, MISSING) if isinstance(node, dict) else MISSING
    return node


def put(values: Values, path: Path, value: Any) -> None:
    """Store under these keys, making dicts on the way; MISSING deletes."""
    node = values
    for key in path[:-1]:
        inner = node.get(key)
        if not isinstance(inner, dict):
            inner = node[key] = {}
        node = inner
    if value is MISSING:
        node.pop(path[-1], None)
    else:
        node[path[-1]] = value


def _reverse(
    param: Param, kind: str, text: str, path: Path, values: Values, context: Context
) -> list[Path]:
    *outer, name = path
    if kind == "regexpobj":
        if compile_pattern(name, param.regexp, context) is MISSING:
            return [path]
        place = (*outer, text)
        put(values, place, to_regexp_obj(get(values, place), name, flags=param.regexp))
        return [place]
    value = convert(param, kind, text, MISSING, context)
    places = [(*outer, str(item)) for item in (value if isinstance(value, list) else [value])]
    for place in places:
        put(values, place, name)
    return places


def _extend(current: Any, value: Any, *, split: bool) -> list[Any]:
    items = list(current) if isinstance(current, (list, tuple)) else []
    for item in value if split else [value]:
        if item not in items:
            items.insert(0, item)
    return items


def _check_values(param: Param, value: Any, context: Context) -> None:
    for item in value if isinstance(value, list) else [value]:
        if param.values and str(item) not in param.values:
            context.report(f"must be one of {', '.join(param.values)}")
        if param.check and (problem := param.check(item)):
            context.report(problem)


def _fill(template: str, captures: tuple[str, ...]) -> str:
    def capture(found: re.Match[str]) -> str:
        number = int(found[1])
        return captures[number - 1] if number <= len(captures) else ""

    return re.sub(r"\$([1-9])", capture, template)


def _remove(name: str, what: Text) -> str:
    if isinstance(what, str):
        return name.replace(what, "", 1) if what else name
    return what.sub("", name, count=1)


def _copy(value: Any) -> Any:
    """Containers of their own, so that what accumulates never grows into the declaration."""
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, (list, tuple)) else value
