"""Rows as documents: their ids and fields, and ranges of ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from bkjs.db.contract import Request, Row, Table
from bkjs.db.keys import KeyRange, pack, prefix_end, printed

EXACT = 2**53 - 1
"""The largest whole number of which JavaScript knows all digits."""


class Span(NamedTuple):
    """The ids from `start` on and before `end`; `open` when `start` is not one of them."""

    start: str
    end: str
    open: bool = False

    def __contains__(self, id: object) -> bool:
        return str(id) < self.end and (self.start < str(id) if self.open else self.start <= str(id))

    def behind(self, id: str, reverse: bool) -> Span:
        """What is left of it after an id, either way."""
        if reverse:
            return Span(self.start, min(id, self.end), self.open)
        return Span(id, self.end, True) if id >= self.start else self


def id_of(table: Table, row: Row) -> str:
    """The `_id` of a row: the table and the key, in their order."""
    return printed(pack([table.name, *(row[name] for name in table.keys)]))


def id_of_key(req: Request) -> str:
    """The `_id` of the row that a request is about."""
    return id_of(req.table, req.key)


def table_span(table: str) -> Span:
    """The ids of all rows of a table."""
    prefix = pack([table])
    return Span(printed(prefix), printed(prefix_end(prefix) or b"\xff"))


def spans(table: Table, found: KeyRange, reverse: bool, resume: str | None) -> Iterator[Span]:
    """The ids of a range of keys, in the order of reading, behind `resume` if there is one."""
    whole = table_span(table.name)
    ranges = found.spans(pack([table.name]))
    for start, end in reversed(ranges) if reverse else ranges:
        span = Span(printed(start), whole.end if end is None else printed(end))
        if resume is not None:
            span = span.behind(resume, reverse)
        if span.start < span.end:
            yield span


def document(row: Row) -> dict[str, Any]:
    """The fields of a row. CouchDB keeps names that begin with `_`, which no column has."""
    return {name: _written(value) for name, value in row.items()}


def row_of(table: Table, fields: Mapping[str, Any]) -> Row:
    """The row that a document holds."""
    row: Row = {}
    for name, value in fields.items():
        if name[:1] != "_":
            column = table.columns.get(name)
            read = _read(value)
            real = column is not None and column.kind == "real" and read is not None
            row[name] = float(read) if real else read
    return row


def _written(value: Any) -> Any:
    """Whole numbers that are none in JavaScript, in which views are, become text in an object."""
    if type(value) is int and abs(value) > EXACT:
        return {"$int": str(value)}
    return [_written(item) for item in value] if isinstance(value, list) else value


def _read(value: Any) -> Any:
    if isinstance(value, dict):
        return int(value["$int"])
    return [_read(item) for item in value] if isinstance(value, list) else value
