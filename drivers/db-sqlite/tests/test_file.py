"""The file: where it lies, who may read it, and what happens when it is not as it should be."""

import asyncio
import errno
import os
import signal
import sqlite3
import stat
import subprocess
import sys

import pytest

from bkjs.db.tables.described import build
from bkjs.db.tables.drift import differences
from bkjs.errors import BadRequest, BkError, StartError, Unavailable
from bkjs.testing.db.opened import opened
from bkjs_db_sqlite.database import SqliteDriver


def put(driver, item, name):
    return driver.put(item("put", values={"id": str(name), "must": "x"}))


@pytest.mark.parametrize(
    ("url", "name"),
    [("", "shop.db"), ("default", "shop.db"), ("bills", "bills.db"), ("sqlite://b.db", "b.db")],
)
async def test_where_the_file_is(tmp_path, url, name):
    async with opened(SqliteDriver, url, dir=tmp_path / "new", database="shop") as driver:
        assert driver.file.path == tmp_path / "new" / name
        assert stat.S_IMODE(driver.file.path.stat().st_mode) == 0o600


async def test_option_path_wins_over_the_default_folder(tmp_path):
    async with opened(SqliteDriver, "x", dir="/nowhere", path=str(tmp_path)) as driver:
        assert driver.file.path == tmp_path / "x.db"


async def test_memory_database_leaves_nothing(item):
    async with opened(SqliteDriver, ":memory:") as driver:
        folder = driver.file.path.parent
        await driver.create(item("put").table)
        await put(driver, item, 1)
        assert await driver.total(item("total")) == 1
    assert not folder.exists()


async def test_all_is_in_one_file_after_close(tmp_path, item):
    async with opened(SqliteDriver, "x", dir=tmp_path) as driver:
        await driver.create(item("put").table)
        await put(driver, item, 1)
        await driver.select(item("select"))
    assert [path.name for path in tmp_path.iterdir()] == ["x.db"]


async def test_pragmas(tmp_path):
    async with opened(SqliteDriver, dir=tmp_path) as driver:
        assert await driver.query("PRAGMA journal_mode") == [{"journal_mode": "wal"}]
        assert await driver.query("PRAGMA synchronous") == [{"synchronous": 1}]
    options = {"synchronous": "FULL", "cache_size": 4096}
    async with opened(SqliteDriver, dir=tmp_path, **options) as driver:
        assert await driver.query("PRAGMA synchronous") == [{"synchronous": 2}]
        assert await driver.query("PRAGMA cache_size") == [{"cache_size": -4096}]


async def test_pragma_is_no_way_in(tmp_path):
    driver = SqliteDriver("s", "", {"dir": tmp_path, "synchronous": "1; DROP TABLE x"})
    with pytest.raises(StartError, match="of option synchronous"):
        await driver.open()


async def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match="cannot open"):
        await SqliteDriver("s", "", {"dir": tmp_path / "file"}).open()


async def test_file_that_is_no_database(tmp_path):
    (tmp_path / "x.db").write_bytes(b"something else" * 100)
    with pytest.raises(Unavailable, match=r"x\.db is not a SQLite database"):
        await SqliteDriver("s", "x", {"dir": tmp_path}).open()


async def test_corrupt_file(tmp_path, item):
    async with opened(SqliteDriver, "x", dir=tmp_path) as driver:
        await driver.create(item("put").table)
        await driver.bulk([item("put", values={"id": str(i), "must": "x"}) for i in range(900)])
    path = tmp_path / "x.db"
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)  # all but the page that names the tables
    path.write_bytes(data)
    async with opened(SqliteDriver, "x", dir=tmp_path) as driver:
        with pytest.raises(Unavailable, match="is corrupt"):
            await driver.select(item("select"))


async def test_read_only(tmp_path, item):
    async with opened(SqliteDriver, "x", dir=tmp_path) as driver:
        await driver.create(item("put").table)
        await put(driver, item, 1)
    async with opened(SqliteDriver, "x", dir=tmp_path, readonly=True) as driver:
        assert await driver.total(item("total")) == 1
        with pytest.raises(Unavailable, match="is read-only"):
            await put(driver, item, 2)


async def test_locked_by_another_process(driver, item):
    other = sqlite3.connect(driver.file.path, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="locked by another process"):
            await put(driver, item, 1)
        assert await driver.total(item("total")) == 0
        other.execute("COMMIT")
        await put(driver, item, 1)
    finally:
        other.close()


async def test_removed_file_is_noticed_by_the_next_write(driver, item):
    await put(driver, item, 1)
    driver.file.path.unlink()
    with pytest.raises(Unavailable, match="was removed or replaced; restore it and restart"):
        await put(driver, item, 2)
    for read in (
        driver.get(item("get", key={"id": "1"})),
        driver.getter(item("get").table, None)(("1",)),
        driver.select(item("select")),
    ):
        with pytest.raises(Unavailable, match="was removed or replaced"):
            await read


