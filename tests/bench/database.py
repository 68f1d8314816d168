"""The database layer beside raw drivers: one process, one event loop, variants in turn."""

from __future__ import annotations

import asyncio
import itertools
import random
import resource
import sqlite3
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from bkjs.app import App
from tests.bench.peers import GET, LIST, any_id

Operation = Callable[[int], Awaitable[Any]]
"""Gets the number of the task that calls it."""

TASKS = 16
BULK = 100
HUNDRED = "SELECT id, name, email, num, mtime FROM bench WHERE id BETWEEN $1 AND $2"
INSERT = "INSERT INTO bench(id, name, email, num, mtime) VALUES ($1, $2, $3, $4, $5)"
UPDATE = "UPDATE bench SET num = $2, mtime = $3 WHERE id = $1"
CREATE = (
    "CREATE TABLE bench(id integer PRIMARY KEY, name text, email text, num integer, mtime bigint)"
)
_ids = itertools.count(1_000_000)


def record() -> tuple[int, str, str, int, int]:
    return next(_ids), "name", "user@example.com", 5, 1700000000000


def row() -> dict[str, Any]:
    return dict(zip(("id", "name", "email", "num", "mtime"), record(), strict=True))


def sqlite_text(text: str) -> str:
    for number in range(5, 0, -1):
        text = text.replace(f"${number}", f"?{number}")
    return text


@asynccontextmanager
async def asyncpg_raw(url: str) -> AsyncIterator[dict[str, Operation]]:
    """A connection for each task, statements prepared, Records as they come: the limit."""
    import asyncpg

    held = []
    for _ in range(TASKS):
        connection = await asyncpg.connect(url)
        held.append(
            [
                connection,
                *[await connection.prepare(t) for t in (GET, HUNDRED, INSERT, UPDATE, LIST)],
            ]
        )
    yield {
        "get": lambda task: held[task][1].fetchrow(any_id()),
        "list": lambda task: held[task][2].fetch(101, 200),
        "page": lambda task: held[task][5].fetch(900),
        "add": lambda task: held[task][3].fetch(*record()),
        "update": lambda task: held[task][4].fetch(any_id(), 3, 4),
    }
    for connection, *_ in held:
        await connection.close()


@asynccontextmanager
async def asyncpg_pool(url: str) -> AsyncIterator[dict[str, Operation]]:
    """The driver's own pool as its documentation shows it."""
    import asyncpg

    async with asyncpg.create_pool(url, min_size=TASKS, max_size=TASKS) as pool:

        async def get(task: int) -> Any:
            async with pool.acquire() as connection:
                return dict(await connection.fetchrow(GET, any_id()))

        yield {"get": get}


def layer(app: App, table: str) -> dict[str, Operation]:
    """Ours."""
    db = app.db

    async def one_by_one(task: int) -> Any:
        for _ in range(BULK):
            await db.add(table, row())

    async def page(task: int) -> Any:
        rows = await db.select(table, {"id": 900}, ops={"id": "lt"}, sort="id", count=100)
        return rows.next_token  # made when it is read

    return {
        "get": lambda task: db.get(table, {"id": any_id()}),
        "list": lambda task: db.select(table, {"id": [101, 200]}, ops={"id": "between"}),
        "page": page,
        "add": lambda task: db.add(table, row()),
        "update": lambda task: db.update(table, {"id": any_id(), "num": next(_ids), "mtime": 4}),
        "bulk": lambda task: db.bulk(
            [{"op": "add", "table": table, "obj": row()} for _ in range(BULK)]
        ),
        "one by one": one_by_one,
    }


@asynccontextmanager
async def aiosqlite_raw(path: str) -> AsyncIterator[dict[str, Operation]]:
    import aiosqlite

    async with aiosqlite.connect(path, isolation_level=None) as connection:
        connection.row_factory = aiosqlite.Row
        await connection.executescript(
            f"PRAGMA journal_mode=wal; PRAGMA synchronous=normal; {CREATE}"
        )

        async def add(task: int) -> Any:
            await connection.execute_insert(sqlite_text(INSERT), record())

        yield {"add": add}


