"""Operations over many rows take their time where that is asked for."""

import pytest

from bkjs.db.pools.memory import MemoryDriver
from bkjs.db.request import pace as module
from bkjs.db.request.pace import Pace
from bkjs.errors import BadRequest
from bkjs.testing.db.opened import database


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "Pace", lambda rate: Pace(rate, clock=clock, sleep=clock.sleep))
    return clock


@pytest.fixture
async def db():
    db = database(MemoryDriver("memory", "", {"read_capacity": 40}))
    db.describe_tables({"t": {"id": {"primary": 1}, "n": {"type": "int"}}})
    for number in range(10):
        await db.put("t", {"id": str(number)})
    return db


async def test_rows_wait_for_those_before_them(clock):
    pace = Pace(10, clock=clock, sleep=clock.sleep)
    for rows, seconds in ((5, 0), (5, 0.5), (1, 1)):
        await pace.take(rows)
        assert clock.now == pytest.approx(1000 + seconds)
    clock.now += 100  # what was not used is gone
    await pace.take(10)
    await pace.take(1)
    assert clock.now == pytest.approx(1102)


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        ({}, 0),
        ({"use_capacity": 20}, 8 / 18),
        ({"use_capacity": 20, "factor_capacity": 1}, 8 / 20),
        ({"use_capacity": "read", "factor_capacity": 0.5}, 8 / 20),
        ({"use_capacity": "write"}, 0),
    ],
)
async def test_scan_keeps_to_its_capacity(db, clock, options, seconds):
    assert await db.scan("t", {}, lambda row: None, count=4, **options) == 10
    assert clock.now == pytest.approx(1000 + seconds)


async def test_writes_of_all_rows_keep_to_their_capacity(db, clock):
    assert await db.update_all("t", {}, {"n": 1}, use_capacity=40) == 10
    assert clock.now == pytest.approx(1000 + 9 / 10)
    clock.now = 1000
    assert await db.del_all("t", {}, use_capacity=20, factor_capacity=0.5) == 10
    assert clock.now == pytest.approx(1000 + 9 / 10)


async def test_batch_keeps_to_its_capacity(db, clock):
    items = [{"op": "put", "table": "t", "obj": {"id": str(n)}} for n in range(5)]
    await db.batch(items, use_capacity=4)
    assert clock.now == pytest.approx(1001)


@pytest.mark.parametrize(
    "options",
    [{"use_capacity": "x"}, {"use_capacity": -1}, {"use_capacity": 1, "factor_capacity": 2}],
)
async def test_capacity_that_is_none_is_refused(db, options):
    with pytest.raises(BadRequest, match="use_capacity"):
        await db.scan("t", {}, print, **options)
