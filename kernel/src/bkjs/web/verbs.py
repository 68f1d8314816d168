"""Endpoints that do one verb of the database to one table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pydantic import BaseModel

from bkjs.core.errors import NotFound
from bkjs.web.listing import select_page
from bkjs.web.request import Request

Values = Mapping[str, Any]
Verb = Callable[[Request, str, Values], Awaitable[Any]]


async def _get(req: Request, table: str, key: Values) -> Any:
    row = await req.app.db.get(table, key)
    if row is None:
        raise NotFound(f"no such {table}")
    return row


READS: Mapping[str, Verb] = {"get": _get, "select": select_page}
WRITES: Mapping[str, Verb] = {
    "add": lambda req, table, row: req.app.db.add(table, row, info_obj=True),
    "put": lambda req, table, row: req.app.db.put(table, row, info_obj=True),
    "update": lambda req, table, row: req.app.db.update(table, row),
    "incr": lambda req, table, row: req.app.db.incr(table, row),
    "del": lambda req, table, key: req.app.db.del_(table, key),
}


def handler(path: str, table: str, params: type[BaseModel] | None) -> tuple[Any, bool]:
    """The function of an endpoint that does the verb its path ends in, and whether it writes.

    Raises ValueError for an unknown verb, and for one that writes without a model of what it takes:
    a client may only set what an endpoint names.
    """
    verb = path.rpartition("/")[2]
    do = READS.get(verb) or WRITES.get(verb)
    if do is None:
        raise ValueError(f"{path}: no verb {verb!r}; one of {', '.join((*READS, *WRITES))}")
    if verb in WRITES and params is None:
        raise ValueError(f"{path}: needs params that name what a client may set")

    async def with_params(req: Request, given: BaseModel) -> Any:
        # a model that is changed in part has defaults for what stays
        wanted = given.model_fields_set if verb in ("update", "incr") else None
        return await do(req, table, {k: v for k, v in given if wanted is None or k in wanted})

    async def with_query(req: Request) -> Any:
        return await do(req, table, req.query)

    fn = with_params if params else with_query
    fn.__name__ = fn.__qualname__ = f"{table}_{verb}"
    return fn, verb in WRITES
