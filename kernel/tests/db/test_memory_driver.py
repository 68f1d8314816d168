"""The memory driver in the conformance kit, whole and with capabilities taken away."""

import asyncio
from dataclasses import replace

import pytest

from bkjs.db.contract import Shape
from bkjs.db.pools.memory import MemoryDriver
from bkjs.testing.db import DbDriverTests, UniqueTests, limited, only, opened
from bkjs.testing.db.base import KitBase
from bkjs.testing.db.facade import FacadeTests

from .engines import yielding


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


class TestPlainValuesOnly(DbDriverTests, UniqueTests):
    @pytest.fixture
    async def driver(self):
        async with opened(TextMemory) as driver:
            yield driver


class TestPlainValuesAndConditionalWritesOnly(FacadeTests):
    @pytest.fixture
    async def driver(self):
        async with opened(only(yielding(TextMemory), conditional=True, behind=True)) as driver:
            yield driver


def test_tests_of_the_kit_cannot_be_replaced():
    name = next(name for name in dir(FacadeTests) if name.startswith("test_"))
    with pytest.raises(TypeError, match=f"Mine replaces tests of the kit: {name}"):
        type("Mine", (DbDriverTests,), {name: lambda self: None})


def test_no_test_of_the_kit_hides_another_one():
    found = {}
    for kind in DbDriverTests.__mro__ + UniqueTests.__mro__:
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
