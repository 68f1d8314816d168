"""What every database driver promises."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from bkjs.testing import engines
from bkjs.testing.db import DbDriverTests, opened

pytest.importorskip("plyvel")
from bkjs_db_leveldb.database import LevelDbDriver


class TestLevelDb(DbDriverTests):
    @pytest.fixture
    async def driver(self, tmp_path):
        engines.report("leveldb", "real", f"LevelDB by plyvel {version('plyvel')}")
        async with opened(LevelDbDriver, dir=tmp_path, sync=False) as driver:
            yield driver
