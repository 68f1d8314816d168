"""Writes to all rows that match: in one statement where that is possible, else row by row."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from bkjs.db.conditions.build import both
from bkjs.db.contract import ALL, NEVER, Group, Request, Row, Written
from bkjs.db.pools.pools import Target
from bkjs.db.tables.described import query_for_keys
from bkjs.db.tables.generate import Call
from bkjs.errors import BadRequest, BkError
from bkjs.lib.given import Given
from bkjs.readonly import READ_ONLY, refuse_write

from . import emulate, prepare, read
from .expiry import living
from .guards import guarded
from .options import check
from .pace import pace
from .plan import Query, elsewhere, expressible, split
from .prepare import Input, Options, as_dict, select_where
from .write import Writer, prepare_write

ONE_BY_ONE = ("limit", "count", "start", "use_capacity")
"""Options that no single statement can keep."""
FACTORS = {"update": 0.25, "del": 0.35}
"""The part of a pool's capacity that is used where no option says how much."""


async def by_other_keys(
    db: Writer, verb: str, target: Target, obj: Mapping[str, Any], options: Options
) -> Written:
    """Update or delete the rows that other columns than the primary key find (option `keys`)."""
    obj = obj if type(obj) is Given else dict(obj)
    query = query_for_keys(options["keys"], obj)
    if not query:
        return Written()
    more = {k: options[k] for k in ("ops", "ops_map", "aliases", "pool") if k in options}
    passed = {k: v for k, v in options.items() if k != "keys"}
    name = target.table.name
    if verb == "del":
        done = await del_all(db, name, query, {**more, "del_options": passed})
    else:
        values = type(obj)({name: value for name, value in obj.items() if name not in query})
        done = await update_all(db, name, query, values, {**more, "update_options": passed})
    return Written(affected=done if isinstance(done, int) else len(done))


def _where(
    db: Writer, target: Target, verb: str, query: Mapping[str, Any], options: Options
) -> Group:
    """The conditions. Raises BadRequest for one that a query would drop because of its value or its
    column: more rows would be changed than were asked for."""
    _check_conditions(target, verb, query, options)
    where = select_where(target.codec, "select", query, options)
    if where == ALL and query:
        names = ", ".join(str(name)[:64] for name in list(query)[:5])
        raise BadRequest(f"{verb}: no usable condition in {target.table.name}: {names}")
    return both(where, living(target, db.now()))


def _check_conditions(
    target: Target, verb: str, query: Mapping[str, Any], options: Options
) -> None:
    codec, aliases = target.codec, options.get("aliases") or {}
    for given, value in query.items():
        name = str(aliases.get(given, given))
        if name[:1] == "$" and isinstance(value, Mapping):
            _check_conditions(target, verb, value, options)
            continue
        if isinstance(value, str) and value == "":
            raise BadRequest(
                f"{verb}: {name[:64]} is empty, which is no condition; None finds rows without it",
                field=name[:64],
            )
        column = codec.columns.get(name)
        if column is not None and column.props.get("hidden"):
            raise BadRequest(f"{verb}: {target.table.name}.{name} is hidden", field=name)


async def update_all(
    db: Writer, table: str, query: Input, obj: Input, options: Options
) -> int | list[Row]:
    """Change every matching row: in one statement where that is possible, else row by row."""
    if READ_ONLY.get():
        refuse_write()
    check("update_all", options)
    target = db.target(table, options)
    query, obj = as_dict(query, "query"), as_dict(obj)
    obj = obj if type(obj) is Given else dict(obj)
    where = _where(db, target, "update_all", query, options)
    op = str(options.get("op") or "update")
    if op not in ("update", "put", "add"):
        raise BadRequest(f"invalid op {op[:32]!r}")
    mine: dict[str, Any] = {k: options[k] for k in ("pool", "update_ops") if k in options}
    mine.update(options.get("update_options") or {})
    into = db.target(table, mine)
    if op == "update":
        ops = [str(v) for v in (mine.get("update_ops") or {}).values()]
        emulate.require_update(into, "update", ops)
    elif op == "add":
        emulate.require_add(into)
    if where == NEVER or elsewhere(target, options):
        return [] if options.get("update_collect") else 0
    request = _one_statement(db, target, where, obj, options, mine) if op == "update" else None
    if request is not None:
        return await target.pool.call(target.ops.update_all(request))

    async def change(stored: Row, row: Row, key: Row) -> Row | None:
        process = options.get("process")
        found = copy.deepcopy(row) if process and op == "update" else {}
        if process:
            process(row, options)
        if op == "update":  # only what is new: others may have changed the rest since it was read
            row = {n: v for n, v in row.items() if n not in found or found[n] != v} if found else {}
        record = type(obj)({**row, **obj, **key})
        return await _write_row(db, op, into, record, mine, where, stored, options)

    return await _each(target, where, change, options, "update")


def _one_statement(
    db: Writer,
    target: Target,
    where: Group,
    obj: Row,
    options: Options,
    mine: Options,
) -> Request | None:
    """The request for `update_all` of the driver, None when rows have to be seen one by one."""
    if not target.can.update_all or not _at_once(db, target, where, options, mine, "update"):
        return None
    if any(name in target.table.keys for name in obj) or _depends_on_key(target):
        return None
    row = prepare.record(target.codec, "update", obj, mine, Call(db.now))
    changes = prepare.changes(row, target.table, mine.get("update_ops") or prepare.NO_OPTIONS)
    changes = [c for c in changes if c.op != "incr" or c.value]
    if not changes or not emulate.does(target, changes):
        return None
    changes = emulate.encoded(target, changes)
    return Request(verb="update_all", table=target.table, where=where, changes=changes)


