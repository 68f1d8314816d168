"""Unique columns that the kernel keeps: writers that interleave at every step, and die at any."""

import asyncio
import random

import pytest

from bkjs.db.contract import ABSENT, Capabilities
from bkjs.db.pools.memory import MemoryDriver, taken
from bkjs.db.request import guards
from bkjs.db.request.guards import GRACE, SUFFIX
from bkjs.errors import AlreadyExists, BkError, Conflict, Timeout, Unavailable
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


@pytest.mark.parametrize("kind", ["bytes", "timestamp", "decimal", "date"])
async def test_whose_a_value_is_can_be_told_by_any_key(kind):
    db = database(Slow("slow", "", {}))
    db.describe_tables({"t": {"id": {"type": kind, "primary": 1}, "mail": {"unique": 1}}})
    now = [1000.0]
    db.now = lambda: now[0]
    keys = {"bytes": (b"a", b"b"), "decimal": ("1.5", "2.5")}
    first, second = keys.get(kind, ("2020-01-01", "2021-01-01"))
    await db.add("t", {"id": first, "mail": "x"})
    now[0] += GRACE + 1
    with pytest.raises(AlreadyExists):
        await db.add("t", {"id": second, "mail": "x"})


@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [
        ("real", 1, 1.0),
        ("real", 0.0, -0.0),
        ("decimal", "1.0", "1.00"),
        ("json", {"a": 1, "b": [2.0]}, {"b": [2], "a": 1}),
        ("timestamp", "2020-01-01T00:00:00Z", "2020-01-01T01:00:00+01:00"),
    ],
)
async def test_equal_values_are_one(kind, first, second):
    db = database(Slow("slow", "", {}))
    db.describe_tables({"t": {"id": {"primary": 1}, "v": {"type": kind, "unique": 1}}})
    await db.add("t", {"id": "a", "v": first})
    with pytest.raises(AlreadyExists):
        await db.add("t", {"id": "b", "v": second})
    await db.put("t", {"id": "a", "v": second})
    await db.del_("t", {"id": "a"})
    assert not db.pool().driver.tables["t" + SUFFIX]


async def test_one_row_has_one_lock_however_its_key_is_written(db):
    db.describe_tables({"t": {"id": {"type": "real", "primary": 1}, "v": {"unique": 1}}})
    await db.put("t", {"id": 1, "v": "x"})
    await db.put("t", {"id": 1.0, "v": "y"})
    await db.del_("t", {"id": 1})
    assert not db.pool().driver.tables["t" + SUFFIX]


@pytest.mark.parametrize("answered", [True, False])
async def test_a_value_that_another_takes_while_its_writer_wakes_up(db, answered):
    """He has seen that nobody has it, and takes the guard when the row is written."""
    driver = db.pool().driver
    now = [1000.0]
    db.now = lambda: now[0]
    asleep, wake, looked, take = (asyncio.Event() for _ in range(4))
    real = driver.put

    async def put(req):
        if req.table.name == "u" and req.values["id"] == "a":
            asleep.set()
            await wake.wait()
            done = await real(req)
            if not answered:
                raise Unavailable("no answer in time")
            return done
        if asleep.is_set() and req.expected is not ABSENT and not looked.is_set():
            looked.set()
            await take.wait()
        return await real(req)

    driver.put = put
    first = asyncio.ensure_future(db.add("u", {"id": "a", "mail": "x"}))
    await asleep.wait()
    now[0] += GRACE + 1
    second = asyncio.ensure_future(db.add("u", {"id": "b", "mail": "x"}))
    await looked.wait()
    wake.set()
    await asyncio.wait([first])
    take.set()
    done = await asyncio.gather(first, second, return_exceptions=True)
    assert isinstance(done[0], BkError) is not answered
    assert isinstance(done[1], AlreadyExists)
    assert [row["id"] for row in await db.select("u")] == ["a"]


async def test_a_late_writer_without_an_answer_takes_its_row_back(db):
    driver = db.pool().driver
    now = [1000.0]
    db.now = lambda: now[0]
    asleep, wake = asyncio.Event(), asyncio.Event()
    real = driver.put

    async def sleeps(req):
        if req.table.name == "u" and req.values["id"] == "a":
            asleep.set()
            await wake.wait()
            await real(req)
            raise Unavailable("no answer in time")
        return await real(req)

    driver.put = sleeps
    late = asyncio.ensure_future(db.add("u", {"id": "a", "mail": "x"}))
    await asleep.wait()
    now[0] += GRACE + 1
    await db.add("u", {"id": "b", "mail": "x"})
    wake.set()
    with pytest.raises(AlreadyExists):
        await late
    assert [row["id"] for row in await db.select("u")] == ["b"]


