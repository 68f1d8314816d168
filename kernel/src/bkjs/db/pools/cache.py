"""What a cache of rows has to do, and the names under which records are cached."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from bkjs.db.contract import Request, Row, Table, Written
from bkjs.lib.wire import to_text

from .pools import Target

Load = Callable[[Mapping[str, Any]], Awaitable[Row | None]]
"""Reads a row from the database, with the options of `get`."""


class RowCache(Protocol):
    """What may be set as `Database.cache`. A failure of the cache has to count as a miss."""

    async def get(
        self, target: Target, key: Row, options: Mapping[str, Any], load: Load
    ) -> Row | None:
        """The row with this key, cached or loaded."""

    async def written(self, verb: str, target: Target, request: Request, written: Written) -> None:
        """A row was written (add, put, update, incr, del): forget what is cached of it."""


NamedKeys = Mapping[str, Sequence[str]]
"""`{name: columns}` as `db-cache-keys-TABLE-NAME` declares them."""


def get_cache_key(
    table: Table, obj: Mapping[str, Any], *, cache_key: str | None = None
) -> str | None:
    """The key of a record, `TABLE|key1|key2`, of the key columns that are given; None for none."""
    if cache_key:
        return cache_key
    given = [obj.get(name) for name in table.keys]
    values = [value for value in given if value is not None and value != ""]
    if not values:
        return None
    return "|".join([table.name, *map(to_text, values)])


def get_cache_keys(table: str, name: str, obj: Mapping[str, Any], named: NamedKeys) -> str | None:
    """The key `TABLE:NAME:v1:v2` of a select; None when a column is missing or none is declared."""
    values = [obj.get(column) for column in named.get(name, ())]
    if not values or any(value is None or value == "" for value in values):
        return None
    return ":".join([table, name, *map(to_text, values)])
