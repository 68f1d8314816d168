"""The data of a run: homes of our servers, and rows written straight into the tables."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from bkjs.testing.process import Server, run
from tests.bench.app import KINDS, PGSQL
from tests.bench.meters import ROOT
from tests.bench.peers import CONNECTIONS, ROWS

APP = Path(__file__).with_name("app.py")
LOGIN, SECRET = "bench", "bench-secret-0123"
ENV = {"PYTHONPATH": str(ROOT)}
MANY = 1_000_000
NAMES = "id, name, email, num, mtime"
VALUES = "i, 'name ' || i, 'user' || i || '@example.com', i * 7, 1700000000000 + i"
COUNT = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})"
CREATE = (
    "CREATE TABLE {table}(id integer PRIMARY KEY, name text, email text, num integer, mtime bigint)"
)


def parameters(pgsql: str, *, connections: int = CONNECTIONS) -> list[str]:
    """Both databases, our endpoints, no access log."""
    made = ["-db-pool", "sqlite", "-app", str(APP), "-log", "warn"]
    if pgsql:
        made += ["-db-pgsql-pool", pgsql, "-db-pgsql-pool-tables", PGSQL]
        made += ["-db-pgsql-pool-max", str(connections)]
    return made


def prepare(home: Path, pgsql: str) -> None:
    """Make the tables of both databases, their rows, and the account that signs."""
    arguments = parameters(pgsql)
    with Server(*arguments, "-db-create-tables", home=home, env=ENV):
        pass
    user = ["-login", LOGIN, "-secret", SECRET, "-name", "Bench"]
    done = run(home, "user", "add", *user, *arguments, env=ENV)
    if done.returncode:
        raise RuntimeError(done.stderr)
    with writing(database(home)) as connection:
        for table in ("bench_lite", "person_lite"):
            fill(connection, table, ROWS)


async def fill_pgsql(pgsql: str, **tables: int) -> None:
    """So many rows in each of these tables, which exist."""
    import asyncpg

    connection = await asyncpg.connect(pgsql)
    for table, rows in tables.items():
        await connection.execute(f"DELETE FROM {table}")
        text = (
            f"INSERT INTO {table}({NAMES}) SELECT {VALUES} FROM generate_series(1, {rows}) AS n(i)"
        )
        await connection.execute(text)
        await connection.execute(f"ANALYZE {table}")
    await connection.close()


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """A file of SQLite that nobody else uses yet, for many rows; it ends as one with a WAL."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=off")
    connection.execute("PRAGMA synchronous=off")
    yield connection
    connection.execute("PRAGMA journal_mode=wal")
    connection.close()


def fill(connection: sqlite3.Connection, table: str, rows: int) -> None:
    """So many rows in a table of SQLite."""
    count = COUNT.format(rows=rows)
    connection.execute(f"INSERT INTO {table}({NAMES}) {count} SELECT {VALUES} FROM n")


def accounts(home: Path, number: int) -> None:
    """So many more accounts, `user1` and so on, with the secret of the one that is there."""
    with writing(database(home)) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(bk_auth)")]
        own = {"login": "'user' || i", "id": "'id' || i"}
        chosen = ", ".join(own.get(name, name) for name in columns)
        count = COUNT.format(rows=number)
        connection.execute(
            f"INSERT INTO bk_auth({', '.join(columns)}) {count}"
            f" SELECT {chosen} FROM n, bk_auth WHERE login = '{LOGIN}'"
        )


def database(home: Path) -> Path:
    """The file of SQLite in a home: the one that holds our tables."""
    for path in home.rglob("*"):
        if path.is_file() and path.read_bytes()[:15] == b"SQLite format 3":
            with closing(sqlite3.connect(path)) as connection:
                found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'bench_lite'")
                if found.fetchone():
                    return path
    raise RuntimeError(f"no SQLite database with the table bench_lite in {home}")


def copy(home: Path, name: str) -> Path:
    """A home of its own, since one home has one server."""
    return Path(shutil.copytree(home, home.with_name(name)))


def plugins(folder: Path, number: int) -> list[str]:
    """Parameters with which so many small plugins are loaded, which this writes."""
    modules = folder / f"{number}-plugins"
    modules.mkdir(exist_ok=True)
    for name in (f"plugin{one}" for one in range(number)):
        (modules / f"{name}.py").write_text(PLUGIN.format(name=name))
    return ["-modules-path", str(modules), "-allow-modules", "^(bk_accounts|plugin.*)$"]


def peer_file(path: Path) -> None:
    """The tables of the peers in a file of SQLite."""
    with writing(path) as connection:
        for table in KINDS:
            connection.execute(CREATE.format(table=table))
            fill(connection, table, ROWS)


PLUGIN = """
from bkjs import hookimpl
from bkjs.web import Routes

routes = Routes()


@routes.endpoint("/{name}/get", table="{name}")
async def get(req):
    return await req.app.db.get("{name}", {{"id": req.query.get("id", "")}})


@hookimpl
def tables():
    return {{"{name}": {{"id": {{"primary": 1, "pub": 1}}, "name": {{"pub": 1}}}}}}


@hookimpl
def configure_web(app, web):
    web.add(routes)
"""
