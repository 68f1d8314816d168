"""From stored rows to those that the caller gets."""

from __future__ import annotations

from collections.abc import Iterable

from bkjs.db.contract import Row
from bkjs.db.pools.pools import Target

from .hooks import Hooks, RowRequest, run_post
from .prepare import Options


def finish(
    target: Target,
    hooks: Hooks,
    req: RowRequest,
    rows: list[Row],
    columns: tuple[str, ...] | None,
    options: Options,
) -> list[Row]:
    """Stored rows as the caller gets them: unique, trimmed, converted, hooked and filtered."""
    if options.get("unique"):
        rows = unique(rows, options["unique"])
    rows = trim(rows, columns)
    if not options.get("noconvertrows"):
        read = target.codec.reader(columns)
        if read:
            rows = [read(row) for row in rows]
    found = hooks.find("post", req.table, req.op, own=not options.get("noprocessrows"))
    if found:
        rows = run_post(found, req, rows, options)
    if options.get("postfilter"):
        rows = [row for row in rows if options["postfilter"](req, row, options)]
    if options.get("postprocess"):
        rows = list(options["postprocess"](req, rows, options))
    return rows


def unique(rows: Iterable[Row], column: str) -> list[Row]:
    """The first row for each value of a column."""
    found: dict[str, Row] = {}
    for row in rows:
        found.setdefault(repr(row.get(column)), row)
    return list(found.values())


def trim(rows: list[Row], columns: tuple[str, ...] | None) -> list[Row]:
    """Take away the columns that were read only to sort, filter or go on."""
    if columns is None:
        return rows
    wanted = frozenset(columns)
    if all(row.keys() <= wanted for row in rows):
        return rows
    return [{name: value for name, value in row.items() if name in wanted} for row in rows]
