"""From a write verb and its input to the request for the driver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, Protocol

from bkjs.db.contract import NEVER, Request, Row, Written
from bkjs.db.pools.cache import RowCache
from bkjs.db.pools.pools import Target
from bkjs.db.tables.generate import Call
from bkjs.errors import BadRequest

from . import emulate, expiry, guards, prepare
from .hooks import Hooks, RowRequest, run_pre
from .prepare import NO_OPTIONS, Input, Options, as_dict


class Writer(Protocol):
    """What writing needs of the database, or of a transaction in it."""

    hooks: Hooks
    now: Callable[[], float]
    cache: RowCache | None

    def target(self, table: str, options: Options = ...) -> Target:
        """The table and the pool that serve a request."""

    async def run_write(self, verb: str, target: Target, request: Request) -> Written:
        """Run a prepared write; the cache hears of it when it has taken effect."""


def prepare_write(
    db: Writer, verb: str, target: Target, obj: Input, options: Options
) -> tuple[Request | None, Row]:
    """The prepared request of a write and the record; None when there is nothing to do."""
    given = obj if type(obj) is dict else as_dict(obj)
    hooks = db.hooks.find("pre", target.table.name, verb, own=not options.get("noprocessrows"))
    if hooks:
        req = RowRequest(verb, target.table.name, target.pool.name, given)
        given = run_pre(hooks, req, given, options)
    if verb == "del":
        return delete(target, given, options), {}
    call = Call(db.now, options.get("account") if options else None)
    prepared = insert if verb in ("add", "put") else update
    return prepared(verb, target, given, options, call)


def insert(
    verb: str, target: Target, given: Mapping[str, Any], options: Options, call: Call
) -> tuple[Request, Row]:
    """The request of an add or put, and the record as it will be stored.

    A put whose key the database makes is an add, unless it expects a row.
    """
    codec = target.codec
    row = codec.encode(prepare.record(codec, verb, given, options, call))
    key: Row = {}
    for name in codec.table.keys:
        value = row.get(name)
        if value is not None and value != "":
            key[name] = value
        elif (
            target.can.auto
            and codec.table.columns[name].props.get("auto")
            and not (options and options.get("expected"))
        ):
            verb = "add"
            row.pop(name, None)
        else:
            raise BadRequest(f"{name} is required", field=name)
    if not options:
        return Request(verb=verb, table=codec.table, key=key, values=row), row
    request = Request(
        verb=verb,
        table=codec.table,
        key=key,
        values=row,
        expected=prepare.expected(codec, options),
        returning=returning(options),
        native=native(options),
    )
    return request, row


def update(
    verb: str, target: Target, given: Mapping[str, Any], options: Options, call: Call
) -> tuple[Request | None, Row]:
    """The request of an update or incr and its record; None without a key or a change."""
    codec = target.codec
    row = prepare.record(codec, verb, given, options, call)
    key: Row = {}
    for name in codec.table.keys:
        value = row.get(name)
        if value is None or value == "":
            return None, row
        key[name] = value
    ops = (options.get("update_ops") or NO_OPTIONS) if options else NO_OPTIONS
    for name in ops:
        if name not in row and name not in codec.table.columns:
            codec.undescribed(name)
    if verb == "incr":
        ops = prepare.counters(codec, given, ops)
    changes = prepare.changes(row, codec.table, ops)
    if ops:
        changes = [c for c in changes if c.op != "incr" or c.value]
    if not changes or not key:
        return None, row
    if codec.encoders:
        key = codec.encode(key)
    if not options:
        return Request(verb="update", table=codec.table, key=key, changes=changes), row
    request = Request(
        verb="update",
        table=codec.table,
        key=key,
        changes=changes,
        expected=prepare.expected(codec, options),
        upsert=bool(options.get("upsert")) and not options.get("noupsert"),
        returning=returning(options),
        native=native(options),
    )
    return request, codec.encode(row) if options.get("info_obj") else row


def delete(target: Target, given: Mapping[str, Any], options: Options) -> Request | None:
    """The request of a del, None without a key."""
    values = target.codec.key(given)
    if values is None:
        prepare.check_names(target.codec, given, given, options)
        return None
    return Request(
        verb="delete",
        table=target.table,
        key=prepare.key_row(target.codec, values),
        expected=prepare.expected(target.codec, options) if options else None,
        returning=returning(options),
        native=native(options),
    )


async def run(verb: str, target: Target, request: Request, clock: Callable[[], float]) -> Written:
    """Run a prepared write, natively or emulated."""
    if request.expected == NEVER:  # no row is as expected, and a missing one is none
        return Written()
    call = writing(verb, target, clock)
    if target.table.ttl:
        return await expiry.write(target, request, clock(), call)
    return await call(request)


def writing(verb: str, target: Target, clock: Callable[[], float]) -> guards.Run:
    """How rows of a table are written, natively or emulated, with what guards its unique values."""
    call = partial(_run, verb, target)
    if target.table.uniques and guards.guarded(target):
        return partial(_guarded, target, clock, call)
    return call


async def _guarded(
    target: Target, clock: Callable[[], float], call: guards.Run, request: Request
) -> Written:
    return await guards.write(target, request, clock, call)


async def _run(verb: str, target: Target, request: Request) -> Written:
    match request.verb:
        case "add":
            return await emulate.add(target, request)
        case "put":
            return await emulate.put(target, request)
        case "delete":
            return await emulate.delete(target, request)
    return await emulate.update(target, request, verb)


def returning(options: Options) -> Literal["", "*", "old"]:
    """Which row a write gives back."""
    match options.get("returning"):
        case None | "" | False:
            return ""
        case "*":
            return "*"
        case "old":
            return "old"
    raise BadRequest("returning: must be '*' or 'old'", field="returning")


def native(options: Options) -> Mapping[str, Any]:
    """Options for the driver only."""
    if not options:
        return NO_OPTIONS
    found = options.get("native") or NO_OPTIONS
    return {**found, "consistent": True} if options.get("consistent") else found
