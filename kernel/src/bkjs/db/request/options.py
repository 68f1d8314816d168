"""Keyword options of the verbs, one `TypedDict` for each, and the check that names are known."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, TypedDict

from bkjs.db.contract import Absent, Group, Row
from bkjs.errors import BkError
from bkjs.lib.text import near

Columns = str | Sequence[str]
Join = Literal["AND", "OR"]


class CommonOptions(TypedDict, total=False):
    """Options that every verb takes."""

    pool: str | None
    """Use this pool; an unknown name falls back to the table's own."""
    quiet: bool
    """Do not log an error that `ignore_error` suppresses."""
    ignore_error: bool
    """An error gives an empty result."""
    noprocessrows: bool
    """Skip the table's row hooks."""
    noconvertrows: bool
    """Give rows as they are stored."""
    no_columns: bool
    """Accept properties that are not described, on databases without a schema."""
    allow_pools: Sequence[str] | None
    """Only these pools are concerned: in another one nothing is found or done."""
    skip_pools: Sequence[str] | None
    """The opposite: these pools are not concerned."""
    skip_columns: Sequence[str] | None
    """These properties do not count, in records, queries and results."""
    allow_columns: Sequence[str] | None
    """Only these properties of a record or query count."""
    skip_null: bool
    """Properties that are null do not count."""
    skip_join: Sequence[str] | None
    """These joined columns are not made."""
    no_join_columns: bool
    """No joined column is made."""
    join_strict: bool
    """A joined column is made only when all its parts are there."""
    account: Mapping[str, Any] | None
    """Whose `id` and `name` fill uid and uname columns."""
    native: Mapping[str, Any] | None
    """Options that only the driver understands."""
    strict: bool | None
    """What becomes of undescribed names in options: True refuses them, False drops them, for names
    that a client chose. Without it they are what undescribed properties are, mistakes of the
    program: refused while it is developed, else dropped with a warning."""
    cached: bool
    """Cache the row though its table is not cached."""
    nocache: bool
    """Read from the database though the row may be cached."""
    cache_key: str | None
    """The whole key under which the row is cached."""
    cache_key_name: str | None
    """The declared key by whose columns the row is cached."""
    cache_ttl: int
    """Milliseconds that the row is cached."""
    cache_name: str | None
    """The cache to use."""
    cache_prefix: str | None
    """What the key begins with instead of the table."""


class QueryOptions(CommonOptions, total=False):
    """How conditions are read."""

    ops: Mapping[str, str] | None
    """`{column: operator}`"""
    ops_map: Mapping[str, str] | None
    """Further names for operators."""
    aliases: Mapping[str, str] | None
    """`{alias: column}`, to use one column twice."""
    join: Join
    """How the conditions are joined."""
    keys: Sequence[str] | None
    """Only these properties of the query count."""
    select: Columns | None
    """The columns that are read."""


class GetOptions(QueryOptions, total=False):
    """Options of `get`."""

    consistent: bool
    """What was written before is seen, on databases that may answer with an older row."""


class SelectOptions(QueryOptions, total=False):
    """Options of `select`, `search` and `list`."""

    sort: str | Sequence[str] | None
    """A column or index; several as a list or as `a,-b`, a minus for descending."""
    sort1: str | None
    """The next one."""
    sort2: str | None
    """The last one; then the primary key decides."""
    desc: bool
    """Downwards by `sort`."""
    desc1: bool
    """Downwards by `sort1`."""
    desc2: bool
    """Downwards by `sort2`."""
    count: int | None
    """Rows of a page; None for all."""
    start: str | int | None
    """The token of the page before, or a number of rows to skip."""
    page: int | None
    """Number of the page, from 1."""
    first: bool
    """At most one row; see `Rows.first`."""
    unique: str | None
    """Keep the first row for each value of this column."""
    total: bool
    """Only count: one row `{"count": n}`."""
    noscan: bool
    """Without a usable condition give nothing."""
    fullscan: bool
    """Without effect."""
    consistent: bool
    """What was written before is seen, on databases that may answer with older rows."""
    postfilter: Callable[[Any, Row, Mapping[str, Any]], object] | None
    """Says of each row whether it stays: `(request, row, options)`."""
    postprocess: Callable[[Any, list[Row], Mapping[str, Any]], list[Row]] | None
    """Gives the rows: `(request, rows, options)`."""


