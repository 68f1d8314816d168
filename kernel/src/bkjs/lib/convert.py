"""Untrusted text to typed values. These never raise: what does not convert becomes the default."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from .dates import to_date, to_ms
from .numbers import MISSING, NUMBER_OPTIONS, to_number
from .patterns import to_regexp
from .wire import to_text

_FALSE = re.compile(r"false|off|nil|null|no|f|n|0$", re.I)
_NUMERIC_TYPE = re.compile(
    r"int|smallint|bigint|now|clock|mtime|counter|real|float|double|numeric|number|decimal|long",
    re.I,
)
_SEPARATOR = re.compile(r"[,|]")
_SEPARATORS = "-_/."
_EMAIL = re.compile(r"[^@<> ]+@[^@<> ]+")
_LONGEST_EMAIL = 512  # an address has at most 254 characters; a name may be before it
_URL = re.compile(r"https?://.+")
_PHONE = re.compile(r"[0-9 .+()-]+")


def to_bool(value: object, dflt: object = False) -> bool:
    """Whether a value means yes, or `dflt` does when it is `MISSING`.

    Text is false when it is empty or begins with `false`, `off`, `nil`, `null`, `no`, `f` or `n`
    (so `none` and `nothing` are false), or is `0`.
    """
    if value is MISSING or callable(value):
        return dflt is not MISSING and not callable(dflt) and to_bool(dflt)
    if isinstance(value, (bool, int, float)):
        return bool(value) and value == value
    if value is None or value == "":
        return False
    return _FALSE.match(to_text(value).strip()) is None


def to_value(value: Any, type: str | None = "", **options: Any) -> Any:
    """The value as a column or parameter of that type holds it.

    `options` are those of the type's own converter: `min`, `max`, `dflt` … of `to_number`,
    `separator`, `datatype`, `lower`, `upper` of `str_split_unique` (whose `exact` is on when any
    option is given), `regexp` the flags of `to_regexp`; others are ignored, so that a whole
    definition may be given. Any other type is text.
    """
    convert = _CONVERTERS.get((type or "").strip())
    if convert:
        return convert(value, options)
    return "" if value is None or value is MISSING else to_text(value)


def _to_number(value: object, options: Mapping[str, Any]) -> float:
    return to_number(value, **{k: options[k] for k in NUMBER_OPTIONS if k in options})


def _to_real(value: object, options: Mapping[str, Any]) -> float:
    return _to_number(value, {**options, "float": True})


def _to_list(value: object, options: Mapping[str, Any]) -> list[Any]:
    return str_split_unique(
        value,
        options.get("separator"),
        datatype=options.get("datatype"),
        lower=options.get("lower"),
        upper=options.get("upper"),
        exact=options.get("exact", bool(options)),
    )


def _to_mtime(value: object, options: Mapping[str, Any]) -> int:
    return to_ms(to_date(value)) if value else 0


def _to_url(value: object, options: Mapping[str, Any]) -> object:
    if not isinstance(value, str) or not value.strip() or _URL.match(value):
        return value
    return f"http://{value}"


def _to_email(value: object, options: Mapping[str, Any]) -> str:
    if not isinstance(value, str) or ".." in value or len(value) > _LONGEST_EMAIL:
        return ""
    found = _EMAIL.search(value)
    return found[0].lower().strip() if found else ""


def _to_phone(value: object, options: Mapping[str, Any]) -> str:
    """Digits only; a number of North America without its leading 1."""
    found = _PHONE.match(to_text(value).strip())
    digits = re.sub(r"[^0-9]", "", found[0])[:15] if found else ""
    if len(digits) == 11 and digits[0] == "1":
        return digits[1:]
    return digits if len(digits) >= 7 else ""


def _to_json(value: object, options: Mapping[str, Any]) -> str:
    from .json import stringify

    try:
        return stringify(value)
    except (TypeError, ValueError, RecursionError):
        return ""


_CONVERTERS: Final[dict[str, Callable[[Any, Mapping[str, Any]], Any]]] = {
    **dict.fromkeys(("list", "array"), _to_list),
    **dict.fromkeys(("expr", "buffer"), lambda value, options: value),
    **dict.fromkeys(("real", "float", "double", "decimal"), _to_real),
    **dict.fromkeys(("int", "int32", "integer", "smallint", "bigint", "long"), _to_number),
    **dict.fromkeys(("number", "numeric", "counter", "now", "clock"), _to_number),
    **dict.fromkeys(("bool", "boolean"), lambda value, options: to_bool(value)),
    **dict.fromkeys(("date", "time", "timestamp"), lambda value, options: to_date(value)),
    "regexp": lambda value, options: to_regexp(value, to_text(options.get("regexp") or "")),
    "mtime": _to_mtime,
    "url": _to_url,
    "email": _to_email,
    "phone": _to_phone,
    "json": _to_json,
    "lower": lambda value, options: to_value(value).lower(),
}
TYPES: Final = frozenset(_CONVERTERS)
"""The types that `to_value` knows; all others are text."""


def is_empty(value: object) -> bool:
    """Whether there is nothing in it: null, missing, nan, blank text, an empty list, dict or bytes.

    0 and False are values.
    """
    if isinstance(value, str):
        return not value.strip()
    if isinstance(value, (bytes, list, tuple, dict, set, frozenset)):
        return not value
    return value is None or value is MISSING or value != value


def is_numeric_type(type: str | None) -> bool:
    """Whether columns of that type hold numbers."""
    return bool(type) and _NUMERIC_TYPE.match(str(type).strip()) is not None


def str_split(
    value: object,
    separator: str | re.Pattern[str] | None = None,
    *,
    datatype: str | None = None,
    lower: object = False,
    upper: object = False,
) -> list[Any]:
    """The items of a text that commas or bars separate, trimmed and without the empty ones.

    `separator` is a text or a pattern. A list is taken as already split; its items that are no
    text stay as they are. With a `datatype` each item is converted by `to_value` instead of
    trimmed.
    """
    if not value:
        return []
    items: Iterable[Any]
    if isinstance(value, (list, tuple, set, frozenset)):
        items = value
    elif isinstance(separator, str) and separator:
        items = to_text(value).split(separator)
    elif isinstance(separator, re.Pattern):
        items = separator.split(to_text(value))
    else:
        items = _SEPARATOR.split(to_text(value))
    found = []
    for item in items:
        if isinstance(item, str):
            if lower:
                item = item.lower()
            if upper:
                item = item.upper()
            item = to_value(item, datatype) if datatype else item.strip()
        if item != "":
            found.append(item)
    return found


def str_split_unique(
    value: object,
    separator: str | re.Pattern[str] | None = None,
    *,
    datatype: str | None = None,
    lower: object = False,
    upper: object = False,
    exact: bool = False,
) -> list[Any]:
    """As `str_split`, each item once; `exact` keeps texts that differ only in case."""
    items = str_split(value, separator, datatype=datatype, lower=lower, upper=upper)
    unique: dict[Any, Any] = {}
    for item in items:
        if isinstance(item, str):
            unique.setdefault(item if exact else item.lower(), item)
        elif isinstance(item, (int, float)):
            unique.setdefault((isinstance(item, bool), item), item)
        else:
            unique.setdefault((type(item), repr(item)), item)
    return list(unique.values())


def to_title(text: object) -> str:
    """Every word with a capital, blanks for underscores: `John Smith` for `john_SMITH`."""
    if not isinstance(text, str):
        return ""
    return " ".join(word.capitalize() for word in text.replace("_", " ").split())


def to_camel(name: object, separators: str = "") -> str:
    """`helloWorld` for `hello-world`; a separator stays before what is no letter, digit or `_`.

    Separators are `-`, `_`, `/` and `.` unless others are named.
    """
    if not isinstance(name, str):
        return ""
    return re.sub(rf"(?a)[{re.escape(separators or _SEPARATORS)}](\w)", _upper, name)


def _upper(found: re.Match[str]) -> str:
    return found[1].upper()


def to_uncamel(name: object, separator: str = "-") -> str:
    """`hello-world` for `helloWorld`."""
    text = re.sub(r"([A-Z])", lambda found: separator + found[1].lower(), to_text(name))
    return text.removeprefix(separator)
