"""The memory driver in the conformance kit, whole and with capabilities taken away."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from bkjs.db.contract import Shape
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
