"""What every database driver of bkjs promises."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from bkjs.testing.db import DbDriverTests, opened

from acme_bkjs_db_jsonfile.database import JsonFileDriver


class TestJsonFile(DbDriverTests):
    @pytest.fixture
    async def driver(self, tmp_path: Path) -> AsyncIterator[JsonFileDriver]:
        async with opened(JsonFileDriver, dir=tmp_path) as driver:
            yield driver
