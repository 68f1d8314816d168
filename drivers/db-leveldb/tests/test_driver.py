"""What is special about LevelDB: one process, batches, a process that is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import asynccontextmanager, closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bkjs.errors import StartError, Unavailable
from bkjs.testing.db import database, opened

pytest.importorskip("plyvel")
from bkjs_db_leveldb.database import LevelDbDriver

TABLES = {"t": {"id": {"primary": 1}, "text": {}, "n": {"type": "counter"}, "mail": {"unique": 1}}}
WRITES = f"""
import asyncio, sys
from bkjs.testing.db import database, opened
from bkjs_db_leveldb.database import LevelDbDriver
async def main(dir, name):
    async with opened(LevelDbDriver, dir=dir) as driver:
        db = database(driver)
        db.describe_tables({TABLES!r})
        async def write(task):
            for number in range(1000000):
                row = {{"id": f"{{name}} {{task}} {{number}}", "text": "x" * 200}}
                await db.add("t", row)
                await db.incr("t", {{"id": "count", "n": 1}}, upsert=True)
                print(row["id"], flush=True)
        await asyncio.gather(*map(write, range(8)))
asyncio.run(main(*sys.argv[1:]))
"""


def started(*command):
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@asynccontextmanager
async def rows(tmp_path, url="", **options):
    async with opened(LevelDbDriver, url, dir=tmp_path, **options) as driver:
        db = database(driver)
        db.describe_tables(TABLES)
        yield db


async def test_rows_are_there_again_in_a_folder_of_the_owner(tmp_path):
    for number in range(2):
        async with rows(tmp_path, "shop") as db:
            assert len(await db.select("t")) == number
            await db.put("t", {"id": "a", "text": "b"})
    (folder,) = tmp_path.iterdir()
    assert folder.name == "shop.leveldb"
    assert folder.stat().st_mode & 0o777 == 0o700


async def test_what_cannot_be_opened_is_named(tmp_path):
    (tmp_path / "file.leveldb").write_text("")
    with pytest.raises(StartError, match=r"file\.leveldb"):
        async with rows(tmp_path, "file"):
            pass
    async with rows(tmp_path):
        with pytest.raises(Unavailable, match=r"LevelDB is for one process.* folder of its own"):
            async with rows(tmp_path):
                pass


KEYS = st.binary(min_size=1, max_size=2)
BOUNDS = st.binary(max_size=2)


@settings(max_examples=200, deadline=None)
@given(st.sets(KEYS, max_size=8), st.lists(st.tuples(BOUNDS, st.none() | BOUNDS, st.booleans())))
def test_ranges_are_those_of_a_dictionary(tmp_path_factory, keys, asked):
    driver = LevelDbDriver("leveldb", "", {"dir": tmp_path_factory.mktemp("ranges"), "sync": False})
    with closing(driver.connect()) as store:
        with store.write() as writer:
            for key in keys:
                writer.put(key, key)
        with closing(store.snapshot()) as reader:
            for start, end, reverse in asked:
                wanted = [k for k in sorted(keys) if k >= start and (end is None or k < end)]
                found = [key for key, _ in reader.range(start, end, reverse=reverse)]
                assert found == (wanted[::-1] if reverse else wanted)


@pytest.mark.process
async def test_a_process_that_is_killed_loses_nothing_that_was_acknowledged(tmp_path):
    command = [sys.executable, "-c", WRITES, str(tmp_path), "a"]
    process = started(*command)
    said = {process.stdout.readline().strip() for _ in range(50)}
    with pytest.raises(Unavailable, match="in use"):
        async with rows(tmp_path):
            pass
    process.send_signal(signal.SIGKILL)
    text, _ = process.communicate()
    said.update(line.strip() for line in text.splitlines(keepends=True) if line.endswith("\n"))
    async with rows(tmp_path) as db:
        stored = {row["id"] for row in await db.select("t")} - {"count"}
        assert said <= stored
        count = (await db.get("t", {"id": "count"}))["n"]
        assert len(said) <= count <= len(stored)
        await db.add("t", {"id": "after"})
