"""The recorded database cases and the truth table of operators on PostgreSQL."""

import pytest

from bkjs.testing.db import recorded as replay
from bkjs.testing.db.opened import database
from bkjs.testing.vectors import vectors


@pytest.mark.parametrize("case", replay.cases())
async def test_recorded_case(case, tidy_driver):
    await replay.run_case(database(tidy_driver), case)


@pytest.mark.parametrize("case", vectors("db-operators"))
async def test_operator(case, tidy_driver):
    db = database(tidy_driver)
    db.describe_tables({"ops": {"id": {"type": "int", "primary": 1}, "c": {"type": case["type"]}}})
    await db.create("ops")
    for number, value in enumerate(case["values"]):
        await db.put("ops", {"id": number, "c": value})
    rows = await db.select("ops", {"c": case["query"]}, ops={"c": case["op"]})
    found = {row["id"] for row in rows}
    await db.drop("ops")
    assert [number in found for number in range(len(case["values"]))] == case.wanted()
