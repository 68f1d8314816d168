"""Twenty tasks against a model: every read is explained, and the end is what was written.

Each task has rows of its own, whose every state it knows. All share a counter, a row with a
version, keys that one of them may add, and accounts whose sum never changes.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest

from bkjs import hookimpl
from bkjs.db.database import Database
from bkjs.errors import AlreadyExists, BadRequest, BkError, Conflict
from bkjs.testing.app import make_app
from tests.chaos.conftest import Chaos, Store

TASKS = 20
KEYS = 12
"""Rows of each task."""
ACCOUNTS = 10
SUM = 1000
COLUMNS = {
    "id": {"primary": 1},
    "owner": {"index": 1},
    "num": {"type": "int"},
    "count": {"type": "counter"},
    "tags": {"type": "list"},
    "doc": {"type": "json"},
    "text": {},
}
TEXTS = ("", "é", "x'y\"", "%_", None)
DOCS = (None, {"a": [1, {"b": None}]}, [1])
TAGS = (None, ["a", "b"])
Row = dict[str, Any]


class Module:
    name = "chaos_model"

    @hookimpl
    def tables(self) -> dict[str, Any]:
        return {"item": COLUMNS}


class Shared:
    """What all tasks know of the rows that all of them write."""

    def __init__(self) -> None:
        self.counted = 0
        self.versions: Counter[int] = Counter()
        self.added: Counter[str] = Counter()


class Unexplained(AssertionError):
    """The database said what the model does not know."""


def expect(found: object, wanted: object, what: str) -> None:
    if found != wanted:
        raise Unexplained(f"{what}: {found!r}, the model has {wanted!r}")


class Task:
    """One task; each method is an operation with what the model says about it."""

    def __init__(self, db: Database, number: int, chance: Random, shared: Shared) -> None:
        self.db, self.chance, self.shared = db, chance, shared
        self.owner = f"o{number}"
        self.rows: dict[str, Row] = {}

    def key(self) -> str:
        return f"{self.owner}.{self.chance.randrange(KEYS)}"

    def row(self, key: str) -> Row:
        choice = self.chance.choice
        made = {"num": self.chance.randrange(6), "text": choice(TEXTS), "doc": choice(DOCS)}
        return {"id": key, "owner": self.owner, "tags": choice(TAGS), **made}

    def written(self, row: Row) -> None:
        self.rows[row["id"]] = {**row, "count": 0}

    def same(self, found: Row | None, key: str) -> None:
        wanted = self.rows.get(key)
        expect(found is None, wanted is None, f"{key} is missing")
        for name in COLUMNS if found and wanted else ():
            expect(found.get(name) or None, wanted.get(name) or None, f"{key}.{name}")

    def with_num(self, num: int) -> list[str]:
        return [key for key, row in self.rows.items() if row["num"] == num]

    # -- rows of its own -----------------------------------------------------------------------

    async def add(self) -> None:
        row = self.row(self.key())
        try:
            await self.db.add("item", row)
        except AlreadyExists:
            expect(row["id"] in self.rows, True, f"{row['id']} exists")
        else:
            expect(row["id"] in self.rows, False, f"{row['id']} exists")
            self.written(row)

    async def put(self) -> None:
        row = self.row(self.key())
        await self.db.put("item", row)
        self.written(row)

    async def update(self) -> None:
        key, num = self.key(), self.chance.randrange(6)
        done = await self.db.update("item", {"id": key, "num": num})
        expect(bool(done.affected), key in self.rows, f"update of {key}")
        if key in self.rows:
            self.rows[key]["num"] = num

    async def update_if(self) -> None:
        key, num = self.key(), self.chance.randrange(6)
        done = await self.db.update("item", {"id": key, "num": num + 1}, expected={"num": num})
        fits = key in self.with_num(num)
        expect(bool(done.affected), fits, f"update of {key} where num={num}")
        if fits:
            self.rows[key]["num"] = num + 1

    async def delete(self) -> None:
        key = self.key()
        done = await self.db.del_("item", {"id": key})
        expect(bool(done.affected), self.rows.pop(key, None) is not None, f"delete of {key}")

    async def count_up(self) -> None:
        key = self.key()
        if key in self.rows:
            done = await self.db.incr("item", {"id": key, "count": 3})
            expect(done.affected, 1, f"incr of {key}")
            self.rows[key]["count"] += 3

    async def update_all(self) -> None:
        num = self.chance.randrange(6)
        query = {"owner": self.owner, "num": num}
        keys = self.with_num(num)
        expect(await self.db.update_all("item", query, {"num": num + 1}), len(keys), f"all {query}")
        for key in keys:
            self.rows[key]["num"] = num + 1

    async def delete_all(self) -> None:
        query = {"owner": self.owner, "num": self.chance.randrange(6)}
        keys = self.with_num(query["num"])
        expect(await self.db.del_all("item", query), len(keys), f"delete all {query}")
        for key in keys:
            del self.rows[key]

    async def bulk(self) -> None:
        items: list[dict[str, Any]] = []
        for number in self.chance.sample(range(KEYS), 6):
            key, op = f"{self.owner}.{number}", self.chance.choice(("put", "add", "update", "del"))
            row = {"id": key, "num": 7} if op == "update" else self.row(key)
            items.append({"op": op, "table": "item", "obj": {"id": key} if op == "del" else row})
        for error, item in await self.db.bulk(items):
            op, row = item["op"], item["obj"]
            exists = row["id"] in self.rows
            wanted = AlreadyExists if op == "add" and exists else type(None)
            expect(type(error), wanted, f"{op} of {row['id']} in bulk")
            if op == "del":
                self.rows.pop(row["id"], None)
            elif op == "update" and exists:
                self.rows[row["id"]]["num"] = 7
            elif op in ("put", "add") and error is None:
                self.written(row)

    async def transaction(self) -> None:
        """Writes three rows, reads one of them, and is undone every second time."""
        first, second, gone = self.row(self.key()), self.row(self.key()), self.key()
        before = {key: dict(row) for key, row in self.rows.items()}
        undone = self.chance.random() < 0.5
        try:
            async with self.db.transaction() as tx:
                await tx.put("item", first)
                self.written(first)
                await tx.del_("item", {"id": gone})
                self.rows.pop(gone, None)
                await tx.put("item", second)
                self.written(second)
                self.same(await tx.get("item", {"id": gone}), gone)
                if undone:
                    raise BadRequest("undone")
        except (BadRequest, Conflict):
            self.rows = before

    async def get(self) -> None:
        key = self.key()
        self.same(await self.db.get("item", {"id": key}), key)

    async def list_(self) -> None:
        keys = sorted({self.key(), self.key(), self.key()})
        rows = {row["id"]: row for row in await self.db.list("item", keys)}
        for key in keys:
            self.same(rows.get(key), key)

    async def select(self) -> None:
        """All rows, page by page."""
        found, more, query = [], True, {"owner": self.owner}
        start = None
        while more:
            page = await self.db.select("item", query, count=3, sort="id", start=start)
            found += page
            start = page.next_token
            more = bool(start)
        expect([row["id"] for row in found], sorted(self.rows), f"rows of {self.owner}")
        for row in found:
            self.same(row, row["id"])

    # -- rows of all ---------------------------------------------------------------------------

    async def count_together(self) -> None:
        by = self.chance.choice((1, 2, -1))
        done = await self.db.incr("item", {"id": "counter", "count": by})
        self.shared.counted += by * done.affected

    async def add_once(self) -> None:
        key = f"once{self.chance.randrange(3000)}"
        try:
            await self.db.add("item", {"id": key, "owner": "once"})
        except AlreadyExists:
            return
        self.shared.added[key] += 1
        expect(self.shared.added[key], 1, f"{key} was added")

    async def next_version(self) -> None:
        row = await self.db.get("item", {"id": "version"})
        assert row
        found = row["num"]
        done = await self.db.update(
            "item", {"id": "version", "num": found + 1}, expected={"num": found}
        )
        self.shared.versions[found] += done.affected
        expect(self.shared.versions[found] <= 1, True, f"one writer of version {found}")

    async def move(self) -> None:
        """From one account to another, in a transaction that fails half way every third time."""
        one, other = (f"a{n}" for n in sorted(self.chance.sample(range(ACCOUNTS), 2)))
        amount, fails = self.chance.randint(1, 5), self.chance.random() < 0.33

        async def work(tx: Any) -> None:
            rows = [await tx.get("item", {"id": key}) for key in (one, other)]
            await tx.update("item", {"id": one, "num": rows[0]["num"] - amount})
            if fails:
                raise BadRequest("half way")
            await tx.update("item", {"id": other, "num": rows[1]["num"] + amount})

        try:
            await self.db.transact(work)
        except (BadRequest, Conflict):
            pass

    async def sum_(self) -> None:
        """In one statement, and in a transaction that reads one after the other."""
        rows = await self.db.select("item", {"owner": "account"})
        expect(sum(row["num"] for row in rows), SUM, "sum of the accounts")
        try:
            async with self.db.transaction() as tx:
                found = [await tx.get("item", {"id": f"a{n}"}) for n in range(ACCOUNTS)]
        except Conflict:
            return
        expect(sum(row["num"] for row in found if row), SUM, "sum of the accounts, one by one")

    @property
    def operations(self) -> list[Callable[[], Awaitable[None]]]:
        return [
            self.add, self.put, self.update, self.update_if, self.delete, self.count_up,
            self.update_all, self.delete_all, self.bulk, self.transaction, self.get, self.list_,
            self.select, self.count_together, self.add_once, self.next_version, self.move,
            self.sum_,
        ]  # fmt: skip


async def run(db: Database, chaos: Chaos) -> None:
    await db.put("item", {"id": "counter", "owner": "all", "count": 0})
    await db.put("item", {"id": "version", "owner": "all", "num": 0})
    for number in range(ACCOUNTS):
        await db.put("item", {"id": f"a{number}", "owner": "account", "num": SUM // ACCOUNTS})
    shared = Shared()

    async def work(number: int) -> None:
        task = Task(db, number, chaos.choices(number), shared)
        operations = task.operations
        while chaos.goes_on():
            operation = task.chance.choice(operations)
            chaos.figures["operations"] += 1
            try:
                await operation()
            except (Unexplained, BkError) as error:
                raise AssertionError(f"{task.owner} {operation.__name__}: {error}") from error
            await asyncio.sleep(0)
        await task.select()

    async with asyncio.TaskGroup() as group:
        for number in range(TASKS):
            group.create_task(work(number))
    counter, version = await db.list("item", ["counter", "version"])
    expect(counter["count"], shared.counted, "the counter")
    expect(version["num"], shared.versions.total(), "the version")


@pytest.mark.slow
async def test_memory_is_what_the_model_says(chaos: Chaos):
    async with make_app([Module()], pool="memory") as app:
        await run(app.db, chaos)


@pytest.mark.slow
async def test_a_database_is_what_the_model_says(chaos: Chaos, store: Store):
    async with make_app([Module()], *store.argv, home=str(store.home)) as app:
        assert app.db.pool().type == ("pgsql" if store.cluster else "sqlite")
        await run(app.db, chaos)
