"""The recorded database cases on the memory driver, whole and with each capability taken away."""

from dataclasses import fields

import pytest
from bkjs.db.contract import Capabilities
from bkjs.db.memory import MemoryDriver
from bkjs.testing import replay
from bkjs.testing.dbs import database, limited, opened

FLAGS = [field.name for field in fields(Capabilities)]
PAIRS = [("conditional", other) for other in ("add", "update", "counters")]


def without(*names):
    """The memory driver without some capabilities."""
    off = {name: frozenset() if name in ("operators", "changes") else False for name in names}
    return limited(MemoryDriver, **off)


async def run(driver, case):
    async with opened(driver) as opened_driver:
        await replay.run_case(database(opened_driver), case)


@pytest.mark.parametrize("case", replay.cases())
async def test_recorded_case(case):
    await run(MemoryDriver, case)


@pytest.mark.parametrize("flag", [f for f in FLAGS if getattr(MemoryDriver.can, f)])
@pytest.mark.parametrize("case", replay.cases())
async def test_recorded_case_without_one_capability(case, flag):
    await run(without(flag), case)


@pytest.mark.parametrize("pair", PAIRS, ids="+".join)
@pytest.mark.parametrize("case", replay.cases())
async def test_recorded_case_without_a_pair_of_capabilities(case, pair):
    await run(without(*pair), case)


@pytest.mark.parametrize("case", replay.cases())
async def test_recorded_case_with_six_methods_and_conditional_writes(case):
    driver = limited(MemoryDriver, **vars_of(Capabilities(conditional=True)))
    await run(driver, case)


@pytest.mark.parametrize("case", replay.cases())
async def test_recorded_case_with_six_methods_only(case):
    await run(limited(MemoryDriver, **vars_of(Capabilities())), case)


def vars_of(can):
    return {name: getattr(can, name) for name in FLAGS}
