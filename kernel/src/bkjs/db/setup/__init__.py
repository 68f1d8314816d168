"""The database service of an application: its hooks. What they use is imported when called."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bkjs.core.plugin import hookimpl

if TYPE_CHECKING:
    from bkjs.app import App
    from bkjs.config import Param


@hookimpl
def args() -> Sequence[Param]:
    from .parameters import PARAMS

    return PARAMS


@hookimpl
def tables() -> Mapping[str, Any]:
    from .open import TABLES

    return TABLES


@hookimpl
async def configure(app: App) -> AsyncIterator[None]:
    from bkjs.db.database import Database

    from .open import describe, open_pools, prepare_tables, refresh_columns
    from .stored import DbConfig

    db = app.db = Database(token_key=app.keys.get("tokens"))
    describe(app, db)
    watchers = []
    try:
        if not app.config.core.no_db:
            pools = await open_pools(app, db)
            await prepare_tables(app, db, pools)
            refresh = refresh_columns(app, db)
            watchers.append(asyncio.create_task(refresh, name="database columns"))
            if app.config.db.config:
                stored = DbConfig(app)
                await stored.load()
                await open_pools(app, db)
                watchers.append(asyncio.create_task(stored.run(), name="database configuration"))
        yield
    finally:
        for watcher in watchers:
            watcher.cancel()
        if watchers:
            await asyncio.wait(watchers)
        await db.close()


@hookimpl
def status(app: App) -> Mapping[str, Any]:
    return {pool.name: pool.stats() for pool in app.db.pools.opened()}
