"""`bulk` with `atomic`: all writes or none, by a transaction or by one call of a driver."""

import pytest

from bkjs.db.contract import ABSENT, Capabilities
from bkjs.db.pools.memory import MemoryDriver, MemoryTransaction
from bkjs.errors import AlreadyExists, BadRequest, BkError, Conflict, Unsupported
from bkjs.testing.db import database, only, opened
from bkjs.testing.db.checker import guard

TABLES = {"t": {"id": {"primary": 1}, "num": {"type": "int"}, "words": {"type": "list"}}}


class Together(MemoryDriver):
    """Makes up to ten writes in one call, and has no transactions."""

    can = Capabilities(add=True, update=True, conditional=True, atomic=10)

    async def atomic(self, reqs):
        tx = MemoryTransaction(self)
        for req in reqs:
            written = await getattr(tx, req.verb)(req)
            if req.expected is not None and not written.affected:
                raise Conflict(f"{req.table.name} is not as expected")
        await tx.commit()


@pytest.fixture(params=[Together, MemoryDriver])
async def db(request):
    async with opened(request.param) as driver:
        db = database(guard(driver))
        db.describe_tables(TABLES)
        await db.put("t", {"id": "a", "num": 1})
        yield db


def item(op, obj, **options):
    return {"op": op, "table": "t", "obj": obj, "options": options}


async def test_all_take_effect(db):
    items = [
        item("add", {"id": "b", "num": 2}),
        item("update", {"id": "a", "num": 5}, expected={"num": 1}),
        item("put", {"id": "c"}, expected=ABSENT),
        item("del", {"id": "nosuch"}),
    ]
    assert await db.bulk(items, atomic=True) == [(None, each) for each in items]
    rows = await db.select("t", sort="id")
    assert [(row["id"], row.get("num")) for row in rows] == [("a", 5), ("b", 2), ("c", None)]
    assert await db.bulk([], atomic=True) == []


@pytest.mark.parametrize(
    ("last", "error"),
    [
        (item("add", {"id": "a"}), AlreadyExists),
        (item("update", {"id": "a", "num": 9}, expected={"num": 7}), Conflict),
        (item("put", {"id": "a"}, expected=ABSENT), Conflict),
        (item("del", {"id": "a"}, expected={"num": 7}), Conflict),
        (item("put", {"id": "c"}, expected={"num": []}), Conflict),
        (item("put", {"id": ""}), BadRequest),
    ],
)
async def test_none_takes_effect(db, last, error):
    with pytest.raises(error) as caught:
        await db.bulk([item("put", {"id": "b"}), last], atomic=True)
    if db.pool().can.transactions or error is BadRequest:
        assert caught.value.extra["item"] == 1
    assert [row["id"] for row in await db.select("t")] == ["a"]


@pytest.mark.parametrize("claims", [{}, {"versions": True}])
async def test_what_is_expected_needs_an_engine_that_can_tell(claims):
    class Unconditional(Together):
        can = Capabilities(add=True, update=True, atomic=10, **claims)

    async with opened(Unconditional) as driver:
        db = database(driver)
        db.describe_tables(TABLES)
        with pytest.raises(Unsupported):
            await db.bulk([item("put", {"id": "a"}, expected={"num": 1})], atomic=True)


async def test_what_cannot_be_together_is_refused():
    async with opened(Together) as driver:
        db = database(driver)
        db.describe_tables(TABLES)
        for bad in (
            [item("incr", {"id": "a", "num": 1})],
            [item("update", {"id": "a", "words": ["x"]}, update_ops={"words": "add"})],
            [item("put", {"id": str(n)}) for n in range(11)],
        ):
            with pytest.raises(Unsupported):
                await db.bulk(bad, atomic=True)
    async with opened(only(MemoryDriver, conditional=True)) as driver:
        db = database(driver)
        db.describe_tables(TABLES)
        with pytest.raises(Unsupported, match="2 writes that take effect together"):
            await db.bulk([item("put", {"id": n}) for n in "ab"], atomic=True)
        assert await db.select("t") == []


async def test_writes_to_two_databases_are_no_unit():
    async with opened(MemoryDriver) as driver, opened(MemoryDriver, name="other") as other:
        db = database(driver)
        db.describe_tables(TABLES)
        db.add_pool("other", other)
        with pytest.raises(BkError, match="another database"):
            await db.bulk(
                [item("put", {"id": "a"}), item("put", {"id": "b"}, pool="other")], atomic=True
            )
