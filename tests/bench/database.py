"""The database layer beside raw drivers: one process, one event loop."""

from __future__ import annotations

import asyncio
import io
import itertools
import queue
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import orjson

from bkjs.app import App
from tests.bench import homes, inprocess
from tests.bench.meters import Figure, Meter, Run
from tests.bench.peers import GET, any_id

Operation = Callable[[int], Awaitable[Any]]
"""Gets the number of the task that calls it."""

TASKS = 16
BULK = 100
IMPORTED = 100_000
FAR = 5_000
"""The page of 100 rows that lies far inside the large table."""
NAMES = ("id", "name", "email", "num", "mtime")
COLUMNS = ", ".join(NAMES)
BETWEEN = f"SELECT {COLUMNS} FROM bench WHERE id BETWEEN $1 AND $2"
PAGE = f"SELECT {COLUMNS} FROM bench WHERE id < $1 ORDER BY id LIMIT 100"
FOLLOWING = f"SELECT {COLUMNS} FROM bench WHERE id < $1 AND id > $2 ORDER BY id LIMIT 100"
INSERT = f"INSERT INTO bench({COLUMNS}) VALUES ($1, $2, $3, $4, $5)"
UPDATE = "UPDATE bench SET num = $2, mtime = $3 WHERE id = $1"
PRAGMAS = "PRAGMA journal_mode=wal; PRAGMA synchronous=normal;"
_ids = itertools.count(1_000_000)


def record() -> tuple[int, str, str, int, int]:
    return next(_ids), "name", "user@example.com", 5, 1700000000000


def row() -> dict[str, Any]:
    return dict(zip(NAMES, record(), strict=True))


def sqlite_text(text: str) -> str:
    for number in range(5, 0, -1):
        text = text.replace(f"${number}", f"?{number}")
    return text


@asynccontextmanager
async def asyncpg_held(url: str) -> AsyncIterator[dict[str, Operation]]:
    """A connection for each task, statements prepared, Records as they come: the limit."""
    import asyncpg

    texts = (GET, BETWEEN, INSERT, UPDATE, PAGE, FOLLOWING)
    held, prepared = [], []
    for _ in range(TASKS):
        connection = await asyncpg.connect(url)
        held.append(connection)
        prepared.append({text: await connection.prepare(text) for text in texts})

    async def dicts(task: int) -> list[dict[str, Any]]:
        return [dict(found) for found in await prepared[task][BETWEEN].fetch(101, 200)]

    yield {
        "get": lambda task: prepared[task][GET].fetchrow(any_id()),
        "dicts": dicts,
        "page": lambda task: prepared[task][PAGE].fetch(900),
        "following": lambda task: prepared[task][FOLLOWING].fetch(900, 100),
        "add": lambda task: prepared[task][INSERT].fetch(*record()),
        "update": lambda task: prepared[task][UPDATE].fetch(any_id(), 3, 4),
        "bulk": lambda task: held[task].executemany(INSERT, [record() for _ in range(BULK)]),
    }
    for connection in held:
        await connection.close()


