"""Endpoints that do one verb of the database to one table, or to the rows of each account in it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pydantic import BaseModel

from bkjs.db.contract import Written
from bkjs.errors import Denied, NotFound
from bkjs.lib.given import Given
from bkjs.web.request import Request
from bkjs.web.response import Response

from .conditional import absence, belongs, changed, expectation, tagged
from .listing import select_page

Values = Mapping[str, Any]
Verb = Callable[[Request, str, Given, Values], Awaitable[Any]]
"""Gets the table, what the client gave, and the owner that rows must have, if any."""


async def _get(req: Request, table: str, key: Given, owner: Values) -> Any:
    row = await req.db.get(table, key)
    if row is None or not belongs(row, owner):
        raise NotFound(f"no such {table}")
    return row


async def _get_tagged(req: Request, table: str, key: Given, owner: Values) -> Any:
    row = await tagged(req, table, key, owner)
    return Response(status=304) if row is None else row


def _select(req: Request, table: str, query: Given, owner: Values) -> Awaitable[Any]:
    return select_page(req, table, query, only=owner, owner=next(iter(owner), ""))


async def _add(req: Request, table: str, row: Given, owner: Values) -> Any:
    if b"if-match" in req.raw_headers:  # there is none yet
        raise changed(table)
    return await req.db.add(table, row | owner, info_obj=True)


async def _put(req: Request, table: str, row: Given, owner: Values) -> Any:
    expected = await expectation(req, table, row, owner) or absence(req)
    written = await req.db.put(table, row, info_obj=True, **expected)
    if not written.affected and expected:
        raise changed(table)
    return written


async def _update(req: Request, table: str, row: Given, owner: Values) -> Any:
    expected = await expectation(req, table, row, owner)
    written = await req.db.update(table, row | owner, **expected)
    return await _found(req, table, row, owner, written)


async def _incr(req: Request, table: str, row: Given, owner: Values) -> Any:
    expected = await expectation(req, table, row, owner)
    written = await req.db.incr(table, row | owner, **expected)
    return await _found(req, table, row, owner, written)


async def _del(req: Request, table: str, key: Given, owner: Values) -> Any:
    written = await req.db.del_(table, key, **await expectation(req, table, key, owner))
    if not written.affected:
        if b"if-match" in req.raw_headers:
            raise changed(table)
        if "missing" not in req.settings.compat:
            raise NotFound(f"no such {table}")
    return written


async def _found(req: Request, table: str, row: Given, owner: Values, written: Written) -> Written:
    """The outcome of a write that changes a row; raises NotFound when there is none, and Changed
    when it is not the one that `If-Match` names.

    A row that is there, and of which nothing was to be changed, is no error.
    """
    if not written.affected:
        await expectation(req, table, row, owner)
        if "missing" not in req.settings.compat:
            await _get(req, table, row, owner)
    return written


READS: Mapping[str, Verb] = {"get": _get, "select": _select}
WRITES: Mapping[str, Verb] = {
    "add": _add,
    "put": _put,
    "update": _update,
    "incr": _incr,
    "del": _del,
}

CHANGES = WRITES.keys() - {"add"}
"""Verbs that change rows which are there already."""


def known(rules: object, account: Values) -> bool:
    """Whether this is somebody who may have rows of his own."""
    return bool(account.get("id"))


def handler(
    path: str,
    table: str,
    params: type[BaseModel] | None,
    *,
    owner: str = "",
    shared: bool = False,
    public: bool = False,
    etag: bool = False,
) -> tuple[Any, bool]:
    """The function of an endpoint that does the verb its path ends in, and whether it writes.

    Raises ValueError for an unknown verb; for one that writes without a model of what it takes,
    since a client may only set what an endpoint names; for one that would let every account change
    the rows of all others, unless they are `shared` or it is `public`; for an owner with `put`,
    which would replace the row of another, or without an account; and for an `etag` of another verb
    than `get`.
    """
    verb = path.rpartition("/")[2]
    do = READS.get(verb) or WRITES.get(verb)
    if do is None:
        raise ValueError(f"{path}: no verb {verb!r}; one of {', '.join((*READS, *WRITES))}")
    if verb in WRITES and params is None:
        raise ValueError(f"{path}: needs params that name what a client may set")
    if verb in CHANGES and not (owner or shared or public):
        owned_by = "" if verb == "put" else 'owner="COLUMN" with the id of the account, or '
        raise ValueError(
            f"{path}: every account could change every row of {table}; give {owned_by}shared=True"
            " if the rows belong to all"
        )
    if etag:
        if verb != "get":
            raise ValueError(f"{path}: only get has an ETag; verbs that write know If-Match anyway")
        do = _get_tagged
    if owner and shared:
        raise ValueError(f"{path}: rows have an owner or are shared")
    if owner and public:
        raise ValueError(
            f"{path}: on a public path nobody is known, so nobody owns a row; leave public= or"
            " owner= out"
        )
    if verb == "put" and owner:
        raise ValueError(f"{path}: replaces rows of any owner; use add and update")

    async def run(req: Request, values: Given) -> Any:
        if not owner:
            return await do(req, table, values, {})
        if not known(None, req.account):
            raise Denied("Access denied")
        mine = {owner: req.account["id"]}
        if verb != "select" and owner in req.db.target(table).table.keys:
            values = values | mine  # a part of the key that no client has to name
        return await do(req, table, values, mine)

    async def with_params(req: Request, given: BaseModel) -> Any:
        # a model that is changed in part has defaults for what stays
        wanted = given.model_fields_set if verb in ("update", "incr") else None
        values = Given((k, v) for k, v in given if wanted is None or k in wanted)
        return await run(req, values)

    async def with_query(req: Request) -> Any:
        return await run(req, Given(req.query))

    fn = with_params if params else with_query
    fn.__name__ = fn.__qualname__ = f"{table}_{verb}"
    return fn, verb in WRITES
