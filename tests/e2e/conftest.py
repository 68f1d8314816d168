"""Databases for tests over real processes: SQLite in the home, or one of a real PostgreSQL."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from urllib.parse import urlsplit

import pytest

from bkjs.testing import servers

Empty = Callable[[str], AbstractContextManager[list[str]]]


@pytest.fixture(scope="session")
def pgsql_server() -> Iterator[str]:
    """The URL of a server: `BKJS_TEST_PGSQL`, else one started here; skips where none can be."""
    with ExitStack() as stack:
        try:
            url = stack.enter_context(servers.postgres())
        except servers.NotHere as reason:
            pytest.skip(f"PostgreSQL: {reason}")
        yield url


async def _execute(url: str, statement: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def empty(request: pytest.FixtureRequest) -> Empty:
    """`with empty("pgsql") as parameters`: what selects a new, empty database of that kind."""

    @contextmanager
    def database(kind: str) -> Iterator[list[str]]:
        if kind == "sqlite":
            yield ["-db-pool", "sqlite"]
            return
        server = request.getfixturevalue("pgsql_server")
        name = f"bkjs_e2e_{secrets.token_hex(4)}"
        asyncio.run(_execute(server, f"CREATE DATABASE {name}"))
        url = urlsplit(server)._replace(path=f"/{name}").geturl()
        yield ["-db-pool", "pgsql", "-db-pgsql-pool", url]
        asyncio.run(_execute(server, f"DROP DATABASE {name} WITH (FORCE)"))

    return database
