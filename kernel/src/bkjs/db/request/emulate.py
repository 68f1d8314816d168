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
from typing import Any, NamedTuple

from bkjs.db.conditions.build import both, leaves
from bkjs.db.conditions.changes import apply_changes
from bkjs.db.contract import ABSENT, Absent, Change, Condition, Group, Request, Row, Written
from bkjs.db.pools.pools import Target
from bkjs.errors import AlreadyExists, BadRequest, Unavailable

from .plan import comparable, expressible

_SET = {"set"}

ATTEMPTS = 200
"""Tries of one compare-and-set before giving up."""


def checks(target: Target) -> bool:
    """Whether a write can depend on the stored row, in one step."""
    return target.can.conditional or target.can.versions


def require_add(target: Target) -> None:
    """Raise Unsupported when a record cannot be added without the risk of overwriting one."""
    if not (target.can.add or checks(target) or target.pool.lossy):
        raise target.unsupported("atomic add")


def require_update(target: Target, verb: str, ops: Iterable[str] = ()) -> None:
    """Raise Unsupported when these update operations would not be atomic."""
    can = target.can
    if checks(target) or target.pool.lossy:
        return
    ops = list(ops)
    if not can.update and (verb != "incr" or (ops and "incr" not in ops)):
        raise target.unsupported("atomic update")
    for op in ops:
        if op == "incr" and not can.counters:
            raise target.unsupported("atomic counters")
        if op not in ("incr", "set") and op not in can.changes:
            raise target.unsupported(f"atomic update operation {op!r}")


def require_conditional(target: Target, what: str = "conditional writes") -> None:
    """Raise Unsupported when an expectation cannot be checked and written in one step."""
    if not (checks(target) or target.pool.lossy):
        raise target.unsupported(what)


async def add(target: Target, request: Request) -> Written:
    """Insert a record; raises AlreadyExists."""
    require_add(target)
    if target.can.add:
        return _with_row(request, await target.pool.call(target.ops.add(_bare(request))))
    if not checks(target):
        found = await target.pool.call(target.ops.get(replace(request, verb="get")))
        if found is not None:
            raise AlreadyExists
        write = replace(_bare(request), verb="put")
    else:
        write = replace(_bare(request), verb="put", expected=ABSENT)
    written = await target.pool.call(target.ops.put(write))
    if not written.affected:
        raise AlreadyExists
    return _with_row(request, written)


def _bare(request: Request) -> Request:
    """Without the wish for the row, which is what is written."""
    return replace(request, returning="") if request.returning else request


def _with_row(request: Request, written: Written) -> Written:
    """The record that was written is the row, where the database gives none back."""
    if request.returning and written.affected and written.row is None:
        made = {} if written.oid is None else {request.table.keys[0]: written.oid}
        written.row = {**request.values, **made}
    return written


async def update(target: Target, request: Request, verb: str = "update") -> Written:
    """Apply changes to one row; their values are typed but not encoded yet."""
    if request.expected is ABSENT:
        return await _made(target, request)
    ops = {op for _, op, _ in request.changes}
    simple = ops == _SET and target.can.update
    if not simple or request.expected is not None or request.returning:
        require_update(target, verb, ops)
        if request.expected is not None:
            require_conditional(target)
        if request.returning and not (target.can.returning and request.returning == "*"):
            require_conditional(target, "rows returned from a write")
        simple = _native_update(target, request)
    if simple:
        if target.codec.encoders or not target.codec.shape.nulls:
            request = replace(request, changes=encoded(target, request.changes))
        return await target.pool.call(target.ops.update(request))
    return await _compare_and_set(target, request)


