"""Unique columns on databases that know nothing of them: a record beside the table for each value.

A row that may get or lose such a value is written by one at a time, who holds the lock of the row:
one more record, made by a conditional write. Before the row has a value its guard is made; who
finds one of another row is told that the value is there. Guards of values that the row has lost go
last.

What a writer leaves that dies, a lock or a guard whose row does not have its value, is free after
`GRACE` seconds, by the clocks of those who find it, which may differ by half of that. A writer that
took a third of it makes its guards anew, and takes its row back where they are not its own any
more: then, and only then, two rows with one value may be seen for a moment.

A write that had no answer may still come, after others. It does nothing where the unique columns of
its row are not what it has read; and a value that it may bring is given to no other row before
`GRACE` is over.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

from bkjs.db.contract import (
    ABSENT,
    Absent,
    Change,
    Condition,
    Group,
    Request,
    Row,
    Shape,
    Table,
    Written,
)
from bkjs.db.pools.pools import Pool, Target
from bkjs.db.tables.codec import Codec
from bkjs.db.tables.described import build
from bkjs.db.tables.values import equal_json
from bkjs.errors import AlreadyExists, BkError, Conflict

from . import emulate

Run = Callable[[Request], Awaitable[Written]]

GRACE: Final = 60.0
"""Seconds after which what a writer has left belongs to nobody."""
SUFFIX: Final = "__unique"
"""What the name of the table of guards ends with."""
TRIES: Final = 100
"""Looks at a lock that another writer has, within about three seconds."""


def guarded(target: Target) -> bool:
    """Whether the kernel keeps the unique columns of a table."""
    return bool(target.table.uniques) and not target.can.uniques and not target.pool.lossy


@lru_cache(2000)
def guards_of(table: Table) -> Table:
    """The table of the guards of a table, and of the locks of its rows."""
    return build(
        table.name + SUFFIX,
        {
            "id": {"primary": 1},
            "row": {},
            "token": {},
            "made": {"type": "int"},
            "awaited": {"type": "int"},
        },
    )


@lru_cache(2000)
def _plain(table: Table) -> Codec:
    """The rows of a table as JSON has them, whatever is stored of them."""
    return Codec(table, Shape(json=True, lists=True, binary=False))


async def create(pool: Pool, table: Table) -> bool:
    """Create a table, and the one of its guards where the database keeps no unique columns."""
    changed = await pool.call(pool.driver.create(table))
    if table.uniques and not pool.can.uniques:
        changed |= await pool.call(pool.driver.create(guards_of(table)))
    return changed


async def drop(pool: Pool, name: str, table: Table | None) -> None:
    """Remove a table, and that of its guards as far as it is described."""
    await pool.call(pool.driver.drop(name))
    if table and table.uniques and not pool.can.uniques:
        await pool.call(pool.driver.drop(guards_of(table).name))


async def write(target: Target, request: Request, clock: Callable[[], float], run: Run) -> Written:
    """Run a write to a table with unique columns.

    Raises AlreadyExists that names them, and Conflict while another writer has the row.
    """
    columns = {name for names in target.table.uniques.values() for name in names}
    changed = {change.column for change in request.changes}
    if request.verb == "update" and not changed & columns:
        return await run(request)
    return await Guards(target, request, clock, sorted(columns)).write(run)


class Guards:
    """The lock of one row and the guards of its values, for one write."""

    def __init__(
        self,
        target: Target,
        request: Request,
        clock: Callable[[], float],
        columns: list[str],
    ) -> None:
        self.target = target
        self.request = request
        self.clock = clock
        self.columns = columns
        self.row = self._text(request.key, target.table.keys)
        self.place = target._replace(codec=target.pool.codec(guards_of(target.table)))
        self.token = secrets.token_hex(8)

    async def write(self, run: Run) -> Written:
        """The write, by the only writer of this row."""
        lock = f"row:{_digest(self.row)}"
        try:
            await self._lock(lock)
            return await self._alone(run)
        finally:  # also after a lock of which nobody knows whether it was made
            await self._delete([lock], self.token)

    async def _alone(self, run: Run) -> Written:
        request, begun = self.request, self.clock()
        old = await self._stored(request.key)
        new = self._after(old)
        before, after = self._of(old), self._of(new)
        mine = dict.fromkeys(after.keys() - before.keys(), False)
        """What this write needs, and whether it would be of nobody if it failed now."""
        leaving = {name: await self._guard(name) for name in before.keys() - after.keys()}
        still = self._still(old)
        written = Written()
        try:
            for name in mine:
                mine[name] = await self._claim(name, after[name])
            written = await run(still)
        except BkError as error:
            if error.status < 500:  # else it may be written: the guards stay until that is known
                await self._delete([name for name, free in mine.items() if free], self.token)
            elif self._late(begun):
                await self._confirm(mine, after, new, old)
            raise
        if not written.affected:
            await self._delete([name for name, free in mine.items() if free], self.token)
            if still is not request and request.expected is None:
                raise Conflict(f"{self.target.table.name}: a write that was late changed this row")
            return written
        if self._late(begun):
            await self._confirm(mine, after, new, old)
        for name, guard in leaving.items():
            if guard is not None and guard["row"] == self.row and not guard.get("awaited"):
                await self._delete([name], guard["token"])
        return written

    def _late(self, begun: float) -> bool:
        return self.clock() - begun > GRACE / 3

    def _still(self, old: Row | None) -> Request:
        """The write, to take effect only while the unique columns are what was read."""
        request = self.request
        if request.verb == "delete" or request.expected is ABSENT:
            return request
        if old is not None:
            same = emulate.unchanged(old, self.columns)
            return replace(request, expected=emulate.narrow(request.expected, same))
        if request.expected is None and (request.verb == "put" or request.upsert):
            return replace(request, expected=ABSENT)
        return request

    async def _confirm(
        self, mine: Mapping[str, bool], after: Mapping[str, str], new: Row, old: Row | None
    ) -> None:
        """Make guards anew, so that nobody takes them for left; or take the row back."""
        token = secrets.token_hex(8)
        for name, free in mine.items():
            if not await self._put(name, _is(self.token), token, awaited=not free):
                await self._undo(new, old)
                await self._delete(mine, token)
                await self._delete(mine, self.token)
                raise _taken(after[name])

    def _after(self, old: Row | None) -> Row:
        """The row as it will be."""
        request = self.request
        if request.verb == "delete":
            return {}
        if request.verb == "update":
            if old is None and not request.upsert:
                return {}
            row = dict(request.key) if old is None else old
            return emulate.applied(self.target, row, request.changes)
        return request.values

    def _of(self, row: Mapping[str, Any] | None) -> dict[str, str]:
        """The guards that a row has, and the columns of each; nulls are no values."""
        found = {}
        for name, columns in self.target.table.uniques.items() if row else ():
            if row and all(row.get(column) is not None for column in columns):
                found[f"{name}:{_digest(self._text(row, columns))}"] = ", ".join(columns)
        return found

    def _text(self, row: Mapping[str, Any], names: Iterable[str]) -> str:
        """Columns of a stored row as text, the same for equal values."""
        row = self.target.codec.decode({name: row.get(name) for name in names})
        plain = _plain(self.target.table).encode(row)
        return equal_json([plain.get(name) for name in names])

    def _key(self, text: str) -> Row:
        """The key of a row that was written so."""
        table = self.target.table
        plain = dict(zip(table.keys, json.loads(text), strict=True))
        return self.target.codec.encode(_plain(table).decode(plain))

    async def _stored(self, key: Row) -> Row | None:
        request = Request(verb="get", table=self.target.table, key=key)
        return await self.target.pool.call(self.target.ops.get(request))

    async def _lock(self, name: str) -> None:
        for attempt in range(TRIES):
            if await self._put(name, ABSENT):
                return
            found = await self._guard(name)
            if found is None:
                continue
            if self.clock() - found["made"] > GRACE and await self._put(name, _is(found["token"])):
                return
            await asyncio.sleep(0 if attempt < 5 else random.random() * 0.06)
        raise Conflict(f"{self.target.table.name}: another writer has this row")

    async def _claim(self, name: str, columns: str) -> bool:
        """Make a guard ours. Raises AlreadyExists when another row has the value.

        False where it was of this row already: of a write that may still be done.
        """
        for _ in range(TRIES):
            if await self._put(name, ABSENT):
                return True
            found = await self._guard(name)
            if found is None:
                continue
            if found["row"] != self.row:
                owner = await self._stored(self._key(found["row"]))
                fresh = self.clock() - found["made"] <= GRACE  # its writer may be about to write
                if fresh or name in self._of(owner):
                    raise _taken(columns)
            mine = found["row"] == self.row
            if await self._put(name, _is(found["token"]), awaited=mine):
                return not mine
        raise Conflict(f"{self.target.table.name}: too many writers want one value of {columns}")

    async def _guard(self, name: str) -> Row | None:
        request = Request(verb="get", table=self.place.table, key={"id": name})
        return await self.place.pool.call(self.place.ops.get(request))

    async def _put(
        self, name: str, expected: Group | Absent, token: str = "", *, awaited: bool = False
    ) -> bool:
        values = {
            "id": name,
            "row": self.row,
            "token": token or self.token,
            "made": int(self.clock()),
            "awaited": int(awaited),
        }
        request = Request(
            verb="put", table=self.place.table, key={"id": name}, values=values, expected=expected
        )
        return bool((await emulate.put(self.place, request)).affected)

    async def _delete(self, names: Iterable[str], token: str) -> None:
        for name in names:
            request = Request(
                verb="delete", table=self.place.table, key={"id": name}, expected=_is(token)
            )
            await emulate.delete(self.place, request)

    async def _undo(self, new: Row, old: Row | None) -> None:
        """Take back a row that has a value of another one, if nobody has changed it since."""
        still = emulate.unchanged(new, (*self.target.table.keys, *self.columns))
        request = Request(
            verb="delete", table=self.target.table, key=self.request.key, expected=still
        )
        if old is None:
            await emulate.delete(self.target, request)
            return
        changes = [Change(name, "set", old.get(name)) for name in self.columns]
        await emulate.update(self.target, replace(request, verb="update", changes=changes))


def _is(token: str) -> Group:
    return Group("AND", (Condition("token", "eq", token),))


def _taken(columns: str) -> AlreadyExists:
    return AlreadyExists(f"Record with the same {columns} already exists", field=columns)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
