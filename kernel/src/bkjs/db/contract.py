"""What the kernel and a database driver say to each other: plain data and one base class.

A driver never sees HTTP, configuration files, hooks or the cache. It gets a frozen `Request` whose
names all come from the described schema and whose values have the types and the `Shape` that the
driver declared. What its `Capabilities` do not claim, the kernel does from the other methods, or
refuses with `Unsupported` where that would weaken a guarantee.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar, dataclass_transform

from bkjs.errors import BkError, Denied, DriverError, Unsupported
from bkjs.lib.places import said

T = TypeVar("T")
Row = dict[str, Any]
EMPTY: Mapping[str, Any] = MappingProxyType({})


def _empty() -> Mapping[str, Any]:
    return EMPTY  # as a plain default dataclasses refuse it before Python 3.12


OPERATORS = frozenset(
    {
        "eq", "ne", "gt", "ge", "lt", "le", "between", "not between", "in", "not in",
        "null", "not null", "begins_with", "not begins_with", "ilike%", "not ilike%",
        "like", "not like", "ilike", "not ilike", "contains", "not contains",
        "regexp", "not regexp", "iregexp", "not iregexp",
    }
)  # fmt: skip
"""Canonical operators: aliases of the public API are resolved before a driver sees a condition.

Null meets only `null`, not the negated operators either. In `like` `%` is any text, `_` any
character and a backslash takes the next one literally; elsewhere they are letters. `ilike` and
`ilike%` compare what `bkjs.lib.wildcards.fold` makes of both sides, `iregexp` ignores case too,
everything else compares by code point.
"""

NATIVE_OPERATORS = frozenset({"@@", "similar to", "not similar to"})
"""Operators that the kernel knows by name only: a database has them or they are refused. `@@` is a
full-text search: all words of a text, or of one of a list of texts, must be found in a column of
the type `search`, in any order and whatever their case. A text that is not in a list may be a query
in the database's own language."""


UPDATE_OPS = frozenset(
    {"set", "incr", "concat", "append", "prepend", "add", "del", "not_exists", "remove"}
)


Kind = Literal[
    "text", "int", "real", "decimal", "bool", "date", "day", "json", "list", "bytes", "search"
]
"""What the values of a column are, whatever its type is called: `date` is a moment, `day` a date of
the calendar, `json` is nested, a `list` holds plain values, `search` is a text that is only
searched. `Shape` says which of them a driver stores as they are; the kernel gives it the others as
text, which sorts as they do, or true and false as numbers."""


