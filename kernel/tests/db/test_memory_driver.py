"""The memory driver in the conformance kit, whole and with capabilities taken away."""

import asyncio
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from bkjs.db.contract import Capabilities, Page, Shape, Written
from bkjs.db.pools.memory import MemoryDriver
from bkjs.db.request.paging import Position, seal, unseal
from bkjs.errors import BadRequest
from bkjs.testing.db import DbDriverTests, UniqueTests, database, limited, only, opened
from bkjs.testing.db.facade import FacadeTests


class TestMemory(DbDriverTests, UniqueTests):
    @pytest.fixture
    async def driver(self):
        async with opened(MemoryDriver) as driver:
            yield driver


class TestWithoutAnything(FacadeTests):
    """Six methods and no claim: everything is done by the kernel, or refused."""

    @pytest.fixture
    async def driver(self):
        async with opened(only(MemoryDriver)) as driver:
            yield driver


class TestConditionalWritesOnly(FacadeTests, UniqueTests):
    """Six methods and conditional writes: everything is done by the kernel."""

    @pytest.fixture
    async def driver(self):
        async with opened(only(MemoryDriver, conditional=True)) as driver:
            yield driver


class TestSortWithoutSeek(FacadeTests):
    """Sorts, but neither continues after a row nor evaluates conditions."""

    @pytest.fixture
    async def driver(self):
        flags = dict.fromkeys(("seek", "offset", "update", "counters", "add"), False)
        async with opened(limited(MemoryDriver, operators=frozenset(), **flags)) as driver:
            yield driver


class TextMemory(MemoryDriver):
    """Stores neither null nor anything but text and numbers, as key-value databases do."""

    can = replace(MemoryDriver.can, changes=frozenset({"set", "remove", "concat", "not_exists"}))
    shape = Shape(nulls=False, bools=False, binary=False)


class Versioned(MemoryDriver):
    """Tells rows apart by a version alone, and lets others run around each operation."""

    can = Capabilities(versions=True)

    def __init__(self, *args):
        super().__init__(*args)
        self.versions = {}

    async def versioned(self, req):
        await asyncio.sleep(0)
        row = await super().get(req)
        return None if row is None else (row, self.versions[self._place(req)])

    async def put(self, req):
        return await self._if_same(req, super().put)

    async def delete(self, req):
        return await self._if_same(req, super().delete)

    async def _if_same(self, req, write):
        await asyncio.sleep(0)
        place = self._place(req)
        stored = self.versions.get(place) if await super().get(req) is not None else None
        if req.version is not None and req.version != stored:
            return Written()
        done = await write(req)
        if done.affected:
            self.versions[place] = (self.versions.get(place) or 0) + 1
        return done

    def _place(self, req):
        return (req.table.name, *req.key.values())


class TestVersionsOnly(FacadeTests, UniqueTests):
    """Writes depend on what was read by its version; nothing else is claimed."""

    @pytest.fixture
    async def driver(self):
        async with opened(Versioned) as driver:
            yield driver


class Filtering(MemoryDriver):
    """Evaluates no condition, but tests rows on its way."""

    can = Capabilities(conditional=True, filters=True)

    async def select(self, req):
        page = await super().select(replace(req, columns=None, match=None, count=None))
        rows = [row for row in page.rows if req.match is None or req.match(row)]
        more = req.count is not None and len(rows) > req.count
        rows = rows[: req.count]
        resume = [rows[-1][name] for name in req.table.keys] if more else None
        return Page([req.pick(row) for row in rows], resume)


class TestFiltersOnTheWay(FacadeTests):
    """A driver that has no conditions gives pages of rows that pass all the same."""

    @pytest.fixture
    async def driver(self):
        async with opened(Filtering) as driver:
            yield driver


class Late(MemoryDriver):
    """What is written is seen by `select` after `refresh` only, as in a search engine."""

    can = Capabilities(conditional=True, fresh=False)

    def __init__(self, *args):
        super().__init__(*args)
        self.seen = {}

    async def refresh(self, table):
        self.seen[table] = dict(self.tables.get(table, {}))

    async def drop(self, table):
        await super().drop(table)
        self.seen.pop(table, None)

    async def select(self, req):
        stored, self.tables = self.tables, self.seen
        try:
            return await super().select(req)
        finally:
            self.tables = stored


async def test_writes_to_all_rows_see_what_has_been_written():
    async with opened(Late) as driver:
        db = database(driver)
        db.describe_tables({"t": {"id": {"primary": 1}, "num": {"type": "int"}}})
        for key in "abc":
            await db.put("t", {"id": key, "num": 1})
        assert await db.select("t") == []
        assert await db.update_all("t", {"num": 1}, {"num": 2}) == 3
        assert await db.del_all("t", {"num": 2}) == 3
        assert await db.get("t", {"id": "a"}) is None


class TestPlainValuesOnly(DbDriverTests, UniqueTests):
    @pytest.fixture
    async def driver(self):
        async with opened(TextMemory) as driver:
            yield driver


class TestPlainValuesAndConditionalWritesOnly(FacadeTests, UniqueTests):
    @pytest.fixture
    async def driver(self):
        async with opened(only(TextMemory, conditional=True)) as driver:
            yield driver


def test_tests_of_the_kit_cannot_be_replaced():
    name = next(name for name in dir(FacadeTests) if name.startswith("test_"))
    with pytest.raises(TypeError, match=f"Mine replaces tests of the kit: {name}"):
        type("Mine", (DbDriverTests,), {name: lambda self: None})


async def test_a_page_that_ends_with_the_last_row_is_the_last():
    async with opened(MemoryDriver) as driver:
        db = database(driver)
        db.describe_tables({"t": {"id": {"primary": 1}, "n": {"type": "int"}}})
        for number in range(4):
            await db.put("t", {"id": str(number), "n": number})
        for options in ({}, {"sort": "n"}):
            tokens = [(await db.select("t", count=n, **options)).next_token for n in (3, 4, 5)]
            assert [token is None for token in tokens] == [False, True, True]


@pytest.mark.parametrize("kind", ["after", "resume"])
def test_what_a_token_holds_comes_back_as_it_was(kind):
    values = (None, True, 5, 0.1, "é\0", b"\0", Decimal("0.10"), date(2018, 3, 2), {"a": [1]})
    position = Position(kind, values if kind == "after" else list(values))
    token = seal(b"k" * 32, "mark", position)
    assert unseal(b"k" * 32, "mark", token) == position
    for key, mark in ((b"x" * 32, "mark"), (b"k" * 32, "other")):
        with pytest.raises(BadRequest, match="start: invalid token"):
            unseal(key, mark, token)
