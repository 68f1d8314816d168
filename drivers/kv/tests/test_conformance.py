"""What every database driver promises: on threads, in the event loop, and as documented."""

import re
from pathlib import Path

import pytest

from bkjs.testing.db import DbDriverTests, opened
from bkjs_kv import KvDriver, MemoryStore

PAGE = Path(__file__).parents[3] / "docs" / "writing-a-driver.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
(SOURCE,) = (block for block in BLOCKS if "class DictKvDriver" in block)
DOCUMENTED = {}
exec(SOURCE.partition("\nasync with")[0], DOCUMENTED)


class SortedDriver(KvDriver):
    def connect(self):
        return MemoryStore()


class InlineDriver(SortedDriver):
    threads = False


class TestThreads(DbDriverTests):
    @pytest.fixture
    async def driver(self):
        async with opened(SortedDriver) as driver:
            yield driver


class TestShortAnswers(DbDriverTests):
    @pytest.fixture
    async def driver(self, monkeypatch):
        monkeypatch.setattr("bkjs_kv.driver.STEP", 2)
        async with opened(InlineDriver) as driver:
            yield driver


class TestDocumented(DbDriverTests):
    @pytest.fixture
    async def driver(self):
        async with opened(DOCUMENTED["DictKvDriver"]) as driver:
            yield driver
