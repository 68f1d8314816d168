"""A database as a folder of files, and back."""

import json
import os
import shutil
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from bkjs.db.many.backup import load
from bkjs.db.pools.memory import MemoryDriver
from bkjs.errors import AlreadyExists, BadRequest, Unsupported
from bkjs.testing.db.opened import database

TABLES = {
    "book": {
        "id": {"primary": 1},
        "year": {"type": "int"},
        "price": {"type": "decimal"},
        "at": {"type": "timestamp"},
        "doc": {"type": "json"},
        "words": {"type": "list"},
        "raw": {"type": "bytes"},
        "kept": {"hidden": 1, "secure": 1},
    },
    "empty": {"id": {"primary": 1}},
}
ROWS = [
    {"id": "1", "year": 5, "price": "0.10", "at": "2018-03-02T14:13:20.123456Z", "kept": "s"},
    {"id": "2", "doc": {"a": [1, None]}, "words": ["x", "y z"]},
    {"id": "ü\n", "year": 2**60, "words": [], "doc": {}},
]


@pytest.fixture
async def db(tmp_path):
    found = database(MemoryDriver("memory", "", {}))
    found.describe_tables(TABLES)
    await found.create_tables()
    for row in ROWS:
        await found.put("book", row)
    return found


async def all_of(db):
    """All rows without their nulls, which a backup writes for what is not there."""
    rows = await db.select("book", sort="id")
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


async def test_every_value_comes_back_into_an_empty_database(db, tmp_path):
    before, heard = await all_of(db), []
    await db.backup(str(tmp_path / "b"), progress=heard.append)
    assert heard == ["book: 3 rows", "empty: 0 rows"]
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o700
    index = json.loads((tmp_path / "b" / "backup.json").read_text())
    assert {name: table["rows"] for name, table in index["tables"].items()} == {
        "book": 3,
        "empty": 0,
    }
    other = database(MemoryDriver("memory", "", {}))
    other.describe_tables(TABLES)
    await other.create_tables()
    await other.restore(str(tmp_path / "b"))
    assert await all_of(other) == before


def cut(folder):
    file = folder / "book.jsonl"
    file.write_bytes(file.read_bytes()[:-20])


def change(folder):
    file = folder / "book.jsonl"
    file.write_text(file.read_text().replace('"year":5', '"year":6'))


def unfit(folder):
    """A row that does not fit, with the right sum."""
    import hashlib

    file, index = folder / "book.jsonl", folder / "backup.json"
    text = file.read_text().replace('"year":5', '"year":"x"')
    file.write_text(text)
    saved = json.loads(index.read_text())
    saved["tables"]["book"]["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    index.write_text(json.dumps(saved))


def other_number(folder):
    index = folder / "backup.json"
    index.write_text(index.read_text().replace('"rows": 3', '"rows": 4'))


def stranger(folder):
    index = folder / "backup.json"
    saved = json.loads(index.read_text())
    saved["tables"]["boook"] = saved["tables"]["book"]
    index.write_text(json.dumps(saved))


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (cut, "book.jsonl: is not what was saved"),
        (change, "book.jsonl: is not what was saved"),
        (unfit, r"book\.jsonl:1: year: "),
        (other_number, "book.jsonl: has 3 rows, and backup.json says 4"),
        (stranger, "holds a table 'boook' that no module describes"),
        (lambda folder: (folder / "book.jsonl").unlink(), "book.jsonl: is missing"),
        (lambda folder: (folder / "backup.json").unlink(), "is this a backup"),
        (lambda folder: (folder / "backup.json").write_text("[]"), "not the list of a backup"),
        (lambda folder: (folder / "backup.json").write_text("{"), "not the list of a backup"),
        (lambda folder: (folder / "backup.json").write_text("{}"), "not the list of a backup"),
        (lambda folder: (folder / "backup.json").write_text('{"tables": []}'), "not the list"),
        (lambda folder: (folder / "backup.json").write_text('{"tables": {"book": 5}}'), "not the"),
        (shutil.rmtree, "is this a backup"),
    ],
)
async def test_a_spoiled_backup_is_refused_and_what_was_there_stays(db, tmp_path, spoil, text):
    await db.backup(str(tmp_path / "b"))
    await db.put("book", {"id": "new"})
    before = await all_of(db)
    spoil(tmp_path / "b")
    with pytest.raises(BadRequest, match=text):
        await db.restore(str(tmp_path / "b"), overwrite=True)
    assert await all_of(db) == before


