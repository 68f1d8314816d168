"""Replies as bytes: JSON, and rows as XML, CSV or one JSON object per line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from xml.sax.saxutils import escape

from bkjs.lib.csv import csv_line
from bkjs.lib.json import wire_json
from bkjs.lib.numbers import is_numeric

_NOT_A_NAME = re.compile(r"[^A-Za-z0-9_.-]")
_NOT_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def _rows(value: Any) -> list[Mapping[str, Any]]:
    """The rows of a list, a page or a single row; what is no row is left out."""
    if isinstance(value, Mapping):
        value = value["data"] if isinstance(value.get("data"), list) else [value]
    return [row for row in value if isinstance(row, Mapping)]


def _cell(value: Any) -> str:
    """A value as text: nothing for null, lists with commas, objects as JSON."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case list() | tuple() if not any(isinstance(item, (dict, list)) for item in value):
            return ",".join(map(_cell, value))
    text = wire_json(value).decode()
    return str(json.loads(text)) if text.startswith('"') else text


def to_xml(value: Any, separator: str = "") -> bytes:
    """Rows as `<data><row><name>value</name>…`, with `<next_token>` before them if there is one."""
    lines = ["<data>"]
    if isinstance(value, Mapping) and value.get("next_token"):
        lines.append(_element("next_token", value["next_token"]))
    for row in _rows(value):
        lines += ["<row>", *(_element(name, item) for name, item in row.items()), "</row>"]
    lines.append("</data>")
    return "\n".join(lines).encode()


def _element(name: str, value: Any) -> str:
    tag = _NOT_A_NAME.sub("_", name)
    if not tag[:1].isalpha() and tag[:1] != "_":
        tag = f"_{tag}"
    text = escape(_NOT_XML.sub("", _cell(value)), {"'": "&apos;", '"': "&quot;"})
    return f"<{tag}>{text}</{tag}>"


def to_csv(value: Any, separator: str = "") -> bytes:
    """Rows with the names of the first one as header; no rows give nothing.

    Text that a spreadsheet would take for a formula gets a `'` before it.
    """
    rows = _rows(value)
    mark = separator[:1]
    if mark in ("", '"', "\r", "\n"):
        mark = ","
    if not rows:
        return b""
    header = list(rows[0])
    lines = [_line(header, mark)]
    for row in rows:
        # a row of another shape keeps its own order, as clients of this format expect
        known = row.keys() <= rows[0].keys()
        lines.append(_line((row.get(n) for n in header) if known else row.values(), mark))
    return "".join(lines).encode("utf-8", "replace")


def _line(values: Iterable[Any], mark: str) -> str:
    return csv_line(map(_field, values), mark)


def _field(value: Any) -> str:
    text = _cell(value)
    return f"'{text}" if text.startswith(_FORMULA) and not is_numeric(text) else text


def to_lines(value: Any, separator: str = "") -> bytes:
    """One JSON object per line."""
    return b"".join(wire_json(row) + b"\n" for row in _rows(value))


FORMATS: Final[Mapping[str, tuple[Callable[[Any, str], bytes], str]]] = {
    "xml": (to_xml, "application/xml"),
    "csv": (to_csv, "text/csv; charset=utf-8"),
    "json": (to_lines, "text/plain; charset=utf-8"),
}
"""What `_format` may ask for: the function and the content type."""