@dataclass(frozen=True, slots=True)
class Column:
    """One described column; `props` holds every property as it was declared."""

    name: str
    type: str = ""
    """The declared type, as it is called in descriptions; drivers go by `kind`."""
    props: Mapping[str, Any] = field(default_factory=_empty)
    kind: Kind = "text"


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A described table. A changed description is a new object: plans may be kept by identity."""

    name: str
    columns: Mapping[str, Column]
    keys: tuple[str, ...] = ()
    indexes: Mapping[str, tuple[str, ...]] = field(default_factory=_empty)
    uniques: Mapping[str, tuple[str, ...]] = field(default_factory=_empty)
    ttl: str = ""
    """The column with the moment after which a row is no row any more; "" without one."""


class Condition(NamedTuple):
    """`column op value`; value is a list for in/not in, a pair for between, None for null."""

    column: str
    op: str
    value: Any = None


class Group(NamedTuple):
    """Conditions joined with AND or OR. An empty AND matches every row, an empty OR none."""

    join: Literal["AND", "OR"] = "AND"
    items: tuple[Condition | Group, ...] = ()


ALL = Group()
NEVER = Group("OR")
"""Matches nothing: an alternative of no conditions. A request with it never reaches a driver."""


class Absent(Enum):
    """The one expectation that is no condition on a row."""

    ABSENT = "no row with this key may exist"


ABSENT = Absent.ABSENT
"""No row with this key may exist."""


class Plan(NamedTuple):
    """What `select` does itself for one shape of query; the kernel does the rest."""

    native: Group = ALL
    """The conditions that it evaluates: all of the group that was asked about, or some items of it
    where that is an AND."""
    ordered: bool = False
    """Rows come in the order that was asked about."""
    seek: bool = False
    """It goes on behind given values of that order (`Request.after`)."""


class Change(NamedTuple):
    """What an update does to one column; `op` is one of UPDATE_OPS."""

    column: str
    op: str
    value: Any = None


class Order(NamedTuple):
    """Sort by a column; nulls sort before every value, text by code point."""

    column: str
    desc: bool = False


class Measure(NamedTuple):
    """A figure of a group of rows. Nulls do not count; of nothing but nulls it is 0 for `count` and
    `distinct` and None for the others."""

    op: Literal["count", "sum", "min", "max", "distinct"]
    """`distinct` is how many different values there are, `min` and `max` go by `Order`."""
    column: str = ""
    """Without one the rows are counted."""


class Aggregate(NamedTuple):
    """Which rows are one group, those that are equal in these columns, null to null, or else all of
    them; and what is wanted of each."""

    by: tuple[str, ...]
    measures: tuple[Measure, ...]


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def _message(cls: type[T]) -> type[T]:
    """A dataclass that only type checkers know to be frozen: at run time that would cost every
    request more than the rest of its preparation."""
    return dataclass(slots=True, kw_only=True)(cls)


@_message
class Request:
    """One operation, prepared: names are described ones, values are typed and shaped."""

    verb: str
    table: Table
    key: Row = field(default_factory=dict)
    """The full primary key (get, add, put, update, delete)."""
    keys: Sequence[Row] = ()
    """Full primary keys (many)."""
    values: Row = field(default_factory=dict)
    """The whole record including its key (add, put)."""
    changes: Sequence[Change] = ()
    """What to change (update, update_all)."""
    where: Group = ALL
    """Which rows (select, total, update_all, delete_all): only what `plan` took."""
    match: Callable[[Row], bool] | None = None
    """Rows that fail this test count for nothing (select, with `filters`): `count` rows that pass
    are wanted."""
    search: Any = None
    """What `db.search` was asked for (select, total, with `search`)."""
    expected: Group | Absent | None = None
    """Must hold for the stored row, checked and written in one atomic step (update, delete, put).
    A `put` may expect `ABSENT`: no row with this key may exist."""
    version: Any = None
    """The version that the stored row must have (update, delete, put, with `versions`)."""
    upsert: bool = False
    """update: create the row when it is missing."""
    columns: tuple[str, ...] | None = None
    """Columns to return, None for all."""
    sort: tuple[Order, ...] = ()
    """Total order when it ends with the key columns; () = any order."""
    after: tuple[Any, ...] | None = None
    """Only rows that come after these values of the `sort` columns, as `Plan.seek` allows."""
    offset: int = 0
    """Rows to skip (with the `offset` capability)."""
    count: int | None = None
    """At most so many rows, None for all."""
    resume: Any = None
    """What `Page.resume` of the page before held, or `behind` gave for one of its rows."""
    returning: Literal["", "*", "old"] = ""
    native: Mapping[str, Any] = field(default_factory=_empty)
    """Options that only this driver understands."""
    groups: Aggregate | None = None
    """What is asked for (aggregate)."""

    def pick(self, row: Row) -> Row:
        """The columns that are asked for of a row, in a dict of its own."""
        if self.columns is None:
            return dict(row)
        return {name: row[name] for name in self.columns if name in row}


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in the order asked for."""

    rows: list[Row]
    resume: Any = None
    """Where to go on, as JSON has it, when the driver stopped early: at `count` rows, or where it
    likes. Going on from there meets every row once that stays meanwhile, whatever happens to
    others."""
    units: float = 0
    """What it cost, where the database counts that."""