async def test_what_came_later_goes_where_that_is_allowed(db, tmp_path):
    before = await all_of(db)
    await db.backup(str(tmp_path / "b"))
    await db.put("book", {"id": "later"})
    await db.put("empty", {"id": "later"})
    later = await all_of(db)
    with pytest.raises(AlreadyExists):
        await db.restore(str(tmp_path / "b"))
    assert await all_of(db) == later
    await db.restore(str(tmp_path / "b"), overwrite=True)
    assert await all_of(db) == before
    assert await db.select("empty") == []


async def test_what_is_written_since_it_was_empty_is_not_deleted(db, tmp_path):
    """Only `overwrite` deletes: another may write between the look and the transaction."""
    await db.backup(str(tmp_path / "b"))
    await db.put("empty", {"id": "later"})
    await load(db, db.transaction, tmp_path / "b", overwrite=(), progress=lambda text: None)
    assert [row["id"] for row in await db.select("empty")] == ["later"]


async def test_a_backup_has_its_name_when_all_of_it_is_on_the_disk(db, tmp_path, monkeypatch):
    """Until then it lies beside it, in the same file system, for its owner only."""
    steps, fsync, rename = [], os.fsync, os.rename

    def synced(number):
        steps.append(Path(os.readlink(f"/proc/self/fd/{number}")).name)
        fsync(number)

    def renamed(part, path):
        steps.append("rename")
        assert stat.S_IMODE(os.stat(part).st_mode) == 0o700
        assert Path(part).parent == Path(path).parent == tmp_path
        rename(part, path)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "rename", renamed)
    await db.backup(str(tmp_path / "b"))
    assert steps == ["book.jsonl", "empty.jsonl", "backup.json", "rename"]


async def test_without_transactions_it_is_said_what_else_there_is(db, tmp_path, monkeypatch):
    driver = db.pool().driver
    monkeypatch.setattr(driver, "can", replace(driver.can, transactions=False))
    with pytest.raises(Unsupported, match="tools of the database; `bkjs db export` writes a table"):
        await db.backup(str(tmp_path / "b"))
    assert list(tmp_path.iterdir()) == []


async def test_a_backup_that_breaks_off_leaves_nothing(db, tmp_path, monkeypatch):
    def stop(text):
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        await db.backup(str(tmp_path / "b"), progress=stop)

    def full(part, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(BadRequest, match=f"{tmp_path / 'b'}: No space left on device"):
        await db.backup(str(tmp_path / "b"))
    assert list(tmp_path.iterdir()) == []


async def test_a_backup_that_cannot_be_written_leaves_nothing(db, tmp_path):
    with pytest.raises(BadRequest, match="No such file"):
        await db.backup(str(tmp_path / "nowhere" / "b"))
    (tmp_path / "there").mkdir()
    with pytest.raises(BadRequest, match="is there already; a backup needs a new folder"):
        await db.backup(str(tmp_path / "there"))
    (tmp_path / "link").symlink_to("not/there")
    with pytest.raises(BadRequest, match="is there already"):
        await db.backup(str(tmp_path / "link"))
    with pytest.raises(BadRequest, match="name too long"):
        await db.backup(str(tmp_path / ("x" * 300)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "there"]


async def test_what_rules_would_refuse_today_comes_back_as_it_was(tmp_path):
    """A column may be required, or of a type with a form, since after the rows were stored."""
    driver = MemoryDriver("memory", "", {})
    db = database(driver)
    first = {"id": {"primary": 1}, "name": {}, "mail": {}, "low": {}, "raw": {"type": "bytes"}}
    db.describe_tables({"person": first})
    await db.create_tables()
    await db.put("person", {"id": "1", "mail": "none", "low": "Big", "raw": b""})
    before = await db.get("person", {"id": "1"})
    now = first | {"name": {"notempty": 1}, "mail": {"type": "email"}, "low": {"type": "lower"}}
    db = database(driver)
    db.describe_tables({"person": now})
    await db.backup(str(tmp_path / "b"))
    await db.del_("person", {"id": "1"})
    await db.restore(str(tmp_path / "b"))
    assert await db.get("person", {"id": "1"}) == before | {"name": None}


async def test_a_table_that_is_newer_than_the_backup_is_empty_after_it(db, tmp_path):
    """The database is what the backup holds, not that and some of what there was."""
    await db.backup(str(tmp_path / "b"))
    db.describe_tables({"newer": {"id": {"primary": 1}}})
    await db.create_tables()
    await db.put("newer", {"id": "1"})
    await db.restore(str(tmp_path / "b"), overwrite=True)
    assert await db.select("newer") == []
    assert len(await db.select("book")) == 3
