"""The recorded database cases on the memory driver, whole and with each capability taken away."""

from dataclasses import fields

import pytest

from bkjs.db.contract import Capabilities
from bkjs.db.pools.memory import MemoryDriver
from bkjs.testing.db import recorded as replay
from bkjs.testing.db.opened import database, limited, opened
from bkjs.testing.vectors import cases

FLAGS = [field.name for field in fields(Capabilities)]
NOTHING = Capabilities()
FULL = [name for name in FLAGS if getattr(MemoryDriver.can, name) != getattr(NOTHING, name)]
PAIRS = [("conditional", other) for other in ("add", "update", "counters")]

pytestmark = [
    pytest.mark.vectors,
    pytest.mark.skipif(not cases(replay.KIND), reason="no golden data here"),
]


@pytest.mark.parametrize("case", replay.cases())
async def test_recorded_case(case):
    async with opened(MemoryDriver) as driver:
        await replay.run_case(database(driver), case)


async def replay_all(driver):
    for case in cases(replay.KIND):
        if not case.get("quirk") and not replay.exempt(case):
            async with opened(driver) as opened_driver:
                await replay.run_case(database(opened_driver), case)


def without(*names):
    """The memory driver without some capabilities."""
    return limited(MemoryDriver, **{name: getattr(NOTHING, name) for name in names})


@pytest.mark.parametrize("flag", FULL)
async def test_all_cases_without_one_capability(flag):
    await replay_all(without(flag))


@pytest.mark.parametrize("pair", PAIRS, ids="+".join)
async def test_all_cases_without_a_pair_of_capabilities(pair):
    await replay_all(without(*pair))


async def test_all_cases_with_six_methods_and_conditional_writes():
    await replay_all(without(*(set(FULL) - {"conditional"})))


async def test_all_cases_with_six_methods_only():
    await replay_all(without(*FULL))