@dataclass(slots=True)
class Written:
    """The outcome of a write: rows affected, the row when asked for, the record as written."""

    affected: int = 0
    row: Row | None = None
    obj: Row | None = None
    oid: Any = None
    units: float = 0
    """What it cost, where the database counts that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a driver does natively. A flag that is False makes the kernel do it, or refuse."""

    add: bool = False
    """Inserting fails atomically when the key exists (else needs `conditional`)."""
    update: bool = False
    """Changes single columns of an existing row atomically (else needs `conditional`)."""
    conditional: bool = False
    """`put`, `update` and `delete` honour `Request.expected` atomically. It may be `ABSENT` (put)
    and holds `eq` and `null` conditions joined by AND, `eq` on what is `comparable`, and beyond
    that only what `expects` allows; the kernel reduces other expectations to those."""
    versions: bool = False
    """`versioned` gives a token of a stored row that is another one after each write. `put`,
    `update` and `delete` honour `Request.version` atomically, `put` also an `expected` that is
    `ABSENT`: the kernel does the rest of `conditional` by that."""
    counters: bool = False
    """`update` makes `incr` changes atomically, also with `set` beside them (else needs
    `conditional`)."""
    changes: frozenset[str] = frozenset({"set", "remove"})
    """Update operations that `update` does natively, besides `incr`."""
    operators: frozenset[str] = frozenset()
    """Operators that `select` evaluates on any column, of OPERATORS and NATIVE_OPERATORS. These
    and the next three are what the default of `plan` goes by."""
    groups: bool = False
    """Nested AND/OR groups of those operators."""
    sort: bool = False
    """Sorts by any columns; else the kernel reads all matching rows and sorts them."""
    seek: bool = False
    """Continues after given sort values (`Request.after`)."""
    behind: bool = False
    """Any row of an answer can be gone on from, by what the method `behind` makes of it; else only
    where the answer ended, and the kernel reads some rows twice."""
    filters: bool = False
    """`select` tests rows by `Request.match` on its way; else the kernel reads batches of them."""
    exact: bool = True
    """A last page is known to be the last, if need be by a look at what follows; else there may be
    an empty page after it, which is cheaper where each look costs."""
    fresh: bool = True
    """What is read shows every write that has returned; else it does after `refresh`."""
    offset: bool = False
    """Skips rows natively."""
    many: int = 0
    """Keys that are read in one call, at most."""
    bulk: int = 0
    """Records that are written in one call, at most."""
    bulk_verbs: frozenset[str] = frozenset({"add", "put", "update", "delete"})
    """What `bulk` takes, of put, delete and what is claimed; the kernel writes the others one by
    one."""
    atomic: int = 0
    """Writes that `atomic` makes together, at most."""
    total: bool = False
    """Counts matching rows without reading them."""
    aggregates: bool = False
    """Groups matching rows and gives their figures, as far as `DbDriver.aggregates` says."""
    update_all: bool = False
    """Changes all matching rows in one statement."""
    delete_all: bool = False
    """Deletes all matching rows in one statement."""
    search: bool = False
    """Full-text queries in the database's own ways: `select` and `total` get them as
    `Request.search`, whatever they are; conditions on columns come as such."""
    returning: bool = False
    """With `Request.returning` "*" update returns the new row and delete the one it removed."""
    tables: bool = False
    """Has tables to create."""
    columns: bool = False
    """Tables have columns to create and upgrade, and a record no others; else it may have any."""
    uniques: bool = False
    """Unique columns are kept: a second row with such a value is AlreadyExists."""
    auto: bool = False
    """Makes the key of a table whose only key is `auto`."""
    expires: bool = False
    """Deletes rows whose `ttl` has passed, sooner or later."""
    copies: bool = False
    """`backup` and `restore` copy the whole database to one file and back; else the kernel writes a
    folder of tables, where there are transactions to read them in."""
    transactions: bool = False
    """Several writes take effect together, or none of them, and no update is lost: where another
    transaction changed what this one has read and writes, a call or the commit raises Conflict."""

    def __post_init__(self) -> None:
        for name in ("many", "bulk", "atomic"):
            if isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} is a number: how many in one call")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How values must look for this driver; what is False is converted by the kernel."""

    strict: bool = True
    """Values are converted to the column's type in writes and conditions."""
    nulls: bool = True
    """Stores null; else null columns are left out of records."""
    empty_value: Any = None
    """Stands for an empty `notempty` column on a driver without nulls."""
    json: bool = False
    """Stores nested values of json, obj and array columns; else they are JSON text."""
    lists: bool = False
    """Stores lists of list columns; else they are text joined by the separator."""
    bools: bool = True
    """Stores true and false; else 1 and 0."""
    dates: bool = False
    """Stores datetimes, and dates of the calendar; else ISO 8601 text, moments in UTC."""
    binary: bool = True
    """Stores bytes; else their hexadecimal digits."""
    decimals: bool = False
    """Stores `decimal.Decimal` and adds to it exactly; else text that sorts as the numbers do, to
    which the kernel adds by conditional writes."""
    ints: tuple[int, int] | None = (-(2**63), 2**63 - 1)
    """Range of an int column, None for any."""
    reals: tuple[float, float] | None = None
    """Least and largest distance from 0 of a float that is not 0, None for any."""
    longest: int | None = None
    """Bytes of the longest text, as UTF-8, None for any."""
    longest_key: int | None = None
    """Bytes of the longest text in a key; None for what the kernel allows."""


