"""The kernel over databases that know only their keys, over others that can less, and while others
write between any two of its calls: the answers are those of all drivers."""

import pytest

from bkjs.testing.db import DbDriverTests, UniqueTests, opened
from bkjs.testing.db.facade import FacadeTests
from bkjs.testing.db.select import SelectTests

from .engines import Cassandra, Described, Dynamo, Late, ShortPages, Versions, yielding


class TestDynamo(FacadeTests, SelectTests, UniqueTests):
    """Conditions and an order on its keys only, a page may end before anything follows."""

    @pytest.fixture
    async def driver(self):
        async with opened(yielding(Dynamo)) as driver:
            yield driver


class TestCassandra(FacadeTests, SelectTests, UniqueTests):
    """The same with a state instead of a place, and limits of what a write may depend on."""

    @pytest.fixture
    async def driver(self):
        async with opened(yielding(Cassandra)) as driver:
            yield driver


class TestShortPages(FacadeTests):
    """Sorts and tests rows on its way, stops when it likes, and goes on by words of its own."""

    @pytest.fixture
    async def driver(self):
        async with opened(ShortPages) as driver:
            yield driver


class TestVersions(FacadeTests, SelectTests, UniqueTests):
    """A write depends on a revision and on nothing else."""

    @pytest.fixture
    async def driver(self):
        async with opened(yielding(Versions)) as driver:
            yield driver


class TestLate(FacadeTests):
    """What is found is not up to date before a refresh."""

    @pytest.fixture
    async def driver(self):
        async with opened(Late) as driver:
            yield driver


class TestColumns(DbDriverTests):
    """Has no other columns than described ones, so that plain requests are served by plans."""

    @pytest.fixture
    async def driver(self):
        async with opened(yielding(Described)) as driver:
            yield driver


class TestColumnsWithoutPlans(FacadeTests, UniqueTests):
    """The same, where all requests go the general way."""

    plain = False

    @pytest.fixture
    async def driver(self):
        async with opened(Described) as driver:
            yield driver
