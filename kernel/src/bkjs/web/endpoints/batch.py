"""Several verbs in one request: each as if it had come alone, or all of them in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, Field, create_model

from bkjs.core.asgi import Header
from bkjs.db.verbs import Verbs
from bkjs.errors import MOST_ERRORS, BadRequest, BkError, Unsupported
from bkjs.lib.json import wire_json
from bkjs.lib.text import near
from bkjs.web.endpoint import Endpoint
from bkjs.web.input.params import Params
from bkjs.web.output.replies import failure
from bkjs.web.part import PARTS, Part
from bkjs.web.request import Request
from bkjs.web.response import NO_STORE, Response, Sendable

LIST = "items"
"""The parameter that a body which is a list becomes."""
ROOM = 8 * 2**20
"""Bytes of outcomes, after which no further item is done: a short item may have a long answer."""


class Item(Params, extra="forbid"):
    """One item: `path`, or `op` and `table` where only one path has them, and its parameters."""

    path: str = ""
    op: str = ""
    table: str = ""
    data: dict[str, Any] = Field(default_factory=dict)
    if_match: str = Field("", max_length=4096)


def items_model(most: int) -> type[BaseModel]:
    """The parameters of a batch of at most so many items."""
    kind = Annotated[list[Item], Field(max_length=most)]
    return create_model("Batch", __base__=Params, **{LIST: (kind, ...)})  # type: ignore[call-overload, no-any-return]


def handler(path: str, endpoints: Sequence[Endpoint], *, atomic: bool) -> Callable[..., Any]:
    """The function of an endpoint that runs items, each of which one of these endpoints answers."""
    paths = {endpoint.path: endpoint for endpoint in endpoints}
    verbs: dict[tuple[str, str], list[str]] = {}
    for endpoint in endpoints:
        verb = endpoint.path.rpartition("/")[2]
        verbs.setdefault((verb, endpoint.tables[0]), []).append(endpoint.path)

    def find(item: Item) -> str:
        """The path of an item; raises ValueError that says what is wrong with it."""
        if item.path:
            if item.path not in paths:
                raise ValueError(
                    f"no {item.path[:64]!r} in this batch{near(item.path[:64], paths)}"
                )
            return item.path
        found = verbs.get((item.op, item.table), [])
        if len(found) != 1:
            known = ", ".join(found or paths)
            raise ValueError(f"needs a path, one of {known}")
        return found[0]

    def parts_of(req: Request, items: Sequence[Item]) -> list[Part]:
        parts, wrong = [], []
        for number, item in enumerate(items):
            try:
                parts.append(Part(req, find(item), item.data, item.if_match))
            except ValueError as error:
                wrong.append((f"{LIST}.{number}", str(error)))
        if wrong:
            errors = [{"field": f, "message": m, "code": "value_error"} for f, m in wrong]
            field, message = wrong[0]
            raise BadRequest(f"{field}: {message}", field=field, errors=errors[:MOST_ERRORS])
        return parts

    async def each(req: Request, parts: Sequence[Part]) -> list[bytes]:
        done: list[bytes] = []
        size = 0
        for part in parts:
            done.append(failure(part, _full()).body if size > ROOM else await _outcome(req, part))
            size += len(done[-1])
        return done

    async def all_or_none(req: Request, parts: Sequence[Part]) -> list[bytes]:
        served = req.app[PARTS]
        pool = _pool(req, path, endpoints)
        for number, part in enumerate(parts):
            await _numbered(number, served.admit(part))

        async def work(tx: Verbs) -> list[bytes]:
            done: list[bytes] = []
            size = 0
            for number, part in enumerate(parts):
                if size > ROOM:
                    raise _full(item=number)
                part.db, part.response_headers = tx, []
                done.append(_success(part, await _numbered(number, served.call(part))))
                size += len(done[-1])
            return done

        return await req.app.db.transact(work, pool=pool)

    async def run(req: Request, given: BaseModel) -> Response:
        parts = parts_of(req, getattr(given, LIST))
        try:
            done = await (all_or_none if atomic else each)(req, parts)
        finally:
            for part in parts:
                await req.app[PARTS].end(part)
        for part in parts:
            req.response_headers += (h for h in part.response_headers if h[0] != b"etag")
        return Response(b"[%b]" % b",".join(done), headers=NO_STORE)

    run.__name__ = run.__qualname__ = "batch"
    return run


def _pool(req: Request, path: str, endpoints: Sequence[Endpoint]) -> str:
    """The pool of all tables; raises Unsupported when they lie in several."""
    db = req.app.db
    pools = {name: db.target(name).pool.name for e in endpoints for name in e.tables}
    if len(set(pools.values())) > 1:
        where = ", ".join(f"{table} in {pool}" for table, pool in pools.items())
        raise Unsupported(f"{path}: there is no transaction over several databases ({where})")
    return next(iter(pools.values()))


def _full(**extra: Any) -> BadRequest:
    """The error for an item that is not done, since there is no room for its outcome."""
    text = "The answers of the items before are too large; send this one in another batch"
    return BadRequest(text, status=413, **extra)


async def _numbered(number: int, work: Any) -> Any:
    """What an item gives; its errors say which one it was."""
    try:
        return await work
    except BkError as error:
        error.extra["item"] = number
        raise


async def _outcome(req: Request, part: Part) -> bytes:
    served = req.app[PARTS]
    try:
        await served.admit(part)
        return _success(part, await served.call(part))
    except Exception as error:
        return failure(part, error).body


def _success(part: Part, reply: Response | Sendable) -> bytes:
    if not isinstance(reply, Response):
        raise TypeError(f"{part.path}: what answers by itself is no part of another answer")
    more: Mapping[str, Any] = {"status": reply.status} | _tag(part.response_headers)
    return b'%b,"data":%b}' % (wire_json(more)[:-1], reply.body or b"null")


def _tag(headers: Sequence[Header]) -> dict[str, str]:
    tags = [value for name, value in headers if name == b"etag"]
    return {"etag": tags[-1].decode()} if tags else {}