Getter = Callable[[tuple[Any, ...]], Awaitable[Row | None]]
Setter = Callable[[Sequence[Any]], Awaitable[int]]
ManySetter = Callable[[Sequence[Sequence[Any]]], "Awaitable[list[BkError | None]]"]


class Operations(ABC):
    """What can be asked of a database, and of a transaction in it."""

    @abstractmethod
    async def get(self, req: Request) -> Row | None:
        """The row with `req.key`, or None."""

    @abstractmethod
    async def put(self, req: Request) -> Written:
        """Insert `req.values` or replace the whole record."""

    @abstractmethod
    async def delete(self, req: Request) -> Written:
        """Delete the row with `req.key`; a missing row is no error."""

    @abstractmethod
    async def select(self, req: Request) -> Page:
        """Rows that match `req.where`."""

    async def add(self, req: Request) -> Written:
        """Insert `req.values`; raises AlreadyExists."""
        raise Unsupported("add")

    async def update(self, req: Request) -> Written:
        """Apply `req.changes` to the row with `req.key`; 0 affected when missing or not as
        expected."""
        raise Unsupported("update")

    async def many(self, req: Request) -> list[Row]:
        """The rows of `req.keys` that exist, in any order, each once."""
        raise Unsupported("many")

    async def total(self, req: Request) -> int:
        """How many rows match `req.where`."""
        raise Unsupported("total")

    async def aggregate(self, req: Request) -> list[tuple[Any, ...]]:
        """The groups of the rows that match `req.where`, `req.count` at most, in any order: the
        values of `by`, then of each measure. One group without `by`, of no rows too.

        A sum is exact: an int, a Decimal of decimals, a Fraction of reals.
        """
        raise Unsupported("aggregate")

    async def update_all(self, req: Request) -> int:
        """Apply `req.changes` to every row that matches `req.where`; how many."""
        raise Unsupported("update_all")

    async def delete_all(self, req: Request) -> int:
        """Delete every row that matches `req.where`; how many."""
        raise Unsupported("delete_all")

    async def bulk(self, reqs: Sequence[Request]) -> list[BkError | None]:
        """Run requests of the verbs `bulk_verbs`, which expect and return nothing; the error of
        each, None where it succeeded."""
        raise Unsupported("bulk")

    async def atomic(self, reqs: Sequence[Request]) -> None:
        """Make these add, put, update and delete requests, `atomic` at most, or none of them.

        Raises AlreadyExists for an add whose key is there, Conflict when one is not as expected.
        """
        raise Unsupported("atomic")

    async def versioned(self, req: Request) -> tuple[Row, Any] | None:
        """The row with `req.key` and the version that it has, or None."""
        raise Unsupported("versions")

    async def query(self, text: str, values: Sequence[Any] = ()) -> list[Row]:
        """Run a query in the database's own language; values are always bound."""
        raise Unsupported("query")

    async def read_query(self, text: str, values: Sequence[Any] = ()) -> list[Row]:
        """The same where the database itself sees to it that the text changes nothing.

        Denied when it would, or where the database has no means for that.
        """
        raise Denied("query")


