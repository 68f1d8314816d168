"""What every database driver promises."""

from __future__ import annotations

import lmdb
import pytest

from bkjs.testing import engines
from bkjs.testing.db import DbDriverTests, opened
from bkjs_db_lmdb.database import LmdbDriver


class TestLmdb(DbDriverTests):
    @pytest.fixture
    async def driver(self, tmp_path):
        engines.report("lmdb", "real", f"LMDB {'.'.join(map(str, lmdb.version()))}")
        async with opened(LmdbDriver, dir=tmp_path, sync=False) as driver:
            yield driver
