"""Many writes at once: item by item, or in as few calls of the database as possible.

What was begun is done to its end when the caller is cancelled, so that what was reported until then
is what is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from bkjs.db.contract import NEVER, Group, Request, Transaction, Written
from bkjs.db.pools.pools import Target
from bkjs.db.request import emulate
from bkjs.db.request.guards import guarded
from bkjs.db.request.options import check
from bkjs.db.request.pace import pace
from bkjs.db.request.plain import Write
from bkjs.db.request.plan import expressible
from bkjs.db.request.prepare import Options
from bkjs.db.request.read import PARALLEL
from bkjs.db.request.write import prepare_write, run
from bkjs.db.verbs import Verbs
from bkjs.errors import BadRequest, BkError, Conflict
from bkjs.readonly import READ_ONLY, refuse_write

Item = Mapping[str, Any]
Outcome = tuple[BkError | None, Item]
Transact = Callable[[Callable[[Verbs], Awaitable[None]], str], Awaitable[None]]
"""Runs work in a transaction of a pool."""

OPS = frozenset({"add", "put", "update", "incr", "del"})
PLAIN: Final = ("add", "put", "update")
"""Those of which some have a plan."""
PIECE: Final = 500
"""Records of one native call: a cancelled caller waits for so many at most."""


async def batch(db: Verbs, items: Sequence[Item], options: Options) -> list[Outcome]:
    """Run items grouped by table: tables in parallel, `concurrency` (1) items of each at a time.

    With `no_errors` the first error of a table stops that table and is raised.
    """
    check("batch", options)
    limit = int(options.get("concurrency") or 1)
    tables: dict[str, list[int]] = {}
    for number, item in enumerate(items):
        tables.setdefault(str(item.get("table") or "").lower(), []).append(number)
    outcomes: dict[int, Outcome] = {}
    done = options.get("done")
    speed = pace({}, options, 1)

    async def run_one(number: int) -> None:
        outcomes[number] = (await run_item(db, items[number], options), items[number])
        if done is not None:
            done.append(outcomes[number])

    async def run_table(numbers: list[int]) -> BkError | None:
        for start in range(0, len(numbers), limit):
            part = numbers[start : start + limit]
            if speed:
                await speed.take(len(part))
            await asyncio.gather(*(to_the_end(run_one, number) for number in part))
            if options.get("no_errors"):
                for number in part:
                    if error := outcomes[number][0]:
                        return error
        return None

    failures = await asyncio.gather(*(run_table(numbers) for numbers in tables.values()))
    for failure in failures:
        if failure is not None:
            raise failure
    return [outcomes[number] for number in sorted(outcomes)]


async def to_the_end(work: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
    """Call work that is not cancelled with its caller, who is told of that when it is done.

    A caller that is cancelled before this begins has begun nothing.
    """
    task = asyncio.ensure_future(work(*args))
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return task.result()
    if not task.cancelled():
        task.exception()  # it is of no consequence any more
    raise cancelled


async def run_item(db: Verbs, item: Item, options: Options) -> BkError | None:
    """Run one item; its error, None when it succeeded."""
    try:
        op = _op(item)
        await db.write(op, str(item.get("table") or ""), item.get("obj"), _options(item, options))
    except BkError as err:
        return err
    return None


def _op(item: Item) -> str:
    op = str(item.get("op") or "")
    if op not in OPS:
        raise BadRequest(f"invalid op {op[:32]!r}")
    return op


def _options(item: Item, options: Options) -> Options:
    pool = {"pool": options["pool"]} if options.get("pool") else {}
    return {**pool, **(item.get("options") or {})}


async def bulk(db: Verbs, items: Sequence[Item], options: Options) -> list[Outcome]:
    """Run items in their order, neighbours of one pool in native calls where it has them."""
    if READ_ONLY.get():
        refuse_write()
    check("bulk", options)
    given = options.get("done")
    outcomes: list[Outcome] = [] if given is None else given
    waiting: list[tuple[Write | None, Any, Item]] = []
    target: Target | None = None

    async def flush() -> None:
        if target is None:
            return
        errors = await _together(target, [(plan, what) for plan, what, _ in waiting])
        for error, (plan, what, item) in zip(errors, waiting, strict=True):
            outcomes.append((error, item))
            if error is None and db.cache is not None and plan is None:
                await db.cache.written(_op(item), target, what, Written(affected=1))
        waiting.clear()

    async def run_one(item: Item) -> None:
        outcomes.append((await run_item(db, item, options), item))

    for item in items:
        error: BkError | None = None
        plan, what = _planned(db, item, options)
        try:
            here, what = (plan.target, what) if plan else _native_request(db, item, options)
        except BkError as err:
            here, what, error = None, None, err
        full = len(waiting) >= PIECE
        if waiting and (full or here is None or (target and here.ops is not target.ops)):
            await to_the_end(flush)
        if what is not None and here is not None:
            target = here
            waiting.append((plan, what, item))
        elif error is not None:
            outcomes.append((error, item))
        else:
            await to_the_end(run_one, item)
    if waiting:
        await to_the_end(flush)
    return outcomes


async def together(
    db: Verbs, items: Sequence[Item], options: Options, transact: Transact
) -> list[Outcome]:
    """Run items of one database so that all of them take effect or none.

    In a transaction, or in one call where a driver has that instead. The error of the first item
    that fails is raised, with its number as `item`. Raises Unsupported where neither can be.
    """
    if READ_ONLY.get():
        refuse_write()
    check("bulk", options)
    targets = [db.target(str(item.get("table") or ""), _options(item, options)) for item in items]
    if not targets:
        return []
    target = targets[0]
    if any(other.pool is not target.pool for other in targets):
        raise target.unsupported("writes together with those of another database")
    if target.can.transactions:

        async def work(tx: Verbs) -> None:
            for number, item in enumerate(items):
                try:
                    await _write(tx, item, options)
                except BkError as err:
                    raise _numbered(err, number)  # noqa: B904 - it is the same error

        await transact(work, target.pool.name)
        return [(None, item) for item in items]
    requests = [_prepared(db, item, options, number) for number, item in enumerate(items)]
    if len(requests) > target.can.atomic:
        raise target.unsupported(f"{len(requests)} writes that take effect together")
    await target.pool.call(target.ops.atomic(requests))
    if db.cache is not None:
        for item, request in zip(items, requests, strict=True):
            await db.cache.written(_op(item), target, request, Written(affected=1))
    return [(None, item) for item in items]


async def _write(db: Verbs, item: Item, options: Options) -> None:
    table, mine = str(item.get("table") or ""), _options(item, options)
    written = await db.write(_op(item), table, item.get("obj"), mine)
    if mine.get("expected") is not None and not written.affected:
        raise Conflict(f"{table} is not as expected")


def _numbered(err: BkError, number: int) -> BkError:
    err.extra = {**err.extra, "item": number}
    return err


def _prepared(db: Verbs, item: Item, options: Options, number: int) -> Request:
    """The request of an item that takes effect with others; raises Unsupported when the driver
    cannot do it as it is."""
    op, mine = _op(item), _options(item, options)
    try:
        target = db.target(str(item.get("table") or ""), mine)
        request, _ = prepare_write(db, op, target, item.get("obj"), mine)
        if request is None:
            raise BadRequest(f"{op}: nothing to write")
        special = bool(target.table.ttl or guarded(target) or request.returning)
        expected = request.expected
        if expected == NEVER:
            raise Conflict(f"{target.table.name} is not as expected")
        if isinstance(expected, Group):
            special = special or not target.can.conditional or not expressible(target, expected)
        elif expected is not None:
            special = special or not emulate.checks(target)
        if special or op == "incr" or not _native(target, request):
            raise target.unsupported(f"{op} of {target.table.name} together with other writes")
    except BkError as err:
        raise _numbered(err, number)  # noqa: B904 - it is the same error
    if not request.changes:
        return request
    return replace(request, changes=emulate.encoded(target, request.changes))


def _planned(db: Verbs, item: Item, options: Options) -> tuple[Write | None, Any]:
    """The plan and the values of a plain write that the driver takes together with others."""
    op = item.get("op")
    if op not in PLAIN or item.get("options") or options.get("pool"):
        return None, None
    obj: Any = item.get("obj")
    plan = db.plans.write_plan(op, str(item.get("table") or ""), obj)
    values = plan.values(obj, db.now) if plan is not None and plan.bulk else None
    return (None, None) if values is None else (plan, values)


async def _together(
    target: Target, writes: Sequence[tuple[Write | None, Any]]
) -> list[BkError | None]:
    """The outcome of each write: values of a plan, or a request without one."""
    first = writes[0][0]
    if first and first.many and all(plan is first for plan, _ in writes):
        return await _in_pieces(target, first.many, [values for _, values in writes])
    requests = [what if plan is None else plan.request(what) for plan, what in writes]
    return await _in_pieces(target, target.ops.bulk, requests)


async def _in_pieces(
    target: Target,
    call: Callable[[Sequence[Any]], Awaitable[list[BkError | None]]],
    writes: Sequence[Any],
) -> list[BkError | None]:
    """The outcome of each write; one that could not even be tried has the error of its call."""
    pool, size = target.pool, target.can.bulk
    errors: list[BkError | None] = []
    for start in range(0, len(writes), size):
        part = writes[start : start + size]
        try:
            found = await pool.call(call(part))
        except BkError as err:
            errors += [err] * len(part)
        else:
            errors += [error and pool.failure(error) for error in found]
    return errors


def _native_request(
    db: Verbs, item: Item, options: Options
) -> tuple[Target | None, Request | None]:
    """The request of an item that the driver can take as it is, None for all others."""
    op, mine = _op(item), _options(item, options)
    target = db.target(str(item.get("table") or ""), mine)
    can = target.can
    if not can.bulk or mine.keys() - {"pool", "quiet"} or op == "incr":
        return None, None
    request, _ = prepare_write(db, op, target, item.get("obj"), mine)
    if request is None or not _takes(target, request):
        return None, None
    if request.changes:
        changes = emulate.encoded(target, request.changes)
        request = Request(verb="update", table=request.table, key=request.key, changes=changes)
    return target, request


def _takes(target: Target, request: Request) -> bool:
    """Whether `bulk` of the driver does this as it is."""
    table = target.table
    if guarded(target) or (table.ttl and (request.verb != "put" or table.uniques)):
        return False
    return request.verb in target.can.bulk_verbs and _native(target, request)


def _native(target: Target, request: Request) -> bool:
    """Whether the driver makes this write in one step."""
    can, verb = target.can, request.verb
    if verb == "update":
        return can.update and all(c.op == "set" or c.op in can.changes for c in request.changes)
    return verb != "add" or can.add


async def write_all(
    target: Target,
    writes: Sequence[tuple[Write | None, Any]],
    clock: Callable[[], float],
) -> list[BkError | None]:
    """Run adds and puts of one table in as few calls as possible, values of a plan or a request
    without one; the error of each."""
    if READ_ONLY.get():
        refuse_write()
    inside = isinstance(target.ops, Transaction)
    if target.can.bulk and not inside and all(plan or _takes(target, w) for plan, w in writes):
        return await _together(target, writes)
    limit = asyncio.Semaphore(PARALLEL)

    async def write(plan: Write | None, what: Any) -> BkError | None:
        request = what if plan is None else plan.request(what)
        async with limit:
            try:
                await run(request.verb, target, request, clock)
            except BkError as err:
                return err
            return None

    return list(await asyncio.gather(*(write(*one) for one in writes)))
