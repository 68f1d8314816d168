"""SQLite passes what every driver has to pass."""

import pytest

from bkjs.testing.db import DbDriverTests, opened
from bkjs.testing.db.facade import FacadeTests
from bkjs_db_sqlite.database import SqliteDriver


class TestSqlite(DbDriverTests):
    @pytest.fixture
    async def driver(self):
        async with opened(SqliteDriver, ":memory:") as driver:
            yield driver


class TestSqliteWithoutPlans(FacadeTests):
    """The same, where also plain requests go the general way."""

    plain = False

    @pytest.fixture
    async def driver(self):
        async with opened(SqliteDriver, ":memory:") as driver:
            yield driver
