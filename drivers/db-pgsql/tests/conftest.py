"""A PostgreSQL for the whole run, and a schema of its own for each test."""

from itertools import count
from os import getpid

import pytest

from bkjs.testing.dbs import opened
from bkjs.testing.servers import NotHere, postgres
from bkjs_db_pgsql.driver import PgsqlDriver

numbers = count()


@pytest.fixture(scope="session")
def pgsql_url():
    try:
        with postgres() as url:
            yield url
    except NotHere as reason:
        pytest.skip(f"PostgreSQL is not here: {reason}")


@pytest.fixture
async def schema(pgsql_url):
    """The name of an empty schema, dropped after the test."""
    name = f"t{getpid()}_{next(numbers)}"
    async with opened(PgsqlDriver, pgsql_url) as driver:
        await driver.query(f"CREATE SCHEMA {name}")
        yield name
        await driver.query(f"DROP SCHEMA {name} CASCADE")


@pytest.fixture
async def driver(pgsql_url, schema):
    async with opened(PgsqlDriver, pgsql_url, schema=schema) as driver:
        yield driver