class Transaction(Operations):
    """Operations that take effect together."""

    @abstractmethod
    async def commit(self) -> None:
        """Make all of them last; an error of ours when nothing has been done."""

    @abstractmethod
    async def rollback(self) -> None:
        """Undo all of them."""


class DbDriver(Operations):
    """One pool of one database. Subclass it, set `can` and `shape`, implement six methods:

    open, close, get, put, delete and select. Implement more only where the database does it better
    than the kernel, and claim it in `can`: the conformance kit holds a driver to each claim.
    """

    can: ClassVar[Capabilities] = Capabilities()
    shape: ClassVar[Shape] = Shape()
    accepts: ClassVar[Mapping[str, str] | None] = None
    """What each option `X` of `-db-NAME-pool-options-X` does, beside those that every pool has: the
    start is refused for another one. None where the driver looks at their names itself."""
    own_tables: bool = False
    """Nobody else uses the database: a server makes its tables without being asked."""

    def __init__(self, name: str, url: str, options: Mapping[str, Any]) -> None:
        """No I/O here. `name` is the pool's name (`pgsql1`), `options` the pool's settings:
        `max`, `min`, `idle` (ms), `timeout` (ms), `connect` (dict), further driver options,
        and `dir` (a directory for files) and `database` (the configured database name)."""
        self.name = name
        self.url = url
        self.options = options

    @abstractmethod
    async def open(self) -> None:
        """Connect, or explain in one sentence what is missing (`Unavailable`, `StartError`); then
        `close` is called, too."""

    @abstractmethod
    async def close(self) -> None:
        """Finish what runs and free everything; may be called twice."""

    def plan(self, table: Table, where: Group, sort: tuple[Order, ...]) -> Plan:
        """What `select` does itself of these conditions and this order.

        Asked once for each shape of query: it must not depend on the values of the conditions.
        `sort` is empty where any order will do, and ends with the key for pages.
        """
        ordered = self.can.sort or not sort
        return Plan(evaluated(self, table, where), ordered, ordered and self.can.seek)

    def native(self, table: Table, condition: Condition) -> bool:
        """Whether `select` evaluates this condition itself, whatever stands beside it.

        For the default of `plan`. JSON that is stored as text is left to the kernel, which compares
        its values.
        """
        column = table.columns.get(condition.column)
        as_text = column is not None and column.kind == "json" and not self.shape.json
        if as_text and condition.op not in ("null", "not null"):
            return False
        return condition.op in self.can.operators

    def expects(self, table: Table, condition: Condition) -> bool:
        """Whether `Request.expected` may hold this condition, beyond `eq` and `null`."""
        return self.native(table, condition)

    def comparable(self, column: Column) -> bool:
        """Whether values of this column are told apart by `eq` in `Request.expected`."""
        return True

    def behind(self, req: Request, row: Row) -> Any:
        """The `resume` that goes on behind this row of an answer to this request; the row has its
        whole key. Called where `behind` is claimed."""
        raise Unsupported("behind")

    def check(self, table: Table) -> None:
        """Raise StartError for a table that this database cannot hold as described.

        Called for each table of a pool at the start, without I/O.
        """

    async def refresh(self, table: str) -> None:
        """Make every write that has returned be seen by what is read; called without `fresh`."""

    def aggregates(self, table: Table, groups: Aggregate) -> bool:
        """Whether `aggregate` gives exactly this; else the kernel reads the rows."""
        return self.can.aggregates

    def getter(self, table: Table, columns: tuple[str, ...] | None) -> Getter:
        """The fastest way to read one row: called with the key values in the order of the keys."""
        keys = table.keys

        async def get(values: tuple[Any, ...]) -> Row | None:
            key = dict(zip(keys, values, strict=True))
            return await self.get(Request(verb="get", table=table, key=key, columns=columns))

        return get

    def setter(
        self, verb: Literal["add", "put", "update"], table: Table, columns: tuple[str, ...]
    ) -> Setter:
        """The fastest way to write one row: called with the values of the columns, gives the rows
        affected. The columns of an update end with the keys, the others are set; those of a put are
        all of the table."""
        write, request = getattr(self, verb), writing(verb, table, columns)

        async def one(values: Sequence[Any]) -> int:
            written: Written = await write(request(values))
            return written.affected

        return one

    def many_setter(
        self, verb: Literal["add", "put", "update"], table: Table, columns: tuple[str, ...]
    ) -> ManySetter | None:
        """The same for rows of one kind, `bulk` at most: called with the values of each, gives the
        error of each, None where it succeeded. None where `bulk` itself is the fastest way."""
        return None

    async def backup(self, path: str, progress: Callable[[str], object]) -> None:
        """Write a copy of the whole database, as it is at one moment, to a new file.

        Others write meanwhile; `progress` hears how far it is. Raises BadRequest when the file
        cannot be written or is there. Called where `copies` is claimed.
        """
        raise Unsupported("backup")

    async def restore(self, path: str, progress: Callable[[str], object]) -> None:
        """Make the database what such a file holds, all of it or nothing.

        Raises BadRequest for a file that is none. Called where `copies` is claimed.
        """
        raise Unsupported("restore")

    async def begin(self) -> Transaction:
        """Start a transaction."""
        raise Unsupported("transactions")

    async def alive(self) -> None:
        """Raises what a request would when the database does not answer now."""
        await self.describe()

    async def describe(self) -> dict[str, dict[str, Mapping[str, Any]]]:
        """The real tables and columns: `{table: {column: {"type": …, "primary": n}}}`."""
        return {}

    def fits(self, column: Column, stored: str) -> bool:
        """Whether a column whose type is `stored` holds what is described; see `describe`."""
        return True

    async def create(self, table: Table) -> bool:
        """Create the table and its indexes, or add what is missing; True when something changed.

        Called where `tables` or `columns` is claimed.
        """
        return False

    async def drop(self, table: str) -> None:
        """Remove the table; a missing one is no error."""

    def error(self, exc: Exception) -> BkError:
        """Turn an exception of the client into one of ours; nothing of the client leaks out."""
        return exc if isinstance(exc, BkError) else DriverError(f"{self.name}: {said(exc)}")

    def stats(self) -> dict[str, int]:
        """Numbers for the status page, such as open, busy and waiting connections."""
        return {}


