"""Conformance tests of full-text search: what it means on every database that has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bkjs.db.contract import Row
from bkjs.db.database import Database
from bkjs.errors import BadRequest, BkError, Unsupported

from .base import KitBase
from .tables import ids

COLUMNS: dict[str, dict[str, Any]] = {
    "id": {"primary": 1},
    "title": {},
    "body": {},
    "rank": {"type": "int"},
    "words": {"type": "search", "projection": "title,body", "index": 1, "noresult": 1},
    "plain": {"type": "search", "projection": "title", "lang": "simple", "noresult": 1},
}
TEXTS: list[Row] = [
    {"id": "a", "title": "The quick brown Fox", "body": "jumps over lazy dogs", "rank": 1},
    {"id": "b", "title": "Foxes and hounds", "body": None, "rank": 2},
    {"id": "c", "title": "Nothing of that kind", "body": "a 100% SAFE text, really"},
    {"id": "d", "title": None, "body": "Größe und Ärger über alles"},
    {"id": "e", "title": "", "body": "wear and tear: not near -this \"and\" 'that' OR (those)*"},
]
SEARCHES: list[tuple[str | list[str], str]] = [
    ("fox", "ab"),
    ("FOX", "ab"),
    ("quick dogs", "a"),
    ("dogs quick", "a"),
    ("dog jump", "a"),
    ("quick hounds", ""),
    ("100 safe", "c"),
    ("größe ÄRGER", "d"),
    ("grosse", ""),
    ("Arger", ""),
    ("nosuch", ""),
    (["quick hounds", "safe text"], "c"),
    (["hounds", "dogs"], "ab"),
    (["nosuch"], ""),
    ([], ""),
    ([""], ""),
    (["   "], ""),
    (["%", "fox"], "ab"),
    (["% fox"], "ab"),
    (["fo"], ""),
    (["fo*"], ""),
]
"""What is searched in `words`, and the ids of the rows that are found."""
HOSTILE = (
    '"', '"fox', 'fo"x', "fox*", "fox -dogs", "-", "+fox", "^fox", "title:fox", "words : fox",
    "fox AND", "NOT fox", "fox OR", "NEAR(fox dogs)", "NEAR(", "{title body} : fox", "(fox", ")",
    "fox & !", "a:Z b", "\\", "'", "';--", "fox'; DROP TABLE kit_text", "<->", "\t\n", "%", "_",
    "*", "\ud7ff", "😀", "é\u0301", '"" ""', ",", "a" * 3000, "fox " * 300,
)  # fmt: skip
"""Texts that are syntax somewhere."""
OPS = {"words": "@@", "plain": "@@"}


class SearchTests(KitBase):
    """`@@` and `db.search`, where they are claimed; elsewhere they are refused.

    Troubleshooting: words of a text are looked for one by one, in all columns of the projection;
    how `lang` changes them (stems, words that are too common) is the database's own.
    """

    @pytest.fixture
    async def texts(self, db: Database) -> AsyncIterator[Database]:
        """The database with texts to be searched; skips where that cannot be."""
        if "@@" not in db.pool().can.operators:
            pytest.skip("has no full-text search")
        db.describe_tables({"kit_text": COLUMNS})
        await db.drop("kit_text")
        await db.create("kit_text")
        for row in TEXTS:
            await db.put("kit_text", row)
        yield db
        await db.drop("kit_text")

    async def test_search_is_refused_where_there_is_none(self, db: Database) -> None:
        """Neither an empty answer nor all rows."""
        if "@@" in db.pool().can.operators or db.pool().can.search:
            pytest.skip("has full-text search")
        db.describe_tables({"kit_text": COLUMNS})
        with pytest.raises(Unsupported, match="full-text search"):
            await db.search("kit_text", "fox")
        await db.put("kit_item", {"id": "a", "name": "fox"})
        with pytest.raises(BkError, match="no operator"):
            await db.select("kit_item", {"name": "fox"}, ops={"name": "@@"})

    async def test_search_of_the_engine_looks_for_something(self, db: Database) -> None:
        """Where `search` is claimed a word finds the rows that have it and no others.

        Troubleshooting: `Request.search` is what was asked for; it is not in `where`.
        """
        if not db.pool().can.search:
            pytest.skip("does not claim search")
        db.describe_tables({"kit_text": COLUMNS})
        await db.drop("kit_text")
        await db.create("kit_text")
        for row in TEXTS:
            await db.put("kit_text", row)
        try:
            for word, wanted in (("quick", "a"), ("hounds", "b"), ("xyzzy", "")):
                assert ids(await db.search("kit_text", word)) == wanted, word
                total = await db.search("kit_text", word, total=True)
                assert total == [{"count": len(wanted)}]
        finally:
            await db.drop("kit_text")

    async def test_search(self, texts: Database) -> None:
        """All words of a text must be there, or those of one of some texts."""
        for query, wanted in SEARCHES:
            found = await texts.select("kit_text", {"words": query}, ops=OPS)
            assert ids(found) == wanted, query
            count = await texts.select("kit_text", {"words": query}, ops=OPS, total=True)
            assert count == [{"count": len(wanted)}]
        for text, wanted in (("fox", "ab"), (["quick hounds", "safe"], "c"), ("", ""), ([], "")):
            assert ids(await texts.search("kit_text", text)) == wanted, text

    async def test_search_needs_a_column_to_look_in(self, texts: Database) -> None:
        """A table without one is refused by name: neither an empty answer nor all rows."""
        with pytest.raises(Unsupported, match="kit_item has no column of the type 'search'"):
            await texts.search("kit_item", "fox")

    async def test_search_for_any_text(self, texts: Database) -> None:
        """No text is a mistake of syntax, and none finds what its words do not."""
        for text in HOSTILE:
            assert set(ids(await texts.search("kit_text", text))) <= {"a", "b", "e"}, text
            found = ids(await texts.search("kit_text", [text, "hounds"]))
            assert {"b"} <= set(found) <= {"a", "b", "e"}, text
            kept = await texts.select("kit_text", {"words": [text], "id": "c"}, ops=OPS)
            assert kept == [], text

    async def test_search_is_bounded(self, texts: Database) -> None:
        """Words are looked for in every row, so their number has a limit, however they come."""
        ops, many = {**OPS, "until": "@@"}, "fox " * 600
        for query in ("fox " * 1001, "fox;" * 1001, "." * 1001, ["fox jumps"] * 501):
            with pytest.raises(BadRequest, match="more than 1000 words"):
                await texts.select("kit_text", {"words": query}, ops=OPS)
            with pytest.raises(BadRequest, match="more than 1000 words"):
                await texts.search("kit_text", query)
        with pytest.raises(BadRequest, match="more than 1000 words"):
            await texts.select("kit_text", {"words": many, "$or": {"plain": many}}, ops=ops)
        assert ids(await texts.select("kit_text", {"words": ["fox"] * 1000}, ops=OPS)) == "ab"
        with pytest.raises(BadRequest, match="list of texts"):
            await texts.select("kit_text", {"words": [["fox"]]}, ops=OPS)

    async def test_search_with_other_conditions(self, texts: Database) -> None:
        """It is a condition like others, in groups, orders, pages and figures."""
        query: dict[str, Any] = {"words": ["fox"], "rank": 1}
        assert ids(await texts.select("kit_text", query, ops={**OPS, "rank": "gt"})) == "b"
        found = await texts.select("kit_text", {"$or": {"words": ["fox"], "id": "c"}}, ops=OPS)
        assert ids(found) == "abc"
        page = await texts.search("kit_text", "fox", sort="title", desc=True, count=1)
        assert [row["id"] for row in page] == ["a"]
        rest = await texts.search(
            "kit_text", "fox", sort="title", desc=True, count=1, start=page.next_token
        )
        assert [row["id"] for row in rest] == ["b"]
        assert rest.next_token is None
        figures = await texts.aggregate("kit_text", {"words": ["fox"]}, ops=OPS, sum="rank")
        assert figures == [{"sum_rank": 3}]

    async def test_search_follows_every_write(self, texts: Database) -> None:
        """What is changed, moved or deleted is found as it is now."""

        async def found(*words: str) -> list[str]:
            return [ids(await texts.search("kit_text", word)) for word in words]

        await texts.update("kit_text", {"id": "a", "title": "A wolf"})
        assert await found("fox", "wolf", "dogs") == ["b", "a", "a"]
        await texts.put("kit_text", {"id": "b", "body": "more wolves", "title": "wolf"})
        assert await found("fox", "wolf") == ["", "ab"]
        await texts.update("kit_text", {"id": "a", "title": None, "rank": 7})
        assert await found("wolf", "dogs") == ["b", "a"]
        await texts.del_("kit_text", {"id": "b"})
        await texts.add("kit_text", {"id": "f", "title": "another one"})
        assert await found("wolf", "another") == ["", "f"]
        await texts.update_all("kit_text", {"words": ["another"]}, {"title": "wolf"}, ops=OPS)
        assert await found("wolf", "another") == ["f", ""]
        await texts.bulk([{"op": "put", "table": "kit_text", "obj": row} for row in TEXTS])
        assert await found("fox") == ["ab"]
        await texts.del_all("kit_text", {"words": ["fox"]}, ops=OPS)
        assert await found("fox", "safe") == ["", "c"]

    async def test_search_in_a_transaction(self, texts: Database) -> None:
        """It finds its own writes, and what is undone is not found."""
        if not texts.pool().can.transactions:
            pytest.skip("no transactions")

        async def work() -> None:
            async with texts.transaction() as tx:
                await tx.put("kit_text", {"id": "z", "title": "a fox"})
                await tx.del_("kit_text", {"id": "a"})
                assert ids(await tx.search("kit_text", "fox")) == "bz"
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await work()
        assert ids(await texts.search("kit_text", "fox")) == "ab"

    async def test_search_column_that_is_added_later(self, texts: Database) -> None:
        """Rows that were there before are found, too."""
        await texts.drop("kit_later")
        texts.describe_tables({"kit_later": {n: COLUMNS[n] for n in ("id", "title", "body")}})
        await texts.create("kit_later")
        for row in TEXTS:
            await texts.put("kit_later", {n: row.get(n) for n in ("id", "title", "body")})
        texts.describe_tables({"kit_later": COLUMNS})
        assert await texts.create("kit_later") is True
        assert await texts.create("kit_later") is False
        assert ids(await texts.search("kit_later", "fox")) == "ab"
        await texts.drop("kit_later")

    async def test_language_of_a_search(self, texts: Database) -> None:
        """`simple` knows no grammar; without a `lang` it is that of English."""
        for word, wanted in (("fox", "a"), ("foxes", "b"), ("FOXES", "b"), ("kinds", "")):
            assert ids(await texts.select("kit_text", {"plain": [word]}, ops=OPS)) == wanted
        assert ids(await texts.select("kit_text", {"words": ["kinds"]}, ops=OPS)) == "c"

    async def test_a_dropped_table_leaves_nothing(self, texts: Database) -> None:
        """A new table of the name begins empty, and only tables that are described are seen."""
        await texts.cache_columns()
        assert [name for name in texts.pool().real if name.startswith("kit_text")] == ["kit_text"]
        await texts.drop("kit_text")
        await texts.create("kit_text")
        await texts.put("kit_text", TEXTS[2])
        assert ids(await texts.search("kit_text", ["fox", "safe"])) == "c"