class AggregateOptions(CommonOptions, total=False):
    """Options of `aggregate`; of several columns as of one."""

    by: Columns | None
    """Rows that are equal in these columns are one group, null to null; all rows without them."""
    count: bool
    """How many rows: `count`."""
    sum: Columns | None
    """The sum of a column, as `sum_price`."""
    min: Columns | None
    """The smallest value of a column, as `min_price`; text by code point."""
    max: Columns | None
    """The largest one."""
    avg: Columns | None
    """The sum divided by the number of values that are not null."""
    distinct: Columns | None
    """How many different values a column has."""
    sort: str | None
    """A column of the answer; those of `by` without it, and where it decides nothing."""
    desc: bool
    """Downwards by `sort`."""
    limit: int | None
    """Only the first groups."""
    ops: Mapping[str, str] | None
    """`{column: operator}` of the query."""
    ops_map: Mapping[str, str] | None
    """Further names for operators."""
    aliases: Mapping[str, str] | None
    """`{alias: column}` in the query."""
    join: Join
    """How its conditions are joined."""
    keys: Sequence[str] | None
    """Only these properties of the query count."""


class WriteOptions(CommonOptions, total=False):
    """Options of `add`."""

    returning: Literal["", "*", "old"]
    """Give the row after (`*`) or before (`old`) the write."""
    info_obj: bool
    """Give the record as it was written, with generated values, in `Written.obj`."""


class PutOptions(WriteOptions, total=False):
    """Options of `put`."""

    ops: Mapping[str, str] | None
    """`{column: operator}` of what `expected` and `keys` compare."""
    ops_map: Mapping[str, str] | None
    """Further names for operators."""
    aliases: Mapping[str, str] | None
    """`{alias: column}` in `expected` and `keys`."""
    expected: Mapping[str, Any] | Group | Absent | None
    """Conditions for the stored row, checked and written in one atomic step; a Group of them is
    taken as it is: `same` makes one of a row that was read, `ABSENT` says that there is none.
    """
    expected_join: Join
    """How these conditions are joined."""


class DelOptions(PutOptions, total=False):
    """Options of `del_`."""

    keys: Sequence[str] | None
    """Find the rows by these columns instead of the primary key."""


class UpdateOptions(DelOptions, total=False):
    """Options of `update` and `incr`."""

    update_ops: Mapping[str, str] | None
    """`{column: set | incr | concat | append | prepend | add | del | not_exists | remove}`"""
    upsert: bool
    """Make the row when it is missing."""
    noupsert: bool
    """Do not, whatever `upsert` says."""


class ReplaceOptions(UpdateOptions, total=False):
    """Options of `replace`."""

    select: Columns | None
    """Without effect."""
    check_mtime: str | None
    """Skip when the stored value of this column is not older."""
    check_data: bool | Sequence[str]
    """Skip when these columns (True: all given ones) have not changed."""
    add_only: bool
    """Change nothing that is there."""
    put_only: bool
    """Add nothing that is missing."""


class CapacityOptions(CommonOptions, total=False):
    """How fast many rows are read or written."""

    use_capacity: float | Literal["read", "write"] | None
    """Rows in a second; `read` and `write` mean what the pool says of itself."""
    factor_capacity: float
    """The part of that, up to 1, that may be used."""


class ScanOptions(SelectOptions, CapacityOptions, total=False):
    """Options of `scan`."""

    limit: int
    """Stop after so many rows."""
    batch: bool
    """Call back with lists of rows."""
    search: bool
    """Find the rows as `search` does."""


