"""The driver of the documentation is held to what the documentation says of it."""

import re
from pathlib import Path

import pytest

from bkjs.testing.db import DbDriverTests, opened

PAGE = Path(__file__).parents[3] / "docs" / "writing-a-driver.md"
SOURCE = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)[1]
NAMES = {}
exec(SOURCE, NAMES)


class TestDocumentedDriver(DbDriverTests):
    @pytest.fixture
    async def driver(self):
        async with opened(NAMES["DictDriver"]) as driver:
            yield driver
