"""What every database driver promises."""

from __future__ import annotations

import pytest

from bkjs.testing.db import DbDriverTests, opened
from bkjs_db_lmdb.database import LmdbDriver


class TestLmdb(DbDriverTests):
    @pytest.fixture
    async def driver(self, tmp_path):
        async with opened(LmdbDriver, dir=tmp_path, sync=False) as driver:
            yield driver
