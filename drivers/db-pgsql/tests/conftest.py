"""A PostgreSQL for the whole run, and a schema of its own for each test."""

import asyncio
from itertools import count
from os import getpid

import asyncpg
import pytest

from bkjs.testing.db.opened import opened
from bkjs.testing.servers import NotHere, postgres
from bkjs_db_pgsql.database import PgsqlDriver

numbers = count()


@pytest.fixture(scope="session")
def pgsql_url():
    try:
        with postgres() as url:
            yield url
    except NotHere as reason:
        pytest.skip(f"PostgreSQL is not here: {reason}")


async def execute(url, text):
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(text)
    finally:
        await connection.close()


@pytest.fixture
async def schema(pgsql_url):
    """The name of an empty schema, dropped after the test."""
    name = f"t{getpid()}_{next(numbers)}"
    await execute(pgsql_url, f"CREATE SCHEMA {name}")
    yield name
    await execute(pgsql_url, f"DROP SCHEMA {name} CASCADE")


@pytest.fixture(scope="module")
def shared_schema(pgsql_url):
    """One schema for all tests of a module, which drop the tables that they make."""
    name = f"t{getpid()}_{next(numbers)}"
    asyncio.run(execute(pgsql_url, f"CREATE SCHEMA {name}"))
    yield name
    asyncio.run(execute(pgsql_url, f"DROP SCHEMA {name} CASCADE"))


@pytest.fixture
async def driver(pgsql_url, schema):
    async with opened(PgsqlDriver, pgsql_url, schema=schema) as driver:
        yield driver


@pytest.fixture
async def tidy_driver(pgsql_url, shared_schema):
    async with opened(PgsqlDriver, pgsql_url, schema=shared_schema) as driver:
        yield driver
