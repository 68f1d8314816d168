"""The recorded database cases and the truth table of operators on SQLite."""

import pytest

from bkjs.testing.db import recorded as replay
from bkjs.testing.db.opened import database, opened
from bkjs.testing.vectors import vectors
from bkjs_db_sqlite.database import SqliteDriver


@pytest.mark.parametrize("case", replay.cases())
async def test_recorded_case(case):
    async with opened(SqliteDriver, ":memory:") as driver:
        await replay.run_case(database(driver), case)


@pytest.mark.parametrize("case", vectors("db-operators"))
async def test_operator(case):
    async with opened(SqliteDriver, ":memory:") as driver:
        db = database(driver)
        db.describe_tables(
            {"ops": {"id": {"type": "int", "primary": 1}, "c": {"type": case["type"]}}}
        )
        await db.create("ops")
        for number, value in enumerate(case["values"]):
            await db.put("ops", {"id": number, "c": value})
        rows = await db.select("ops", {"c": case["query"]}, ops={"c": case["op"]})
        found = {row["id"] for row in rows}
        assert [number in found for number in range(len(case["values"]))] == case.wanted()