class UpdateAllOptions(ScanOptions, total=False):
    """Options of `update_all`."""

    concurrency: int
    """Rows that are written at a time (1)."""
    op: Literal["update", "put", "add"]
    """How each row is written."""
    update_options: Mapping[str, Any]
    """Options of each write."""
    update_collect: bool
    """Give the rows as they are stored now instead of their number."""
    update_filter: Callable[[Row, Mapping[str, Any]], object] | None
    """Rows for which this is True are left alone."""
    process: Callable[[Row, Mapping[str, Any]], object] | None
    """Changes the row that was found; of an update only what is new is written."""
    update_ops: Mapping[str, str] | None
    """The same as in `update_options`."""


class DelAllOptions(ScanOptions, total=False):
    """Options of `del_all`."""

    concurrency: int
    """Rows that are deleted at a time (1)."""
    del_options: Mapping[str, Any]
    """Options of each delete."""
    del_collect: bool
    """Give the rows that were deleted instead of their number."""
    del_filter: Callable[[Row, Mapping[str, Any]], object] | None
    """Rows for which this is True are left alone."""
    process: Callable[[Row, Mapping[str, Any]], object] | None
    """Sees each row before it is deleted."""


class JoinOptions(QueryOptions, total=False):
    """Options of `join`."""

    keys_map: Mapping[str, str] | None
    """`{column of the table: property of the rows}`"""
    columns_map: Mapping[str, str] | None
    """`{column of the table: new name}`"""
    existing: bool
    """Keep only rows that match."""
    override: bool
    """Joined values replace those of the rows."""
    attach: str | None
    """Put the joined row under this property."""
    incr: Sequence[str] | None
    """Sum these columns."""


class BatchOptions(CapacityOptions, total=False):
    """Options of `batch` and `bulk`."""

    concurrency: int
    """Items of a table at a time (1), of `batch`."""
    no_errors: bool
    """The first error of a table stops it and is raised, by `batch`."""
    atomic: bool
    """All items take effect or none, of `bulk`."""
    done: list[tuple[BkError | None, Mapping[str, Any]]] | None
    """Outcomes are appended to this list as they are known: it has them when the call is cancelled,
    too."""


class MigrateOptions(CommonOptions, total=False):
    """Options of `migrate`."""

    delay: int
    """Milliseconds between the steps."""
    preprocess: Callable[[Row], object] | None
    """Changes each row on its way into the copy; one for which it is True is left out."""
    postprocess: Callable[[Row], object] | None
    """The same on the way back."""
    tmppool: str | None
    """The pool of the copy, the same by default."""
    tmpdrop: bool
    """Remove the copy in the end; it is done unless this is False."""


OnRow = Callable[[Any], Awaitable[None] | None]


def _names(kind: Any) -> frozenset[str]:
    return frozenset(kind.__required_keys__ | kind.__optional_keys__)


NAMES = {
    "get": _names(GetOptions),
    **dict.fromkeys(("select", "list", "search"), _names(SelectOptions)),
    "aggregate": _names(AggregateOptions),
    "add": _names(WriteOptions),
    "put": _names(PutOptions),
    **dict.fromkeys(("update", "incr"), _names(UpdateOptions)),
    "del": _names(DelOptions),
    "replace": _names(ReplaceOptions),
    "scan": _names(ScanOptions),
    "update_all": _names(UpdateAllOptions),
    "del_all": _names(DelAllOptions),
    "join": _names(JoinOptions),
    **dict.fromkeys(("batch", "bulk"), _names(BatchOptions)),
    "migrate": _names(MigrateOptions),
}


def check(verb: str, options: Mapping[str, Any]) -> None:
    """Raise TypeError that names an unknown option, as Python does for an unknown argument."""
    if not options.keys() <= NAMES[verb]:
        unknown = sorted(options.keys() - NAMES[verb])[0]
        name, hint = "del_" if verb == "del" else verb, near(unknown, NAMES[verb])
        raise TypeError(f"{name}() got an unexpected option {unknown!r}{hint}")
