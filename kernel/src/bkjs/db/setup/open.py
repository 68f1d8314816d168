"""The database of an application: opened from its configuration, closed with it."""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any

from bkjs.config.param import snake
from bkjs.core.kernel import Kernel
from bkjs.core.plugin import Blame, Plugin
from bkjs.db.contract import DbDriver, Table
from bkjs.db.database import Database
from bkjs.db.pools.memory import MemoryDriver
from bkjs.db.pools.none import NoneDriver
from bkjs.db.pools.pools import Pool
from bkjs.db.tables.drift import differences, orphans
from bkjs.errors import BkError, ConfigurationError, PluginError, StartError
from bkjs.lib.patterns import compile_regexp
from bkjs.lib.text import near

log = logging.getLogger(__name__)

OWN: Mapping[str, type[DbDriver]] = {"memory": MemoryDriver, "none": NoneDriver}
"""Drivers of the kernel itself."""

TRIAL_MODES = ("development", "test")
"""Run modes in which the program may not name columns that are not described."""
JITTER = 32.768
"""Seconds by which processes read columns at different times."""

SETTINGS = ("max", "min", "idle", "timeout", "connect", "maxQueue")
"""Settings of a pool that its driver gets."""
OPTIONS = (*map(snake, SETTINGS), "database", "dir", "emulate")
"""Options that every pool has."""

TABLES: dict[str, dict[str, dict[str, Any]]] = {
    "bk_config": {
        "name": {"primary": 1},
        "type": {"primary": 2},
        "value": {},
        "status": {"value": "ok"},
        "ttl": {"type": "int"},
        "mtime": {"type": "now"},
    },
    "bk_property": {
        "name": {"primary": 1},
        "value": {},
        "ttl": {"type": "int"},
        "mtime": {"type": "now"},
    },
}
"""Configuration of other processes, and properties of this machine."""


def describe(app: Kernel, db: Database) -> None:
    """Merge the tables of all plugins, and those of the configuration.

    To create tables those of installed modules that this process does not load count, too.
    """
    described = app.hooks.collect("tables")
    if app.config.db.create_tables:
        described += app.plugins.unselected_tables(app.config.core.deny_modules.get(""))
    owners: dict[str, Plugin] = {}
    for plugin, tables in described:
        try:
            with Blame(plugin, "tables"):
                _check_owner(plugin, tables, owners)
                db.describe_tables(tables)
        except PluginError as error:
            app.plugins.take_out(plugin, error)
    try:
        db.describe_tables(app.config.db.describe_tables or {})
    except BkError as error:
        raise StartError(f"db-describe-tables: {error.message}") from error

    for name, table in db.schema.tables.items() if app.role != "shell" else ():
        if not table.keys:
            log.warning("table %s has no primary key: its rows are added and selected only", name)
        if " " in name:
            log.warning("table %r: a blank in its name is hardly meant", name)


def _check_owner(plugin: Plugin, tables: Mapping[str, Any], owners: dict[str, Plugin]) -> None:
    """Raises ValueError when another plugin has a table of that name, with a key of its own.

    Without a key a plugin adds columns to what another one has.
    """
    for name, columns in tables.items():
        described = columns.values() if isinstance(columns, Mapping) else ()
        if any(isinstance(props, Mapping) and props.get("primary") for props in described):
            other = owners.setdefault(str(name).lower(), plugin)
            if other is not plugin:
                raise ValueError(
                    f"table {name} is one of {other}, too: rename it, or leave its primary key out"
                    " to add columns to that one"
                )


def wanted(app: Kernel) -> Iterator[tuple[str, dict[str, Any]]]:
    """The pools to open: the default one and all that are configured."""
    settings = app.config.db
    pools = dict(_configured(app))
    pools.setdefault(settings.pool, {})
    if settings.config and re.fullmatch("[a-z]+[0-9]*", settings.config):
        given = settings.config != "default"
        pools.setdefault(settings.config if given else settings.pool, {})
    implied = (settings.pool, settings.config)  # opened although nobody gave a URL
    for name, pool in pools.items():
        if name != "none" and not pool.get("disabled") and (pool.get("url") or name in implied):
            yield name, pool


def _configured(app: Kernel) -> dict[str, dict[str, Any]]:
    """The settings of pools by name."""
    return getattr(app.config.db, "pools", None) or {}


async def open_pools(app: Kernel, db: Database) -> list[Pool]:
    """Open every pool that is wanted and not open yet.

    A pool that cannot be opened stops the start: its requests would go to another database.
    """
    opened = []
    for name, settings in wanted(app):
        if db.exists_pool(name):
            continue
        driver = make_driver(app, name, settings)
        try:
            await driver.open()
        except Exception as exc:
            err = driver.error(exc)
            await driver.close()
            raise StartError(f"database pool {name}: {err.message}") from exc
        pool = db.add_pool(
            name,
            driver,
            tables=settings.get("tables") or (),
            default=name == app.config.db.pool,
        )
        pool.allow = allowed(app)
        opened.append(pool)
        log.debug("opened database pool %s", name)
    return opened


