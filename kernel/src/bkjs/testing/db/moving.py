"""Conformance tests of pages while others write: every row that stays is met once."""

from __future__ import annotations

from typing import Any

import pytest

from bkjs.db.contract import Row
from bkjs.db.database import Database

from .base import KitBase, fill, pages, possible

ROWS: list[Row] = [
    {"id": f"m{n:02}", "num": n * 7 % 40, "name": f"n{n % 3}", "tag": None if n % 4 else "t"}
    for n in range(40)
]
GONE = [row for row in ROWS if row["id"][2] in "258"]
"""What is deleted meanwhile."""
STAYS = [row["id"] for row in ROWS if row["id"][2] not in "258"]

WALKS: dict[str, dict[str, Any]] = {
    "plain": {},
    "key": {"sort": "id"},
    "key down": {"sort": "id", "desc": True},
    "sorted": {"sort": "num"},
    "nulls": {"sort": "tag,-num"},
    "some columns": {"sort": "num", "select": "name,id"},
    "filtered": {"query": {"name": "^n"}, "ops": {"name": "regexp"}},
    "filtered and sorted": {"query": {"name": "^n"}, "ops": {"name": "regexp"}, "sort": "num"},
    "some": {"query": {"id": "m[0-9][0134679]"}, "ops": {"id": "regexp"}, "sort": "num"},
    "found": {"query": {"num": -1}, "ops": {"num": "gt"}},
}


class MovingTests(KitBase):
    """Pages while rows are deleted, changed and added.

    Troubleshooting: `resume` leads behind a row, also when that is gone, not behind a number of
    rows; what was seen comes before it, what was not behind it.
    """

    @pytest.mark.parametrize("count", [1, 3, 4])
    @pytest.mark.parametrize("walk", sorted(WALKS))
    async def test_rows_that_stay_are_met_once(self, db: Database, walk: str, count: int) -> None:
        """Whatever is deleted before, behind and at the place where a page ends.

        Troubleshooting: `resume` leads behind a row, also when that is gone.
        """
        options = dict(WALKS[walk])
        query = options.pop("query", {})
        await fill(db, rows=ROWS)
        left = list(GONE)
        seen: list[str] = []
        number = 0
        async for page in pages(db, "kit_item", query, count=count, **options):
            seen += [row["id"] for row in page]
            number += 1
            last = seen[-1] if seen else ""
            gone = [row for row in left if row["id"] == last] or left[:1] + left[1:][-1:]
            for row in gone:  # the last one of the page, or one at each end
                await db.del_("kit_item", {"id": row["id"]})
                left.remove(row)
            for place in ("a", "m", "z"):  # others come before, between and behind
                new = {"id": f"{place}9{number:03}", "num": number * 11 % 41, "name": "n"}
                await db.put("kit_item", {**new, "id": f"{new['id']}x"})
            if possible(db, "update"):
                for key in STAYS[number % 5 :: 5]:
                    await db.update("kit_item", {"id": key, "price": number})
            assert number < 500, "the pages never end"
            if number > 60:
                break
        missing = [key for key in STAYS if key not in seen]
        twice = [key for key in STAYS if seen.count(key) > 1]
        assert twice == []
        assert missing == [] or number > 60

    @pytest.mark.parametrize("verb", ["scan", "update_all", "del_all"])
    async def test_all_rows_are_changed_once(self, db: Database, verb: str) -> None:
        """Also when each change takes its row out of what is looked for.

        Troubleshooting: a scan goes on behind the rows that it has seen.
        """
        await fill(db, rows=ROWS)
        seen: list[str] = []
        regexp: Any = {"ops": {"name": "regexp"}, "count": 7}
        if verb == "update_all":
            if not possible(db, "update"):
                return
            done = await db.update_all("kit_item", {"name": "^n"}, {"name": "new"}, **regexp)
            assert done == 40
            assert (
                await db.update_all("kit_item", {"name": "^n[0-9]"}, {"name": "x"}, **regexp) == 0
            )
            return
        if verb == "del_all":
            assert await db.del_all("kit_item", {"name": "^n"}, **regexp) == 40
            assert await db.select("kit_item") == []
            return

        async def gone(row: Row) -> None:
            seen.append(row["id"])
            await db.del_("kit_item", {"id": row["id"]})

        assert await db.scan("kit_item", {"name": "^n"}, gone, **regexp) == 40
        assert sorted(seen) == [row["id"] for row in ROWS]
