"""A database in a dict: the executable specification of what a driver does.

Everything is atomic because nothing here awaits. Stored rows are never changed in place, so a
transaction can tell by identity whether a row is still the one that it saw.
"""

from __future__ import annotations

import copy
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import chain
from typing import Any, ClassVar

from bkjs.db.conditions.changes import apply_changes
from bkjs.db.conditions.groups import Groups
from bkjs.db.conditions.match import as_expected, matcher
from bkjs.db.conditions.order import comes_after, sort_rows
from bkjs.db.contract import (
    OPERATORS,
    UPDATE_OPS,
    Capabilities,
    DbDriver,
    Operations,
    Order,
    Page,
    Request,
    Row,
    Shape,
    Table,
    Transaction,
    Written,
)
from bkjs.errors import AlreadyExists, BkError, Conflict

Key = tuple[Any, ...]
Rows = dict[Key, Row]
PLAIN = frozenset({str, int, float, bool, bytes, type(None)})
"""Types of values that nobody can change."""


def _copy(row: Row, columns: Sequence[str] | None = None) -> Row:
    names = row if columns is None else [name for name in columns if name in row]
    values = [(name, row[name]) for name in names]
    return {name: v if type(v) in PLAIN else copy.deepcopy(v) for name, v in values}


def _order(req: Request) -> tuple[Order, ...]:
    known = {order.column for order in req.sort}
    return (*req.sort, *(Order(key) for key in req.table.keys if key not in known))


def _place(req: Request, row: Row) -> list[list[Any]]:
    """The values by which a row has its place in the order of a request, as JSON has them."""
    return [_named(row.get(order.column)) for order in _order(req)]


def _named(value: Any) -> list[Any]:
    name = type(value).__name__
    if name not in _READ:
        return ["", value]
    return [name, value.hex() if isinstance(value, bytes) else str(value)]


_READ: Mapping[str, Callable[[str], Any]] = {
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "Decimal": Decimal,
    "bytes": bytes.fromhex,
}


def taken(table: Table, rows: Rows, new: Rows) -> tuple[str, ...]:
    """The unique columns in which one of the new rows has the values of another row, if any do."""
    for columns in table.uniques.values():
        for key, row in new.items():
            values, old = [row.get(name) for name in columns], rows.get(key, {})
            if None in values or [old.get(name) for name in columns] == values:
                continue  # nulls are no values
            others = (other for other in rows.items() if other[0] not in new)
            for other, found in chain(others, new.items()):
                if other != key and [found.get(name) for name in columns] == values:
                    return columns
    return ()


class Store(Operations):
    """The operations over tables of rows by key."""

    tables: dict[str, Rows]
    uniques: bool
    """Whether unique columns are kept."""

    def _rows(self, req: Request) -> Rows:
        return self.tables.setdefault(req.table.name, {})

    def _key(self, req: Request) -> Key:
        return tuple(req.key[name] for name in req.table.keys)

    def _store(self, req: Request, new: Rows) -> None:
        """Set rows; a transaction also remembers that it did."""
        columns = ", ".join(taken(req.table, self._rows(req), new)) if self.uniques else ""
        if columns:
            raise AlreadyExists(f"Record with the same {columns} already exists", field=columns)
        self._rows(req).update(new)

    def _remove(self, req: Request, key: Key) -> None:
        self._rows(req).pop(key, None)

    def _matching(self, req: Request) -> list[tuple[Key, Row]]:
        match = matcher(req.where, req.table)
        return [(key, row) for key, row in self._rows(req).items() if match(row)]

    def _written(self, req: Request, old: Row | None, new: Row | None) -> Written:
        row = {"": None, "*": new or old, "old": old}[req.returning]
        return Written(affected=1, row=_copy(row, req.columns) if row is not None else None)

    async def get(self, req: Request) -> Row | None:
        row = self._rows(req).get(self._key(req))
        return None if row is None else _copy(row, req.columns)

    async def add(self, req: Request) -> Written:
        key = self._key(req)
        if key in self._rows(req):
            raise AlreadyExists
        row = _copy(req.values)
        self._store(req, {key: row})
        return self._written(req, None, row)

    async def put(self, req: Request) -> Written:
        key = self._key(req)
        old = self._rows(req).get(key)
        if not as_expected(req, old):
            return Written()
        row = _copy(req.values)
        self._store(req, {key: row})
        return self._written(req, old, row)

    async def update(self, req: Request) -> Written:
        key = self._key(req)
        old = self._rows(req).get(key)
        if old is None and req.upsert and req.expected is None:
            row = apply_changes(dict(req.key), req.changes)
        elif old is None or not as_expected(req, old):
            return Written()
        else:
            row = apply_changes(old, req.changes)
        row = _copy(row)
        self._store(req, {key: row})
        return self._written(req, old, row)

    async def delete(self, req: Request) -> Written:
        key = self._key(req)
        old = self._rows(req).get(key)
        if old is None or not as_expected(req, old):
            return Written()
        self._remove(req, key)
        return self._written(req, old, None)

    async def select(self, req: Request) -> Page:
        """Rows in the order asked for, then of the key; `resume` has the values of the last."""
        rows = [row for _, row in self._matching(req)]
        order = _order(req)
        sort_rows(rows, order)
        first = req.offset
        if req.resume is not None:
            values = tuple(_READ[name](value) if name else value for name, value in req.resume)
            first += bisect_left(rows, True, key=comes_after(order, values))
        elif req.after is not None:
            first += bisect_left(rows, True, key=comes_after(req.sort, req.after))
        rows = rows[first:]
        page = rows if req.count is None else rows[: req.count]
        more = page and len(page) < len(rows)
        resume = _place(req, page[-1]) if more else None
        return Page([_copy(row, req.columns) for row in page], resume)

    async def many(self, req: Request) -> list[Row]:
        rows = self._rows(req)
        keys = {tuple(key[name] for name in req.table.keys): None for key in req.keys}
        return [_copy(rows[key], req.columns) for key in keys if key in rows]

    async def total(self, req: Request) -> int:
        return len(self._matching(req))

    async def aggregate(self, req: Request) -> list[tuple[Any, ...]]:
        assert req.groups is not None
        groups = Groups(req.table, req.groups)
        groups.add(row for _, row in self._matching(req))
        return groups.found()[: req.count]

    async def update_all(self, req: Request) -> int:
        found = {key: _copy(apply_changes(row, req.changes)) for key, row in self._matching(req)}
        self._store(req, found)
        return len(found)

    async def delete_all(self, req: Request) -> int:
        found = self._matching(req)
        for key, _ in found:
            self._remove(req, key)
        return len(found)

    async def bulk(self, reqs: Sequence[Request]) -> list[BkError | None]:
        errors: list[BkError | None] = []
        for req in reqs:
            try:
                await getattr(self, req.verb)(req)
                errors.append(None)
            except BkError as err:
                errors.append(err)
        return errors