def make_driver(app: Kernel, name: str, settings: Mapping[str, Any]) -> DbDriver:
    """The driver of a pool with its options, not open yet."""
    scheme = name.rstrip("0123456789")
    options: dict[str, Any] = {
        option.replace("-", "_"): value for option, value in (settings.get("options") or {}).items()
    }
    given = {snake(name): settings[name] for name in SETTINGS if settings.get(name) is not None}
    folders = {"dir": app.config.core.path["spool"], "database": app.config.db.name}
    url = str(settings.get("url") or "default")
    if url[0] in "\"'":
        raise StartError(f"database pool {name}: the URL is in quotes, which belong to the shell")
    arguments = (name, url, {**folders, **given, **options})
    if scheme in OWN:
        check_options(name, OWN[scheme], options)
        return OWN[scheme](*arguments)
    kind = app.plugins.driver("db", scheme)
    if not (isinstance(kind, type) and issubclass(kind, DbDriver)):
        raise StartError(f"db driver {scheme!r}: driver() must return a subclass of DbDriver")
    plugin = app.plugins.plugins["bkjs.db", scheme]
    if hasattr(plugin.obj, "args"):
        app.declare(plugin, plugin.obj.args())
        problems = app.config.resolve()
        if problems:
            raise ConfigurationError(problems)
    with Blame(plugin, "driver", may_deny=True):
        check_options(name, kind, options)
        return kind(*arguments)


def check_options(pool: str, kind: type[DbDriver], options: Iterable[str]) -> None:
    """Raises StartError that names an option which the driver of a pool has not."""
    if kind.accepts is None:
        return
    known = {*OPTIONS, *kind.accepts}
    for option in options:
        if option not in known:
            hint = near(option, known) or f"; it has {', '.join(sorted(known))}"
            raise StartError(f"db-{pool}-pool-options-{option}: the driver has none such{hint}")


def allowed(app: Kernel) -> dict[str, list[tuple[re.Pattern[str], str]]]:
    """Undescribed columns that are accepted, by table."""
    found = getattr(app.config.db, "allow_column", None) or {}
    return {
        table: [(compile_regexp(pattern), str(kind or "")) for pattern, kind in patterns.items()]
        for table, patterns in found.items()
    }


def check_table(pool: Pool, table: Table) -> None:
    """Raise StartError for a table that the database of a pool cannot hold as it is described."""
    pool.driver.check(table)
    kept = pool.can.uniques or pool.can.conditional or pool.can.versions or pool.lossy
    if table.uniques and not kept:
        names = ", ".join(" + ".join(columns) for columns in table.uniques.values())
        raise StartError(
            f"pool {pool.name}: table {table.name}: driver {pool.type!r} cannot keep unique"
            f" columns: {names}; take `unique` out, or the table to another pool"
        )


async def prepare_tables(app: Kernel, db: Database, pools: list[Pool]) -> None:
    """Create what is missing where that is asked for; a server also says what is not as described.

    A forked worker leaves all that to its parent.
    """
    settings, child = app.config.db, app.config.declared.child
    serves = app.role != "shell" and not child
    for pool in pools:
        for table in db.tables_of(pool):
            check_table(pool, table)
        own = _configured(app).get(pool.name, {})
        wanted = own.get("createTables", serves and pool.driver.own_tables)
        if (settings.create_tables or wanted) and not child:
            changed = await db.create_tables(pool=pool.name)
            log.debug("pool %s: %d tables created or changed", pool.name, changed)
        elif own.get("cacheColumns") or (serves and pool.can.columns):
            await db.cache_columns(pool.name)
        if serves and pool.can.columns:
            for text in differences(db.tables_of(pool), pool.real, pool.driver.fits):
                log.warning("pool %s: %s", pool.name, text)
            if left := orphans(db.schema.tables, pool.real):
                log.info(
                    "pool %s: no module that is loaded describes table %s",
                    pool.name,
                    ", ".join(left),
                )


async def refresh_columns(
    app: Kernel, db: Database, *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
) -> None:
    """Read the real columns again from time to time, of pools that ask for it, until cancelled."""
    while True:
        minutes = app.config.db.cache_columns_interval
        await sleep((minutes or 1) * 60 + random.random() * JITTER)
        for pool in db.pools.opened() if minutes else ():
            if _configured(app).get(pool.name, {}).get("cacheColumns"):
                try:
                    await db.cache_columns(pool.name)
                except BkError as err:
                    log.warning("pool %s: columns cannot be read: %s", pool.name, err)
