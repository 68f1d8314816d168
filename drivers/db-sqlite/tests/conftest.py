"""A SQLite database in the test's own folder."""

import pytest

from bkjs.db.contract import Request
from bkjs.db.tables.described import build
from bkjs.testing.db.opened import opened
from bkjs_db_sqlite.database import SqliteDriver

ITEM = build(
    "item",
    {
        "id": {"primary": 1},
        "num": {"type": "int", "index": 1},
        "name": {},
        "email": {"unique": 1},
        "cnt": {"type": "counter"},
        "ok": {"type": "bool"},
        "must": {"notnull": 1, "value": "x"},
    },
)


@pytest.fixture
def item():
    """Makes requests for the table `item`."""

    def make(verb, **fields):
        return Request(verb=verb, table=ITEM, **fields)

    return make


@pytest.fixture
async def driver(tmp_path):
    async with opened(SqliteDriver, "test", dir=tmp_path, timeout=200) as driver:
        await driver.create(ITEM)
        yield driver
