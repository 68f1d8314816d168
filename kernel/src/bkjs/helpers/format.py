"""Rows as lines of JSON, CSV or XML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bkjs.lib.convert import is_empty, to_value
from bkjs.lib.csv import csv_field
from bkjs.lib.numbers import MISSING
from bkjs.lib.wire import to_text

from .values import fields_of, listed, names_of, truthy

Row = Mapping[str, Any]

_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&apos;", '"': "&quot;"})


def to_format(
    format: str,
    rows: object,
    *,
    allow: object = None,
    mapping: Mapping[str, str] | None = None,
    header: bool = False,
    separator: str = ",",
    quotes: str = '"',
    controls: str = " ",
    tag: str = "row",
) -> str:
    """Rows, or the list of them in `{"data": […]}`, as `json` lines, `csv` or `xml`.

    `allow` names the columns and their order, `mapping` renames them. In CSV and XML a list is its
    items with commas, a dict JSON, and 0, False and nothing are empty. CSV: `header` puts the names
    first, `controls` stands for line ends and tabs. XML: `tag` is around each row.
    """
    if isinstance(rows, Mapping):
        rows = rows["data"] if isinstance(rows.get("data"), list) else [rows]
    found = [fields_of(row) for row in listed(rows)]
    chosen = names_of(allow)
    names = fields_of(mapping)
    if format == "csv":
        columns = chosen or list(dict.fromkeys(key for row in found for key in row))
        mark, quote = separator or ",", quotes or '"'
        lines = [[_text(row.get(column, MISSING)) for column in columns] for row in found]
        if header and lines:
            lines.insert(0, [to_text(names.get(column, column)) for column in columns])
        return "".join(
            mark.join(
                csv_field(re.sub(r"[\r\n\t]", lambda _: controls, text), mark, quote)
                for text in line
            )
            + "\r\n"
            for line in lines
        )
    if format == "xml":
        around = _tag(tag or "row")
        return "".join(f"<{around}>\n{_children(row, chosen, names)}</{around}>\n" for row in found)
    return "".join(to_value(_chosen(row, chosen, names), "json") + "\n" for row in found)


def _chosen(row: Row, allow: list[str], names: Row) -> Row:
    if not allow:
        return {names.get(key, key): value for key, value in row.items()}
    return {names.get(key, key): row[key] for key in allow if not is_empty(row.get(key))}


def _text(value: Any) -> str:
    if value is None or isinstance(value, dict):
        return str(to_value(value, "json"))
    return to_text(value) if truthy(value) else ""


def _children(row: Row, allow: list[str], names: Row) -> str:
    lines = []
    for key in allow or row:
        tag = _tag(to_text(names.get(key, key)))
        lines.append(f"<{tag}>{_text(row.get(key, MISSING)).translate(_ENTITIES)}</{tag}>\n")
    return "".join(lines)


def _tag(name: str) -> str:
    """The name with what XML does not allow in one replaced."""
    return re.sub(r"^(?![A-Za-z_])|[^\w.-]", "_", name)
