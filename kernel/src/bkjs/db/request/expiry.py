"""Rows that end by themselves: after the moment in its column `ttl` a row is no row any more.

Until the database deletes it, if it ever does, it is left out of all that is read, no write changes
it, and what is written may take its key and its unique values.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from bkjs.db.conditions.build import both
from bkjs.db.contract import ABSENT, ALL, Condition, Group, Request, Row, Written
from bkjs.db.pools.pools import Target
from bkjs.errors import AlreadyExists, Conflict

from . import emulate, read
from .plan import Query

Write = Callable[[Request], Awaitable[Written]]


def _moment(target: Target, now: float) -> Any:
    """A time as the column holds it: a moment, or milliseconds or seconds since 1970."""
    column = target.table.columns[target.table.ttl]
    if column.kind == "date":
        encode = dict(target.codec.encoders).get(column.name)
        moment = datetime.fromtimestamp(now, UTC)
        return encode(moment) if encode else moment
    return int(now * 1000) if column.type in ("mtime", "now") else int(now)


def living(target: Target, now: float) -> Group:
    """The rows that have not ended; `ALL` for a table whose rows do not."""
    name = target.table.ttl
    if not name:
        return ALL
    return Group("OR", (Condition(name, "null"), Condition(name, "gt", _moment(target, now))))


def ended(target: Target, now: float) -> Group:
    """The rows that have."""
    return Group("AND", (Condition(target.table.ttl, "le", _moment(target, now)),))


def alive(target: Target, row: Row | None, now: float) -> Row | None:
    """The stored row, None when it has ended."""
    if row is None or not target.table.ttl:
        return row
    return row if target.matcher(living(target, now))(row) else None


def with_end(target: Target, columns: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Columns to read, and the one that tells the end."""
    ttl = target.table.ttl
    return columns if columns is None or not ttl or ttl in columns else (*columns, ttl)


async def write(target: Target, request: Request, now: float, run: Write) -> Written:
    """Run a write to which rows that have ended are not there."""
    try:
        return await _write(target, request, now, run)
    except AlreadyExists:
        if not await _make_room(target, request, now, run):
            raise
        return await _write(target, request, now, run)


async def _write(target: Target, request: Request, now: float, run: Write) -> Written:
    if request.verb == "add":
        return await run(request)
    if request.expected is ABSENT:
        written = await run(request)
        if not written.affected and await _make_room(target, request, now, run):
            written = await run(request)
        return written
    if request.verb == "put" and request.expected is None:
        return await run(request)
    given = request.expected if isinstance(request.expected, Group) else ALL
    careful = replace(request, expected=both(given, living(target, now)), upsert=False)
    written = await run(careful)
    if written.affected or not request.upsert or given != ALL:
        return written
    await _make_room(target, request, now, run)
    return await run(request)


async def _make_room(target: Target, request: Request, now: float, run: Write) -> bool:
    """Delete the row with this key, and those that hold its unique values, if they have ended."""
    table = target.table
    found = [request.key] if request.key else []
    new = await _new(target, request) if table.uniques else {}
    for columns in table.uniques.values():
        values = [new.get(name) for name in columns]
        if None not in values:
            same = [Condition(n, "eq", v) for n, v in zip(columns, values, strict=True)]
            where = both(Group("AND", tuple(same)), ended(target, now))
            page = await read.select(target, Query(where=where, columns=table.keys))
            found += [{name: row[name] for name in table.keys} for row in page.rows]
    gone = 0
    for key in found:
        gone += (await run(_removal(target, key, now))).affected
    return gone > 0


async def _new(target: Target, request: Request) -> Row:
    """The row as this write would make it."""
    if request.verb != "update":
        return request.values
    stored = Request(verb="get", table=target.table, key=request.key)
    row = await target.pool.call(target.ops.get(stored)) or dict(request.key)
    return emulate.applied(target, row, request.changes)


def _removal(target: Target, key: Row, now: float) -> Request:
    return Request(verb="delete", table=target.table, key=key, expected=ended(target, now))


async def purge(target: Target, now: float, run: Write) -> int:
    """Delete what has ended; how many rows. One that somebody writes just now stays."""
    done = 0
    query = Query(where=ended(target, now), columns=(*target.table.keys, target.table.ttl))
    async for rows in read.pages(target, query):
        for row in rows:
            key = {name: row[name] for name in target.table.keys}
            with suppress(Conflict):
                done += (await run(_removal(target, key, now))).affected
    return done
