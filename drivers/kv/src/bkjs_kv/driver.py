"""Every operation of a database driver in terms of an ordered store of bytes."""

from __future__ import annotations

import asyncio
import threading
from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from typing import Any, ClassVar, TypeVar

from bkjs.db.conditions.changes import apply_changes
from bkjs.db.conditions.groups import Groups
from bkjs.db.conditions.match import as_expected
from bkjs.db.contract import (
    OPERATORS,
    Capabilities,
    DbDriver,
    Getter,
    Group,
    Operations,
    Order,
    Page,
    Plan,
    Request,
    Row,
    Shape,
    Table,
    Transaction,
    Written,
    evaluated,
)
from bkjs.db.keys import by_key, pack
from bkjs.db.threads import Call, Failed, Threads, attempt
from bkjs.errors import AlreadyExists, BkError, Conflict, StartError, Unavailable

from . import rows as stored
from .codec import decode
from .rows import STEP, Changing, Rows, Uniques, area, scan
from .store import Overlay, Reader, Store, Writer

T = TypeVar("T")

WRITES = 1000
"""Writes that share one commit, at most."""


class KvOperations(Operations):
    """The operations over a reader or a writer of a store."""

    longest: ClassVar[int | None] = None
    """Bytes of the longest key that the store takes, None for any."""
    _known: dict[str, Table]
    """The descriptions whose claims are kept; what is undone takes back what it brought in here."""

    @abstractmethod
    async def _read(self, call: Callable[[Reader], T], *, short: bool = False) -> T:
        """Run a call over the store as it is; `short` calls need few keys."""

    @abstractmethod
    async def _write(self, call: Callable[[Writer], T]) -> T:
        """Run a call in a write transaction, of which nothing lasts when it raises."""

    @abstractmethod
    def _changing(self, table: Table, writer: Writer) -> Changing:
        """The rows of a table to be changed."""

    async def get(self, req: Request) -> Row | None:
        """The row with `req.key`, or None."""

        def call(reader: Reader) -> Row | None:
            rows = Rows(req.table, reader, self.longest)
            row = rows.get(rows.key(req.key))
            return None if row is None else req.pick(row)

        return await self._read(call, short=True)

    async def many(self, req: Request) -> list[Row]:
        """The rows of `req.keys` that exist, each once."""

        def call(reader: Reader) -> list[Row]:
            rows = Rows(req.table, reader, self.longest)
            found = map(rows.get, dict.fromkeys(map(rows.key, req.keys)))
            return [req.pick(row) for row in found if row is not None]

        return await self._read(call)

    async def select(self, req: Request) -> Page:
        """Rows in the order of their keys; `resume` is the last key that was looked at."""
        return await self._read(partial(_select, req))

    async def total(self, req: Request) -> int:
        """How many rows match `req.where`."""
        where = scan(req)
        entries = where.entries if where.test is None else where.found
        return await self._read(lambda reader: sum(1 for _ in entries(reader)))

    async def aggregate(self, req: Request) -> list[tuple[Any, ...]]:
        """The groups of the rows that match `req.where`."""
        assert req.groups is not None
        groups = Groups(req.table, req.groups)

        def call(reader: Reader) -> list[tuple[Any, ...]]:
            groups.add(row for _, row in scan(req).found(reader))
            return groups.found()[: req.count]

        return await self._read(call)

    async def add(self, req: Request) -> Written:
        """Insert `req.values`; raises AlreadyExists."""
        return await self._write(partial(self._add, req))

    async def put(self, req: Request) -> Written:
        """Insert `req.values` or replace the whole record."""
        return await self._write(partial(self._put, req))

    async def update(self, req: Request) -> Written:
        """Apply `req.changes` to the row with `req.key`."""
        return await self._write(partial(self._update, req))

    async def delete(self, req: Request) -> Written:
        """Delete the row with `req.key`."""
        return await self._write(partial(self._delete, req))

    async def update_all(self, req: Request) -> int:
        """Apply `req.changes` to every row that matches, in one transaction."""

        def call(writer: Writer) -> int:
            rows, done = self._changing(req.table, writer), 0
            for key, row in stored.matching(req, writer):
                rows.put(key, apply_changes(row, req.changes), row)
                done += 1
            return done

        return await self._write(call)

    async def delete_all(self, req: Request) -> int:
        """Delete every row that matches, in one transaction."""

        def call(writer: Writer) -> int:
            rows, done = self._deleting(req.table, writer), 0
            for key, row in stored.matching(req, writer):
                rows.delete(key, row)
                done += 1
            return done

        return await self._write(call)

    async def bulk(self, reqs: Sequence[Request]) -> list[BkError | None]:
        """All of them in one transaction."""
        verbs = {"add": self._add, "put": self._put, "update": self._update, "delete": self._delete}

        def call(writer: Writer) -> list[BkError | None]:
            errors: list[BkError | None] = []
            for req in reqs:
                known, mine = self._known, Overlay(writer)
                try:
                    verbs[req.verb](req, mine)
                except BkError as error:
                    self._known = known
                    errors.append(error)
                else:
                    mine.apply(writer)
                    errors.append(None)
            return errors

        return await self._write(call)

    # -- in a write transaction ----------------------------------------------------------------

    def _deleting(self, table: Table, writer: Writer) -> Changing:
        """What is deleted needs no new claims, so that rows which are against them can be."""
        return Changing(table, writer, self.longest, stored.kept(table.name, writer))

    def _add(self, req: Request, writer: Writer) -> Written:
        rows = self._changing(req.table, writer)
        key = rows.key(req.key)
        if rows.get(key) is not None:
            raise AlreadyExists
        rows.put(key, req.values, None)
        return _written(req, req.values)

    def _put(self, req: Request, writer: Writer) -> Written:
        rows = self._changing(req.table, writer)
        key = rows.key(req.key)
        old = rows.get(key) if rows.uniques or req.expected is not None else None
        if not as_expected(req, old):
            return Written()
        rows.put(key, req.values, old)
        return _written(req, req.values)

    def _update(self, req: Request, writer: Writer) -> Written:
        rows = self._changing(req.table, writer)
        key = rows.key(req.key)
        old = rows.get(key)
        if old is None and req.upsert and req.expected is None:
            new = apply_changes(req.key, req.changes)
        elif old is None or not as_expected(req, old):
            return Written()
        else:
            new = apply_changes(old, req.changes)
        rows.put(key, new, old)
        return _written(req, new)

    def _delete(self, req: Request, writer: Writer) -> Written:
        rows = self._deleting(req.table, writer)
        key = rows.key(req.key)
        old = rows.get(key)
        if old is None or not as_expected(req, old):
            return Written()
        rows.delete(key, old)
        return _written(req, old)


