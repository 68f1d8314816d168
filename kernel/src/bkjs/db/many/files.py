"""Tables out to files and back: JSON lines, or CSV.

What is written is what is stored, with every described column, null too, so that importing it
gives the same rows, byte for byte: numbers of an `mtime` are milliseconds however small, bytes
hexadecimal digits, decimals text, empty objects and lists stay. A value that is none of its
column's type is refused with its line. In CSV an empty field is null; text that is empty or begins
with a backslash is written with one more backslash in front.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import IO, Any

import orjson

from bkjs.db.contract import Request, Row, Table
from bkjs.db.pools.pools import Target
from bkjs.db.request import prepare, write
from bkjs.db.request.plain import Plans, Write
from bkjs.db.request.plan import Query
from bkjs.db.request.read import pages
from bkjs.db.tables.codec import IMPORT
from bkjs.db.tables.generate import Call
from bkjs.db.tables.objects import has_nan
from bkjs.db.tables.values import date_text
from bkjs.db.verbs import Verbs
from bkjs.errors import BadRequest, BkError
from bkjs.lib.csv import csv_line
from bkjs.lib.json import stored_json

from .batch import PIECE, to_the_end, write_all

LARGE = 2**24
"""Characters of text after which rows are written before there are `PIECE` of them, and in a page
of rows that are read."""
FIRST = 50
"""Rows of the first page, before it is known how large they are."""
FIELD = 2**30
"""Longest field of a CSV file."""
_NULLS = ("null", "{}", "[]", "", b"null", b"{}", b"[]", b"")
"""JSON that is read as null, the empty ones with `api-compat=values`."""
SEPARATORS = ",;\t|"

Line = tuple[int, Row | BkError]
"""The number of a line and its record, or why there is none."""
Bad = Callable[[int, str], object]
Progress = Callable[[int], object]


async def import_rows(
    db: Verbs,
    table: str,
    lines: Iterable[Line],
    *,
    pool: str | None,
    bad: Bad,
    progress: Progress,
    verb: str = IMPORT,
) -> int:
    """Store records; how many. `bad` hears of each that cannot be stored, by line and reason.

    A failure of the database itself is raised; `progress` has heard how many were stored.
    """
    target = db.target(table, {"pool": pool})
    done = size = 0
    waiting: list[tuple[int, Write | None, Any]] = []
    plans = db.plans if pool is None else Plans()

    async def flush() -> None:
        nonlocal done, size
        errors = await write_all(target, [(plan, what) for _, plan, what in waiting], db.now)
        done += errors.count(None)
        progress(done)
        for (number, *_), error in zip(waiting, errors, strict=True):
            if error is not None and error.status >= 500:  # not the row's fault: others fare alike
                raise error
            if error is not None:
                bad(number, error.message)
        waiting.clear()
        size = 0

    for number, record in lines:
        plan = None if isinstance(record, BkError) else plans.write_plan(verb, table, record)
        values = plan.values(record, db.now) if plan is not None and plan.bulk else None  # type: ignore[arg-type]
        if values is None:
            try:
                request = _request(db, target, record, verb)
            except BkError as err:
                bad(number, err.message)
                continue
            waiting.append((number, None, request))
            values = list(request.values.values())
        else:
            waiting.append((number, plan, values))
        size += sum([len(value) for value in values if type(value) is str])
        if len(waiting) >= PIECE or size >= LARGE:
            await to_the_end(flush)
    if waiting:
        await to_the_end(flush)
    return done


def _request(db: Verbs, target: Target, record: Row | BkError, verb: str) -> Request:
    if isinstance(record, BkError):
        raise record
    unknown = record.keys() - target.table.columns.keys()
    if unknown and not target.codec.allow:
        raise BadRequest(f"{target.table.name} has no column {sorted(unknown)[0][:64]!r}")
    request, _ = write.insert(verb, target, record, prepare.NO_OPTIONS, Call(db.now))
    how = "add" if request.verb == "add" else "put"  # add when the database makes the key
    return Request(verb=how, table=request.table, key=request.key, values=request.values)


async def export_rows(
    db: Verbs,
    table: str,
    write_row: Callable[[Row], int],
    *,
    pool: str | None,
    progress: Progress,
) -> int:
    """Call back with every stored row, in the order of the key; how many.

    `write_row` says how many characters a row has: large ones are read a few at a time. Raises
    BadRequest that names row and column for a value of a foreign table that a file cannot hold,
    such as NaN: it would come back as null.
    """
    target = db.target(table, {"pool": pool})
    columns = target.table.columns
    page = FIRST
    done = 0

    def count() -> int:
        return page

    async for rows in pages(target, Query(), count):
        size = 1
        for stored in rows:
            row = target.codec.decode(stored)
            if lost := next((n for n, v in row.items() if _is_lost(v, stored.get(n))), ""):
                key = ", ".join(f"{name}={row.get(name)}"[:64] for name in target.table.keys)
                value = str(stored.get(lost))[:64]
                raise BadRequest(
                    f"{table}: the row {key}: {lost}: {value} is no value that a file can hold, it"
                    " would come back as null; correct it first",
                    field=lost,
                )
            size += write_row({**dict.fromkeys(columns), **row})
        page = max(1, min(PIECE, LARGE * len(rows) // size))
        done += len(rows)
        progress(done)
    return done


def _is_lost(value: Any, stored: Any) -> bool:
    """Whether what was read of a stored value, or what JSON makes of that, is null instead."""
    if value is None:  # of JSON that cannot be read, such as 1e400
        return isinstance(stored, (str, bytes)) and stored.strip() not in _NULLS
    if isinstance(value, Decimal):
        return not value.is_finite()
    return isinstance(value, (float, dict, list)) and has_nan(value)


# -- JSON lines ----------------------------------------------------------------------------------


def read_jsonl(file: IO[str]) -> Iterator[Line]:
    """Records of a file with one JSON object in each line; empty lines are skipped."""
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError as err:
            yield number, BadRequest(f"not JSON: {err}")
            continue
        if isinstance(record, dict):
            yield number, record
        else:
            yield number, BadRequest("not a JSON object")


def jsonl_writer(file: IO[str]) -> Callable[[Row], int]:
    """A function that writes a row as one line; it gives the characters written."""
    return lambda row: file.write(stored_json(row) + "\n")


# -- CSV -----------------------------------------------------------------------------------------


def read_csv(file: IO[str], table: Table) -> Iterator[Line]:
    """Records of a CSV file whose first line names the columns, by their first line.

    Fields may also be separated by semicolons, tabs or bars: the names of columns tell.
    """
    csv.field_size_limit(FIELD)
    header = file.readline()
    by = max(SEPARATORS, key=lambda mark: len(table.columns.keys() & _names(header, mark)))
    names = _names(header, by)
    if len(set(names)) < len(names):
        raise BadRequest("the first line names a column twice")
    reader = csv.reader(file, delimiter=by, strict=True)
    while True:
        number = reader.line_num + 2
        try:
            fields = next(reader, None)
        except csv.Error as err:
            yield number, BadRequest(f"not CSV: {err}")
            continue
        if fields is None:
            return
        if fields and len(fields) != len(names):
            yield number, BadRequest(f"{len(fields)} fields instead of {len(names)}")
        elif fields:
            yield number, _from_csv(dict(zip(names, fields, strict=True)), table)


def _names(header: str, by: str) -> list[str]:
    return [name.strip() for name in next(csv.reader([header], delimiter=by), [])]


def _from_csv(fields: Mapping[str, str], table: Table) -> Row | BkError:
    record: Row = {}
    for name, field in fields.items():
        column = table.columns.get(name)
        if field == "":
            record[name] = None
            continue
        value: Any = field.removeprefix("\\")
        if not field.isascii() and any("\ud800" <= char <= "\udfff" for char in field):
            return BadRequest(f"{name}: not UTF-8")
        if column is not None and column.kind in ("json", "list"):
            try:
                value = orjson.loads(value)
            except orjson.JSONDecodeError:
                if column.kind == "json":
                    return BadRequest(f"{name}: not JSON")
        record[name] = value
    return record


def csv_writer(file: IO[str], table: Table) -> Callable[[Row], int]:
    """The same as CSV, under a line with the names of all columns."""
    columns = [(name, column.kind == "json") for name, column in table.columns.items()]
    file.write(csv_line(table.columns, end="\n"))
    return lambda row: file.write(
        csv_line((_to_csv(row.get(name), nested) for name, nested in columns), end="\n")
    )


def _to_csv(value: Any, nested: bool) -> str:
    if nested and value is not None:
        return stored_json(value)
    match value:
        case None:
            return ""
        case str():
            return "\\" + value if value == "" or value[0] == "\\" else value
        case bool():
            return "true" if value else "false"
        case datetime():
            return date_text(value)
        case bytes():
            return value.hex() or "\\"
        case list() | dict():
            return stored_json(value)
    return repr(value) if isinstance(value, float) else str(value)
