"""The operations of a SQL database, in terms of running one statement."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Coroutine, Hashable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal

from bkjs.db.contract import (
    Aggregate,
    Capabilities,
    Column,
    Condition,
    DbDriver,
    Group,
    ManySetter,
    Operations,
    Page,
    Request,
    Row,
    Setter,
    Shape,
    Table,
    Transaction,
    Written,
)
from bkjs.errors import BkError, DriverError
from bkjs.lib.bounded import Bounded

from . import statements
from .dialect import Dialect
from .rows import Converter, converter, each, value_reader
from .statements import Statement, auto_key, change_values
from .types import comparable, kind
from .where import Outline, behind, by_key, outline, padded

TEXT_OPERATORS = frozenset(
    {"begins_with", "ilike%", "like", "ilike", "contains", "regexp", "iregexp", "similar to"}
)
"""Operators that look into a text, each with a negation."""
FEW = 200
"""Rows that are quickly turned into dicts."""

CAPABILITIES: Mapping[str, Any] = {
    "add": True,
    "update": True,
    "conditional": True,
    "counters": True,
    "changes": frozenset({"set", "remove", "concat", "not_exists"}),
    "groups": True,
    "sort": True,
    "seek": True,
    "offset": True,
    "many": 500,  # with a few columns each far below the bound values that engines take
    "bulk": 500,
    "total": True,
    "aggregates": True,
    "update_all": True,
    "delete_all": True,
    "returning": True,
    "tables": True,
    "columns": True,
    "uniques": True,
    "auto": True,
    "transactions": True,
}
"""What every driver built on this package can do; the operators depend on the dialect."""


def capabilities(dialect: Dialect, *more: str) -> Capabilities:
    """The claims of a driver with this dialect, and `more` operators that it has."""
    positive = set(dialect.operators) | {"in", "begins_with"}
    negative = {f"not {op}" for op in positive if op in TEXT_OPERATORS | {"in", "between", "null"}}
    return Capabilities(operators=frozenset(positive | negative | {*more}), **CAPABILITIES)


def seconds(options: Mapping[str, Any], name: str, default: float) -> float:
    """An option in milliseconds, as seconds."""
    value = options.get(name)
    return default if value is None else float(value) / 1000


class Plans:
    """Statements and row converters, kept by what they were made for."""

    def __init__(self, dialect: Dialect, limit: int = 4000) -> None:
        self.dialect = dialect
        self._kept: Bounded[Hashable, Any] = Bounded(limit)  # strangers choose what they filter by

    def get(self, key: Hashable, make: Callable[[], Statement]) -> Statement:
        """The statement for a key that says everything about it."""
        found: Statement | None = self._kept.get(key)
        if found is None:
            found = self._kept[key] = make()
        return found

    def clear(self) -> None:
        """Forget all of them."""
        self._kept.clear()

    def rows(self, table: Table, columns: tuple[str, ...]) -> Converter:
        """The converter for rows of these columns."""
        key = (table, columns)
        found: Converter | None = self._kept.get(key)
        if found is None:
            found = self._kept[key] = converter(table, columns, self.dialect.reads)
        return found


class SqlOperations(Operations):
    """Every operation as one statement; a subclass runs statements."""

    dialect: Dialect
    plans: Plans

    @abstractmethod
    async def _read(
        self, statement: Statement, values: Sequence[Any], *, short: bool = False
    ) -> Sequence[Any]:
        """The rows of a statement that changes nothing; `short`: they are probably few and
        quickly found."""

    @abstractmethod
    async def _write(
        self, statement: Statement, values: Sequence[Any]
    ) -> tuple[int, Sequence[Any]]:
        """How many rows a statement changed, and the rows that it returned."""

    async def get(self, req: Request) -> Row | None:
        """The row with `req.key`, or None."""
        table, columns = req.table, req.columns
        statement = self.plans.get(
            (table, "get", columns),
            lambda: statements.select(self.dialect, table, columns, by_key(table)),
        )
        rows = await self._read(statement, [req.key[name] for name in table.keys], short=True)
        return self._rows(table, statement, rows)[0] if rows else None

    async def many(self, req: Request) -> list[Row]:
        """The rows of `req.keys` that exist, in the order of the database, each once.

        The keys are repeated up to a power of two, or bound as arrays, so that few different texts
        are made.
        """
        table, dialect = req.table, self.dialect
        keys = list(dict.fromkeys(tuple(key[k] for k in table.keys) for key in req.keys))
        if dialect.arrays:
            count, values = 1, [list(column) for column in zip(*keys, strict=True)]
        else:
            values = padded([value for key in keys for value in key], len(table.keys))
            count = len(values) // len(table.keys)
        statement = self.plans.get(
            (table, "many", req.columns, count),
            lambda: statements.many(dialect, table, req.columns, count),
        )
        rows = await self._read(statement, values, short=count <= 64)
        return self._rows(table, statement, rows)

    async def select(self, req: Request) -> Page:
        """Rows that match `req.where`, all in one page: `Page.resume` is never set.

        Rows after `req.after` are found by comparison with the sort columns, not by counting.
        """
        table, dialect, values = req.table, self.dialect, list[Any]()
        structure = outline(req.where, dialect, values)
        if req.after is not None:
            structure = behind(structure, table, req.sort, req.after, dialect, values)
        limit, offset = req.count is not None, req.offset > 0
        statement = self.plans.get(
            (table, "select", req.columns, structure, req.sort, limit, offset),
            lambda: statements.select(
                dialect, table, req.columns, structure, req.sort, limit=limit, offset=offset
            ),
        )
        if limit:
            values.append(req.count)
        if offset:
            values.append(req.offset)
        rows = await self._read(
            statement, values, short=statement.short and (req.count or 0) <= FEW
        )
        return Page(self._rows(table, statement, rows))

    async def total(self, req: Request) -> int:
        """How many rows match `req.where`, by `COUNT(*)`."""
        values: list[Any] = []
        structure = outline(req.where, self.dialect, values)
        statement = self.plans.get(
            (req.table, "total", structure),
            lambda: statements.total(self.dialect, req.table, structure),
        )
        return int((await self._read(statement, values))[0][0])

    async def aggregate(self, req: Request) -> list[tuple[Any, ...]]:
        """The groups of the rows that match `req.where`, by `GROUP BY`."""
        dialect, table, groups, values = self.dialect, req.table, req.groups, list[Any]()
        assert groups is not None
        structure = outline(req.where, dialect, values)
        statement = self.plans.get(
            (table, "aggregate", groups, structure),
            lambda: statements.aggregate(dialect, table, groups, structure),
        )
        if groups.by:
            values.append(req.count)
        rows = await self._read(statement, values)
        reads = [value_reader(dialect.kind(table, name), dialect.reads) for name in groups.by]
        for op, name in groups.measures:
            of = dialect.kind(table, name) if name else "int"
            if op == "sum":
                reads.append(dialect.sums[of])
            else:
                reads.append(value_reader(of, dialect.reads) if op in ("min", "max") else None)
        return each(reads, rows)

    def add(self, req: Request) -> Coroutine[Any, Any, Written]:
        """Insert `req.values`; raises AlreadyExists. A key that is counted up is `Written.oid`."""
        return self._one(req)

    def put(self, req: Request) -> Coroutine[Any, Any, Written]:
        """Insert `req.values` or replace the whole record, in one statement.

        With `ABSENT` as expectation an existing row stays and none is affected; with another one
        the row is only replaced when it is as expected.
        """
        return self._one(req)

    def update(self, req: Request) -> Coroutine[Any, Any, Written]:
        """Apply `req.changes` in one statement, as an upsert when `req.upsert` says so.

        None is affected when the row is missing or not as expected.
        """
        return self._one(req)

    def delete(self, req: Request) -> Coroutine[Any, Any, Written]:
        """Delete the row with `req.key`, if it is as expected; a missing row is no error."""
        return self._one(req)

    async def update_all(self, req: Request) -> int:
        """Apply `req.changes` to every row that matches `req.where`; how many."""
        values = change_values(req.changes)
        changes = tuple((change.column, change.op) for change in req.changes)
        structure = outline(req.where, self.dialect, values)
        statement = self.plans.get(
            (req.table, "update_all", changes, structure),
            lambda: statements.update(self.dialect, req.table, changes, structure),
        )
        return (await self._write(statement, values))[0]

    async def delete_all(self, req: Request) -> int:
        """Delete every row that matches `req.where`; how many."""
        values: list[Any] = []
        structure = outline(req.where, self.dialect, values)
        statement = self.plans.get(
            (req.table, "delete_all", structure),
            lambda: statements.delete(self.dialect, req.table, structure),
        )
        return (await self._write(statement, values))[0]

    async def query(self, text: str, values: Sequence[Any] = ()) -> list[Row]:
        """The rows of any statement as dicts; values are bound to the engine's own placeholders."""
        rows = await self._query(text, values)
        return [dict(row) for row in rows]

    @abstractmethod
    async def _query(self, text: str, values: Sequence[Any]) -> Sequence[Mapping[str, Any]]:
        """The rows of any statement, by column name."""

    def prepare(self, req: Request) -> tuple[Statement, list[Any]]:
        """The statement and the values of an add, put, update or delete."""
        match req.verb:
            case "add":
                return self._insert(req)
            case "put":
                return self._put(req)
            case "update" | "incr":
                return self._update(req)
            case "del" | "delete":
                return self._delete(req)
        raise DriverError(f"no write {req.verb!r}")

    def _one(self, req: Request) -> Coroutine[Any, Any, Written]:
        statement, values = self.prepare(req)
        return self._written(req, statement, values)

    async def _written(self, req: Request, statement: Statement, values: list[Any]) -> Written:
        affected, rows = await self._write(statement, values)
        if not rows:
            return Written(affected)
        row = self._rows(req.table, statement, rows)[0]
        auto = auto_key(req.table) if req.verb == "add" else None
        oid = row.get(auto.name) if auto else None
        return Written(affected, row=row if req.returning else None, oid=oid)

    def _insert(self, req: Request, *, absent: bool = False) -> tuple[Statement, list[Any]]:
        table, columns = req.table, tuple(req.values)
        returning = self._returning(req)

        def make() -> Statement:
            auto = auto_key(table)
            wanted = returning or ((auto.name,) if auto else ())
            return statements.insert(self.dialect, table, columns, absent=absent, returning=wanted)

        key = (table, "add", columns, absent, returning)
        return self.plans.get(key, make), list(req.values.values())

    def _put(self, req: Request) -> tuple[Statement, list[Any]]:
        table, returning = req.table, self._returning(req)
        columns = tuple(table.columns)
        if isinstance(req.expected, Group):
            names = tuple(name for name in columns if name not in table.keys) or table.keys[:1]
            changes = tuple((name, "set") for name in names)
            given = [req.values.get(name) for name in names]
            return self._change(req, changes, given, req.values, returning)
        absent = req.expected is not None
        statement = self.plans.get(
            (table, "put", absent, returning),
            lambda: statements.insert(
                self.dialect, table, columns, replace=not absent, absent=absent, returning=returning
            ),
        )
        return statement, [req.values.get(name) for name in columns]

    def _update(self, req: Request) -> tuple[Statement, list[Any]]:
        table, returning = req.table, self._returning(req)
        changes = tuple([(change.column, change.op) for change in req.changes])
        values = change_values(req.changes)
        if not req.upsert or req.expected is not None:
            return self._change(req, changes, values, req.key, returning)
        return self.plans.get(
            (table, "upsert", changes, returning),
            lambda: statements.upsert(self.dialect, table, changes, returning=returning),
        ), [*(req.key[name] for name in table.keys), *values]

    def _change(
        self,
        req: Request,
        changes: tuple[tuple[str, str], ...],
        values: list[Any],
        key: Row,
        returning: tuple[str, ...],
    ) -> tuple[Statement, list[Any]]:
        """The changes of one row, if it is as expected."""
        table = req.table
        values += [key[name] for name in table.keys]
        tests = self._expected(req, values)
        return self.plans.get(
            (table, "change", changes, tests, returning),
            lambda: statements.update(
                self.dialect, table, changes, by_key(table, tests), returning=returning
            ),
        ), values

    def _delete(self, req: Request) -> tuple[Statement, list[Any]]:
        table, returning = req.table, self._returning(req)
        values = [req.key[name] for name in table.keys]
        tests = self._expected(req, values)
        return self.plans.get(
            (table, "remove", tests, returning),
            lambda: statements.delete(
                self.dialect, table, by_key(table, tests), returning=returning
            ),
        ), values

    def _expected(self, req: Request, values: list[Any]) -> Outline | None:
        if not isinstance(req.expected, Group):
            return None
        return outline(req.expected, self.dialect, values)

    def _returning(self, req: Request) -> tuple[str, ...]:
        return (req.columns or tuple(req.table.columns)) if req.returning else ()

    def _rows(self, table: Table, statement: Statement, rows: Sequence[Any]) -> list[Row]:
        return self.plans.rows(table, statement.columns)(rows)