def _written(req: Request, row: Row) -> Written:
    return Written(1, req.pick(row) if req.returning else None)


def _select(req: Request, reader: Reader) -> Page:
    where, rows = scan(req), list[Row]()
    last, test = b"", where.test
    most = STEP if test is not None or req.count is None else min(req.count, STEP)
    looked = 0
    for key, data in where.entries(reader, most + 1):
        if len(rows) == req.count or looked == STEP:
            return Page(rows, _mark(req.table, last))
        row, last, looked = decode(data), key, looked + 1
        if test is None or test(row):
            rows.append(req.pick(row))
    return Page(rows)


def _mark(table: Table, key: bytes) -> str:
    """A stored key as JSON has it."""
    return key[len(area(table.name)) :].decode("latin-1")


class KvDriver(KvOperations, DbDriver):
    """Tables in an ordered store of bytes: a subclass says how it is opened.

    Every condition is evaluated here; those on the first columns of the key say where to look. Rows
    come in the order of the key, either way. `max` and `max_queue` are the pool's settings for
    threads.
    """

    can = Capabilities(
        add=True,
        update=True,
        conditional=True,
        counters=True,
        changes=frozenset({"set", "remove", "not_exists"}),
        operators=OPERATORS,
        groups=True,
        behind=True,
        filters=True,
        many=1000,
        bulk=1000,
        total=True,
        aggregates=True,
        update_all=True,
        delete_all=True,
        returning=True,
        uniques=True,
        transactions=True,
    )
    shape = Shape(json=True, lists=True, ints=None)

    threads: ClassVar[bool] = True
    """Reads of many rows run on threads of their own, and writes on one; else all in the event
    loop, for a store that waits for nothing."""

    def __init__(self, name: str, url: str, options: Any) -> None:
        super().__init__(name, url, options)
        self._store: Store | None = None
        self._readers: Threads | None = None
        self._writer: Threads | None = None
        self._known = {}
        self._transaction: Writer | None = None

    @abstractmethod
    def connect(self) -> Store:
        """Open the store, or raise Unavailable; on a thread where there are any."""

    async def open(self) -> None:
        """Open the store."""
        if not self.threads:
            self._store = self.connect()
            return
        queue = int(self.options.get("max_queue", 10_000))
        size = max(1, min(int(self.options.get("max") or 8), 64))
        self._readers = Threads(f"{self.name} reader", size, max_queue=queue)
        self._writer = Threads(
            f"{self.name} writer", 1, max_queue=queue, at_once=WRITES, together=self._together
        )
        connect = Threads(f"{self.name} opener", 1, max_queue=1)
        try:
            self._store = await connect.run(self.connect, self._unopened)
        finally:
            await connect.close()

    @staticmethod
    def _unopened(outcome: Any) -> None:
        if isinstance(outcome, Store):
            outcome.close()

    async def close(self) -> None:
        """Finish what runs and waits, then close the store."""
        for threads in (self._readers, self._writer):
            if threads is not None:
                await threads.close()
        store, self._store = self._store, None
        if store is not None:
            store.close()

    async def begin(self) -> Transaction:
        """A transaction over the store as it is now."""
        snapshot = await self.blocking(self.store.snapshot, _closed)
        return KvTransaction(self, snapshot)

    def getter(self, table: Table, columns: tuple[str, ...] | None) -> Getter:
        """One row, read in the event loop."""
        prefix, longest = area(table.name), self.longest

        async def get(values: tuple[Any, ...]) -> Row | None:
            key = prefix + pack(values)
            if longest and len(key) > longest:
                return None
            with closing(self.store.snapshot()) as reader:
                data = reader.get(key)
            if data is None:
                return None
            row = decode(data)
            return row if columns is None else {n: row[n] for n in columns if n in row}

        return get

    def plan(self, table: Table, where: Group, sort: tuple[Order, ...]) -> Plan:
        """All conditions, in an order that the key has."""
        native = evaluated(self, table, where)
        ordered = by_key(table, native).descending(sort) is not None
        return Plan(native, ordered, ordered)

    def behind(self, req: Request, row: Row) -> str:
        """The key of the row."""
        return pack(row[name] for name in req.table.keys).decode("latin-1")

    def check(self, table: Table) -> None:
        """Refuse tables without a key and unique values that are no plain ones."""
        if not table.keys:
            raise StartError(f"{self.name}: {table.name} has no primary key")
        for name in {*table.keys, *(name for names in table.uniques.values() for name in names)}:
            kind = table.columns[name].kind
            if kind in ("json", "list", "search"):
                where = f"{self.name}: {table.name}.{name}"
                raise StartError(f"{where}: {kind} can be neither a key nor unique")

    async def drop(self, table: str) -> None:
        """Remove the table and what is known of it."""
        self._known = {name: known for name, known in self._known.items() if name != table}
        await self._write(lambda writer: stored.drop(writer, table))

    def stats(self) -> dict[str, int]:
        """Threads that are there and work, and calls that wait for one."""
        found: dict[str, int] = {}
        for kind in (self._readers, self._writer):
            for name, value in kind.stats().items() if kind else ():
                found[name] = found.get(name, 0) + value
        return found

    # -- the store -----------------------------------------------------------------------------

    @property
    def store(self) -> Store:
        """The open store; raises Unavailable when it is closed."""
        if self._store is None:
            raise Unavailable(f"{self.name}: the database is closed")
        return self._store

    async def blocking(
        self,
        call: Callable[[], T],
        late: Callable[[Any], object] | None = None,
        *,
        always: bool = False,
    ) -> T:
        """Run a call where reads run; see `Threads.run`."""
        return await self._readers.run(call, late, always=always) if self._readers else call()

    async def _read(self, call: Callable[[Reader], T], *, short: bool = False) -> T:
        def read() -> T:
            with closing(self.store.snapshot()) as reader:
                return call(reader)

        return read() if short else await self.blocking(read)

    async def write(self, call: Callable[[Writer], T]) -> T:
        """Run a call in a write transaction, of which nothing lasts when it raises."""
        if self._writer is not None:
            return await self._writer.run(lambda: call(self._current()))
        known = self._known
        try:
            with self.store.write() as writer:
                return call(writer)
        except BaseException:
            self._known = known
            raise

    _write = write

    def _current(self) -> Writer:
        assert self._transaction is not None
        return self._transaction

    def _together(self, calls: Sequence[Call]) -> list[Any]:
        """Writes in one transaction; what one of several changes is undone when it raises.

        When the store refuses the changes of one, none of the others has to fail for it: each then
        has a transaction of its own. What fails when all is to be kept fails for all.
        """
        before = self._known
        try:
            with self.store.write() as writer:
                if len(calls) == 1:
                    self._transaction = writer
                    return [calls[0]()]
                outcomes = []
                for call in calls:
                    known = self._known
                    self._transaction = mine = Overlay(writer)
                    outcome = attempt(call)
                    if isinstance(outcome, Failed):
                        self._known = known
                    else:
                        _apply(mine, writer)
                    outcomes.append(outcome)
                return outcomes
        except _Refused:
            self._known = before
            return [attempt(partial(self._alone, call)) for call in calls]
        except BaseException:
            self._known = before
            raise
        finally:
            self._transaction = None

    def _alone(self, call: Call) -> Any:
        return self._together([call])[0]

    def changing(self, table: Table, writer: Writer, *, own: bool = True) -> Changing:
        """A table with claims for its unique columns, made where they are new.

        Another process may describe others: its claims are kept until this one first writes. `own`
        says that the writer is the store's and not of a transaction that may never be kept.
        """
        there, wanted = stored.kept(table.name, writer), tuple(table.uniques.values())
        if self._known.get(table.name) is table:
            wanted = _united(there, wanted)
        elif own:
            self._known = {**self._known, table.name: table}  # the old ones, if nothing is kept
        if set(wanted) != set(there):
            stored.keep(table.name, writer, wanted)
        return Changing(table, writer, self.longest, wanted)

    _changing = changing