def _native_update(target: Target, request: Request) -> bool:
    can = target.can
    counts = can.counters and any(change.op == "incr" for change in request.changes)
    if not (can.update or counts):
        return False
    if not does(target, request.changes):
        return False
    if isinstance(request.expected, Group) and not (
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


class Stored(NamedTuple):
    """A row as it was read, and its version where there are any."""

    row: Row
    version: Any = None


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


async def _made(target: Target, request: Request) -> Written:
    """An update that expects no row: an upsert makes it, any other changes nothing."""
    if not request.upsert:
        return Written()
    new = applied(target, dict(request.key), request.changes)
    write = _replaced(target, request, new, expected=ABSENT)
    return _with_row(replace(write, returning=request.returning), await put(target, write))


async def _compare_and_set(target: Target, request: Request) -> Written:
    for attempt in range(ATTEMPTS):
        found = await _read(target, request)
        if found is None:
            if not request.upsert or request.expected is not None:
                return Written()
            new = applied(target, dict(request.key), request.changes)
            absent = ABSENT if checks(target) else None
            written = await target.pool.call(
                target.ops.put(_replaced(target, request, new, expected=absent))
            )
        else:
            if not _as_expected(target, request, found.row):
                return Written()
            new = applied(target, found.row, request.changes)
            written = await target.pool.call(_changed(target, request, found, new))
        if written.affected:
            old = found.row if found else None
            written.row = {"": None, "*": new, "old": old}[request.returning]
            return written
        await _pause(attempt)
    raise _never_met(target)


def _never_met(target: Target) -> Unavailable:
    return Unavailable(
        f"{target.pool.name}: in {ATTEMPTS} tries a row of {target.table.name} was never what had"
        " just been read: too many writers change it, or the database cannot compare its values"
    )


async def _read(target: Target, request: Request) -> Stored | None:
    read = Request(verb="get", table=request.table, key=request.key)
    if target.can.versions:
        found = await target.pool.call(target.ops.versioned(read))
        return None if found is None else Stored(*found)
    row = await target.pool.call(target.ops.get(read))
    return None if row is None else Stored(row)


def _as_expected(target: Target, request: Request, row: Row) -> bool:
    expected = request.expected
    return not isinstance(expected, Group) or target.matcher(expected)(row)


def _changed(target: Target, request: Request, found: Stored, new: Row) -> Awaitable[Written]:
    """The write of a changed row that happens only while the stored one is what was read."""
    if not target.can.update:
        return target.ops.put(_replaced(target, request, new, **seen(target, found)))
    sets = [Change(c.column, "set", new.get(c.column)) for c in request.changes]
    if not target.codec.shape.nulls:
        sets = [Change(c.column, "remove") if c.value is None else c for c in sets]
    names = [c.column for c in request.changes if c.op not in ("set", "remove")]
    if isinstance(request.expected, Group):
        names += [c.column for c in leaves(request.expected)]
    # a row that is given back must be the whole row that was changed
    same = seen(target, found, None if request.returning else names or target.table.keys)
    write = replace(request, changes=sets, upsert=False, returning="", **same)
    return target.ops.update(write)


def _replaced(target: Target, request: Request, new: Row, **more: Any) -> Request:
    if not target.codec.shape.nulls:
        new = {name: value for name, value in new.items() if value is not None}
    return Request(verb="put", table=request.table, key=request.key, values=new, **more)


def seen(target: Target, found: Stored, columns: Iterable[str] | None = None) -> dict[str, Any]:
    """What a write has to expect that is for a row as it was read, or these columns of it.

    Raises Unsupported where the database can tell neither versions nor the values of a column.
    """
    if target.can.versions:
        return {"expected": None, "version": found.version}
    if not target.can.conditional:
        return {"expected": None}
    still = same(target, found.row) if columns is None else unchanged(found.row, columns)
    for condition in leaves(still):
        if condition.op == "eq" and not comparable(target, condition.column):
            raise target.unsupported(f"comparison of {condition.column!r} in a write")
    return {"expected": still}


async def _pause(attempt: int) -> None:
    """Let the other writer finish: nothing at first, then longer and at random."""
    await asyncio.sleep(0 if attempt < 5 else random.random() * min(0.05, 0.0005 * attempt))


Operation = Callable[[Request], Awaitable[Written]]


async def delete(target: Target, request: Request) -> Written:
    """Delete one row, if it is as expected."""
    if request.expected is ABSENT:
        return Written()
    if request.returning and not target.can.returning:
        require_conditional(target, "rows returned from a write")
        return await _unchanged_only(target, request, target.ops.delete)
    if request.returning:
        request = replace(request, returning="*")  # the row that was there is the one that is gone
    return await _as_expected_only(target, request, target.ops.delete)


async def put(target: Target, request: Request) -> Written:
    """Insert or replace a record, if the stored one is as expected."""
    if request.returning == "old":
        raise BadRequest("put: returning must be '*'")
    return _with_row(request, await _as_expected_only(target, _bare(request), target.ops.put))


async def _as_expected_only(target: Target, request: Request, operation: Operation) -> Written:
    """Put or delete a row whose expectations the database may have itself."""
    expected = request.expected
    if expected is None:
        return await target.pool.call(operation(request))
    require_conditional(target)
    if expected is ABSENT:
        if checks(target):
            return await target.pool.call(operation(request))
        there = await _read(target, request) is not None  # and updates may be lost
        write = replace(request, expected=None)
        return Written() if there else await target.pool.call(operation(write))
    if target.can.conditional and expressible(target, expected):
        return await target.pool.call(operation(request))
    return await _unchanged_only(target, request, operation)


async def _unchanged_only(target: Target, request: Request, operation: Operation) -> Written:
    """Read a row, look if it is as expected, and write while it still is what was read."""
    for attempt in range(ATTEMPTS):
        found = await _read(target, request)
        if found is None or not _as_expected(target, request, found.row):
            return Written()
        returning = "" if request.verb == "delete" else request.returning
        write = replace(request, returning=returning, **seen(target, found))
        written = await target.pool.call(operation(write))
        if written.affected:
            if request.verb == "delete":
                written.row = found.row if request.returning else None
            return written
        await _pause(attempt)
    raise _never_met(target)


def narrow(expected: Group | Absent | None, where: Group) -> Group | Absent | None:
    """An expectation together with the conditions by which a row was found."""
    if not where.items:
        return expected
    if not isinstance(expected, Group):
        return where
    return both(expected, where)
