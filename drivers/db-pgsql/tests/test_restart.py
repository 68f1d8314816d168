"""A server that is not there, refuses, goes away and comes back."""

import asyncio

import asyncpg
import pytest

from bkjs.db.contract import Request
from bkjs.db.tables.described import build
from bkjs.errors import StartError, Unavailable
from bkjs.testing.db import OutageTests, opened
from bkjs.testing.servers import NotHere, Postgres, free_port
from bkjs_db_pgsql.database import PgsqlDriver

T = build("t", {"id": {"primary": 1, "type": "int"}, "v": {}})


def put(driver, number):
    return driver.put(Request(verb="put", table=T, values={"id": number, "v": "x"}))


async def test_no_server_is_said_without_secrets():
    port = free_port()
    driver = PgsqlDriver("pgsql", f"postgresql://me:secret@127.0.0.1:{port}/shop", {})
    with pytest.raises(Unavailable, match=f"no connection to 127.0.0.1:{port}/shop: Conn") as error:
        await driver.open()
    assert "secret" not in str(error.value)
    await driver.close()


async def test_missing_database_is_said(pgsql_url):
    url = pgsql_url.rpartition("/")[0] + "/nowhere"
    with pytest.raises(StartError, match=r"there is no database .*/nowhere; make it with createdb"):
        await PgsqlDriver("pgsql", url, {}).open()


class Crashing(Postgres):
    """It cuts its connections without a word."""

    def stop(self, *, immediate=True):
        super().stop(immediate=immediate)


@pytest.fixture(scope="module", params=[Postgres, Crashing], ids=["fast", "immediate"])
def server(request):
    try:
        server = request.param()
        server.start()
    except NotHere as reason:
        pytest.skip(f"PostgreSQL is not here: {reason}")
    yield server
    server.remove()


@pytest.mark.process
class TestOutage(OutageTests):
    @pytest.fixture
    async def driver(self, server):
        url = server.url.replace("postgres@", "postgres:hush-hush@")
        times = {"timeout": 1000, "statement_timeout": 1000}
        async with opened(PgsqlDriver, url, max=4, **times) as driver:
            yield driver


@pytest.mark.process
async def test_restart_while_idle_is_not_noticed_by_writes_either(server):
    async with opened(PgsqlDriver, server.url) as driver:
        await driver.create(T)
        await asyncio.gather(*(put(driver, number) for number in range(5)))
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        assert (await driver.getter(T, None)((1,)))["id"] == 1
        await put(driver, 9)


async def test_connection_cut_by_the_server_is_replaced_for_a_read(pgsql_url, schema):
    async with opened(PgsqlDriver, pgsql_url, schema=schema, max=1) as driver:
        await driver.create(T)
        (row,) = await driver.query("SELECT pg_backend_pid() AS pid")
        other = await asyncpg.connect(pgsql_url)
        await other.execute("SELECT pg_terminate_backend($1)", row["pid"])
        await other.close()
        assert await driver.total(Request(verb="total", table=T)) == 0