def writing(
    verb: Literal["add", "put", "update"], table: Table, columns: tuple[str, ...]
) -> Callable[[Sequence[Any]], Request]:
    """Makes requests of the values of these columns; those of an update end with the keys."""
    keys = table.keys
    places = [columns.index(name) for name in keys]
    changed = columns[: -len(keys)]

    def write(values: Sequence[Any]) -> Request:
        row = dict(zip(columns, values, strict=True))
        key = {name: row[name] for name in keys}
        return Request(verb=verb, table=table, key=key, values=row)

    def update(values: Sequence[Any]) -> Request:
        key = {name: values[place] for name, place in zip(keys, places, strict=True)}
        changes = [Change(n, "set", v) for n, v in zip(changed, values, strict=False)]
        return Request(verb=verb, table=table, key=key, changes=changes)

    return update if verb == "update" else write


def evaluated(driver: DbDriver, table: Table, where: Group) -> Group:
    """As much of the conditions as `native` and `groups` of a driver claim."""

    def whole(group: Group) -> bool:
        return (group.join == "AND" or driver.can.groups) and all(map(one, group.items))

    def one(item: Condition | Group) -> bool:
        if isinstance(item, Group):
            return driver.can.groups and whole(item)
        return driver.native(table, item)

    if whole(where):
        return where
    return ALL if where.join == "OR" else Group("AND", tuple(filter(one, where.items)))
