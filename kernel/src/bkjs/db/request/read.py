"""Third stage for reads: pages of rows out of what the driver returns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bkjs.db.conditions.build import both
from bkjs.db.conditions.match import Match
from bkjs.db.conditions.order import comes_after, sort_rows
from bkjs.db.contract import ALL, Condition, Group, Order, Page, Request, Row
from bkjs.db.pools.pools import Target
from bkjs.errors import DriverError

from .paging import Position, again, behind
from .plan import Query, Split, narrowed, split, total_order
from .prepare import NO_OPTIONS

PAGE = 100
"""Rows of one page of a scan."""
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
    if query.alive != ALL:
        query = replace(query, where=both(query.where, query.alive), alive=ALL)
    paged = query.count is not None or query.position is not None
    parts = split(target, query.where, query.order if paged else query.sort)
    if query.position is not None and query.position.kind == "again":
        place = await _again(target, query, parts, query.position.value)
        query = replace(query, position=place)
    if parts.residual != ALL and query.search is None:
        keys = whole_keys(target, query.where)
        if keys is not None:
            return await _of_keys(target, query, keys)
    if not paged:
        return Found(await everything(target, query, parts, query.sort))
    if not query.order or (query.order == query.sort and not _keyed(target, query.order)):
        return await _by_offset(target, query, parts)
    if parts.seek:
        return await _seeking(target, query, parts)
    if (parts.ordered or not query.sort) and _resumable(query):
        return await _resumed(target, query, parts, query.order if parts.ordered else ())
    return _cut(target, query, await _from_all(target, query, parts))


async def _again(target: Target, query: Query, parts: Split, place: Sequence[Any]) -> Position:
    """The place behind the row with this key, as it is stored now."""
    *values, digest = place
    names = target.table.keys
    key = dict(zip(names, values, strict=True))
    columns = tuple(dict.fromkeys((*names, *(order.column for order in query.order))))
    request = Request(verb="get", table=target.table, key=key, columns=columns)
    row = await target.pool.call(target.ops.get(request))
    places = []
    if row is not None:
        places.append(behind(row, query.order, names))
        if target.can.behind:
            request = _request(target, query, parts, sort=query.order if parts.ordered else ())
            places.append(_place(target, request, row))
    return again(places, digest)


def _place(target: Target, request: Request, row: Row) -> Position:
    """Where the driver goes on behind a row."""
    key = tuple(row.get(name) for name in target.table.keys)
    return Position("resume", target.pool.driver.behind(request, row), key)


def _resumable(query: Query) -> bool:
    """Whether the driver itself knows where to go on, or all before can be read once more."""
    return query.count is not None and (query.position is None or query.position.kind != "after")


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
        search=query.search,
        **more,
    )


def _filter(target: Target, parts: Split) -> Match | None:
    if parts.residual == ALL:
        return None
    return target.matcher(parts.residual)


async def _page(target: Target, query: Query, request: Request) -> Page:
    """One answer of the driver."""
    page = await target.pool.call(target.ops.select(request))
    if request.count is not None and len(page.rows) > request.count:
        raise DriverError(f"{target.pool.name}: more rows than asked for")
    if page.units:
        query.spent.append(page.units)
    return page


async def everything(
    target: Target, query: Query, parts: Split, sort: tuple[Order, ...]
) -> list[Row]:
    """All matching rows in order."""
    ordered = bool(sort) and parts.ordered
    request = _request(target, query, parts, sort=sort if ordered else ())
    match = _filter(target, parts)
    if target.can.filters and match:
        request, match = replace(request, match=match), None
    rows: list[Row] = []
    while True:
        page = await _page(target, query, request)
        rows += filter(match, page.rows) if match else page.rows
        if page.resume is None:
            break
        request = replace(request, resume=page.resume)
    if sort and not ordered:
        sort_rows(rows, sort)
    return rows


# -- by keys -------------------------------------------------------------------------------------


def whole_keys(target: Target, where: Group) -> list[tuple[Any, ...]] | None:
    """The keys of all rows that can match, where the conditions say them."""
    if where.join == "OR":
        return None
    names = target.table.keys
    found = {
        item.column: item
        for item in where.items
        if isinstance(item, Condition) and item.column in names and item.op in ("eq", "in")
    }
    if not names or len(found) != len(names):
        return None
    if len(names) == 1 and found[names[0]].op == "in":
        return [(value,) for value in found[names[0]].value if value != ""]
    if any(condition.op == "in" for condition in found.values()):
        return None
    key = tuple(found[name].value for name in names)
    return [] if "" in key else [key]  # no key is empty


async def _of_keys(target: Target, query: Query, keys: Sequence[tuple[Any, ...]]) -> Found:
    """The rows of these keys that match, as `select` gives them."""
    columns = query.fetch(query.where)
    if len(keys) == 1:
        key = dict(zip(target.table.keys, keys[0], strict=True))
        request = Request(
            verb="get", table=target.table, key=key, columns=columns, native=query.native
        )
        row = await target.pool.call(target.ops.get(request))
        rows = [] if row is None else [row]
    else:
        rows = await many(target, keys, columns, query.native)
    rows = list(filter(target.matcher(query.where), rows))
    sort_rows(rows, query.order or query.sort)
    return _cut(target, query, _behind(query, rows))


def _behind(query: Query, rows: list[Row]) -> list[Row]:
    """Sorted rows from where a page begins."""
    position = query.position
    if position is None:
        return rows
    if position.kind == "offset":
        return rows[int(position.value) :]
    return list(filter(comes_after(query.order, position.value), rows))


def _cut(target: Target, query: Query, rows: list[Row]) -> Found:
    """The first of these sorted rows, and where the next page begins."""
    if query.count is None or len(rows) <= query.count:
        return Found(rows)
    rows = rows[: query.count]
    return Found(rows, behind(rows[-1], query.order, target.table.keys))


# -- pages ---------------------------------------------------------------------------------------


async def _by_offset(target: Target, query: Query, parts: Split) -> Found:
    """Tables without a key have no place to go on from but a number of rows."""
    skip = int(query.position.value) if query.position else 0
    rows = (await everything(target, query, parts, query.sort))[skip:]
    if query.count is None or len(rows) <= query.count:
        return Found(rows)
    return Found(rows[: query.count], Position("offset", skip + query.count))


async def _from_all(target: Target, query: Query, parts: Split) -> list[Row]:
    """Read everything that matches, in order, and start where the page does."""
    position = query.position
    if position is None or position.kind != "after":
        return _behind(query, await everything(target, query, parts, query.order))
    where = narrowed(target, query.where, query.order[0], position.value[0])
    parts = split(target, where, query.order)
    return _behind(query, await everything(target, query, parts, query.order))


async def _resumed(target: Target, query: Query, parts: Split, sort: tuple[Order, ...]) -> Found:
    """A page from where the driver itself goes on.

    Rows are filtered in batches. Where a batch has more of them than are wanted, and the driver
    cannot go on behind any row, its first part is read again: what that gives is what counts, so
    that no row is lost or told twice when others write meanwhile.
    """
    assert query.count is not None
    if query.position and query.position.kind == "offset":
        skip = int(query.position.value)
        first = replace(query, position=None, count=skip + query.count)
        found = await _resumed(target, first, parts, sort)
        return Found(found.rows[skip:], found.next)
    can = target.can
    match = _filter(target, parts)
    inside = match if can.filters else None
    outside = None if can.filters else match
    look = can.behind and can.exact and not query.ends
    rows: list[Row] = []
    resume = query.position.value if query.position else None
    size = 0
    while True:
        left = query.count - len(rows)
        usual = max(BATCH, left + 1) if outside else left + look
        request = _request(
            target, query, parts, sort=sort, match=inside, count=size or usual, resume=resume
        )
        page = await _page(target, query, request)
        passed = [n for n, row in enumerate(page.rows) if outside is None or outside(row)]
        if len(passed) > left and not can.behind and not query.ends:
            size = passed[left - 1] + 1
            continue
        size = 0
        rows += [page.rows[n] for n in passed[:left]]
        if len(passed) > left:
            return Found(rows, None if query.ends else _place(target, request, rows[-1]))
        resume = page.resume
        if resume is None or (query.ends and len(rows) == query.count):
            return Found(rows)
        if len(rows) == query.count:
            break
    if can.exact and not await _more(target, query, parts, match, resume, sort):
        return Found(rows)
    if can.behind:
        return Found(rows, _place(target, request, rows[-1]))
    return Found(rows, Position("resume", resume))


async def _more(
    target: Target,
    query: Query,
    parts: Split,
    match: Match | None,
    resume: Any,
    sort: tuple[Order, ...],
) -> bool:
    """Whether any row follows a resume point."""
    inside = match if target.can.filters else None
    outside = None if target.can.filters else match
    while resume is not None:
        count = BATCH if outside else 1
        request = _request(
            target, query, parts, sort=sort, match=inside, count=count, resume=resume
        )
        page = await _page(target, query, request)
        if any(map(outside, page.rows)) if outside else page.rows:
            return True
        resume = page.resume
    return False


async def _seeking(target: Target, query: Query, parts: Split) -> Found:
    """A page in a total order; one row more than asked for tells whether another page follows."""
    wanted = None if query.count is None else query.count + (not query.ends)
    after = query.position.value if query.position and query.position.kind == "after" else None
    skip = query.position.value if query.position and query.position.kind == "offset" else 0
    if parts.residual != ALL:
        limit = None if wanted is None else wanted + skip
        rows = (await _filtered(target, query, parts, after, limit))[skip:]
    else:
        own = target.can.offset
        limit = None if wanted is None else wanted + (0 if own else skip)
        rows = await _native_page(target, query, parts, after, skip if own else 0, limit)
        rows = rows if own else rows[skip:]
    return _cut(target, query, rows)


async def _native_page(
    target: Target,
    query: Query,
    parts: Split,
    after: tuple[Any, ...] | None,
    offset: int,
    limit: int | None,
    match: Match | None = None,
) -> list[Row]:
    request = _request(
        target, query, parts, sort=query.order, after=after, offset=offset, count=limit, match=match
    )
    rows: list[Row] = []
    while True:
        page = await _page(target, query, request)
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
    if target.can.filters:
        return await _native_page(target, query, parts, after, 0, wanted, match)
    size = max(BATCH, wanted or 0)
    rows: list[Row] = []
    while wanted is None or len(rows) < wanted:
        batch = await _native_page(target, query, parts, after, 0, size)
        rows += filter(match, batch)
        if len(batch) < size:
            break
        after = tuple(batch[-1].get(order.column) for order in query.order)
    return rows


async def pages(
    target: Target, query: Query, size: Callable[[], int] = lambda: PAGE
) -> AsyncIterator[list[Row]]:
    """All matching rows as they are stored, in no certain order, page by page.

    Every row that stays meanwhile comes once, also when rows are changed between the pages. A table
    without a key is read at once.
    """
    query = replace(query, order=total_order(target.table, (), False))
    while True:
        found = await select(target, replace(query, count=size() if query.order else None))
        yield found.rows
        if found.next is None:
            return
        query = replace(query, position=found.next)


async def total(target: Target, query: Query) -> int:
    """How many rows match."""
    if query.alive != ALL:
        query = replace(query, where=both(query.where, query.alive), alive=ALL)
    parts = split(target, query.where)
    if target.can.total and parts.residual == ALL:
        request = Request(
            verb="total",
            table=target.table,
            where=parts.native,
            native=query.native,
            search=query.search,
        )
        return await target.pool.call(target.ops.total(request))
    keys = target.table.keys or None
    rows = 0
    async for page in pages(target, replace(query, columns=keys), lambda: MANY):
        rows += len(page)
    return rows


async def many(
    target: Target,
    keys: Iterable[tuple[Any, ...]],
    columns: tuple[str, ...] | None,
    native: Mapping[str, Any] = NO_OPTIONS,
) -> list[Row]:
    """The stored rows of these keys, each once, in the order of the keys."""
    names = target.table.keys
    wanted = list(dict.fromkeys(keys))
    fetch = None if columns is None else tuple(dict.fromkeys((*columns, *names)))
    rows: list[Row] = []
    if target.can.many:
        size = min(MANY, target.can.many)
        for start in range(0, len(wanted), size):
            part = [dict(zip(names, key, strict=True)) for key in wanted[start : start + size]]
            request = Request(
                verb="many", table=target.table, keys=part, columns=fetch, native=native
            )
            rows += await target.pool.call(target.ops.many(request))
    else:
        rows = await _one_by_one(target, wanted, fetch, native)
    by_key = {tuple(row.get(name) for name in names): row for row in rows}
    return [by_key[key] for key in wanted if key in by_key]


async def _one_by_one(
    target: Target,
    keys: Sequence[tuple[Any, ...]],
    columns: tuple[str, ...] | None,
    native: Mapping[str, Any],
) -> list[Row]:
    limit = asyncio.Semaphore(PARALLEL)

    async def read(key: tuple[Any, ...]) -> Row | None:
        async with limit:
            values = dict(zip(target.table.keys, key, strict=True))
            request = Request(
                verb="get", table=target.table, key=values, columns=columns, native=native
            )
            return await target.pool.call(target.ops.get(request))

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(read(key)) for key in keys]
    return [row for task in tasks if (row := task.result()) is not None]
