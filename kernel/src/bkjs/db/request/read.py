"""Third stage for reads: pages of rows out of what the driver returns."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bkjs.db.conditions.match import Match, matcher
from bkjs.db.conditions.order import comes_after, sort_rows
from bkjs.db.contract import ALL, NEVER, Group, Order, Request, Row
from bkjs.db.pools.pools import Target

from .paging import Position, again, behind
from .plan import Query, Split, narrowed, split

BATCH = 200
"""Rows asked for at a time while the kernel filters them."""
MANY = 500
"""Keys of one native call."""
PARALLEL = 8
"""Single reads or writes at a time where the driver has no call for many."""


@dataclass(slots=True)
class Found:
    """Stored rows and where the next page begins, None when nothing follows."""

    rows: list[Row]
    next: Position | None = None


async def select(target: Target, query: Query) -> Found:
    """The rows of one page, or all of them without a count."""
    if query.where == NEVER:
        return Found([])
    if query.position is not None and query.position.kind == "again":
        query = replace(query, position=await _again(target, query, query.position.value))
    parts = split(target, query.where)
    if query.count is None and query.position is None:
        return Found(await everything(target, query, parts, query.sort))
    if not target.can.sort and not query.sort and _resumable(query):
        return await _resumed(target, query, parts)
    if not query.order or (query.order == query.sort and not _keyed(target, query.order)):
        return await _by_offset(target, query, parts)
    return await _sorted(target, query, parts)


async def _again(target: Target, query: Query, place: Sequence[Any]) -> Position:
    """The place behind the row with this key, as it is stored now."""
    *values, digest = place
    key = dict(zip(target.table.keys, values, strict=True))
    columns = tuple(order.column for order in query.order)
    request = Request(verb="get", table=target.table, key=key, columns=columns)
    return again(await target.pool.call(target.ops.get(request)), query.order, digest)


def _resumable(query: Query) -> bool:
    return query.position is None or query.position.kind == "resume"


def _keyed(target: Target, order: Sequence[Order]) -> bool:
    """Whether the order tells any two rows apart."""
    keys = target.table.keys
    return bool(keys) and {o.column for o in order} >= set(keys)


def _request(target: Target, query: Query, parts: Split, **more: Any) -> Request:
    return Request(
        verb="select",
        table=target.table,
        where=parts.native,
        columns=query.fetch(parts.residual),
        native=query.native,
        **more,
    )


def _filter(target: Target, parts: Split) -> Match | None:
    if parts.residual == ALL:
        return None
    return matcher(parts.residual, target.table)


async def everything(
    target: Target, query: Query, parts: Split, sort: tuple[Order, ...]
) -> list[Row]:
    """All matching rows in order."""
    native_sort = sort if target.can.sort else ()
    request = _request(target, query, parts, sort=native_sort)
    match = _filter(target, parts)
    rows: list[Row] = []
    while True:
        page = await target.pool.call(target.ops.select(request))
        rows += filter(match, page.rows) if match else page.rows
        if page.resume is None:
            break
        request = replace(request, resume=page.resume)
    if sort and not native_sort:
        sort_rows(rows, sort)
    return rows


async def _by_offset(target: Target, query: Query, parts: Split) -> Found:
    """Tables without a key have no place to go on from but a number of rows."""
    skip = int(query.position.value) if query.position else 0
    rows = (await everything(target, query, parts, query.sort))[skip:]
    if query.count is None or len(rows) <= query.count:
        return Found(rows)
    return Found(rows[: query.count], Position("offset", skip + query.count))


async def _resumed(target: Target, query: Query, parts: Split) -> Found:
    """Pages in the driver's own order: never ask for more rows than are wanted, so that each page
    of the driver is used up."""
    assert query.count is not None
    match = _filter(target, parts)
    resume = query.position.value if query.position else None
    rows: list[Row] = []
    while len(rows) < query.count:
        request = _request(target, query, parts, count=query.count - len(rows), resume=resume)
        page = await target.pool.call(target.ops.select(request))
        rows += filter(match, page.rows) if match else page.rows
        resume = page.resume
        if resume is None:
            return Found(rows)
    if await _more(target, query, parts, match, resume):
        return Found(rows, Position("resume", resume))
    return Found(rows)


async def _more(
    target: Target, query: Query, parts: Split, match: Match | None, resume: Any
) -> bool:
    """Whether any row follows a resume point."""
    while resume is not None:
        request = _request(target, query, parts, count=BATCH if match else 1, resume=resume)
        page = await target.pool.call(target.ops.select(request))
        if any(map(match, page.rows)) if match else page.rows:
            return True
        resume = page.resume
    return False


async def _sorted(target: Target, query: Query, parts: Split) -> Found:
    """Pages in a total order; one row more than asked for tells whether another page follows."""
    wanted = None if query.count is None else query.count + 1
    after = query.position.value if query.position and query.position.kind == "after" else None
    skip = query.position.value if query.position and query.position.kind == "offset" else 0
    can = target.can
    if not can.sort or (after is not None and not can.seek) or (parts.residual != ALL and skip):
        rows = await _from_all(target, query, parts, after)
        rows = rows[skip:]
    elif parts.residual != ALL:
        rows = await _filtered(target, query, parts, after, wanted)
    else:
        limit = None if wanted is None else wanted + (0 if can.offset else skip)
        rows = await _native_page(target, query, parts, after, skip if can.offset else 0, limit)
        rows = rows if can.offset else rows[skip:]
    if query.count is None or len(rows) <= query.count:
        return Found(rows)
    rows = rows[: query.count]
    return Found(rows, behind(rows[-1], query.order, target.table.keys))


async def _from_all(
    target: Target, query: Query, parts: Split, after: tuple[Any, ...] | None
) -> list[Row]:
    """Read everything that matches, in order, and start after the given values."""
    if after is None:
        return await everything(target, query, parts, query.order)
    bounded = Split(narrowed(target, parts.native, query.order[0], after[0]), parts.residual)
    rows = await everything(target, query, bounded, query.order)
    return list(filter(comes_after(query.order, after), rows))


async def _native_page(
    target: Target,
    query: Query,
    parts: Split,
    after: tuple[Any, ...] | None,
    offset: int,
    limit: int | None,
) -> list[Row]:
    request = _request(
        target, query, parts, sort=query.order, after=after, offset=offset, count=limit
    )
    rows: list[Row] = []
    while True:
        page = await target.pool.call(target.ops.select(request))
        rows += page.rows
        if page.resume is None or (limit is not None and len(rows) >= limit):
            return rows
        left = None if limit is None else limit - len(rows)
        request = replace(request, count=left, resume=page.resume, after=None, offset=0)


async def _filtered(
    target: Target,
    query: Query,
    parts: Split,
    after: tuple[Any, ...] | None,
    wanted: int | None,
) -> list[Row]:
    """Read batches in order until enough rows pass the filter that the driver does not have."""
    match = _filter(target, parts)
    size = max(BATCH, wanted or 0)
    rows: list[Row] = []
    while wanted is None or len(rows) < wanted:
        batch = await _native_page(target, query, parts, after, 0, size)
        rows += filter(match, batch)
        if len(batch) < size:
            break
        after = tuple(batch[-1].get(order.column) for order in query.order)
        if not target.can.seek:
            return await _from_all(target, query, parts, None)
    return rows


async def total(target: Target, where: Group) -> int:
    """How many rows match."""
    if where == NEVER:
        return 0
    parts = split(target, where)
    if target.can.total and parts.residual == ALL:
        request = Request(verb="total", table=target.table, where=parts.native)
        return await target.pool.call(target.ops.total(request))
    keys = target.table.keys or None
    return len(await everything(target, Query(columns=keys), parts, ()))


async def many(
    target: Target, keys: Iterable[tuple[Any, ...]], columns: tuple[str, ...] | None
) -> list[Row]:
    """The stored rows of these keys, each once, in the order of the keys."""
    names = target.table.keys
    wanted = list(dict.fromkeys(keys))
    fetch = None if columns is None else tuple(dict.fromkeys((*columns, *names)))
    rows: list[Row] = []
    if target.can.many:
        for start in range(0, len(wanted), MANY):
            part = [dict(zip(names, key, strict=True)) for key in wanted[start : start + MANY]]
            request = Request(verb="many", table=target.table, keys=part, columns=fetch)
            rows += await target.pool.call(target.ops.many(request))
    else:
        rows = await _one_by_one(target, wanted, fetch)
    by_key = {tuple(row.get(name) for name in names): row for row in rows}
    return [by_key[key] for key in wanted if key in by_key]


async def _one_by_one(
    target: Target, keys: Sequence[tuple[Any, ...]], columns: tuple[str, ...] | None
) -> list[Row]:
    limit = asyncio.Semaphore(PARALLEL)

    async def read(key: tuple[Any, ...]) -> Row | None:
        async with limit:
            values = dict(zip(target.table.keys, key, strict=True))
            request = Request(verb="get", table=target.table, key=values, columns=columns)
            return await target.pool.call(target.ops.get(request))

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(read(key)) for key in keys]
    return [row for task in tasks if (row := task.result()) is not None]
