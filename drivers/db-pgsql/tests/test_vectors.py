"""The recorded database cases on PostgreSQL."""

import pytest

from bkjs.testing import replay
from bkjs.testing.dbs import database


@pytest.mark.parametrize("case", replay.cases())
async def test_recorded_case(case, driver):
    await replay.run_case(database(driver), case)
