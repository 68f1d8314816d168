"""Verbs that are made of other verbs: scan, update_all, del_all, replace, join and migrate."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from bkjs.core.errors import AlreadyExists, BadRequest, BkError
from bkjs.lib.wire import to_text

from . import emulate, prepare, read, schema, write
from .conditions import NEVER
from .contract import ALL, Group, Request, Row, Written
from .convert import json_text
from .options import NAMES, OnRow, check
from .plan import split, total_order
from .pools import Target
from .prepare import Input, Options, as_dict
from .results import Rows

if TYPE_CHECKING:
    from .database import Database
    from .verbs import Verbs

PAGE = 100
"""Rows of one page of a scan."""


async def scan(db: Verbs, table: str, query: Input, on_row: OnRow, options: Options) -> int:
    """Call back with each row (`batch`: with each page) until no more match or `limit` is reached.

    An error of the callback stops the scan and is raised.
    """
    check("scan", options)
    limit = int(options.get("limit") or 0)
    whole = bool(options.get("batch"))
    verb = "search" if options.get("search") else "select"
    known = {k: v for k, v in options.items() if k in NAMES["select"]}
    known["count"] = int(options.get("count") or PAGE)
    done = 0
    while True:
        if limit:
            known["count"] = min(known["count"], limit - done)
        rows = await db._select(verb, table, query, known)
        for item in [rows] if whole and rows else ([] if whole else rows):
            result = on_row(item)
            if isawaitable(result):
                await result
        done += len(rows)
        if rows.next_token is None or (limit and done >= limit):
            return done
        known["start"] = rows.next_token


# -- update_all and del_all --------------------------------------------------------------------


def _where(target: Target, verb: str, query: Mapping[str, Any], options: Options) -> Group:
    """The conditions; raises BadRequest when some were given but none could be used."""
    where = prepare.select_where(target.codec, "select", query, options)
    if where == ALL and query:
        names = ", ".join(str(name)[:64] for name in list(query)[:5])
        raise BadRequest(f"{verb}: no usable condition in {target.table.name}: {names}")
    return where


async def update_all(
    db: Verbs, table: str, query: Input, obj: Input, options: Options
) -> int | list[Row]:
    """Change every matching row: in one statement where that is possible, else row by row."""
    check("update_all", options)
    target = db.target(table, options)
    query, obj = as_dict(query, "query"), as_dict(obj)
    where = _where(target, "update_all", query, options)
    op = str(options.get("op") or "update")
    if op not in ("update", "put", "add"):
        raise BadRequest(f"invalid op {op[:32]!r}")
    mine: dict[str, Any] = {k: options[k] for k in ("pool", "update_ops") if k in options}
    mine.update(options.get("update_options") or {})
    if op == "update":
        ops = [str(v) for v in (mine.get("update_ops") or {}).values()]
        emulate.require_update(target, "update", ops)
    elif op == "add":
        emulate.require_add(target)
    if where == NEVER:
        return [] if options.get("update_collect") else 0
    request = _one_statement(db, target, where, obj, options, mine) if op == "update" else None
    if request is not None:
        return await target.pool.call(target.ops.update_all(request))

    async def change(row: Row, key: Row) -> int:
        process = options.get("process")
        if process:
            process(row, options)
        record = {**row, **obj} if process or op != "update" else {**obj, **key}
        expected = None if op != "update" else where
        return await _write_row(db, op, target, {**record, **key}, mine, expected)

    return await _each(target, where, change, options, "update")


def _one_statement(
    db: Verbs,
    target: Target,
    where: Group,
    obj: Mapping[str, Any],
    options: Options,
    mine: Options,
) -> Request | None:
    """The request for `update_all` of the driver, None when rows have to be seen one by one."""
    per_row = ("process", "update_collect", "update_filter", "limit", "count", "start")
    if not target.can.update_all or any(options.get(o) for o in per_row):
        return None
    if db.hooks.find("pre", target.table.name) or mine.keys() - {"pool", "update_ops"}:
        return None
    if split(target, where).residual != ALL:
        return None
    if any(name in target.table.keys for name in obj) or _depends_on_key(target):
        return None
    fake = dict.fromkeys(target.table.keys, "0")
    request, _ = db.write_request("update", target, {**obj, **fake}, mine)
    if request is None:
        return None
    can = target.can
    if not all(
        can.counters if c.op == "incr" else c.op == "set" or c.op in can.changes
        for c in request.changes
    ):
        return None
    changes = emulate.encoded(target, request.changes)
    return Request(verb="update_all", table=target.table, where=where, changes=changes)


def _depends_on_key(target: Target) -> bool:
    """Whether a joined column is made of key columns, so that each row gets another value."""
    keys = set(target.table.keys)
    plan = target.codec.record_plan("update")
    return any(join.column in keys or keys & set(join.parts) for join in plan.joins)


async def del_all(db: Verbs, table: str, query: Input, options: Options) -> int | list[Row]:
    """Delete every matching row: in one statement where that is possible, else row by row."""
    check("del_all", options)
    target = db.target(table, options)
    query = as_dict(query, "query")
    where = _where(target, "del_all", query, options)
    if where == NEVER:
        return [] if options.get("del_collect") else 0
    mine: dict[str, Any] = {k: options[k] for k in ("pool",) if k in options}
    mine.update(options.get("del_options") or {})
    per_row = ("process", "del_collect", "del_filter", "limit", "count", "start")
    if (
        target.can.delete_all
        and not db.hooks.find("pre", target.table.name)
        and not any(options.get(o) for o in per_row)
        and not mine.keys() - {"pool"}
        and split(target, where).residual == ALL
    ):
        request = Request(verb="delete_all", table=target.table, where=where)
        return await target.pool.call(target.ops.delete_all(request))

    async def delete(row: Row, key: Row) -> int:
        if options.get("process"):
            options["process"](row, options)
        return await _write_row(db, "del", target, key, mine, where)

    return await _each(target, where, delete, options, "del")


async def _write_row(
    db: Verbs,
    verb: str,
    target: Target,
    record: Row,
    options: Options,
    where: Group | None,
) -> int:
    """Write one of the found rows, if it still matches where the database can tell."""
    request, _ = db.write_request(verb, target, record, options)
    if request is None:
        return 0
    if where is not None and target.can.conditional:
        expected = emulate.narrow(request.expected, where)
        request = dataclasses.replace(request, expected=expected)
    return (await write.run(verb, target, request)).affected


Change = Callable[[Row, Row], Awaitable[int]]


async def _each(
    target: Target, where: Group, change: Change, options: Options, kind: str
) -> int | list[Row]:
    """Run a change for each matching row, `concurrency` (1) at a time.

    Pages go on by key, which no change touches; where there is no such order all keys are read
    before the first change.
    """
    skip = options.get(f"{kind}_filter")
    collected: list[Row] = []
    done = left = 0
    limit = int(options.get("limit") or 0)
    size = max(1, int(options.get("concurrency") or 1))
    convert = target.codec.reader(None)
    async for stored in _pages(target, where, options):
        rows = [convert(row) for row in stored] if convert else stored
        for start in range(0, len(rows), size):
            part = [row for row in rows[start : start + size] if not (skip and skip(row, options))]
            if limit:
                part = part[: limit - left]
            results = await asyncio.gather(
                *(_attempt(change, dict(row), _key(target, row), options) for row in part)
            )
            left += len(part)
            done += sum(results)
            collected += [row for row, ok in zip(part, results, strict=True) if ok]
            if limit and left >= limit:
                return collected if options.get(f"{kind}_collect") else done
    return collected if options.get(f"{kind}_collect") else done


async def _attempt(change: Change, row: Row, key: Row, options: Options) -> int:
    try:
        return await change(row, key)
    except BkError:
        if not options.get("ignore_error"):
            raise
        return 0


def _key(target: Target, row: Row) -> Row:
    return {name: row[name] for name in target.table.keys}


async def _pages(target: Target, where: Group, options: Options) -> AsyncIterator[list[Row]]:
    """The matching rows as they are stored, page by page."""
    order = total_order(target.table, (), False)
    count = int(options.get("count") or PAGE) if target.can.sort else None
    query = read.Query(where=where, order=order, count=count)
    while True:
        found = await read.select(target, query)
        yield found.rows
        if found.next is None:
            return
        query = dataclasses.replace(query, position=found.next)


# -- replace -----------------------------------------------------------------------------------


async def replace(db: Database, table: str, obj: Input, options: Options) -> Written:
    """Update what is there, add what is not, and skip what the `check_…` options say."""
    check("replace", options)
    target = db.target(table, options)
    obj = as_dict(obj)
    adding = {k: v for k, v in options.items() if k in NAMES["add"]}
    update = {k: v for k, v in options.items() if k in NAMES["update"]}
    column = options.get("check_mtime")
    if column and column not in target.table.columns:
        raise BadRequest(f"check_mtime: {target.table.name} has no column {str(column)[:64]!r}")
    if not options.get("put_only"):
        emulate.require_add(target)
    if not options.get("add_only"):
        emulate.require_update(target, "update")
        if column:
            emulate.require_conditional(target)
    for _ in range(emulate.ATTEMPTS):
        stored = await db._get(table, obj, {"pool": options.get("pool")})
        if stored is None:
            if options.get("put_only"):
                return Written()
            try:
                return await db._write("add", table, obj, adding)
            except AlreadyExists:
                continue
        if options.get("add_only") or _same(target, stored, obj, options):
            return Written()
        if column and obj.get(column) is not None:
            older = {"$or": {column: obj[column], "replaced": None}}
            update["expected"] = {**(options.get("expected") or {}), **older}
            update["ops"] = {**(options.get("ops") or {}), column: "lt"}
            update["aliases"] = {**(options.get("aliases") or {}), "replaced": column}
        return await db._write("update", table, obj, update)
    raise AlreadyExists


def _same(target: Target, stored: Row, obj: Mapping[str, Any], options: Options) -> bool:
    """Whether `check_data` finds nothing that differs."""
    wanted = options.get("check_data")
    if not wanted:
        return False
    names = list(obj) if wanted is True or not isinstance(wanted, (list, tuple)) else list(wanted)
    table = target.table
    return all(
        _comparable(stored.get(name)) == _comparable(obj.get(name))
        for name in names
        if name in table.columns
        and name in obj
        and name not in table.keys
        and table.columns[name].type not in ("mtime", "now")
        and name != "mtime"
    )


def _comparable(value: Any) -> str:
    if value is None or value == "":
        return ""
    return json_text(value) if isinstance(value, (dict, list)) else to_text(value)


# -- join --------------------------------------------------------------------------------------


async def join(db: Verbs, table: str, rows: Sequence[Row], options: Options) -> Rows:
    """The rows merged with the records that their keys name."""
    check("join", options)
    target = db.target(table, options)
    if not rows:
        return Rows()
    names = list(options.get("keys") or target.table.keys)
    keys_map = options.get("keys_map") or {}
    columns_map = options.get("columns_map") or {}
    queries = [schema.query_for_keys(names, row, keys_map=keys_map, noempty=True) for row in rows]
    wanted = [query if len(query) == len(names) else None for query in queries]
    found: dict[str, Row] = {}
    for record in await _records(db, target, names, [q for q in wanted if q], options):
        found.setdefault(repr([to_text(record.get(name)) for name in names]), record)
    joined: list[Row] = []
    for row, query in zip(rows, wanted, strict=True):
        record = found.get(repr([to_text(query[n]) for n in names]), {}) if query else {}
        if options.get("existing") and not record:
            continue
        renamed = {columns_map.get(name, name): value for name, value in record.items()}
        joined.append(_merge(row, renamed, options))
    return Rows(joined)


async def _records(
    db: Verbs, target: Target, names: list[str], queries: list[Row], options: Options
) -> list[Row]:
    known = {k: options[k] for k in ("pool", "noprocessrows", "noconvertrows") if k in options}
    if options.get("select"):
        chosen = schema.selected_columns(target.table, options["select"])
        if chosen is not None:
            known["select"] = tuple(dict.fromkeys((*chosen, *names)))
    if not queries:
        return []
    if set(names) == set(target.table.keys):
        return await db.list(target.table.name, queries, **known)
    groups = {f"$and{number}": query for number, query in enumerate(queries)}
    return await db.select(target.table.name, {"$or": groups}, **known)


def _merge(row: Row, record: Row, options: Options) -> Row:
    attach = options.get("attach")
    if attach:
        return {**row, attach: record}
    merged = dict(row)
    sums = options.get("incr") or ()
    for name, value in record.items():
        if name in sums:
            merged[name] = (merged.get(name) or 0) + (value or 0)
        elif options.get("override") or not merged.get(name):
            merged[name] = value
    return merged


# -- migrate -----------------------------------------------------------------------------------


async def migrate(db: Database, table: str, options: Options) -> int:
    """Copy the rows away, create the table anew and copy them back.

    The first error stops it; the original is dropped only once all rows are safe in the copy.
    """
    check("migrate", options)
    target = db.target(table, options)
    name, pool = target.table.name, options.get("pool")
    copy, copy_pool = f"{name}_tmp", options.get("tmppool") or target.pool.name
    delay = int(options.get("delay", 1000)) / 1000
    db.describe_tables({copy: db.get_columns(name)})
    try:
        await db.drop(copy, pool=copy_pool)
        await db.create(copy, pool=copy_pool)
        kept = await _copy(db, name, pool, copy, copy_pool, options.get("preprocess"))
        await asyncio.sleep(delay)
        stored = await read.total(db.target(copy, {"pool": copy_pool}), ALL)
        if stored != kept:
            raise BkError(f"migrate {name}: {kept} rows copied, {stored} found in {copy}")
        await db.drop(name, pool=pool)
        await db.create(name, pool=pool)
        await asyncio.sleep(delay)
        done = await _copy(db, copy, copy_pool, name, pool, options.get("postprocess"))
        if options.get("tmpdrop", True):
            await db.drop(copy, pool=copy_pool)
        return done
    finally:
        db.schema.definitions.pop(copy, None)
        db.schema.tables.pop(copy, None)
        db.forget()


async def _copy(
    db: Database,
    source: str,
    source_pool: str | None,
    dest: str,
    dest_pool: str | None,
    process: Callable[[Row], object] | None,
) -> int:
    """Copy stored rows as they are; a callback may change each and drop it with True."""
    origin = db.target(source, {"pool": source_pool})
    target = db.target(dest, {"pool": dest_pool})
    done = 0
    async for rows in _pages(origin, ALL, {}):
        for row in map(origin.codec.decode, rows):
            if process and process(row) is True:
                continue
            await target.pool.call(
                target.ops.put(
                    Request(
                        verb="put",
                        table=target.table,
                        key={k: row[k] for k in target.table.keys},
                        values=target.codec.encode(row),
                    )
                )
            )
            done += 1
    return done
