"""A driver that refuses what it does not claim: the kernel must never ask for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from functools import cache, wraps
from typing import Any

from bkjs.db.conditions.build import leaves
from bkjs.db.contract import (
    ABSENT,
    NEVER,
    Column,
    DbDriver,
    Group,
    Operations,
    Request,
    Transaction,
)

LATE = ("select", "total", "aggregate")
"""What may not see every write yet."""


class Unclaimed(BaseException):
    """The kernel asked a driver for what it does not claim. No error of a database: nothing in the
    kernel may catch it."""


def guard(driver: DbDriver) -> DbDriver:
    """The same driver, whose operations raise Unclaimed for what `can`, `shape`, `plan` and
    `expects` do not allow."""
    driver.__class__ = guarded(type(driver))
    return driver


@cache
def guarded(driver: type[DbDriver]) -> type[DbDriver]:
    """A subclass of a driver that does so."""
    if hasattr(driver, "guarded"):
        return driver
    names = [name for name in _CHECKS if getattr(driver, name) is not getattr(Operations, name)]
    own: dict[str, Any] = {name: _guarded(driver, name) for name in names}
    return type(driver.__name__, (driver,), {**own, "begin": _begin(driver), "guarded": True})


@cache
def _settled(driver: type[DbDriver]) -> type[DbDriver]:
    async def wait(self: Any, asked: Request) -> None:
        await driver.refresh(self, asked.table.name)

    def late(name: str) -> Any:
        operation = getattr(driver, name)

        async def call(self: Any, asked: Any) -> Any:
            await wait(self, asked)
            return await operation(self, asked)

        return call

    names = [n for n in LATE if getattr(driver, n) is not getattr(Operations, n)]
    return type(driver.__name__, (driver,), {name: late(name) for name in names})


def settled(driver: DbDriver) -> DbDriver:
    """The same driver; where it is not `fresh` what it finds waits for the writes before."""
    if not driver.can.fresh:
        driver.__class__ = _settled(type(driver))
    return driver


def _guarded(kind: type[Operations], name: str) -> Any:
    operation, check = getattr(kind, name), _CHECKS[name]

    @wraps(operation)
    def call(self: Any, asked: Any) -> Any:
        check(getattr(self, "guards", self), asked)
        return operation(self, asked)

    return call


def _begin(driver: type[DbDriver]) -> Any:
    async def begin(self: DbDriver) -> Transaction:
        running = await driver.begin(self)
        running.__class__ = _inside(type(running))
        running.guards = self  # type: ignore[attr-defined]
        return running

    return begin


@cache
def _inside(kind: type[Transaction]) -> type[Transaction]:
    names = [name for name in _CHECKS if getattr(kind, name) is not getattr(Operations, name)]
    return type(kind.__name__, (kind,), {name: _guarded(kind, name) for name in names})


def _need(true: Any, what: str, req: Request) -> None:
    if not true:
        raise Unclaimed(f"{what} is not claimed, but was asked for: {req}")


def _reads(driver: DbDriver, req: Request) -> None:
    can, table = driver.can, req.table
    for name in req.columns or ():
        _need(name in table.columns or not can.columns, f"column {name}", req)
    _where(driver, req)
    plan = driver.plan(table, req.where, req.sort)
    _need(not req.sort or plan.ordered, "this order", req)
    _need(req.after is None or (req.sort and plan.seek), "seek", req)
    _need(not req.offset or can.offset, "offset", req)
    _need(req.match is None or can.filters, "filters", req)
    _need(req.count is None or req.count > 0, "no rows", req)
    _need(req.resume is None or req.after is None, "both resume and after", req)


def _where(driver: DbDriver, req: Request) -> None:
    _need(driver.plan(req.table, req.where, req.sort).native == req.where, "this condition", req)
    _need(NEVER not in (req.where, *_groups(req.where)), "an empty OR", req)
    _need(req.search is None or driver.can.search, "search", req)
    _conditions(driver, req, req.where)


def _groups(group: Group) -> Iterable[Group]:
    for item in group.items:
        if isinstance(item, Group):
            yield item
            yield from _groups(item)


def _conditions(driver: DbDriver, req: Request, group: Group) -> None:
    for name, op, value in leaves(group):
        known = name in req.table.columns
        _need(known or not driver.can.columns, f"column {name}", req)
        if known and op in ("eq", "ne", "gt", "ge", "lt", "le", "in", "not in"):
            values = value if op.endswith("in") else [value]
            for item in values:
                _value(driver, req, req.table.columns[name], item, inside=True)


def _value(
    driver: DbDriver, req: Request, column: Column, value: Any, *, inside: bool = False
) -> None:
    shape, name = driver.shape, column.name
    match value:
        case None:
            _need(shape.nulls and not inside, f"null in {name}", req)
        case bool():
            _need(shape.bools or column.kind == "json", f"a bool in {name}", req)
        case bytes():
            _need(shape.binary, f"bytes in {name}", req)
        case date():
            _need(shape.dates, f"a date in {name}", req)
        case Decimal():
            _need(shape.decimals, f"a decimal in {name}", req)
        case dict():
            _need(shape.json or column.kind != "json", f"a dict in {name}", req)
        case list() | tuple():
            _need(shape.lists if column.kind == "list" else shape.json, f"a list in {name}", req)


def _values(driver: DbDriver, req: Request) -> None:
    for name, value in req.values.items():
        column = req.table.columns.get(name)
        _need(column is not None or not driver.can.columns, f"column {name}", req)
        if column is not None:
            _value(driver, req, column, value)


def _key(driver: DbDriver, req: Request) -> None:
    _need(tuple(req.key) and set(req.key) == set(req.table.keys), "a part of a key", req)


def _written(driver: DbDriver, req: Request) -> None:
    can, expected = driver.can, req.expected
    checked = can.conditional or can.versions
    if expected is ABSENT:
        _need(req.verb == "put" and checked, "absence", req)
    elif expected is not None:
        _need(can.conditional and expected != NEVER, "this expectation", req)
        flat = expected.join == "AND" and not list(_groups(expected))
        _need(flat or can.groups, "a group that is expected", req)
        for condition in leaves(expected):
            column = req.table.columns.get(condition.column)
            if condition.op == "eq":
                _need(column is None or driver.comparable(column), "this comparison", req)
            elif condition.op != "null":
                _need(driver.expects(req.table, condition), "this expectation", req)
        _conditions(driver, req, expected)
    _need(req.version is None or can.versions, "versions", req)
    known = ("", "*") if can.returning and req.verb in ("update", "delete") else ("",)
    _need(req.returning in known, "returning", req)


def _add(driver: DbDriver, req: Request) -> None:
    _need(driver.can.add and req.expected is None and not req.returning, "add", req)
    _values(driver, req)


def _put(driver: DbDriver, req: Request) -> None:
    _key(driver, req)
    _written(driver, req)
    _values(driver, req)


def _delete(driver: DbDriver, req: Request) -> None:
    _key(driver, req)
    _written(driver, req)


def _update(driver: DbDriver, req: Request) -> None:
    counts = [change.op == "incr" for change in req.changes]
    _need(driver.can.update or (driver.can.counters and any(counts)), "update", req)
    _key(driver, req)
    _written(driver, req)
    _changes(driver, req)


def _changes(driver: DbDriver, req: Request) -> None:
    can = driver.can
    for name, op, value in req.changes:
        known = op == "set" or op in can.changes or (op == "incr" and can.counters)
        _need(known, f"change {op}", req)
        column = req.table.columns.get(name)
        _need(column is not None or not can.columns, f"column {name}", req)
        if op == "set" and column is not None:
            _value(driver, req, column, value)


def _many(driver: DbDriver, req: Request) -> None:
    _need(len(req.keys) <= driver.can.many, "so many keys", req)


def _total(driver: DbDriver, req: Request) -> None:
    _need(driver.can.total, "total", req)
    _where(driver, req)


def _aggregate(driver: DbDriver, req: Request) -> None:
    _need(req.groups and driver.aggregates(req.table, req.groups), "this aggregate", req)
    _where(driver, req)


def _update_all(driver: DbDriver, req: Request) -> None:
    _need(driver.can.update_all, "update_all", req)
    _where(driver, req)
    _changes(driver, req)


def _delete_all(driver: DbDriver, req: Request) -> None:
    _need(driver.can.delete_all, "delete_all", req)
    _where(driver, req)


def _bulk(driver: DbDriver, reqs: Sequence[Request]) -> None:
    for req in reqs:
        _need(len(reqs) <= driver.can.bulk, "so many writes", req)
        _need(req.verb in driver.can.bulk_verbs, f"bulk {req.verb}", req)
        _need(req.expected is None and not req.returning, "an option of a bulk write", req)
        _CHECKS[req.verb](driver, req)


def _atomic(driver: DbDriver, reqs: Sequence[Request]) -> None:
    for req in reqs:
        _need(len(reqs) <= driver.can.atomic, "so many writes together", req)
        _CHECKS[req.verb](driver, req)


_CHECKS: dict[str, Any] = {
    "get": _key,
    "select": _reads,
    "add": _add,
    "put": _put,
    "update": _update,
    "delete": _delete,
    "many": _many,
    "total": _total,
    "aggregate": _aggregate,
    "update_all": _update_all,
    "delete_all": _delete_all,
    "bulk": _bulk,
    "atomic": _atomic,
    "versioned": _key,
}