@contextmanager
def sqlite3_inline(path: Path) -> Iterator[dict[str, Operation]]:
    """The standard library in the event loop itself, rows as dicts: the limit."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(PRAGMAS)
    get_text, between, insert = map(sqlite_text, (GET, BETWEEN, INSERT))

    async def get(task: int) -> Any:
        return dict(zip(NAMES, connection.execute(get_text, (any_id(),)).fetchone(), strict=True))

    async def twenty(task: int) -> Any:
        return [dict(zip(NAMES, r, strict=True)) for r in connection.execute(between, (101, 120))]

    async def bulk(task: int) -> None:
        connection.execute("BEGIN")
        connection.executemany(insert, [record() for _ in range(BULK)])
        connection.execute("COMMIT")

    yield {"get": get, "twenty": twenty, "bulk": bulk}
    connection.close()


@asynccontextmanager
async def group_commit(path: Path) -> AsyncIterator[dict[str, Operation]]:
    """Inserts of all tasks that wait, by one thread in one transaction."""
    loop = asyncio.get_running_loop()
    waiting: queue.SimpleQueue[tuple[Any, asyncio.Future[None]] | None] = queue.SimpleQueue()
    insert = sqlite_text(INSERT)

    def write() -> None:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.executescript(PRAGMAS)
        while first := waiting.get():
            jobs = [first]
            while not waiting.empty() and (job := waiting.get()):
                jobs.append(job)
            connection.execute("BEGIN")
            for values, _ in jobs:
                connection.execute(insert, values)
            connection.execute("COMMIT")
            loop.call_soon_threadsafe(done, jobs)
        connection.close()

    def done(jobs: list[tuple[Any, asyncio.Future[None]]]) -> None:
        for _, future in jobs:
            future.set_result(None)

    def add(task: int) -> asyncio.Future[None]:
        future = loop.create_future()
        waiting.put((record(), future))
        return future

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield {"add": add}
    finally:
        waiting.put(None)
        thread.join()


async def layer(app: App, table: str, big: str, wanted: set[str]) -> dict[str, Operation]:
    """Ours, by the names of what is wanted."""
    db = app.db
    query: dict[str, Any] = {"ops": {"id": "lt"}, "sort": "id", "count": 100}

    async def page(table: str, most: int, start: str | None = None) -> str:
        options: dict[str, Any] = {"start": start} if start else {}
        rows = await db.select(table, {"id": most}, **query, **options)
        return str(rows.next_token)  # made when it is read

    second = await page(table, 900)
    near = far = await page(big, homes.MANY + 1) if {"near", "far"} & wanted else ""
    if "far" in wanted:
        for _ in range(FAR - 2):
            far = await page(big, homes.MANY + 1, far)
    between: dict[str, Any] = {"ops": {"id": "between"}}
    return {
        "get": lambda task: db.get(table, {"id": any_id()}),
        "list": lambda task: db.select(table, {"id": [101, 200]}, **between),
        "twenty": lambda task: db.select(table, {"id": [101, 120]}, **between),
        "page": lambda task: page(table, 900),
        "following": lambda task: page(table, 900, second),
        "near": lambda task: page(big, homes.MANY + 1, near),
        "far": lambda task: page(big, homes.MANY + 1, far),
        "add": lambda task: db.add(table, row()),
        "update": lambda task: db.update(table, {"id": any_id(), "num": next(_ids), "mtime": 4}),
        "bulk": lambda task: db.bulk(
            [{"op": "add", "table": table, "obj": row()} for _ in range(BULK)]
        ),
    }


def meter(operation: Operation) -> Meter:
    """Operations by 16 tasks for a quarter of the time: no client has to be started."""

    async def measure(seconds: float) -> Figure:
        count = 0
        begun, cpu = time.perf_counter(), time.process_time_ns()
        stop = begun + seconds / 4

        async def repeat(task: int) -> None:
            nonlocal count
            while not count or time.perf_counter() < stop:
                await operation(task)
                count += 1

        await asyncio.gather(*(repeat(task) for task in range(TASKS)))
        spent = time.perf_counter() - begun
        return {"rate": count / spent, "cpu": (time.process_time_ns() - cpu) / count}

    return measure


# -- import of JSON lines --------------------------------------------------------------

Rows = Callable[[io.StringIO], Awaitable[None]]


def import_meter(load: Rows, empty: Callable[[], Awaitable[None]]) -> Meter:
    """CPU for each row of a file that `load` stores in a table which `empty` empties; a file of
    10^5 rows, of fewer where a round is shorter than a second."""

    async def measure(seconds: float) -> Figure:
        count = int(IMPORTED * min(1.0, seconds))
        lines = b"".join(orjson.dumps(row()) + b"\n" for _ in range(count)).decode()
        await empty()
        begun = time.process_time_ns()
        await load(io.StringIO(lines))
        cpu = (time.process_time_ns() - begun) / count
        await empty()
        return {"cpu": cpu}

    return measure


def imports(app: App, run: Run, url: str, peer: Path) -> dict[str, Meter]:
    """Ours and the driver's own way, into the tables of what is large."""
    from bkjs.db.many.files import import_rows, read_jsonl

    def ours(table: str) -> Rows:
        async def load(file: io.StringIO) -> None:
            wrong: list[str] = []

            def bad(line: int, why: str) -> None:
                wrong.append(f"line {line}: {why}")

            lines = read_jsonl(file)
            await import_rows(app.db, table, lines, pool=None, bad=bad, progress=lambda done: None)
            if wrong:
                raise RuntimeError(wrong[0])

        return load

    def records(file: io.StringIO) -> Iterator[tuple[Any, ...]]:
        return (tuple(orjson.loads(line).values()) for line in file)

    async def inline(file: io.StringIO) -> None:
        with sqlite3.connect(peer) as connection:
            connection.executescript(PRAGMAS)
            connection.executemany(sqlite_text(INSERT), records(file))
        connection.close()

    async def copy(file: io.StringIO) -> None:
        import asyncpg

        connection = await asyncpg.connect(url)
        await connection.copy_records_to_table("bench", records=records(file), columns=NAMES)
        await connection.close()

    async def empty_pgsql() -> None:
        import asyncpg

        connection = await asyncpg.connect(url)
        await connection.execute("DELETE FROM bench WHERE id >= 1000000")
        await connection.close()

    def empty(path: Path, table: str) -> Callable[[], Awaitable[None]]:
        async def delete() -> None:
            with sqlite3.connect(path) as connection:
                connection.execute(f"DELETE FROM {table} WHERE id >= 1000000")
            connection.close()

        return delete

    own = empty(homes.database(run.folder / "layer"), "bench_lite")
    made = {
        "sqlite import": import_meter(ours("bench_lite"), own),
        "sqlite3 import": import_meter(inline, empty(peer, "bench")),
    }
    if url:
        made["pgsql import"] = import_meter(ours("bench"), empty_pgsql)
        made["asyncpg import"] = import_meter(copy, empty_pgsql)
    return made


