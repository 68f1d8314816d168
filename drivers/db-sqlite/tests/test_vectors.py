"""The recorded database cases on SQLite."""

import pytest

from bkjs.testing import replay
from bkjs.testing.dbs import database, opened
from bkjs_db_sqlite.driver import SqliteDriver


@pytest.mark.parametrize("case", replay.cases())
async def test_recorded_case(case):
    async with opened(SqliteDriver, ":memory:") as driver:
        await replay.run_case(database(driver), case)