def _at_once(
    db: Writer, target: Target, where: Group, options: Options, mine: Options, kind: str
) -> bool:
    """Whether no row has to be seen, so that one statement can serve all of them."""
    per_row = ("process", f"{kind}_collect", f"{kind}_filter", *ONE_BY_ONE)
    return (
        db.cache is None
        and not db.hooks.find("pre", target.table.name, kind)
        and not any(options.get(o) for o in per_row)
        and not mine.keys() - {"pool", "update_ops"}
        and mine.get("pool") == options.get("pool")
        and not guarded(target)
        and split(target, where).residual == ALL
    )


def _depends_on_key(target: Target) -> bool:
    """Whether a joined column is made of key columns, so that each row gets another value."""
    keys = set(target.table.keys)
    plan = target.codec.record_plan("update")
    return any(join.column in keys or keys & set(join.parts) for join in plan.joins)


async def del_all(db: Writer, table: str, query: Input, options: Options) -> int | list[Row]:
    """Delete every matching row: in one statement where that is possible, else row by row."""
    if READ_ONLY.get():
        refuse_write()
    check("del_all", options)
    target = db.target(table, options)
    query = as_dict(query, "query")
    where = _where(db, target, "del_all", query, options)
    if where == NEVER or elsewhere(target, options):
        return [] if options.get("del_collect") else 0
    mine: dict[str, Any] = {k: options[k] for k in ("pool",) if k in options}
    mine.update(options.get("del_options") or {})
    if target.can.delete_all and _at_once(db, target, where, options, mine, "del"):
        request = Request(verb="delete_all", table=target.table, where=where)
        return await target.pool.call(target.ops.delete_all(request))

    into = db.target(table, mine)

    async def delete(stored: Row, row: Row, key: Row) -> Row | None:
        if options.get("process"):
            options["process"](row, options)
        return await _write_row(db, "del", into, key, mine, where, stored, options)

    return await _each(target, where, delete, options, "del")


async def _write_row(
    db: Writer,
    verb: str,
    target: Target,
    record: Row,
    mine: Options,
    where: Group,
    stored: Row,
    options: Options,
) -> Row | None:
    """Write one of the found rows, if it still matches where the database can tell.

    The row as it is stored now, or was when it was deleted; None when nothing was done. Without
    `…_collect` nobody looks at it, and it may be any row.
    """
    collect, can = options.get("update_collect") or options.get("del_collect"), target.can
    if collect and verb in ("update", "del") and (can.returning or emulate.checks(target)):
        mine = {**mine, "returning": "*" if verb == "update" else "old"}
    request, _ = prepare_write(db, verb, target, record, mine)
    if request is None:
        return None
    if verb != "add" and emulate.checks(target):
        expected = emulate.narrow(request.expected, where)
        if request.verb == "put":  # it must not come back when another has deleted it
            expected = emulate.narrow(emulate.unchanged(stored, target.table.keys), where)
            if not isinstance(expected, Group) or not expressible(target, expected):
                expected = None
        request = replace(request, expected=expected)
    written = await db.run_write(verb, target, request)
    if not written.affected:
        return None
    if not collect:
        return stored
    if written.row is None:
        if request.values:
            made = {} if written.oid is None else {target.table.keys[0]: written.oid}
            written.row = {**request.values, **made}
        else:
            written.row = emulate.applied(target, stored, request.changes)
    convert = target.codec.reader(None)
    return convert(written.row) if convert else written.row


Change = Callable[[Row, Row, Row], Awaitable[Row | None]]
"""Gets the row as it is stored, as the caller reads it, and its key."""


async def _each(
    target: Target, where: Group, change: Change, options: Options, kind: str
) -> int | list[Row]:
    """Run a change for each matching row, `concurrency` (1) at a time."""
    skip = options.get(f"{kind}_filter")
    collected: list[Row] = []
    done = left = 0
    limit = int(options.get("limit") or 0)
    at_once = max(1, int(options.get("concurrency") or 1))
    convert = target.codec.reader(None)
    speed = pace(target.pool.driver.options, options, FACTORS[kind])
    if not target.can.fresh:
        await target.pool.call(target.pool.driver.refresh(target.table.name))
    size = int(options.get("count") or read.PAGE)
    async for stored in read.pages(target, Query(where=where), lambda: size):
        rows = [(row, convert(dict(row)) if convert else dict(row)) for row in stored]
        for start in range(0, len(rows), at_once):
            part = [
                pair
                for pair in rows[start : start + at_once]
                if not (skip and skip(pair[1], options))
            ]
            if limit:
                part = part[: limit - left]
            if speed:
                await speed.take(len(part))
            results = await asyncio.gather(
                *(_attempt(change, row, shown, _key(target, row), options) for row, shown in part)
            )
            left += len(part)
            written = [row for row in results if row is not None]
            done += len(written)
            if options.get(f"{kind}_collect"):
                collected += written
            if limit and left >= limit:
                return collected if options.get(f"{kind}_collect") else done
    return collected if options.get(f"{kind}_collect") else done


async def _attempt(change: Change, stored: Row, row: Row, key: Row, options: Options) -> Row | None:
    try:
        return await change(stored, row, key)
    except BkError:
        if not options.get("ignore_error"):
            raise
        return None


def _key(target: Target, stored: Row) -> Row:
    row = target.codec.decode(stored)
    return {name: row[name] for name in target.table.keys}
