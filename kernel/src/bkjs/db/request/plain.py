"""Plans of plain requests: all but their values is worked out once, by what it depends on.

Requests are plain where no hook or cache takes part and no option asks for more than conversion.
All others have no plan and go the general way, so that there is one place where errors and the
rarer rules are written down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, Protocol

from bkjs.db.conditions.build import condition, operand
from bkjs.db.contract import (
    ALL,
    OPERATORS,
    Column,
    Condition,
    Getter,
    Group,
    ManySetter,
    Request,
    Row,
    Setter,
    Table,
    writing,
)
from bkjs.db.operators import ALIASES, operator
from bkjs.db.pools.cache import RowCache
from bkjs.db.pools.inside import INSIDE
from bkjs.db.pools.pools import Pool, Target
from bkjs.db.results import Rows
from bkjs.db.tables.codec import STORED, KeyFunction
from bkjs.db.tables.described import selected_columns
from bkjs.db.tables.types import is_list
from bkjs.db.tables.values import Convert
from bkjs.errors import BadRequest
from bkjs.lib.bounded import LONGEST_KEY, Bounded
from bkjs.lib.given import Given
from bkjs.lib.numbers import MISSING

from .bind import Bound, Values, bound
from .finish import trim
from .guards import guarded
from .hooks import Hooks
from .paging import behind, fingerprint, position, seal
from .plan import Query, prepared, split
from .prepare import Options

PLANS: Final = 2000
"""Plans that are kept; what they depend on is chosen by clients, out of described names."""
_SELECT: Final = frozenset({"ops", "sort", "desc", "count", "select", "start", "strict"})
"""Options that a plain select may have. `strict` concerns names that are not described, for which
there is no plan; what its plan depends on are all others."""
_LISTS: Final = (list, tuple, set, frozenset)
_FEW: Final = 100

Name = str | tuple[Any, ...]
"""The verb of a plan and what it depends on; a table alone stands for a get without options."""


class Planner(Protocol):
    """What plans are made from: they hold as long as nothing of this changes."""

    hooks: Hooks
    cache: RowCache | None

    def target(self, table: str) -> Target:
        """Where plain requests of a table go."""


class Get(NamedTuple):
    """A get of one table with certain columns."""

    pool: Pool
    key: KeyFunction
    getter: Getter
    read: Callable[[Row], Row] | None


class Write(NamedTuple):
    """An add, put, update or import of records with certain properties."""

    target: Target
    made: Bound
    values: Values
    setter: Setter | None
    """None for an import."""
    request: Callable[[Sequence[Any]], Request]
    """One for `bulk` of the driver."""
    many: ManySetter | None
    """What is faster than that."""
    bulk: bool
    """Whether the driver takes it together with others."""

    def record(self, values: Sequence[Any]) -> Row:
        """The record that was written, as `info_obj` gives it."""
        row = {name: values[place] for name, place in self.made.record}
        read = self.target.codec.reader(None)
        return read(row) if read else row


class Test(NamedTuple):
    """How a condition is made of the value of one property."""

    column: Column
    op: str | None
    convert: Convert | None


class Select(NamedTuple):
    """A select of one table by certain properties."""

    target: Target
    tests: tuple[Test | None, ...]
    """One for each property in its order; None for what is no column."""
    query: Query
    fetch: tuple[str, ...] | None
    read: Callable[[Row], Row] | None

    def where(self, query: Mapping[Any, Any]) -> Group | None:
        """The conditions, None when they are not simple or the driver does not have them all."""
        items: list[Condition | Group] = []
        for test, value in zip(self.tests, query.values(), strict=True):
            if test is None:
                continue
            if value is MISSING:
                return None
            column, op, convert = test
            listed = isinstance(value, _LISTS)
            if listed and len(value) > _FEW:  # the general way counts all values of a query
                return None
            as_op = op or ("in" if listed else "eq")
            found = condition(column.name, op, operand(column, as_op, value, convert)).items
            if len(found) != 1 or isinstance(found[0], Group):
                return None
            items += found
        where, order = Group("AND", tuple(items)), self.query.order
        _, left, _, seeks = split(self.target, where, order)
        return where if left == ALL and (seeks or not order) else None

    def request(
        self, query: Mapping[Any, Any], options: Options, token_key: bytes
    ) -> Request | None:
        """What the driver is asked for, None for the general way. One row more than `count` tells
        whether another page follows."""
        where, start, count = self.where(query), options.get("start"), options.get("count")
        if where is None:
            return None
        table, order, after = self.target.table, self.query.order, None
        if start:
            try:
                place = position(token_key, fingerprint(table, where, order), start)
            except BadRequest:
                return None
            if place is None or place.kind != "after":
                return None
            after = place.value
        return Request(
            verb="select",
            table=table,
            where=where,
            columns=self.fetch,
            sort=order,
            after=after,
            count=None if count is None else count + 1,
        )

    def rows(self, req: Request, rows: list[Row], token_key: bytes) -> Rows:
        """The rows of the request as the caller gets them."""
        token, columns, count = None, self.query.columns, req.count
        if count is not None and len(rows) >= count:
            rows = rows[: count - 1]
            last = behind(rows[-1], req.sort, req.table.keys)
            token = lambda: seal(token_key, fingerprint(req.table, req.where, req.sort), last)  # noqa: E731
        if self.fetch != columns:
            rows = trim(rows, columns)
        if self.read:
            rows = [self.read(row) for row in rows]
        return Rows(rows, token)


class Plans(Bounded[Name, Any]):
    """The plans of a database; without one, as in a transaction, there are none."""

    def __init__(self, db: Planner | None = None) -> None:
        super().__init__(PLANS)
        self._db = db

    def __missing__(self, name: Name) -> Any:
        if self._db is None:
            return None
        verb, table, *more = ("get", name) if isinstance(name, str) else name
        try:
            described = self._db.target(table).table
            if described.ttl or not _described(described, more):
                return None
            plan = self[name] = _MAKERS[verb](self._db, verb, table, *more)
        except BadRequest:  # the general way knows which of several errors comes first
            return None
        return plan

    def get_plan(self, table: str, options: Options) -> Get | None:
        """How a get with options reads a row; None for the general way, as in the other two."""
        if len(options) > 1 or "select" not in options:
            return None
        select = options["select"]
        columns = select if isinstance(select, str) else tuple(select or ())
        plan: Get | None = self["get", table, columns]
        return plan

    def select_plan(self, table: str, query: Any, options: Options) -> Select | None:
        """How rows are found."""
        kind = type(query)
        if (kind is not dict and kind is not Given) or not options.keys() <= _SELECT:
            return None
        count, ops = options.get("count"), options.get("ops")
        if count is None:
            if options.get("start"):
                return None
        elif type(count) is not int or count <= 0:
            return None
        name = (
            "select",
            table,
            count is None,
            tuple(query),
            tuple(ops.items()) if ops else (),
            options.get("sort"),
            options.get("desc"),
            options.get("select"),
        )
        try:
            plan: Select | None = self[name]
        except TypeError:  # an option is no text
            return None
        return plan

    def write_plan(self, verb: str, table: str, obj: Any) -> Write | None:
        """How a record is stored without options."""
        if type(obj) is not dict and type(obj) is not Given:
            return None
        plan: Write | None = self[verb, table, *obj]
        return plan


class Outside(Plans):
    """The same while transactions are open: calls from inside of one have no plan, and are refused
    on the general way."""

    def __init__(self, plans: Plans) -> None:
        super().__init__()
        self.plans = plans

    def __getitem__(self, name: Name) -> Any:
        return None if INSIDE.get() else self.plans[name]

    def clear(self) -> None:
        """Forget all of them."""
        self.plans.clear()


def _get(db: Planner, verb: str, table: str, select: Any = None) -> Get | None:
    target = db.target(table)
    if db.cache is not None or _hooked(db, target, verb, "pre", "post"):
        return None
    columns = selected_columns(target.table, select)
    getter = target.pool.driver.getter(target.table, columns)
    return Get(target.pool, target.codec.key, getter, target.codec.reader(columns))


def _select(
    db: Planner,
    verb: str,
    table: str,
    whole: bool,
    names: tuple[Any, ...],
    ops: tuple[tuple[str, str], ...],
    sort: Any,
    desc: Any,
    select: Any,
) -> Select | None:
    target = db.target(table)
    codec = target.codec
    plan = codec.query_plan(verb)
    if (
        _hooked(db, target, verb, "pre", "post")
        or plan.joins
        or not (whole or target.table.keys)
        or any(not isinstance(name, str) or name[:1] == "$" for name in names)
        or any(name not in plan.accept for name in names)  # hidden: it is told, or dropped
        or any(is_list(codec.columns[name]) for name in names)
        or any(name not in names for name, _ in ops)  # null needs no value
    ):
        return None
    given = {**plan.ops, **dict(ops)}
    options = {"sort": sort, "desc": desc, "select": select, "count": None if whole else 1}
    tests = [_test(codec.columns[name], given.get(name), plan.accept[name]) for name in names]
    query = prepared(target, options)
    return Select(target, tuple(tests), query, query.fetch(), codec.reader(query.columns))


def _test(column: Column, op: str | None, convert: Convert | None) -> Test:
    return Test(column, None if op is None else operator(op, column.name), convert)


def _write(
    db: Planner, verb: Literal["add", "put", "update"], table: str, *names: Any
) -> Write | None:
    target = db.target(table)
    native = {"add": target.can.add, "put": True, "update": target.can.update}[verb]
    if db.cache is not None or not native or guarded(target) or _hooked(db, target, verb, "pre"):
        return None
    made = bound(target.codec, verb, names)
    if made is None:
        return None
    setter = target.pool.driver.setter(verb, target.table, made.columns)
    return _bulk(target, verb, made, setter)


def _import(db: Planner, verb: str, table: str, *names: Any) -> Write | None:
    target = db.target(table)
    made = None if guarded(target) else bound(target.codec, verb, names)
    return None if made is None else _bulk(target, "put", made)


def _bulk(
    target: Target, verb: Literal["add", "put", "update"], made: Bound, setter: Setter | None = None
) -> Write:
    takes = target.can.bulk > 0 and verb in target.can.bulk_verbs
    driver, table, columns = target.pool.driver, target.table, made.columns
    many = driver.many_setter(verb, table, columns) if takes else None
    return Write(target, made, made.values, setter, writing(verb, table, columns), many, takes)


def _described(table: Table, parts: Iterable[Any]) -> bool:
    """Whether all that a plan depends on is named by the table, not made up by a client."""
    for part in parts:
        if isinstance(part, tuple):
            if not _described(table, part):
                return False
        elif isinstance(part, str):
            names = {part}
            if len(part) <= LONGEST_KEY:
                names = {name.removeprefix("-") for name in part.split(",")}
            words = (OPERATORS, ALIASES, table.indexes, table.uniques)
            if not (names <= table.columns.keys() or any(part in known for known in words)):
                return False
        elif part is not None and not isinstance(part, (bool, int)):
            return False
    return True


def _hooked(db: Planner, target: Target, verb: str, *when: Literal["pre", "post"]) -> bool:
    return any(db.hooks.find(moment, target.table.name, verb) for moment in when)


_MAKERS: Final[Mapping[str, Callable[..., Get | Select | Write | None]]] = {
    "get": _get,
    "select": _select,
    **dict.fromkeys(("add", "put", "update"), _write),
    **dict.fromkeys(STORED, _import),
}
