"""The parameters of the database layer; all begin with `db-`."""

from __future__ import annotations

from bkjs.config import Param

_X = "([a-z]+[0-9]*)-pool"
"""A pool's key: the driver's name and an optional number."""

_TABLE = "([a-z0-9_]+)"


def _pool(name: str, attr: str, type: str, descr: str, **more: object) -> Param:
    """A setting of one pool, in `pools[X]`."""
    return Param(
        f"{_X}{name}",
        type=type,
        obj="pools.$1",
        attr=attr,
        live=False,
        descr=descr,
        **more,  # type: ignore[arg-type]
    )


PARAMS = (
    Param("pool", default="sqlite", dns=True, live=False, descr="The default pool"),
    Param("name", default="backend", live=False,
          descr="Database name where a pool's URL names none"),
    Param("create-tables", type="bool", default=False, live=False,
          descr="Create missing tables and columns in all pools at the start"),
    Param("describe-tables", type="json", datatype="obj", default={}, live=False,
          descr="Further table definitions: {table: {column: {property: value}}}"),
    Param("local", default="sqlite", live=False, descr="Pool for data of this machine only"),
    Param("config", live=False, descr="Pool that holds further configuration in bk_config"),
    Param("config-interval", type="int", min=0, default=1440,
          descr="Minutes between reads of that configuration, 0 for never again"),
    Param("config-roles", type="list", default=[],
          descr="Roles whose configuration is read, instead of the process's own"),
    Param("cache-tables", type="list", array=True, default=[],
          descr="Tables whose rows are cached when they are read by key"),
    Param("cache-pools", type="list", array=True, default=[],
          descr="Only writes in these pools drop cached rows; all without any"),
    Param(f"cache-keys-{_TABLE}-(.+)", type="list", obj="cacheKeys.$1", make="$2", nocamel=True,
          descr="Columns that make a named cache key of a table"),
    Param("cache-ttl", type="int", min=0, obj="cache-ttl", attr="default", default=0,
          descr="Milliseconds that rows are cached, 0 for what the cache does by itself"),
    Param("cache-ttl-(.+)", type="int", min=0, obj="cache-ttl", make="$1", nocamel=True,
          descr="The same for one table"),
    Param("cache-name-(.+)", obj="cache-name", make="$1", nocamel=True,
          descr="Cache client for a table, or for pool.table"),
    Param("cache2-(.+)", type="int", min=50, obj="cache2", make="$1", nocamel=True,
          descr="Milliseconds that rows of a table are also cached in the process"),
    Param("jscache2-max", type="int", min=1, default=1000,
          descr="Rows that a process keeps in that cache"),
    Param("jscache2-(?!max$)(.+)", type="int", min=50, obj="jscache2", make="$1", nocamel=True,
          descr="The same as objects instead of JSON"),
    Param(f"{_X}-cache2-(.+)", type="int", min=50, obj="cache2", make="$1-$2", nocamel=True,
          descr="The same for a table of one pool"),
    Param(f"{_X}-jscache2-(.+)", type="int", min=50, obj="jscache2", make="$1-$2",
          nocamel=True, descr="The same as objects, for a table of one pool"),
    Param(f"allow-column-{_TABLE}-(.+)", obj="allowColumn.$1", make="$2", nocamel=True, live=False,
          descr="Type of columns of a table that match a pattern without being described"),
    Param("cache-columns-interval", type="int", min=0, default=1440,
          descr="Minutes between reads of the real columns, 0 for never again"),
    _pool("", "url", "", "A database: URL, host, path or name", novalue="default"),
    _pool("-disabled", "disabled", "bool", "Keep the settings but do not open it"),
    _pool("-max", "max", "int", "Most open connections", min=1),
    _pool("-min", "min", "int", "Connections that are kept open", min=0),
    _pool("-idle", "idle", "int", "Milliseconds until an idle connection is closed", min=1000),
    _pool("-timeout", "timeout", "int", "Milliseconds to wait for a connection", min=1),
    _pool("-max-queue", "maxQueue", "int", "Most requests that wait for a connection", min=0),
    _pool("-tables", "tables", "list", "Tables that live in this pool", array=True),
    _pool("-connect", "connect", "json", "Options of the client", datatype="obj"),
    _pool("-cache-columns", "cacheColumns", "bool", "Read the real columns at the start"),
    _pool("-create-tables", "createTables", "bool", "Create tables of this pool at the start"),
    Param(f"{_X}-options-(.+)", obj="pools.$1.options", make="$2", nocamel=True, autotype=True,
          live=False, descr="An option of the driver"),
)  # fmt: skip
