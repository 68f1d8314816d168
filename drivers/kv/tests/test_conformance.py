"""What every database driver promises, on threads and in the event loop."""

import pytest

from bkjs.testing.db import DbDriverTests, UniqueTests, opened
from bkjs_kv import KvDriver, MemoryStore


class SortedDriver(KvDriver):
    def connect(self):
        return MemoryStore()


class InlineDriver(SortedDriver):
    threads = False


class TestThreads(DbDriverTests, UniqueTests):
    @pytest.fixture
    async def driver(self):
        async with opened(SortedDriver) as driver:
            yield driver


class TestInline(DbDriverTests, UniqueTests):
    @pytest.fixture
    async def driver(self):
        async with opened(InlineDriver) as driver:
            yield driver