class _Refused(Exception):
    """A store did not take a change."""


def _apply(changes: Overlay, writer: Writer) -> None:
    try:
        changes.apply(writer)
    except Exception as exc:
        raise _Refused from exc


def _united(first: Uniques, second: Uniques) -> Uniques:
    return tuple(dict.fromkeys(first + second))


def _closed(outcome: Any) -> None:
    """Close a snapshot that nobody waits for."""
    if isinstance(outcome, Reader):
        outcome.close()


class KvTransaction(KvOperations, Transaction):
    """Reads one snapshot; its changes are kept when nobody else changed the same rows since.

    A call whose caller has gone runs on, so each takes the lock: no snapshot is closed under one.
    """

    def __init__(self, driver: KvDriver, snapshot: Reader) -> None:
        self.longest = driver.longest  # type: ignore[misc]
        self._driver = driver
        self._known = {}  # nothing is kept yet
        self._snapshot: Reader | None = snapshot
        self._changes = Overlay(snapshot)
        self._tables: set[str] = set()
        self._lock = threading.Lock()

    async def _read(self, call: Callable[[Reader], T], *, short: bool = False) -> T:
        def read() -> T:
            with self._lock:
                self._open()
                return call(self._changes)

        return await self._driver.blocking(read)

    async def _write(self, call: Callable[[Writer], T]) -> T:
        def write() -> T:
            with self._lock:
                self._open()
                mine = Overlay(self._changes)
                result = call(mine)
                mine.apply(self._changes)
                return result

        return await self._driver.blocking(write)

    def _open(self) -> Reader:
        if self._snapshot is None:
            raise Conflict("the transaction is over")
        return self._snapshot

    def _changing(self, table: Table, writer: Writer) -> Changing:
        self._tables.add(table.name)
        return self._driver.changing(table, writer, own=False)

    async def commit(self) -> None:
        """Keep the changes; raises Conflict when others changed the same rows."""
        try:
            await self._driver.write(self._keep)
        finally:
            await self.rollback()

    def _keep(self, writer: Writer) -> None:
        with self._lock:
            snapshot = self._open()
            # the claims that each row needs must be those that were made here
            for key in (*self._changes.changes, *map(stored.state, self._tables)):
                if writer.get(key) != snapshot.get(key):
                    raise Conflict
            self._changes.apply(writer)

    async def rollback(self) -> None:
        """Forget the changes."""
        try:
            await asyncio.shield(self._driver.blocking(self._end, always=True))
        except Unavailable:  # the threads have ended
            self._end()

    def _end(self) -> None:
        with self._lock:
            snapshot, self._snapshot = self._snapshot, None
            if snapshot is not None:
                snapshot.close()
