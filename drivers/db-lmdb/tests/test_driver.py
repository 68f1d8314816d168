"""What is special about LMDB: a file of a limited size, several processes, keys of 511 bytes."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from contextlib import asynccontextmanager, closing

import lmdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bkjs.errors import BadRequest, StartError, Unavailable
from bkjs.testing.db import database, opened
from bkjs_db_lmdb.database import LmdbDriver
from bkjs_db_lmdb.store import LONGEST

TABLES = {"t": {"id": {"primary": 1}, "text": {}, "n": {"type": "counter"}, "mail": {"unique": 1}}}
WRITES = f"""
import asyncio, sys
from bkjs.testing.db import database, opened
from bkjs_db_lmdb.database import LmdbDriver
async def main(dir, name):
    async with opened(LmdbDriver, dir=dir) as driver:
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
    async with opened(LmdbDriver, url, dir=tmp_path, **options) as driver:
        db = database(driver)
        db.describe_tables(TABLES)
        yield db


async def test_rows_are_there_again_in_a_folder_of_the_owner(tmp_path):
    for number in range(2):
        async with rows(tmp_path, "shop") as db:
            assert len(await db.select("t")) == number
            await db.put("t", {"id": "a", "text": "b"})
    (folder,) = tmp_path.iterdir()
    assert folder.name == "shop.lmdb"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()} == {
        "data.mdb": 0o600,
        "lock.mdb": 0o600,
    }


async def test_a_full_map_stops_what_is_too_large_and_nothing_else(tmp_path):
    async with rows(tmp_path, map_size=1 << 20, sync="0") as db:
        await db.put("t", {"id": "first", "text": "x" * 600_000})
        large = db.add("t", {"id": "large", "text": "x" * 600_000})
        small = [db.add("t", {"id": str(number)}) for number in range(50)]
        done = await asyncio.gather(large, *small, return_exceptions=True)
        with pytest.raises(Unavailable, match=r"map_size.* larger one"):
            raise done[0]
        assert [error for error in done[1:] if isinstance(error, BaseException)] == []
    async with rows(tmp_path, map_size=4 << 20) as db:
        assert len(await db.select("t")) == 51
        await db.add("t", {"id": "large", "text": "x" * 600_000})


async def test_more_reads_than_readers(tmp_path):
    async with rows(tmp_path, readers=2) as db:
        snapshots = [db.pool().driver.store.snapshot()]
        for _ in range(200):
            try:
                snapshots.append(db.pool().driver.store.snapshot())
            except lmdb.ReadersFullError:
                break
        with pytest.raises(Unavailable, match="more readers"):
            await db.get("t", {"id": "a"})
        for snapshot in snapshots:
            snapshot.close()
        assert await db.get("t", {"id": "a"}) is None


@pytest.mark.parametrize("option", ["map_size", "readers"])
async def test_options_that_are_no_numbers(tmp_path, option):
    for value in ("many", "-1", "0", 1.5):
        with pytest.raises(StartError, match=option):
            LmdbDriver("lmdb", "", {"dir": tmp_path, option: value})


async def test_what_cannot_be_opened_is_named(tmp_path):
    (tmp_path / "file.lmdb").write_text("")
    with pytest.raises(StartError, match=r"file\.lmdb"):
        async with rows(tmp_path, "file"):
            pass
    async with rows(tmp_path):
        with pytest.raises(StartError, match="already open in this process"):
            async with rows(tmp_path):
                pass


async def test_keys_that_are_too_long_are_refused_and_not_found(tmp_path):
    async with rows(tmp_path) as db:
        for long in ("x" * 401, "é" * 201):
            with pytest.raises(BadRequest, match=r"^id: .*400"):
                await db.put("t", {"id": long})
            assert await db.get("t", {"id": long}) is None
        await db.put("t", {"id": "x" * 400})
        for long, found in (("x" * 400, 1), ("x" * 401, 0), ("x" * 600, 0)):
            query, ops = {"id": long}, {"id": "begins_with"}
            assert len(await db.select("t", query, ops=ops)) == found
        assert len(await db.select("t", {"id": "x" * 600}, ops={"id": "lt"}, sort="-id")) == 1
        db.describe_tables({"two": {"a": {"primary": 1}, "b": {"primary": 2}}})
        with pytest.raises(BadRequest, match=r"^a, b: .*511"):
            await db.put("two", {"a": "x" * 400, "b": "x" * 400})


KEYS = st.binary(min_size=1, max_size=2) | st.sampled_from([b"x" * n for n in (510, 511)])
BOUNDS = st.binary(max_size=2) | st.sampled_from([b"x" * n for n in (510, 511, 512, 600)])


@settings(max_examples=200, deadline=None)
@given(st.sets(KEYS, max_size=8), st.lists(st.tuples(BOUNDS, st.none() | BOUNDS, st.booleans())))
def test_ranges_are_those_of_a_dictionary(tmp_path_factory, keys, asked):
    driver = LmdbDriver("lmdb", "", {"dir": tmp_path_factory.mktemp("ranges"), "sync": False})
    with closing(driver.connect()) as store:
        with store.write() as writer:
            for key in keys:
                writer.put(key, key)
        with closing(store.snapshot()) as reader:
            for start, end, reverse in asked:
                wanted = [k for k in sorted(keys) if k >= start and (end is None or k < end)]
                found = [key for key, _ in reader.range(start, end, reverse=reverse)]
                assert found == (wanted[::-1] if reverse else wanted)
    assert max(map(len, keys), default=0) <= LONGEST


@pytest.mark.process
async def test_two_processes_that_are_killed_lose_nothing_that_was_acknowledged(tmp_path):
    command = [sys.executable, "-c", WRITES, str(tmp_path)]
    both = [started(*command, name) for name in "ab"]
    said = [{process.stdout.readline().strip() for _ in range(50)} for process in both]
    for process, lines in zip(both, said, strict=True):
        process.send_signal(signal.SIGKILL)
        text, _ = process.communicate()
        lines.update(line.strip() for line in text.splitlines(keepends=True) if line.endswith("\n"))
    async with rows(tmp_path) as db:
        stored = {row["id"] for row in await db.select("t")} - {"count"}
        assert set.union(*said) <= stored
        count = (await db.get("t", {"id": "count"}))["n"]
        assert len(set.union(*said)) <= count <= len(stored)
        await db.add("t", {"id": "after"})
