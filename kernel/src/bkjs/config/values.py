"""The text of a value as its type stores it; what cannot be read is reported."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bkjs.lib.convert import is_numeric_type, str_split_unique, to_bool
from bkjs.lib.numbers import MISSING, is_numeric, to_number
from bkjs.lib.patterns import compile_regexp, to_regexp_map, to_regexp_obj

from .param import NUMBERS, Param, Text

BOOLEANS = re.compile(r"true|false|yes|no|on|off|nil|null|[tfyn10]|", re.I)
_EMPTY_JSON = {"obj": dict, "list": list, "str": str}


@dataclass(slots=True)
class Context:
    """What a value may depend on besides its own text."""

    home: str = ""
    base: str = ""
    """Where relative paths start: the home, on a command line the current directory."""
    paths: Mapping[str, Any] = field(default_factory=dict)
    """Configured directories by key, for paths that begin with one."""
    once: set[tuple[str, ...]] = field(default_factory=set)
    report: Callable[[str], None] = lambda message: None


def initial(param: Param) -> Any:
    """The declared default as a value of its type; patterns may be declared as text."""
    if param.kind == "regexp" and isinstance(param.default, str):
        return compile_regexp(param.default, param.regexp)
    if param.kind == "regexpobj" and isinstance(param.default, (str, list, tuple)):
        return to_regexp_obj(None, param.default, flags=param.regexp)
    return param.default


def cleared(param: Param) -> Any:
    """The value after `~`; MISSING when nothing remains."""
    if param.array or param.kind in ("list", "regexpmap"):
        return []
    if param.kind in NUMBERS:
        return to_number(0, min=param.min, max=param.max)
    return {"map": {}, "regexpobj": {"list": [], "rx": None}}.get(param.kind, MISSING)


def absent(param: Param) -> Any:
    """What an attribute reads as when neither a default nor a source gives it a value."""
    if param.kind == "bool":
        return False
    value = None if param.kind in NUMBERS else cleared(param)
    return None if value is MISSING else value


def guess(text: str) -> str:
    """The type that the look of a value suggests."""
    if is_numeric(text):
        return "number"
    if text in ("true", "false"):
        return "bool"
    if text.startswith("^") and text.endswith("$"):
        return "regexp"
    if text[:1] + text[-1:] in ("[]", "{}"):
        return "json"
    return "list" if "|" in text and not re.search(r"[()\[\]^$]", text) else ""


def convert(param: Param, kind: str, text: str, current: Any, context: Context) -> Any:
    """The value to store in place of `current`; MISSING to leave that as it is."""
    if kind in NUMBERS:
        return _number(param, text, context)
    match kind:
        case "bool":
            if not BOOLEANS.fullmatch(text.strip()):
                context.report("not a switch; write true or false, yes or no, on or off, 1 or 0")
            return to_bool(text) if text else True
        case "list":
            items = str_split_unique(text, param.separator, datatype=param.datatype, exact=True)
            if is_numeric_type(param.datatype):
                for item in str_split_unique(text, param.separator, exact=True):
                    _check_number(item, context)
            return items
        case "map":
            return _map(text, param.separator)
        case "regexp":
            return compile_pattern(text, param.regexp, context)
        case "regexpobj":
            if compile_pattern(text, param.regexp, context) is MISSING:
                return MISSING
            return to_regexp_obj(
                current, text, set=param.set, delete=param.delete, flags=param.regexp
            )
        case "regexpmap":
            return _regexp_map(param, text, current, context)
        case "json":
            return _json(text, param.datatype, context)
        case "url":
            return _url(text, context)
        case "path":
            return to_path(text, context)
        case "file":
            return _file(to_path(text, context), context)
    return text


def to_path(text: str, context: Context) -> str:
    """An absolute path; one that begins with the key of a configured directory lies in that."""
    head, slash, rest = text.partition("/")
    folder = context.paths.get(head)
    if slash and isinstance(folder, str):
        text = f"{folder}/{rest}"
    path = os.path.expanduser(text)
    if path.startswith("~"):
        context.report("the home directory of that user is unknown; write an absolute path")
        return path
    return os.path.abspath(os.path.join(context.base, path))


def compile_pattern(text: str, flags: str, context: Context) -> Any:
    """The pattern of a text in JavaScript's syntax; `MISSING`, and a report, for an invalid one."""
    try:
        return compile_regexp(text, flags)
    except ValueError as error:
        context.report(f"invalid regular expression: {error}")
        return MISSING


def _check_number(text: str, context: Context) -> None:
    if not is_numeric(text.strip()):
        context.report("not a number; write digits only, as in 12 or 1.5")


def _number(param: Param, text: str, context: Context) -> float:
    _check_number(text, context)
    number = to_number(text, min=param.min, max=param.max)
    return number if param.decimals is None else round(number, param.decimals)


def _map(text: str, separator: Text) -> dict[str, str | None]:
    if isinstance(separator, str):
        separator = re.compile(re.escape(separator) if separator else "[,:]")
    items: dict[str, str | None] = {}
    for item in str_split_unique(text, exact=True):
        name, *value = separator.split(item, maxsplit=1)
        items[name.strip()] = value[0].strip() if value else None
    return items


def _json(text: str, datatype: str, context: Context) -> Any:
    kind = _EMPTY_JSON.get(datatype)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        context.report(f"not JSON: {getattr(error, 'msg', 'too deep')}")
        return kind() if kind else MISSING
    if kind and not isinstance(value, kind):
        context.report(f"not JSON of the type {datatype}")
        return kind()
    return value


def _regexp_map(param: Param, text: str, current: Any, context: Context) -> Any:
    value = _json(text, "obj", context)
    if any(compile_pattern(item, param.regexp, context) is MISSING for item in value):
        return MISSING
    return to_regexp_map(current, value, set=param.set, flags=param.regexp)


def _url(text: str, context: Context) -> Any:
    try:
        url = urlsplit(text)
        _ = url.port  # reading it is what checks it
    except ValueError as error:
        context.report(f"not a URL: {error}")
        return MISSING
    return url


def _file(path: str, context: Context) -> Any:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        context.report(f"file {path} cannot be read: {error.strerror}")
        return MISSING
