"""Rows as lines of JSON, CSV or XML."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bkjs.lib.convert import is_empty
from bkjs.lib.csv import csv_field
from bkjs.lib.json import stringify
from bkjs.lib.numbers import MISSING
from bkjs.lib.wire import to_text

Row = Mapping[str, Any]

_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&apos;", '"': "&quot;"})


def to_format(
    format: str,
    rows: Sequence[Row] | Row,
    *,
    allow: Sequence[str] | None = None,
    mapping: Mapping[str, str] | None = None,
    header: bool = False,
    separator: str = ",",
    quotes: str = '"',
    controls: str = " ",
    tag: str = "row",
) -> str:
    """Rows, or the list of them in `{"data": […]}`, as `json` lines, `csv` or `xml`.

    `allow` names the columns and their order, `mapping` renames them. CSV: `header` puts the
    names first, `controls` stands for line ends and tabs. XML: `tag` is around each row.
    """
    listed = rows.get("data", [rows]) if isinstance(rows, Mapping) else rows
    names = mapping or {}
    if format == "csv":
        columns = list(allow or dict.fromkeys(key for row in listed for key in row))
        cell = _cell(separator, quotes, controls)
        lines = [[cell(row.get(column, MISSING)) for column in columns] for row in listed]
        if header and columns:
            lines.insert(0, [cell(names.get(column, column)) for column in columns])
        return "".join(separator.join(line) + "\r\n" for line in lines)
    if format == "xml":
        return "".join(f"<{tag}>\n{_children(row, allow, names)}</{tag}>\n" for row in listed)
    return "".join(stringify(_chosen(row, allow, names)) + "\n" for row in listed)


def _chosen(row: Row, allow: Sequence[str] | None, names: Mapping[str, str]) -> Row:
    if not allow:
        return {names.get(key, key): value for key, value in row.items()}
    return {names.get(key, key): row[key] for key in allow if not is_empty(row.get(key))}


def _cell(separator: str, quotes: str, controls: str) -> Callable[[Any], str]:
    def cell(value: Any) -> str:
        if value is MISSING or (not value and isinstance(value, (bool, int, float, str))):
            return ""
        if isinstance(value, (list, tuple)):
            return to_text(value)  # a list is spread over the columns that follow
        text = stringify(value) if value is None or isinstance(value, dict) else to_text(value)
        return csv_field(re.sub(r"[\r\n\t]", controls, text), separator, quotes)

    return cell


def _children(row: Row, allow: Sequence[str] | None, names: Mapping[str, str]) -> str:
    lines = []
    for key in allow or row:
        value = row.get(key)
        if value is None or value is MISSING:
            continue
        tag = re.sub(r"^(?![A-Za-z_])|[^\w.-]", "_", names.get(key, key))
        text = stringify(value) if isinstance(value, dict) else to_text(value)
        lines.append(f"<{tag}>{text.translate(_ENTITIES)}</{tag}>\n")
    return "".join(lines)
