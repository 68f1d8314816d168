"""migrate: a table made anew with its rows kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from bkjs.db.contract import ALL, Request, Row
from bkjs.db.request import read
from bkjs.db.request.options import check
from bkjs.db.request.prepare import Options
from bkjs.errors import BkError

from .scan import pages

if TYPE_CHECKING:
    from bkjs.db.database import Database


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
    async for rows in pages(origin, ALL, {}):
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
