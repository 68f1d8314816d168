"""What is special about CouchDB: documents, revisions, the database that the URL names."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest

from bkjs.errors import AlreadyExists, Unavailable
from bkjs.testing.db import database, opened
from bkjs_db_couchdb.database import CouchDbDriver

TABLES = {"t": {"id": {"primary": 1}, "n": {"type": "counter"}, "r": {"type": "real"}}}


@pytest.fixture
def url(engine):
    return f"{engine('couchdb')}/own{uuid4().hex}"


@asynccontextmanager
async def rows(url, **options):
    async with opened(CouchDbDriver, url, **options) as driver:
        db = database(driver)
        db.describe_tables(TABLES)
        yield db


def ask(url, method="GET"):
    with urlopen(Request(url, method=method), timeout=10) as answer:
        return json.load(answer)


async def test_a_row_is_a_document_with_columns_as_fields(url):
    row = {"id": "a/../b", "n": 2**60, "r": 1.0}
    async with rows(url) as db:
        await db.put("t", row)
        assert await db.get("t", {"id": "a/../b"}) == row
        found = await db.select("t")
        assert found == [row]
        assert type(found[0]["r"]) is float
    (stored,) = (item["doc"] for item in ask(f"{url}/_all_docs?include_docs=true")["rows"])
    assert stored.pop("_rev").startswith("1-")
    assert stored.pop("_id").startswith("!20t!00!01")
    assert stored == {"id": "a/../b", "n": {"$int": str(2**60)}, "r": 1}


async def test_what_is_in_the_database_stays_when_it_is_opened_again(url):
    for number in range(2):
        async with rows(url) as db:
            assert len(await db.select("t")) == number
            await db.put("t", {"id": "a"})


async def test_the_configured_name_is_the_database_without_one_in_the_url(engine):
    name = f"own{uuid4().hex}"
    for url in (engine("couchdb"), f"{engine('couchdb')}/"):
        async with rows(url, database=name) as db:
            await db.put("t", {"id": "a"})
    assert ask(f"{engine('couchdb')}/{name}")["doc_count"] == 1


async def test_a_database_that_has_gone_is_not_an_empty_one(url):
    async with rows(url) as db:
        await db.put("t", {"id": "a"})
        await asyncio.to_thread(ask, url, "DELETE")
        for call in (db.get("t", {"id": "a"}), db.select("t"), db.put("t", {"id": "b"})):
            with pytest.raises(Unavailable, match="there is no database own"):
                await call


async def test_writes_without_an_expectation_that_meet_all_happen(url):
    async with rows(url) as db:
        await asyncio.gather(*(db.put("t", {"id": "a", "n": n}) for n in range(8)))
        await asyncio.gather(*(db.incr("t", {"id": "b", "n": 1}, upsert=True) for n in range(8)))
        assert (await db.get("t", {"id": "b"}))["n"] == 8
        gone = await asyncio.gather(*(db.del_("t", {"id": "a"}) for n in range(4)))
        assert sum(each.affected for each in gone) == 1
        await db.add("t", {"id": "a"})  # a deleted document is none


async def test_bulk_has_an_outcome_for_each_and_keeps_their_order(url):
    async with rows(url) as db:
        await db.put("t", {"id": "a", "n": 1})
        verbs = [("add", 2), ("put", 3), ("del", 0), ("add", 4), ("add", 5), ("put", 6)]
        items = [{"op": op, "table": "t", "obj": {"id": "a", "n": n}} for op, n in verbs]
        done = await db.bulk(items)
        failed = [number for number, (error, _) in enumerate(done) if error]
        assert failed == [0, 4]
        assert isinstance(done[0][0], AlreadyExists)
        assert await db.get("t", {"id": "a"}) == {"id": "a", "n": 6}