async def test_removed_file_is_noticed_without_a_write(driver, item):
    driver.file.path.rename(driver.file.path.with_suffix(".old"))
    driver._look()
    with pytest.raises(Unavailable, match="was removed or replaced"):
        await driver.get(item("get", key={"id": "1"}))


async def test_two_starters_make_the_tables_once(tmp_path, item):
    async def start():
        async with opened(SqliteDriver, "x", dir=tmp_path) as driver:
            return await driver.create(item("put").table)

    assert sorted(await asyncio.gather(*(start() for _ in range(6)))) == [False] * 5 + [True]


WRITER = """
import asyncio, sys
from bkjs.db.contract import Request
from bkjs.db.tables.described import build
from bkjs_db_sqlite.database import SqliteDriver
table = build("t", {"id": {"primary": 1, "type": "int"}, "v": {}})
async def main():
    driver = SqliteDriver("s", "x", {"dir": sys.argv[1]})
    await driver.open()
    await driver.create(table)
    first = await driver.total(Request(verb="total", table=table))
    async def write(task):
        for number in range(first + task, 10**9, 8):
            await driver.put(Request(verb="put", table=table, values={"id": number, "v": "x" * 99}))
            print(number, flush=True)
    await asyncio.gather(*map(write, range(8)))
asyncio.run(main())
"""


@pytest.mark.process
def test_killed_writer_loses_nothing_that_it_acknowledged(tmp_path):
    acknowledged = set()
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        for line in writer.stdout:
            acknowledged.add(int(line))
            if len(acknowledged) % 100 == 0:
                break
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged.update(int(line) for line in writer.stdout if line.endswith("\n"))
        writer.wait()
        writer.stdout.close()
    database = sqlite3.connect(tmp_path / "x.db")
    try:
        stored = {number for (number,) in database.execute("SELECT id FROM t")}
        assert acknowledged <= stored
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    finally:
        database.close()


async def test_own_tables_are_as_described_and_others_are_not(driver):
    kinds = {
        "id": {"primary": 1}, "i": {"type": "bigint"}, "r": {"type": "real"}, "b": {"type": "bool"},
        "j": {"type": "json"}, "l": {"type": "list"}, "x": {"type": "bytes"}, "m": {"type": "now"},
    }  # fmt: skip
    table = build("own", kinds)
    await driver.create(table)
    await driver.query("CREATE TABLE other (id int, i text, r text, b text)")
    real = await driver.describe()
    assert list(differences([table], real, driver.fits)) == []
    others = {name: kinds[name] for name in real["other"]}
    found = list(differences([build("other", others)], real, driver.fits))
    assert found.pop(0) == "table other: the key is none, described as id"
    assert [text.split("column ")[1].split()[0] for text in found] == list(others)


def test_whose_tables_they_are():
    assert SqliteDriver("sqlite", "", {}).own_tables
    assert not SqliteDriver("sqlite", "", {"readonly": True}).own_tables


async def test_negative_busy_timeout_waits_for_any_time(tmp_path, item):
    async with opened(SqliteDriver, "test", dir=tmp_path, busy_timeout=-1) as driver:
        assert await driver.query("PRAGMA busy_timeout") == [{"timeout": 2**31 - 1}]


async def test_errors_are_ours(driver):
    assert isinstance(driver.error(sqlite3.OperationalError("what")), BkError)


async def test_backup_is_whole_while_others_write_and_can_be_restored(tmp_path, item):
    """What was answered before it is in it, and of two records of a transaction both or none."""
    copy = tmp_path / "copy.db"
    async with opened(SqliteDriver, "live", dir=tmp_path) as driver:
        await driver.create(item("create").table)
        await driver.bulk([item("put", values={"id": str(i), "must": "x"}) for i in range(2000)])
        stop = asyncio.Event()

        async def write():
            number = 10_000
            while not stop.is_set():
                tx = await driver.begin()
                for name in (f"a{number}", f"b{number}"):
                    await put(tx, item, name)
                await tx.commit()
                number += 1

        writing = asyncio.create_task(write())
        try:
            await asyncio.sleep(0.05)
            await driver.backup(str(copy), str)
        finally:
            stop.set()
            await writing
        with pytest.raises(BadRequest, match="is there already"):
            await driver.backup(str(copy), str)
        with pytest.raises(BadRequest, match="No such file"):
            await driver.backup(str(tmp_path / "nowhere" / "copy.db"), str)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.db", "live.db"]
    (tmp_path / "live.db").write_bytes(b"lost")
    copy.replace(tmp_path / "live.db")
    async with opened(SqliteDriver, "live", dir=tmp_path) as driver:
        found = {row["id"] for row in (await driver.select(item("select"))).rows}
        assert found >= {str(i) for i in range(2000)}
        assert {name[1:] for name in found if name[0] == "a"} == {
            name[1:] for name in found if name[0] == "b"
        }
        await put(driver, item, "new")


