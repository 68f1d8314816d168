"""Full-text search."""

import pytest

from bkjs.db.pools.memory import MemoryDriver
from bkjs.db.tables.described import build
from bkjs.errors import BadRequest, StartError
from bkjs.testing.db.opened import database

TEXTS = {
    "1": ("The quick brown fox", "jumps over the lazy dog"),
    "2": ("Foxes and hounds", None),
    "3": ("Nothing of that kind", "a 100% safe text"),
}
COLUMNS = {
    "id": {"primary": 1},
    "title": {},
    "body": {},
    "words": {"type": "search", "projection": "title,body", "index": 1, "noresult": 1},
}


async def found(db, query, **options):
    rows = await db.select("text", query, sort="id", **options)
    assert all(row.keys() == {"id", "title", "body"} for row in rows)
    return "".join(row["id"] for row in rows)


async def fill(db, columns):
    db.describe_tables({"text": columns})
    await db.create("text")
    for key, (title, body) in TEXTS.items():
        await db.put("text", {"id": key, "title": title, "body": body})


@pytest.fixture
async def texts(driver):
    db = database(driver)
    await fill(db, COLUMNS)
    return db


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("fox", "12"),
        ("fox lazy", "1"),
        ("fox & !hound", "1"),
        ("fox | text", "123"),
        ("jump <-> lazy", ""),
        (["lazy dogs"], "1"),
        (["lazy dogs", "safe text"], "13"),
        (["foxes & hounds"], "2"),
        ([], ""),
    ],
)
async def test_search_of_a_search_column(texts, query, wanted):
    assert await found(texts, {"words": query}, ops={"words": "@@"}) == wanted
    more = {"words": query, "id": "3"}
    ops = {"words": "@@", "id": "ne"}
    assert await found(texts, more, ops=ops, count=10) == wanted.replace("3", "")
    total = await texts.select("text", {"words": query}, ops={"words": "@@"}, total=True)
    assert total == [{"count": len(wanted)}]


async def test_search_of_a_text_column(texts):
    assert await found(texts, {"title": "fox"}, ops={"title": "@@"}) == "12"
    assert await found(texts, {"body": "fox"}, ops={"body": "@@"}) == ""


async def test_search_column_follows_its_sources(texts):
    await texts.update("text", {"id": "3", "title": "Now a fox"})
    assert await found(texts, {"words": "fox"}, ops={"words": "@@"}) == "123"


async def test_search_column_that_is_added_later_knows_the_rows_before(driver):
    db = database(driver)
    await fill(db, {name: COLUMNS[name] for name in ("id", "title", "body")})
    db.describe_tables({"text": {"words": COLUMNS["words"]}})
    assert await db.create("text") is True
    assert await db.create("text") is False
    assert await found(db, {"words": "fox"}, ops={"words": "@@"}) == "12"


async def test_index_serves_the_search(texts):
    (index,) = await texts.query("SELECT indexdef FROM pg_indexes WHERE indexname = $1",
                                 ["text_words_idx"])  # fmt: skip
    assert "USING gin (words)" in index["indexdef"]


@pytest.mark.parametrize(
    "query", ["fox &", "a b&", "(", "'", "\\", "fox\\", "&", "!", ":*", "a:Z b"]
)
async def test_search_that_is_none_is_refused(texts, query):
    with pytest.raises(BadRequest, match="invalid search"):
        await found(texts, {"words": query}, ops={"words": "@@"})


async def test_sql_patterns(texts):
    assert await found(texts, {"title": "%(fox|hound)%"}, ops={"title": "similar to"}) == "12"
    assert await found(texts, {"title": "%[Ff]ox%"}, ops={"title": "not similar to"}) == "3"


async def test_source_must_be_a_column(driver):
    table = build("text", {"id": {"primary": 1}, "words": {"type": "search", "projection": "no"}})
    with pytest.raises(StartError, match=r"text\.words: projection: no column 'no'"):
        await driver.create(table)


@pytest.mark.parametrize("op", ["@@", "similar to", "not similar to"])
async def test_other_databases_refuse_these_operators(op):
    db = database(MemoryDriver("memory", "", {}))
    db.describe_tables({"text": COLUMNS})
    with pytest.raises(BadRequest, match="this database has no operator"):
        await db.select("text", {"title": "fox"}, ops={"title": op})
