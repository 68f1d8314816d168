"""Databases for tests over real processes: SQLite in the home, or one of a real PostgreSQL."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from bkjs.testing import servers


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


@pytest.fixture(scope="module")
def pgsql_url(pgsql_server: str) -> Iterator[str]:
    """The URL of a new, empty database."""
    name = f"bkjs_e2e_{secrets.token_hex(4)}"
    asyncio.run(_execute(pgsql_server, f"CREATE DATABASE {name}"))
    yield urlsplit(pgsql_server)._replace(path=f"/{name}").geturl()
    asyncio.run(_execute(pgsql_server, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="module", params=["sqlite", "pgsql"])
def database(request: pytest.FixtureRequest) -> list[str]:
    """Parameters that select an empty database."""
    if request.param == "sqlite":
        return ["-db-pool", "sqlite"]
    return ["-db-pool", "pgsql", "-db-pgsql-pool", request.getfixturevalue("pgsql_url")]
