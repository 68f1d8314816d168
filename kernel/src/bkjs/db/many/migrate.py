"""migrate: a table made anew with its rows kept."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable

from bkjs.db.contract import Request, Row
from bkjs.db.pools.pools import Target
from bkjs.db.request import guards, read
from bkjs.db.request.options import check
from bkjs.db.request.plan import Query
from bkjs.db.request.prepare import Options
from bkjs.db.request.write import writing
from bkjs.db.verbs import Verbs
from bkjs.errors import BkError


async def migrate(db: Verbs, table: str, options: Options) -> int:
    """Copy the rows away, create the table anew and copy them back; how many.

    The first error stops it; the original is dropped only once all rows are safe in the copy.
    """
    check("migrate", options)
    target = db.target(table, options)
    copy = _copy_of(db.target(table, {"pool": options.get("tmppool") or target.pool.name}))
    delay = int(options.get("delay", 1000)) / 1000
    await _create(copy)
    kept = await _copy(db, target, copy, options.get("preprocess"))
    await asyncio.sleep(delay)
    stored = await read.total(copy, Query())
    if stored != kept:
        name = target.table.name
        raise BkError(f"migrate {name}: {kept} rows copied, {stored} found in {copy.table.name}")
    await _create(target)
    await asyncio.sleep(delay)
    done = await _copy(db, copy, target, options.get("postprocess"))
    if options.get("tmpdrop", True):
        await _drop(copy)
    return done


def _copy_of(target: Target) -> Target:
    """The same table under another name."""
    table = dataclasses.replace(target.table, name=f"{target.table.name}_tmp")
    return target._replace(codec=target.pool.new_codec(table))


async def _drop(target: Target) -> None:
    await guards.drop(target.pool, target.table.name, target.table)


async def _create(target: Target) -> None:
    """Create the table, empty."""
    await _drop(target)
    await guards.create(target.pool, target.table)


async def _copy(
    db: Verbs, origin: Target, target: Target, process: Callable[[Row], object] | None
) -> int:
    """Copy stored rows as they are; a callback may change each and drop it with True."""
    done, put = 0, writing("put", target, db.now)
    async for rows in read.pages(origin, Query()):
        for row in map(origin.codec.decode, rows):
            if process and process(row) is True:
                continue
            request = Request(
                verb="put",
                table=target.table,
                key={k: row[k] for k in target.table.keys},
                values=target.codec.encode(row),
            )
            await put(request)
            done += 1
    return done