async def fill_pgsql(url: str, rows: int) -> None:
    """A thousand rows, or so many, in the table `bench`, which exists."""
    import asyncpg

    connection = await asyncpg.connect(url)
    await connection.execute("DELETE FROM bench")
    await connection.copy_records_to_table("bench", records=_rows(rows))
    await connection.execute("ANALYZE bench")
    await connection.close()


def fill_sqlite(path: str, table: str, rows: int, *, create: bool) -> None:
    with sqlite3.connect(path) as connection:
        if create:
            connection.execute("PRAGMA journal_mode=wal")
            connection.execute(CREATE.replace("bench", table, 1))
        text = sqlite_text(INSERT).replace("bench", table, 1)
        connection.executemany(text, _rows(rows))
    connection.close()


def _rows(count: int) -> list[tuple[int, str, str, int, int]]:
    return [
        (number, f"name {number}", f"user{number}@example.com", number * 7, 1700000000000 + number)
        for number in range(1, count + 1)
    ]


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def measure(operation: Operation, tasks: int, seconds: float) -> tuple[float, float]:
    """Operations per second, and microseconds of CPU for each."""
    count = 0
    stop = time.perf_counter() + seconds

    async def repeat(task: int) -> None:
        nonlocal count
        while time.perf_counter() < stop:
            await operation(task)
            count += 1

    begun, cpu = time.perf_counter(), _cpu()
    await asyncio.gather(*(repeat(task) for task in range(tasks)))
    return count / (time.perf_counter() - begun), (_cpu() - cpu) / count * 1e6


async def bench(app: App, folder: str, pgsql: str, rounds: int, seconds: float) -> dict[str, float]:
    """The figures of D1 to D6; those of PostgreSQL only with its URL."""
    async with AsyncExitStack() as stack:
        lite = layer(app, "bench_lite")
        peer = await stack.enter_async_context(aiosqlite_raw(f"{folder}/peer.db"))
        plan: dict[str, tuple[Operation, int]] = {
            "lite get": (lite["get"], 1),
            "lite add": (lite["add"], TASKS),
            "aiosqlite add": (peer["add"], TASKS),
        }
        if pgsql:
            raw = await stack.enter_async_context(asyncpg_raw(pgsql))
            pool = await stack.enter_async_context(asyncpg_pool(pgsql))
            ours = layer(app, "bench")
            plan |= {f"raw {name}": (operation, TASKS) for name, operation in raw.items()}
            plan |= {f"ours {name}": (operation, TASKS) for name, operation in ours.items()}
            plan["pool get"] = (pool["get"], TASKS)
        found = await _rounds(plan, rounds, seconds)
    return _figures(found, with_pgsql=bool(pgsql))


async def _rounds(
    plan: dict[str, tuple[Operation, int]], rounds: int, seconds: float
) -> dict[str, tuple[float, float]]:
    """The medians for each entry; the order is another one in each round."""
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in plan}
    for operation, tasks in plan.values():
        await measure(operation, tasks, seconds / 4)
    for _ in range(rounds):
        for name in random.sample(list(plan), len(plan)):
            seen[name].append(await measure(*plan[name], seconds))
    return {
        name: (statistics.median(r for r, _ in runs), statistics.median(c for _, c in runs))
        for name, runs in seen.items()
    }


def _figures(found: dict[str, tuple[float, float]], *, with_pgsql: bool) -> dict[str, float]:
    rate = {name: figures[0] for name, figures in found.items()}
    cpu = {name: figures[1] for name, figures in found.items()}
    figures = {
        "D3 cpu": cpu["lite get"],
        "D3 rate": rate["lite get"],
        "D5 rate": rate["lite add"],
        "D5 peer": rate["lite add"] / rate["aiosqlite add"],
    }
    if with_pgsql:
        figures |= {
            f"D1 {n}": rate[f"ours {n}"] / rate[f"raw {n}"] for n in ("get", "add", "update")
        }
        figures["D1 cpu"] = cpu["ours get"] - cpu["raw get"]
        figures["D1 pool"] = rate["ours get"] / rate["pool get"]
        figures |= {f"D2 {n}": rate[f"ours {n}"] / rate[f"raw {n}"] for n in ("list", "page")}
        figures["D6 bulk"] = rate["ours bulk"] / rate["ours one by one"]
    return figures