async def test_a_refused_write_gives_no_value_away_of_one_that_is_still_done(db):
    driver = db.pool().driver
    real, waiting = driver.put, []

    async def put(req):
        if req.table.name == "u" and not waiting:
            waiting.append(req)
            raise Unavailable("no answer in time")
        if req.table.name == "u" and len(waiting) == 1:
            await real(waiting[0])  # it comes when the second write has looked
        return await real(req)

    driver.put = put
    for error in (Unavailable, AlreadyExists):
        with pytest.raises(error):
            await db.add("u", {"id": "a", "mail": "x"})
    driver.put = real
    with pytest.raises(AlreadyExists):
        await db.add("u", {"id": "b", "mail": "x"})


async def test_a_lock_without_an_answer_is_given_back(db):
    driver = db.pool().driver
    real, asked = driver.put, []

    async def put(req):
        done = await real(req)
        asked.append(req)
        if len(asked) == 1:
            raise Unavailable("no answer in time")
        return done

    driver.put = put
    with pytest.raises(Unavailable):
        await db.put("u", {"id": "a", "mail": "x"})
    await db.put("u", {"id": "a", "mail": "x"})


async def test_migrate_makes_the_guards_anew(db):
    await db.add("u", {"id": "a", "mail": "X"})
    await db.add("u", {"id": "b", "mail": "Y"})

    def lower(row):
        row["mail"] = row["mail"].lower()

    await db.migrate("u", preprocess=lower, delay=0)
    for mail in "xy":
        with pytest.raises(AlreadyExists):
            await db.add("u", {"id": "c", "mail": mail})
    await db.add("u", {"id": "c", "mail": "X"})
    with pytest.raises(AlreadyExists):
        await db.migrate("u", preprocess=lower, delay=0)
    assert len(await db.select("u")) == 3
    assert len(db.pool().driver.tables["u" + SUFFIX]) == 3


async def test_migrate_guards_what_was_there_before(db):
    db.describe_tables({"t": {"id": {"primary": 1}, "v": {}}})
    await db.add("t", {"id": "a", "v": "x"})
    db.describe_tables({"t": {"id": {"primary": 1}, "v": {"unique": 1}}})
    await db.migrate("t", delay=0)
    with pytest.raises(AlreadyExists):
        await db.add("t", {"id": "b", "v": "x"})


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


class Overtaken(MemoryDriver):
    """The next put of a row has no answer, and is done when it is told so."""

    can = Capabilities(conditional=True)
    hold = False
    held = None

    async def put(self, req):
        if self.hold and req.table.uniques:
            self.hold, self.held = False, req
            raise Timeout("no answer")
        return await super().put(req)

    async def arrive(self):
        await super().put(self.held)


@pytest.fixture
def overtaken():
    db = database(Overtaken("overtaken", "", {}))
    db.describe_tables(TABLES)
    return db


async def holders(db, mail):
    return [row["id"] for row in await db.select("u", {"mail": mail}, sort="id")]


@pytest.mark.parametrize("verb", ["put", "update"])
async def test_a_write_that_others_have_overtaken_does_nothing(overtaken, verb):
    db, driver = overtaken, overtaken.pool().driver
    await db.add("u", {"id": "a", "mail": "x"})
    driver.hold = True
    with pytest.raises(Timeout):
        await getattr(db, verb)("u", {"id": "a", "mail": "x", "note": "late"})
    await db.put("u", {"id": "a", "mail": "y"})
    await db.add("u", {"id": "b", "mail": "x"})
    await driver.arrive()
    assert (await holders(db, "x"), await holders(db, "y")) == (["b"], ["a"])


async def test_a_value_that_a_late_write_may_bring_is_kept_for_it(overtaken):
    db, driver = overtaken, overtaken.pool().driver
    now = [1000.0]
    db.now = lambda: now[0]
    await db.add("u", {"id": "a"})
    driver.hold = True
    with pytest.raises(Timeout):
        await db.put("u", {"id": "a", "mail": "x", "note": "late"})
    await db.put("u", {"id": "a", "mail": "x"})
    await db.put("u", {"id": "a"})
    with pytest.raises(AlreadyExists):
        await db.add("u", {"id": "b", "mail": "x"})
    await driver.arrive()
    assert await holders(db, "x") == ["a"]
    await db.put("u", {"id": "a"})
    now[0] += GRACE + 1
    await db.add("u", {"id": "b", "mail": "x"})
    assert await holders(db, "x") == ["b"]


async def test_a_write_is_told_when_a_late_one_came_before_it(overtaken):
    db, driver = overtaken, overtaken.pool().driver
    await db.add("u", {"id": "a", "mail": "x"})
    driver.hold = True
    with pytest.raises(Timeout):
        await db.put("u", {"id": "a", "mail": "y"})
    get = driver.get

    async def late(req):
        row = await get(req)
        if driver.held and req.table.uniques:
            await driver.arrive()
            driver.held = None
        return row

    driver.get = late
    with pytest.raises(Conflict, match="late"):
        await db.put("u", {"id": "a", "mail": "z"})
    await db.put("u", {"id": "a", "mail": "z"})
    assert await holders(db, "z") == ["a"]
    assert await holders(db, "y") == []
