"""Databases for tests over real processes: SQLite in the home, or one of a real PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

PGSQL = os.environ.get("BKJS_TEST_PGSQL", "")


async def _on_server(statement: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(PGSQL)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def pgsql_url() -> Iterator[str]:
    """The URL of a new, empty database; skips where no server is named."""
    if not PGSQL:
        pytest.skip("PostgreSQL: set BKJS_TEST_PGSQL to the URL of a server for tests")
    name = f"bkjs_e2e_{secrets.token_hex(4)}"
    asyncio.run(_on_server(f"CREATE DATABASE {name}"))
    yield urlsplit(PGSQL)._replace(path=f"/{name}").geturl()
    asyncio.run(_on_server(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="module", params=["sqlite", "pgsql"])
def database(request: pytest.FixtureRequest) -> list[str]:
    """Parameters that select an empty database."""
    if request.param == "sqlite":
        return ["-db-pool", "sqlite"]
    return ["-db-pool", "pgsql", "-db-pgsql-pool", request.getfixturevalue("pgsql_url")]