class SqlTransaction(SqlOperations, Transaction):
    """Operations on one connection that take effect together."""


class SqlDriver(SqlOperations, DbDriver):
    """A pool of a SQL database. A subclass has a dialect, connects, and runs statements."""

    shape: ClassVar[Shape] = Shape()

    def __init__(self, name: str, url: str, options: Mapping[str, Any]) -> None:
        super().__init__(name, url, options)
        self.plans = Plans(self.dialect)

    def native(self, table: Table, condition: Condition) -> bool:
        """Whether the statement can hold this condition.

        Conditions on columns whose values are stored encoded (JSON, lists) are left to the kernel,
        and those that look into a text are only written for columns of text.
        """
        column = table.columns[condition.column]
        op = condition.op.removeprefix("not ")
        if op == "null":
            return True
        if condition.op not in self.can.operators or not comparable(column):
            return False  # encoded values are compared after decoding
        of = self.dialect.kind(table, condition.column)
        if op == "@@" or of == "search":
            return op == "@@" and of in ("search", "text")
        return op not in TEXT_OPERATORS or of == "text"

    def aggregates(self, table: Table, groups: Aggregate) -> bool:
        """Whether the engine's figures are those of the kernel; see `Dialect.measure`."""
        dialect = self.dialect
        kinds = [dialect.measurable(table, name) for name in groups.by]
        for op, name in groups.measures:
            of = dialect.measurable(table, name) if name else "int"
            kinds.append(of if of and dialect.measure(op, name, of) else None)
        return None not in kinds

    async def alive(self) -> None:
        """Raises what a request would when the database does not answer now."""
        await self.read_query("SELECT 1")

    def fits(self, column: Column, stored: str) -> bool:
        """Whether the name of a stored type has a part that `Dialect.stored` knows for the kind."""
        return any(part in stored.lower() for part in self.dialect.stored[kind(column)])

    def setter(
        self, verb: Literal["add", "put", "update"], table: Table, columns: tuple[str, ...]
    ) -> Setter:
        """The fastest way to write one row: its statement is made once, a call binds values."""
        statement = self._writing(verb, table, columns)

        async def write(values: Sequence[Any]) -> int:
            return (await self._write(statement, values))[0]

        return write

    def many_setter(
        self, verb: Literal["add", "put", "update"], table: Table, columns: tuple[str, ...]
    ) -> ManySetter | None:
        """The same for many rows."""
        return partial(self._many, self._writing(verb, table, columns))

    @abstractmethod
    async def _many(
        self, statement: Statement, rows: Sequence[Sequence[Any]]
    ) -> list[BkError | None]:
        """Run a statement for each of these values: the error of each, None where it succeeded."""

    def _writing(
        self, verb: Literal["add", "put", "update"], table: Table, columns: tuple[str, ...]
    ) -> Statement:
        if verb == "update":
            changes = [(name, "set") for name in columns[: -len(table.keys)]]
            return statements.update(self.dialect, table, changes, by_key(table))
        return statements.insert(self.dialect, table, columns, replace=verb == "put")
