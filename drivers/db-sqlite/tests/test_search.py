"""Full-text search: how its index comes, changes, moves and goes."""

import contextlib
import random
import sqlite3
import string

import pytest

from bkjs.errors import BadRequest, DriverError, StartError
from bkjs.testing.db.opened import database, opened
from bkjs_db_sqlite import search
from bkjs_db_sqlite.database import SqliteDriver

COLUMNS = {
    "id": {"primary": 1},
    "title": {},
    "body": {},
    "num": {"type": "int"},
    "words": {"type": "search", "projection": "title,body", "index": 1},
}


async def described(driver, columns=COLUMNS):
    db = database(driver)
    db.describe_tables({"text": columns})
    return db


async def filled(driver, columns=COLUMNS):
    db = await described(driver, columns)
    await db.create("text")
    await db.put("text", {"id": "1", "title": "The quick fox", "body": "jumps"})
    await db.put("text", {"id": "2", "title": "Hounds", "body": "and foxes"})
    return db


async def found(db, text):
    return [row["id"] for row in await db.search("text", text, sort="id")]


async def names(driver):
    rows = await driver.query("SELECT name FROM sqlite_master WHERE name LIKE 'text%'")
    return sorted(row["name"] for row in rows)


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        (["fox"], '("fox")'),
        (["a  b\n", "c"], '("a" "b") OR ("c")'),
        (['say "x" OR*'], '("say" """x""" "OR*")'),
        (["% --", None, ""], '("%" "--")'),
        ([], '""'),
        (["", " "], '""'),
    ],
)
def test_query(texts, wanted):
    assert search.match(texts) == wanted


async def test_names_of_columns_do_not_differ_by_case(driver):
    """In the database; what is there under another spelling is not added again."""
    await driver.query("CREATE TABLE text (ID text NOT NULL, TITLE text, PRIMARY KEY (ID))")
    db = await described(driver)
    assert await db.create("text") is True
    assert await db.create("text") is False


async def test_table_of_an_earlier_version_is_searched(driver):
    await driver.query(
        "CREATE TABLE text (id text NOT NULL, title text, body text, num integer, words text,"
        " PRIMARY KEY (id))"
    )
    await driver.query("CREATE INDEX text_words_idx ON text (words)")
    await driver.query("INSERT INTO text (id, title) VALUES ('1', 'fox'), ('2', NULL)")
    db = await described(driver)
    with pytest.raises(DriverError, match="no such table: text_words_fts; start once with"):
        await found(db, "fox")
    assert await db.create("text") is True
    assert await db.create("text") is False
    assert await found(db, "fox") == ["1"]


@pytest.mark.parametrize("change", [{"projection": "body"}, {"lang": "simple"}])
async def test_index_is_made_anew_when_it_is_described_otherwise(driver, change):
    db = await filled(driver)
    assert await found(db, "fox") == ["1", "2"]
    before = await names(driver)
    db.describe_tables({"text": {"words": change}})
    assert await db.create("text") is True
    assert await db.create("text") is False
    assert await found(db, "fox") == (["2"] if "projection" in change else ["1"])
    assert await names(driver) == before
    await db.update("text", {"id": "1", "body": "fox", "title": "x"})
    assert await found(db, "fox") == (["1", "2"] if "projection" in change else ["1"])


async def test_drop_takes_its_indexes_along_and_no_others(driver):
    db = await filled(driver)
    db.describe_tables({"text2": COLUMNS})
    await db.create("text2")
    await db.put("text2", {"id": "1", "title": "fox"})
    await db.drop("text")
    await db.drop("text")
    assert all(name.startswith("text2") for name in await names(driver))
    assert len(await db.search("text2", "fox")) == 1


async def test_only_a_search_column_without_projection_is_its_own_text(driver):
    db = await filled(driver, {"id": {"type": "int", "primary": 1}, "words": {"type": "search"}})
    await db.put("text", {"id": 7, "words": "a fox"})
    assert await found(db, "fox") == [7]
    await driver.query("UPDATE text SET id = 8 WHERE id = 7")
    assert await found(db, "fox") == [8]
    with pytest.raises(BadRequest, match="no operator '@@'"):
        await db.select("text", {"id": 7}, ops={"id": "@@"})


async def test_backup_and_vacuum_keep_the_search(driver, tmp_path):
    db = await filled(driver)
    await db.del_("text", {"id": "1"})
    await db.put("text", {"id": "3", "title": "a fox"})
    await db.backup(str(tmp_path / "copy.db"))
    with contextlib.closing(sqlite3.connect(driver.file.path)) as tool:
        tool.execute("VACUUM")  # which gives other ids to the rows of tables without an index
    assert await found(db, "fox") == ["2", "3"]
    await db.put("text", {"id": "4", "title": "a fox"})
    assert await found(db, "fox") == ["2", "3", "4"]
    await db.restore(str(tmp_path / "copy.db"), overwrite=True)
    await db.del_("text", {"id": "2"})
    assert await found(db, "fox") == ["3"]
    async with opened(SqliteDriver, "copy", dir=tmp_path) as copy:
        assert await found(await described(copy), "fox") == ["2", "3"]


async def test_index_is_what_its_triggers_say(driver):
    db = await filled(driver)
    for number in range(200):
        await db.put("text", {"id": str(number % 7), "title": f"w{number}", "num": number})
        await db.update("text", {"id": str(number % 5), "body": f"b{number}", "num": None})
        await db.del_("text", {"id": str(number % 11)})
    assert (
        await driver.query("INSERT INTO text_words_fts (text_words_fts) VALUES ('optimize')") == []
    )
    for row in await db.select("text"):
        assert await found(db, f"{row['title']} {row['body'] or ''}") == [row["id"]]
    assert await found(db, "w5") == []


async def test_library_without_fts5_is_named(driver, monkeypatch):
    db = await described(driver)
    monkeypatch.setattr(search, "MODULE", "SELECT 1 WHERE 0")
    with pytest.raises(StartError, match=r"text\.words: the SQLite library .* without FTS5"):
        await db.create("text")
    assert await names(driver) == []


@pytest.mark.parametrize(
    ("columns", "error"),
    [
        ({"words": {"projection": "no"}}, "projection: no column 'no'"),
        ({"words": {"projection": "title,num"}}, "projection: column 'num' holds no text"),
        ({"id": {"primary": 0}}, "only a table with a key can be searched"),
    ],
)
async def test_what_cannot_be_searched_is_named(driver, columns, error):
    db = await described(driver)
    db.describe_tables({"text": columns})
    with pytest.raises(StartError, match=error):
        await db.create("text")


async def test_read_only_queries_may_search(driver):
    await filled(driver)
    text = (
        "SELECT id FROM text WHERE rowid IN (SELECT rowid FROM text_words_fts('fox')) ORDER BY id"
    )
    assert await driver.read_query(text) == [{"id": "1"}, {"id": "2"}]


async def test_no_text_is_a_query_of_fts5(driver):
    db = await filled(driver)
    chance = random.Random(2)
    letters = "\"'*()+-^:{} ANDORNOTEfox,.;%_é٣\u0301\u200d😀\ufeff" + string.printable
    for _ in range(500):
        await db.search("text", ["".join(chance.choices(letters, k=chance.randrange(12)))])
    assert await found(db, "fox " * 1000) == ["1", "2"]
    assert await found(db, [*["x"] * 999, "hounds"]) == ["2"]
