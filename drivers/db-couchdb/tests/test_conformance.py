"""What every database driver promises."""

from __future__ import annotations

from urllib.request import Request, urlopen
from uuid import uuid4

import pytest

from bkjs.testing.db import DbDriverTests, OutageTests, opened
from bkjs_db_couchdb.database import CouchDbDriver


class TestCouchDb(DbDriverTests):
    @pytest.fixture
    async def driver(self, engine):
        async with opened(CouchDbDriver, f"{engine('couchdb')}/kit{uuid4().hex}") as driver:
            yield driver


class Forgetful:
    """The server for tests keeps all in memory: after a start the database is made again."""

    def __init__(self, server):
        self.stop, self.pause, self.resume = server.stop, server.pause, server.resume
        self.server, self.url = server, f"{server.url}/kit"

    def start(self):
        self.server.start()
        urlopen(Request(self.url, method="PUT"), timeout=10).close()


@pytest.fixture(scope="module")
def server(engine):
    with engine.own("couchdb") as server:
        yield Forgetful(server)


class TestOutage(OutageTests):
    durable = False

    @pytest.fixture
    async def driver(self, server):
        async with opened(CouchDbDriver, server.url, max=4, timeout=1000) as driver:
            yield driver