# -- all --------------------------------------------------------------

OURS = ("sqlite", "pgsql")
KINDS = (*OURS, "asyncpg", "sqlite3", "group")


async def meters(run: Run) -> dict[str, Meter]:
    """The figures that this process takes: of the layer, and of requests without sockets."""
    calls = run.wanted & {*inprocess.NAMES}
    wanted = {name for name in run.wanted if name.split()[0] in KINDS}
    if not (wanted or calls):
        return {}
    if not run.pgsql:
        gone = {name for name in wanted if name.split()[0] in ("pgsql", "asyncpg")}
        run.absent |= dict.fromkeys(gone, "no PostgreSQL")
        wanted -= gone
    run.say("opening the database layer")
    home = homes.copy(run.folder / "home", "layer")
    if wanted & {"sqlite near", "sqlite far"}:
        with homes.writing(homes.database(home)) as connection:
            homes.fill(connection, "big_lite", homes.MANY)
    if wanted & {"pgsql near", "pgsql far"}:
        await homes.fill_pgsql(run.pgsql, big=homes.MANY)
    peer = run.folder / "peer.db"
    homes.peer_file(peer)
    argv = ["-home", str(home), *homes.parameters(run.pgsql, connections=TASKS)]
    argv += ["-run-mode", "production", "-api-access-log-file", "access.log"]
    app = await run.stack.enter_async_context(App(role="web", argv=argv, modules=[]))
    operations: dict[str, Operation] = {}

    def add(kind: str, found: dict[str, Operation]) -> None:
        operations.update({f"{kind} {name}": one for name, one in found.items()})

    def of(kind: str) -> set[str]:
        return {name.partition(" ")[2] for name in wanted if name.split()[0] == kind}

    enter = run.stack.enter_async_context
    if of("sqlite"):
        add("sqlite", await layer(app, "bench_lite", "big_lite", of("sqlite")))
    if of("pgsql"):
        add("pgsql", await layer(app, "bench", "big", of("pgsql")))
    if of("asyncpg"):
        add("asyncpg", await enter(asyncpg_held(run.pgsql)))
    if of("group"):
        add("group", await enter(group_commit(peer)))
    if of("sqlite3"):
        add("sqlite3", run.stack.enter_context(sqlite3_inline(peer)))
    made = {name: meter(operation) for name, operation in operations.items()}
    made |= imports(app, run, run.pgsql, peer) | inprocess.meters(app, home)
    return {name: one for name, one in made.items() if name in run.wanted}
