"""Writes that the database cannot do itself, built from conditional ones.

A read, a change and a write that only happens when the row is still the one that was read: tried
again until it is. Where the database has no conditional writes either the request is refused,
unless the pool accepts lost updates (`options-emulate=lossy`).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace

from bkjs.db.conditions.build import both, leaves
from bkjs.db.conditions.changes import apply_changes
from bkjs.db.conditions.match import matcher
from bkjs.db.contract import ABSENT, Change, Condition, Group, Request, Row, Written
from bkjs.db.pools.pools import Target
from bkjs.errors import AlreadyExists, BadRequest, Unavailable

from .plan import expressible

_SET = {"set"}

ATTEMPTS = 200
"""Tries of one compare-and-set before giving up."""


def require_add(target: Target) -> None:
    """Raise Unsupported when a record cannot be added without the risk of overwriting one."""
    if not (target.can.add or target.can.conditional or target.pool.lossy):
        raise target.unsupported("atomic add")


def require_update(target: Target, verb: str, ops: Iterable[str] = ()) -> None:
    """Raise Unsupported when these update operations would not be atomic."""
    can = target.can
    if can.conditional or target.pool.lossy:
        return
    if verb != "incr" and not can.update:
        raise target.unsupported("atomic update")
    for op in ops:
        if op == "incr" and not can.counters:
            raise target.unsupported("atomic counters")
        if op not in ("incr", "set") and op not in can.changes:
            raise target.unsupported(f"atomic update operation {op!r}")


def require_conditional(target: Target, what: str = "conditional writes") -> None:
    """Raise Unsupported when an expectation cannot be checked and written in one step."""
    if not (target.can.conditional or target.pool.lossy):
        raise target.unsupported(what)


async def add(target: Target, request: Request) -> Written:
    """Insert a record; raises AlreadyExists."""
    require_add(target)
    if target.can.add:
        return await target.pool.call(target.ops.add(request))
    if not target.can.conditional:
        found = await target.pool.call(target.ops.get(replace(request, verb="get")))
        if found is not None:
            raise AlreadyExists
        return await target.pool.call(target.ops.put(replace(request, verb="put")))
    request = replace(request, verb="put", expected=ABSENT)
    written = await target.pool.call(target.ops.put(request))
    if not written.affected:
        raise AlreadyExists
    return written


async def update(target: Target, request: Request, verb: str = "update") -> Written:
    """Apply changes to one row; their values are typed but not encoded yet."""
    ops = {op for _, op, _ in request.changes}
    simple = ops == _SET and target.can.update
    if not simple or request.expected is not None or request.returning:
        require_update(target, verb, ops)
        if request.expected is not None:
            require_conditional(target)
        if request.returning and not (target.can.returning and request.returning == "*"):
            require_conditional(target, "rows returned from a write")
        simple = _native_update(target, request, verb)
    if simple:
        if target.codec.encoders or not target.codec.shape.nulls:
            request = replace(request, changes=encoded(target, request.changes))
        return await target.pool.call(target.ops.update(request))
    return await _compare_and_set(target, request)


def _native_update(target: Target, request: Request, verb: str) -> bool:
    can = target.can
    if not (can.update or (verb == "incr" and can.counters)):
        return False
    if not does(target, request.changes):
        return False
    if request.expected is not None and not (
        can.conditional and expressible(target, request.expected)
    ):
        return False
    return not request.returning or (can.returning and request.returning == "*")


def does(target: Target, changes: Sequence[Change]) -> bool:
    """Whether the database makes all these changes, where it has updates at all."""
    can = target.can
    for name, op, _ in changes:
        if op != "incr":
            if op != "set" and op not in can.changes:
                return False
            continue
        column = target.table.columns.get(name)
        decimal = column is not None and column.kind == "decimal"
        if not can.counters or (decimal and not target.codec.shape.decimals):
            return False  # a decimal that is stored as text only the kernel can add to
    return True


def encoded(target: Target, changes: Sequence[Change]) -> list[Change]:
    """Changes with their values as they are stored."""
    encoders = dict(target.codec.encoders)
    found = []
    for change in changes:
        name, op, value = change
        if op in ("set", "not_exists"):
            encode = encoders.get(name)
            if encode and value is not None:
                change = Change(name, op, encode(value))
            elif value is None and not target.codec.shape.nulls:
                change = Change(name, "remove")
        found.append(change)
    return found


def applied(target: Target, row: Row, changes: Sequence[Change]) -> Row:
    """The stored row after changes to it."""
    codec = target.codec
    touched = {c.column: row.get(c.column) for c in changes}
    result = codec.encode(apply_changes(codec.decode(touched), changes))
    return {**row, **dict.fromkeys(touched), **result}


def unchanged(row: Row, columns: Iterable[str]) -> Group:
    """The condition that these columns are still what they are in this row."""
    return Group(
        "AND",
        tuple(
            Condition(name, "null") if row.get(name) is None else Condition(name, "eq", row[name])
            for name in dict.fromkeys(columns)
        ),
    )


def same(target: Target, row: Row) -> Group:
    """The condition that a row is still what was read, also in columns where it has nothing."""
    columns = target.codec.columns
    names = [n for n in (*row, *columns) if n not in columns or columns[n].kind != "search"]
    return unchanged(row, names)


async def _compare_and_set(target: Target, request: Request) -> Written:
    for attempt in range(ATTEMPTS):
        row = await _read(target, request)
        if row is None:
            if not request.upsert or request.expected is not None:
                return Written()
            new = applied(target, dict(request.key), request.changes)
            expected: Group | None = ABSENT
        else:
            if not _as_expected(target, request, row):
                return Written()
            new = applied(target, row, request.changes)
            expected = _still(target, request, row)
        written = await _write(target, request, row, new, expected)
        if written.affected:
            written.row = {"": None, "*": new, "old": row}[request.returning]
            return written
        await _pause(attempt)
    raise Unavailable(f"{target.pool.name}: too many writers change one row of {target.table.name}")


async def _read(target: Target, request: Request) -> Row | None:
    read = Request(verb="get", table=request.table, key=request.key)
    return await target.pool.call(target.ops.get(read))


def _as_expected(target: Target, request: Request, row: Row) -> bool:
    return request.expected is None or matcher(request.expected, target.table)(row)


def _still(target: Target, request: Request, row: Row) -> Group | None:
    """What must not have changed since the row was read."""
    if not target.can.conditional:
        return None
    if not target.can.update or request.returning:
        return same(target, row)
    names = [c.column for c in request.changes if c.op not in ("set", "remove")]
    if request.expected is not None:
        names += [c.column for c in leaves(request.expected)]
    return unchanged(row, names or target.table.keys)


async def _write(
    target: Target, request: Request, row: Row | None, new: Row, expected: Group | None
) -> Written:
    if row is not None and target.can.update:
        sets = [Change(c.column, "set", new.get(c.column)) for c in request.changes]
        if not target.codec.shape.nulls:
            sets = [Change(c.column, "remove") if c.value is None else c for c in sets]
        write = replace(request, changes=sets, expected=expected, upsert=False, returning="")
        return await target.pool.call(target.ops.update(write))
    if not target.codec.shape.nulls:
        new = {name: value for name, value in new.items() if value is not None}
    if expected == ABSENT and not target.can.conditional:
        expected = None
    write = Request(verb="put", table=request.table, key=request.key, values=new, expected=expected)
    return await target.pool.call(target.ops.put(write))


async def _pause(attempt: int) -> None:
    """Let the other writer finish: nothing at first, then longer and at random."""
    await asyncio.sleep(0 if attempt < 5 else random.random() * min(0.05, 0.0005 * attempt))


Operation = Callable[[Request], Awaitable[Written]]


async def delete(target: Target, request: Request) -> Written:
    """Delete one row, if it is as expected."""
    if request.returning and not target.can.returning:
        require_conditional(target, "rows returned from a write")
        return await _unchanged_only(target, request, target.ops.delete)
    return await _as_expected_only(target, request, target.ops.delete)


async def put(target: Target, request: Request) -> Written:
    """Insert or replace a record, if the stored one is as expected."""
    if request.returning == "old":
        raise BadRequest("put: returning must be '*'")
    return await _as_expected_only(target, request, target.ops.put)


async def _as_expected_only(target: Target, request: Request, operation: Operation) -> Written:
    """Put or delete a row whose expectations the database may have itself."""
    expected = request.expected
    if expected is None:
        return await target.pool.call(operation(request))
    require_conditional(target)
    if target.can.conditional and (expected == ABSENT or expressible(target, expected)):
        return await target.pool.call(operation(request))
    if expected == ABSENT:  # and updates may be lost
        there = await _read(target, request) is not None
        write = replace(request, expected=None)
        return Written() if there else await target.pool.call(operation(write))
    return await _unchanged_only(target, request, operation)


async def _unchanged_only(target: Target, request: Request, operation: Operation) -> Written:
    """Read a row, look if it is as expected, and write while it still is what was read."""
    for attempt in range(ATTEMPTS):
        row = await _read(target, request)
        if row is None or not _as_expected(target, request, row):
            return Written()
        still = same(target, row) if target.can.conditional else None
        returning = "" if request.verb == "delete" else request.returning
        write = replace(request, expected=still, returning=returning)
        written = await target.pool.call(operation(write))
        if written.affected:
            if request.verb == "delete":
                written.row = row if request.returning else None
            return written
        await _pause(attempt)
    raise Unavailable(f"{target.pool.name}: too many writers change one row of {target.table.name}")


def narrow(expected: Group | None, where: Group) -> Group | None:
    """An expectation together with the conditions by which a row was found."""
    if not where.items:
        return expected
    return where if expected is None else both(expected, where)
