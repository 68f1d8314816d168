"""Unique columns that the kernel keeps: writers that interleave at every step, and die at any."""

import asyncio
import random

import pytest

from bkjs.db.contract import Capabilities
from bkjs.db.pools.memory import MemoryDriver, taken
from bkjs.db.request import guards
from bkjs.db.request.guards import GRACE, SUFFIX
from bkjs.errors import AlreadyExists, BkError, Conflict, Unavailable
from bkjs.testing.db import database

TABLES = {
    "u": {
        "id": {"primary": 1},
        "mail": {"unique": 1},
        "kind": {"unique1": 1},
        "num": {"type": "int", "unique1": 2},
        "note": {},
    }
}


class Slow(MemoryDriver):
    """Keeps no unique columns, lets others run around each operation, and sees every two rows that
    share a value."""

    can = Capabilities(conditional=True)
    chance = random.Random(1)
    shared = 0
    dead = False
    """No operation is done any more, as when the process is killed."""

    async def _turn(self):
        if self.dead:
            raise RuntimeError("killed")
        for _ in range(self.chance.randrange(3)):
            await asyncio.sleep(0)

    async def get(self, req):
        await self._turn()
        row = await super().get(req)
        await self._turn()
        return row

    async def put(self, req):
        await self._turn()
        done = await super().put(req)
        if req.table.uniques and taken(req.table, {}, self._rows(req)):
            self.shared += 1
        await self._turn()
        return done

    async def delete(self, req):
        await self._turn()
        done = await super().delete(req)
        await self._turn()
        return done


@pytest.fixture
def db():
    db = database(Slow("slow", "", {}))
    db.describe_tables(TABLES)
    return db


async def act(db, chance):
    """Any write of any of a few rows with any of a few values."""
    row = {"id": chance.choice("abcd")}
    for name, values in (("mail", "xyz"), ("kind", "k"), ("num", [1, 2]), ("note", "no")):
        if chance.random() < 0.7:
            row[name] = chance.choice([*values, None])
    verb = chance.choice(["add", "put", "update", "update", "del_"])
    options = {"upsert": True} if verb == "update" and chance.random() < 0.3 else {}
    if verb in ("update", "put") and chance.random() < 0.2:
        options["expected"] = {"note": chance.choice("no")}
    try:
        await getattr(db, verb)("u", row, **options)
    except AlreadyExists:
        pass


@pytest.mark.parametrize("seed", range(12))
async def test_no_two_rows_ever_share_a_value(db, seed):
    driver = db.pool().driver
    driver.chance = random.Random(seed)

    async def writer(number):
        chance = random.Random(seed * 100 + number)
        for _ in range(60):
            await act(db, chance)

    await asyncio.gather(*map(writer, range(6)))
    assert driver.shared == 0
    rows = await db.select("u")
    guards = driver.tables["u" + SUFFIX].values()
    for row in rows:  # and each value has its guard, which nobody else can take
        for values in ({"mail": row.get("mail")}, {"kind": row.get("kind"), "num": row.get("num")}):
            if None not in values.values():
                with pytest.raises(AlreadyExists):
                    await db.add("u", {"id": "new", **values})
    wanted = sum(
        (row.get("mail") is not None) + (None not in (row.get("kind"), row.get("num")))
        for row in rows
    )
    assert len(guards) == wanted  # none is left over


@pytest.mark.parametrize("seed", range(6))
async def test_writers_that_die_hold_no_value_for_ever(db, seed):
    driver = db.pool().driver
    now = [1000.0]
    db.now = lambda: now[0]

    async def writer(number):
        chance = random.Random(seed * 100 + number)
        while True:
            try:
                await act(db, chance)
            except Conflict:  # the lock of one that died
                await asyncio.sleep(0)

    chance = random.Random(seed)
    for _ in range(40):
        tasks = [asyncio.ensure_future(writer(number)) for number in range(4)]
        for _ in range(chance.randrange(60)):
            await asyncio.sleep(0)
        driver.dead = True
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        driver.dead = False
        now[0] += chance.choice([0, GRACE / 2, GRACE + 1])
    assert driver.shared == 0
    now[0] += GRACE + 1
    await db.del_all("u", {})
    for mail in "xyz":
        await db.add("u", {"id": mail, "mail": mail})
    with pytest.raises(AlreadyExists):
        await db.add("u", {"id": "w", "mail": "x"})


async def test_a_guard_of_a_dead_writer_is_respected_for_a_while(db):
    driver = db.pool().driver
    now = [1000.0]
    db.now = lambda: now[0]
    real, driver.put = driver.put, None

    async def dies(req):
        if req.table.name == "u":
            raise BkError("killed")
        return await real(req)

    async def never(req):
        raise BkError("killed")

    driver.put, driver.delete, kept = dies, never, driver.delete
    with pytest.raises(BkError, match="killed"):
        await db.add("u", {"id": "a", "mail": "x"})
    driver.put, driver.delete = real, kept
    now[0] += GRACE - 1
    with pytest.raises(AlreadyExists):
        await db.add("u", {"id": "b", "mail": "x"})
    now[0] += 2
    await db.add("u", {"id": "b", "mail": "x"})


async def test_a_writer_that_wakes_up_too_late_takes_its_row_back(db):
    driver = db.pool().driver
    now = [1000.0]
    db.now = lambda: now[0]
    asleep, wake = asyncio.Event(), asyncio.Event()
    real = driver.put

    async def sleeps(req):
        if req.table.name == "u" and req.values["id"] == "a":
            asleep.set()
            await wake.wait()
        return await real(req)

    driver.put = sleeps
    late = asyncio.ensure_future(db.add("u", {"id": "a", "mail": "x"}))
    await asleep.wait()
    now[0] += GRACE + 1
    await db.add("u", {"id": "b", "mail": "x"})
    wake.set()
    with pytest.raises(AlreadyExists, match="the same mail"):
        await late
    assert [row["id"] for row in await db.select("u")] == ["b"]


async def test_a_write_whose_end_is_unknown_keeps_its_values(db):
    driver = db.pool().driver
    real = driver.put

    async def late(req):
        done = await real(req)
        if req.table.name == "u":
            raise Unavailable("no answer in time")
        return done

    driver.put = late
    with pytest.raises(Unavailable):
        await db.add("u", {"id": "a", "mail": "x"})
    driver.put = real
    with pytest.raises(AlreadyExists):
        await db.add("u", {"id": "b", "mail": "x"})


async def test_who_cannot_have_a_row_is_told(db, monkeypatch):
    monkeypatch.setattr(guards, "TRIES", 3)
    driver = db.pool().driver
    await db.add("u", {"id": "a", "mail": "x"})
    monkeypatch.setattr(driver, "delete", driver.get)  # the lock is never given back
    await db.put("u", {"id": "a", "mail": "y"})
    with pytest.raises(Conflict, match="another writer has this row"):
        await db.put("u", {"id": "a", "mail": "z"})
    assert (await db.get("u", {"id": "a"}))["mail"] == "y"


async def test_rows_of_statements_and_imports_are_guarded_too(db):
    await db.add("u", {"id": "a", "mail": "x"})
    done = await db.bulk([{"op": "put", "table": "u", "obj": {"id": "b", "mail": "x"}}])
    assert isinstance(done[0][0], AlreadyExists)
    await db.add("u", {"id": "b", "mail": "y"})
    with pytest.raises(AlreadyExists):
        await db.update_all("u", {"id": ["a", "b"]}, {"mail": "z"})
    await db.drop("u")
    await db.add("u", {"id": "c", "mail": "x"})
