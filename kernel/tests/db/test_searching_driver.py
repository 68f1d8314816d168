"""A driver with full text of its own: the words go to it, in totals and behind tokens, too."""

import pytest

from bkjs.db.contract import Capabilities, Page
from bkjs.db.pools.memory import MemoryDriver
from bkjs.errors import BadRequest
from bkjs.testing.db import database
from bkjs.testing.db.checker import guard


class Searching(MemoryDriver):
    """Finds the rows of which a value holds the text; counts what each answer costs."""

    can = Capabilities(search=True, total=True, conditional=True, operators=frozenset({"eq"}))

    def _matching(self, req):
        words = req.search.get("q") if isinstance(req.search, dict) else req.search
        return [
            (key, row)
            for key, row in super()._matching(req)
            if not words or any(words in str(value) for value in row.values())
        ]

    async def select(self, req):
        page = await super().select(req)
        return Page(page.rows, page.resume, units=len(page.rows) / 2)


@pytest.fixture
async def db():
    db = database(guard(Searching("searching", "", {})))
    db.describe_tables({"doc": {"id": {"primary": 1}, "text": {}, "kind": {}}})
    for number in range(6):
        await db.put(
            "doc",
            {"id": f"d{number}", "text": ["hello", "world"][number % 2], "kind": f"k{number % 3}"},
        )
    return db


def ids(rows):
    return [row["id"] for row in rows]


async def test_a_text_is_searched(db):
    assert ids(await db.search("doc", "hello")) == ["d0", "d2", "d4"]
    assert ids(await db.search("doc", {"q": "hello", "kind": "k2"})) == ["d2"]
    assert ids(await db.search("doc", {"kind": "k2"})) == ["d2", "d5"]
    assert ids(await db.search("doc", {"q": "hello", "kind": ["k0", "k2"]})) == ["d0", "d2"]
    assert len(await db.search("doc", "")) == 6


async def test_a_total_counts_what_is_found(db):
    assert await db.search("doc", "hello", total=True) == [{"count": 3}]
    assert await db.search("doc", {"q": "world", "kind": "k1"}, total=True) == [{"count": 1}]
    query = {"q": "hello", "kind": ["k0", "k1"]}
    assert await db.search("doc", query, total=True) == [{"count": 2}]


async def test_a_token_is_good_for_its_words_only(db):
    page = await db.search("doc", "hello", count=1)
    found = ids(page)
    while page.next_token:
        page = await db.search("doc", "hello", count=1, start=page.next_token)
        found += ids(page)
    assert found == ["d0", "d2", "d4"]
    token = (await db.search("doc", "hello", count=1)).next_token
    for other in ("world", "", {"q": "hello", "kind": "k0"}):
        with pytest.raises(BadRequest, match="invalid token"):
            await db.search("doc", other, count=1, start=token)
    with pytest.raises(BadRequest, match="invalid token"):
        await db.select("doc", {}, count=1, start=token)


async def test_a_search_is_no_scan(db):
    assert ids(await db.search("doc", "hello", noscan=True)) == ["d0", "d2", "d4"]
    assert await db.search("doc", "", noscan=True) == []


async def test_what_it_cost_is_told(db):
    assert (await db.select("doc")).info == {"consumed_capacity": 3.0}
    page = await db.select("doc", {"id": ["d1", "d2"]}, sort="kind")
    assert page.info == {}  # by keys, which cost nothing here
    assert (await db.search("doc", "hello", count=2)).info["consumed_capacity"] > 1


async def test_a_search_has_so_many_words(db):
    for query in ("fox " * 1001, ["fox"] * 1001, {"q": {"a": ["fox " * 600] * 2}}):
        with pytest.raises(BadRequest, match="more than 1000 words"):
            await db.search("doc", query)