async def test_backup_takes_any_name_and_leaves_other_files_alone(tmp_path, item, monkeypatch):
    folder = tmp_path / "out"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "keep.db.part").write_text("mine")
    names = ["keep.db", "file:x.db?mode=memory", "-x.db"]
    async with opened(SqliteDriver, "live", dir=tmp_path) as driver:
        await driver.create(item("create").table)
        await put(driver, item, "1")
        for name in names:
            await driver.backup(name, str)
        (folder / "link").symlink_to("nowhere")
        with pytest.raises(BadRequest, match="link: is there already"):
            await driver.backup("link", str)
        (folder / "link").unlink()
    assert (folder / "keep.db.part").read_text() == "mine"
    assert sorted(path.name for path in folder.iterdir()) == sorted([*names, "keep.db.part"])
    for name in names:
        assert (folder / name).stat().st_size > 4096
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


async def test_backup_of_a_file_that_is_gone_is_refused_and_leaves_nothing(tmp_path, item):
    async with opened(SqliteDriver, "live", dir=tmp_path) as driver:
        driver.file.path.unlink()
        with pytest.raises(BkError):
            await driver.backup(str(tmp_path / "copy.db"), str)
        assert not [path for path in tmp_path.iterdir() if not path.name.startswith("live")]


@pytest.mark.parametrize("step", ["sync", "copy"])
async def test_backup_that_fails_half_way_leaves_nothing(tmp_path, item, monkeypatch, step):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    if step == "sync":
        monkeypatch.setattr("bkjs_db_sqlite.file._sync", full)
    else:
        monkeypatch.setattr("bkjs_db_sqlite.file.Path.rename", full)
    async with opened(SqliteDriver, "live", dir=tmp_path) as driver:
        await driver.create(item("create").table)
        with pytest.raises(BadRequest, match=r"copy\.db: No space left"):
            await driver.backup(str(tmp_path / "copy.db"), str)
        assert not [path for path in tmp_path.iterdir() if not path.name.startswith("live")]


async def test_a_backup_is_put_back_while_others_read(tmp_path, item):
    """They see either what was there or what is saved, never a part of both."""
    copy, heard = str(tmp_path / "copy.db"), []
    async with opened(SqliteDriver, "live", dir=tmp_path) as driver:
        await driver.create(item("create").table)
        await driver.bulk([item("put", values={"id": f"s{i}", "must": "x"}) for i in range(20_000)])
        await driver.backup(copy, heard.append)
        await driver.bulk([item("delete", key={"id": f"s{i}"}) for i in range(20_000)])
        await put(driver, item, "after")
        seen = set()
        restoring = asyncio.create_task(driver.restore(copy, heard.append))
        while not restoring.done():
            seen.add(len((await driver.select(item("select"))).rows))
        await restoring
        await put(driver, item, "again")
        assert seen <= {1, 20_000}
        assert len((await driver.select(item("select"))).rows) == 20_001
        assert await driver.query("PRAGMA journal_mode") == [{"journal_mode": "wal"}]
    assert heard[-1] == "100%"


@pytest.mark.parametrize("kind", ["text", "cut", "short", "empty", "device", "folder", "changed"])
async def test_what_is_no_backup_is_refused_and_changes_nothing(tmp_path, item, kind):
    copy = tmp_path / "copy.db"
    async with opened(SqliteDriver, "live", dir=tmp_path) as driver:
        await driver.create(item("create").table)
        await driver.bulk([item("put", values={"id": f"s{i}", "must": "x"}) for i in range(5000)])
        await driver.backup(str(copy), str)
        whole = copy.read_bytes()
        copy.write_bytes(
            {
                "text": b"hello" * 5000,
                "cut": whole[: len(whole) // 2],
                "short": whole[:-1],
                "empty": b"",
                "device": b"",
                "folder": b"",
                "changed": whole[:8192] + b"\xff" * 4096 + whole[12288:],
            }[kind]
        )
        if kind in ("device", "folder"):
            copy.unlink()
            copy.symlink_to("/dev/null" if kind == "device" else ".")
        with pytest.raises(
            BadRequest, match=r"copy\.db: (no SQLite database|the backup is damaged|Is a directory)"
        ):
            await driver.restore(str(copy), str)
        assert len((await driver.select(item("select"))).rows) == 5000


@pytest.mark.parametrize(("given", "level"), [("", 1), ("FULL", 2), ("EXTRA", 3)])
async def test_option_synchronous(tmp_path, given, level):
    """NORMAL unless asked for: a power cut may take the last commits, never the file."""
    async with opened(SqliteDriver, dir=tmp_path, synchronous=given or None) as driver:
        ask = "PRAGMA synchronous"
        assert await driver.writer.write("", (), lambda c: c.execute(ask).fetchall()) == [(level,)]
