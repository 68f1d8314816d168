"""The memory driver in the conformance kit, whole and with capabilities taken away."""

import asyncio
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from bkjs.db.contract import Capabilities, Page, Shape
from bkjs.db.pools.memory import MemoryDriver
from bkjs.db.request.paging import Position, seal, unseal
from bkjs.errors import AlreadyExists, BadRequest
from bkjs.testing.db import DbDriverTests, UniqueTests, database, limited, only, opened
from bkjs.testing.db.base import KitBase
from bkjs.testing.db.facade import FacadeTests

from .engines import yielding


class TestMemory(DbDriverTests):
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
    """Six methods and conditional writes: everything is done by the kernel, while others write
    between its calls."""

    @pytest.fixture
    async def driver(self):
        async with opened(only(yielding(MemoryDriver), conditional=True)) as driver:
            yield driver


class TestSortWithoutSeek(FacadeTests):
    """Sorts, but neither continues after a row nor evaluates conditions."""

    @pytest.fixture
    async def driver(self):
        flags = dict.fromkeys(("seek", "offset", "counters", "add"), False)
        async with opened(
            limited(yielding(MemoryDriver), operators=frozenset(), **flags)
        ) as driver:
            yield driver


class TextMemory(MemoryDriver):
    """Stores neither null nor anything but text and numbers, as key-value databases do."""

    can = replace(MemoryDriver.can, changes=frozenset({"set", "remove", "concat", "not_exists"}))
    shape = Shape(nulls=False, bools=False, binary=False)


class Filtering(MemoryDriver):
    """Evaluates no condition, but tests rows on its way."""

    can = Capabilities(conditional=True, filters=True)

    async def select(self, req):
        page = await super().select(replace(req, columns=None, match=None, count=None))
        rows = [row for row in page.rows if req.match is None or req.match(row)]
        more = req.count is not None and len(rows) > req.count
        rows = rows[: req.count]
        resume = self.behind(req, rows[-1]) if more else None
        return Page([req.pick(row) for row in rows], resume)


class TestFiltersOnTheWay(FacadeTests):
    """A driver that has no conditions gives pages of rows that pass all the same."""

    @pytest.fixture
    async def driver(self):
        async with opened(Filtering) as driver:
            yield driver


class TestPlainValuesOnly(DbDriverTests):
    @pytest.fixture
    async def driver(self):
        async with opened(TextMemory) as driver:
            yield driver


class TestPlainValuesAndConditionalWritesOnly(FacadeTests, UniqueTests):
    @pytest.fixture
    async def driver(self):
        async with opened(only(yielding(TextMemory), conditional=True, behind=True)) as driver:
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


def test_no_test_of_the_kit_hides_another_one():
    found = {}
    for kind in DbDriverTests.__mro__:
        for name in vars(kind):
            if name.startswith("test_"):
                assert found.setdefault(name, kind) is kind, f"{name} of {kind} and {found[name]}"


def test_a_failure_says_what_to_do():
    class Wrong(KitBase):
        __module__ = "bkjs.testing.db.select"

        async def test_it(self):
            """It is so.

            Troubleshooting: make
            it so.
            """
            raise AssertionError("it is not")

    with pytest.raises(AssertionError) as caught:
        asyncio.run(Wrong().test_it())
    assert caught.value.__notes__ == ["Troubleshooting: make it so."]


async def test_unique_values_may_move_from_row_to_row_at_once():
    async with opened(MemoryDriver) as driver:
        db = database(driver)
        db.describe_tables({"t": {"id": {"primary": 1}, "n": {"type": "int", "unique": 1}}})
        for number in range(3):
            await db.add("t", {"id": str(number), "n": number})
        assert await db.update_all("t", {}, {"n": 1}, update_ops={"n": "incr"}) == 3
        assert [row["n"] for row in await db.select("t", sort="id")] == [1, 2, 3]
        with pytest.raises(AlreadyExists):
            await db.update_all("t", {"n": [1, 2]}, {"n": 1}, update_ops={"n": "incr"})