class MemoryDriver(Store, DbDriver):
    """Tables in this process; they are gone with it."""

    can = Capabilities(
        add=True,
        update=True,
        conditional=True,
        counters=True,
        changes=UPDATE_OPS - {"incr"},
        operators=OPERATORS,
        groups=True,
        sort=True,
        seek=True,
        offset=True,
        many=1000,
        bulk=1000,
        behind=True,
        uniques=True,
        total=True,
        aggregates=True,
        update_all=True,
        delete_all=True,
        returning=True,
        transactions=True,
    )
    shape = Shape(json=True, lists=True, dates=True, decimals=True)
    accepts: ClassVar[Mapping[str, str]] = {}

    def __init__(self, name: str, url: str, options: Mapping[str, Any]) -> None:
        super().__init__(name, url, options)
        self.tables = {}
        self.uniques = self.can.uniques

    async def open(self) -> None:
        """Nothing to connect to."""

    async def close(self) -> None:
        """The rows stay as long as the driver, so that it can be opened again."""

    async def begin(self) -> Transaction:
        return MemoryTransaction(self)

    def behind(self, req: Request, row: Row) -> Any:
        """The values of the row by which it has its place."""
        return _place(req, row)

    async def drop(self, table: str) -> None:
        self.tables.pop(table, None)


class MemoryTransaction(Store, Transaction):
    """Works on a copy; `commit` fails when another writer was first to a row that it changed."""

    def __init__(self, driver: MemoryDriver) -> None:
        self.driver = driver
        self.uniques = driver.uniques
        self.base = {name: dict(rows) for name, rows in driver.tables.items()}
        self.tables = {name: dict(rows) for name, rows in driver.tables.items()}
        self.touched: dict[tuple[str, Key], Table] = {}
        self.over = False

    def _rows(self, req: Request) -> Rows:
        self._running()
        return super()._rows(req)

    def _running(self) -> None:
        if self.over:
            raise RuntimeError("the transaction is over")

    def _store(self, req: Request, new: Rows) -> None:
        super()._store(req, new)
        self.touched |= {(req.table.name, key): req.table for key in new}

    def _remove(self, req: Request, key: Key) -> None:
        super()._remove(req, key)
        self.touched[req.table.name, key] = req.table

    async def commit(self) -> None:
        self._running()
        self.over = True
        current = self.driver.tables
        for table, key in self.touched:
            if current.get(table, {}).get(key) is not self.base.get(table, {}).get(key):
                raise Conflict
        for name, described in {table.name: table for table in self.touched.values()}.items():
            rest = {k: r for k, r in current.get(name, {}).items() if (name, k) not in self.touched}
            mine = {k: r for k, r in self.tables[name].items() if (name, k) in self.touched}
            if self.uniques and taken(described, rest, mine):
                raise Conflict
        for table, key in self.touched:
            row = self.tables[table].get(key)
            if row is None:
                current.get(table, {}).pop(key, None)
            else:
                current.setdefault(table, {})[key] = row

    async def rollback(self) -> None:
        self.over = True
