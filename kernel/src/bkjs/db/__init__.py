"""Databases: one table-oriented API over many engines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bkjs.core.hookspecs import hookimpl

if TYPE_CHECKING:
    from bkjs.core.app import App
    from bkjs.core.config import Param


@hookimpl
def args() -> Sequence[Param]:
    from .params import PARAMS

    return PARAMS


@hookimpl
def tables() -> Mapping[str, Any]:
    from .service import TABLES

    return TABLES


@hookimpl
async def configure(app: App) -> AsyncIterator[None]:
    from . import dbconfig, service
    from .database import Database

    db = app.db = Database(token_key=app.keys.get("tokens"))
    service.describe(app, db)
    watchers = []
    try:
        if not app.config.core.no_db:
            pools = await service.open_pools(app, db)
            await service.prepare_tables(app, db, pools)
            refresh = service.refresh_columns(app, db)
            watchers.append(asyncio.create_task(refresh, name="database columns"))
            if app.config.db.config:
                stored = dbconfig.DbConfig(app)
                await stored.load()
                await service.open_pools(app, db)
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
