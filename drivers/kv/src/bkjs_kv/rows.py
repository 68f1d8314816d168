"""Tables in an ordered store: rows by their packed key, and a second key for each unique value."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Final, NamedTuple

from bkjs.db.conditions.match import matcher
from bkjs.db.conditions.order import comes_after
from bkjs.db.contract import ALL, Request, Row, Table
from bkjs.db.keys import KeyRange, by_key, pack, prefix_end
from bkjs.errors import AlreadyExists, BadRequest, DriverError

from .codec import decode, encode
from .store import Reader, Writer

STEP: Final = 10_000
"""Rows that one answer looks at; there may be more of them behind it."""
_PART: Final = 1000
_ROW, _CLAIM, _STATE = b"r", b"u", b"t"

Test = Callable[[Row], bool]
Uniques = tuple[tuple[str, ...], ...]


def area(table: str) -> bytes:
    """What the keys of all rows of a table begin with."""
    return _ROW + pack((table,))


class Scan(NamedTuple):
    """Where a select looks, and what a row has to meet there."""

    spans: list[tuple[bytes, bytes | None]]
    reverse: bool
    test: Test | None

    def entries(self, reader: Reader, limit: int | None = None) -> Iterator[tuple[bytes, bytes]]:
        """What is stored there, in order; of each span so many at most."""
        for start, end in reversed(self.spans) if self.reverse else self.spans:
            yield from reader.range(start, end, reverse=self.reverse, limit=limit)

    def found(self, reader: Reader) -> Iterator[tuple[bytes, Row]]:
        """The rows that meet the conditions."""
        for key, data in self.entries(reader):
            row = decode(data)
            if self.test is None or self.test(row):
                yield key, row


def scan(req: Request) -> Scan:
    """Where a request looks."""
    keys = by_key(req.table, req.where)
    prefix = area(req.table.name)
    spans = keys.spans(prefix)
    reverse = bool(keys.descending(req.sort))
    tests = [] if keys.rest == ALL else [matcher(keys.rest, req.table)]
    if req.match is not None:
        tests.append(req.match)
    if req.resume is not None:
        mark = prefix + req.resume.encode("latin-1")
        spans = _beyond(spans, mark, mark + b"\0", reverse)
    elif req.after is not None:
        place, behind = _place(keys, req)
        start, end = prefix + place, prefix_end(prefix + place)
        assert end is not None, "the key of a row begins with a letter"
        spans = _beyond(spans, *((end, start) if behind else (start, end)), reverse)
    return Scan(spans, reverse, _all(tests))


def _all(tests: list[Test]) -> Test | None:
    if len(tests) < 2:
        return tests[0] if tests else None
    return lambda row: all(test(row) for test in tests)


def _place(keys: KeyRange, req: Request) -> tuple[bytes, bool]:
    """The first columns of the key of the rows beside the place where a page begins, and whether
    they come behind it: they do where a column that is the same in all rows does."""
    assert req.after is not None
    same = dict(zip(keys.columns, keys.equal, strict=False))
    place = list(keys.equal)
    for order, value in zip(req.sort, req.after, strict=True):
        if order.column in same:
            if same[order.column] != value:
                return pack(place), comes_after((order,), (value,))(same)
        elif order.column in keys.columns:
            place.append(value)
    return pack(place), False


def _beyond(
    spans: list[tuple[bytes, bytes | None]], before: bytes, behind: bytes, reverse: bool
) -> list[tuple[bytes, bytes | None]]:
    """The parts of spans before a key, where they are read backwards, or behind it."""
    if reverse:
        cut = [(start, before if end is None else min(end, before)) for start, end in spans]
        return [(start, end) for start, end in cut if start < end]
    return [(max(start, behind), end) for start, end in spans if end is None or behind < end]


class Rows:
    """One table in a reader of a store."""

    def __init__(self, table: Table, reader: Reader, longest: int | None = None) -> None:
        self.table = table
        self.reader = reader
        self.longest = longest
        self._area = area(table.name)

    def key(self, values: Row) -> bytes:
        """The stored key of a row."""
        return self._area + pack(values[name] for name in self.table.keys)

    def get(self, key: bytes) -> Row | None:
        """The row under a key."""
        if self.longest and len(key) > self.longest:
            return None
        data = self.reader.get(key)
        return None if data is None else decode(data)


class Changing(Rows):
    """The same in a writer: each change keeps the unique columns."""

    def __init__(
        self, table: Table, writer: Writer, longest: int | None, uniques: Uniques = ()
    ) -> None:
        super().__init__(table, writer, longest)
        self.writer = writer
        self.uniques = uniques

    def put(self, key: bytes, row: Row, old: Row | None) -> None:
        """Store a row in the place of the old one, which must be given where there are unique
        columns; raises AlreadyExists, and BadRequest for a row or a key that is too long."""
        if self.longest and len(key) > self.longest:
            names = ", ".join(self.table.keys)
            text = f"{names}: the key takes more than the {self.longest} bytes that it may have"
            raise BadRequest(text, field=self.table.keys[0])
        data = encode(row)
        for columns in self.uniques:
            mine, before = (
                _claim(self.table.name, columns, row),
                _claim(self.table.name, columns, old),
            )
            if mine == before:
                continue
            if mine is not None:
                if self.writer.get(mine) is not None:
                    names = ", ".join(columns)
                    text = f"Record with the same {names} already exists"
                    raise AlreadyExists(text, field=names)
                self.writer.put(mine, key)
            if before is not None:
                self.writer.delete(before)
        self.writer.put(key, data)

    def delete(self, key: bytes, old: Row) -> None:
        """Remove a row."""
        for columns in self.uniques:
            before = _claim(self.table.name, columns, old)
            if before is not None:
                self.writer.delete(before)
        self.writer.delete(key)


def _claim(table: str, columns: tuple[str, ...], row: Row | None) -> bytes | None:
    """The key that only one row may have, None with a null, which is no value."""
    values = [None] if row is None else [row.get(name) for name in columns]
    if None in values:
        return None
    # a digest: values may be longer than keys
    return _claims(table, columns) + sha256(pack(values)).digest()


def _claims(table: str, *columns: tuple[str, ...]) -> bytes:
    """What the claims of a table begin with, or those of some columns."""
    return _CLAIM + pack((table, *map(pack, columns)))


def state(table: str) -> bytes:
    """The key of what is known of a table."""
    return _STATE + pack((table,))


def kept(table: str, reader: Reader) -> Uniques:
    """The unique columns of which the store has a claim for each row of a table."""
    data = reader.get(state(table))
    return () if data is None else tuple(tuple(names) for names in decode(data)["uniques"])


def keep(table: str, writer: Writer, wanted: Uniques) -> None:
    """Make the claims of other unique columns, from the rows that are there.

    Raises DriverError where two of these are equal in them.
    """
    there = kept(table, writer)
    for columns in there:
        if columns not in wanted:
            clear(writer, _claims(table, columns))
    for columns in wanted:
        if columns in there:
            continue
        start = area(table)
        for key, data in in_parts(writer, start, prefix_end(start)):
            mine = _claim(table, columns, decode(data))
            if mine is None:
                continue
            if writer.get(mine) is not None:
                names = ", ".join(columns)
                raise DriverError(f"{table}: two rows have the same {names}, which is unique")
            writer.put(mine, key)
    writer.put(state(table), encode({"uniques": wanted}))


def in_parts(writer: Writer, start: bytes, end: bytes | None) -> Iterator[tuple[bytes, bytes]]:
    """A range while it is changed: what is taken from the store at a time is whole."""
    while part := list(writer.range(start, end, limit=_PART)):
        yield from part
        start = part[-1][0] + b"\0"


def clear(writer: Writer, prefix: bytes) -> None:
    """Remove all that begins with a prefix."""
    for key, _ in in_parts(writer, prefix, prefix_end(prefix)):
        writer.delete(key)


def drop(writer: Writer, table: str) -> None:
    """Remove a table."""
    for prefix in (area(table), _claims(table), state(table)):
        clear(writer, prefix)


def matching(req: Request, writer: Writer) -> Iterator[tuple[bytes, Row]]:
    """The rows of a request while they are changed."""
    where = scan(req)
    for start, end in where.spans:
        for key, data in in_parts(writer, start, end):
            row = decode(data)
            if where.test is None or where.test(row):
                yield key, row
