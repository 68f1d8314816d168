"""The database service of an application: its hooks. What they use is imported when called."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from bkjs.config import Param
from bkjs.core.kernel import Kernel
from bkjs.core.plugin import hookimpl
from bkjs.db import DATABASE


@hookimpl
def args() -> Sequence[Param]:
    """Parameters of the database."""
    from .parameters import PARAMS

    return PARAMS


@hookimpl
def tables() -> Mapping[str, Any]:
    """Tables of the platform itself."""
    from .open import TABLES

    return TABLES


@hookimpl
async def configure(app: Kernel) -> AsyncIterator[None]:
    """Open the pools and read the configuration in the database; close them at the end."""
    from bkjs.db.database import Database

    from .open import TRIAL_MODES, describe, open_pools, prepare_tables, refresh_columns
    from .stored import DbConfig

    strict = app.config.core.run_mode in TRIAL_MODES
    lenient = not {"values", "2018"}.isdisjoint(app.config.api.compat or ())
    hints = app.role == "shell"  # who types commands may read all there is
    db = app[DATABASE] = Database(
        token_key=app.keys.get("tokens"), strict=strict, hints=hints, lenient=lenient
    )
    describe(app, db)
    watchers = []
    try:
        if not app.config.core.no_db:
            pools = await open_pools(app, db)
            await prepare_tables(app, db, pools)
            refresh = refresh_columns(app, db)
            watchers.append(asyncio.create_task(refresh, name="database columns"))
            if app.config.db.config:
                stored = DbConfig(app, db)
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
def status(app: Kernel) -> Mapping[str, Any]:
    """Numbers of each pool."""
    return {pool.name: pool.stats() for pool in app[DATABASE].pools.opened()}
