"""What is special about this driver."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from bkjs.errors import Unavailable
from bkjs.testing.db import database, opened

from acme_bkjs_db_jsonfile.database import JsonFileDriver

TABLES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "note": {"id": {"primary": 1}, "text": {}, "tags": {"type": "list", "list": 1}}
}


async def test_rows_are_readable_lines_of_one_file(tmp_path: Path) -> None:
    async with opened(JsonFileDriver, dir=tmp_path) as driver:
        db = database(driver)
        db.describe_tables(TABLES)
        await db.add("note", {"id": "1", "text": "milk", "tags": ["a", "b"]})
    (file,) = tmp_path.glob("*/note.jsonl")
    assert "milk" in file.read_text()


async def test_rows_are_there_again_after_a_restart(tmp_path: Path) -> None:
    for _ in range(2):
        async with opened(JsonFileDriver, "notes", dir=tmp_path) as driver:
            db = database(driver)
            db.describe_tables(TABLES)
            await db.put("note", {"id": "1", "text": "milk"})
            assert await db.select("note", {"text": "milk"}) != []


async def test_second_process_is_refused(tmp_path: Path) -> None:
    async with opened(JsonFileDriver, dir=tmp_path):
        with pytest.raises(Unavailable, match="in use by another process"):
            async with opened(JsonFileDriver, dir=tmp_path):
                pass
