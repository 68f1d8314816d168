"""What the kernel asks of a database for what it does itself: calls, and rows that come with them.

2,000 rows in two partitions. KV has six methods and conditional writes, DY and CA know their keys;
an answer of DY and CA has 60 rows at most, so that 34 calls are one look at the whole table. Before
there were plans, filters of batches and `exact`, of about the same rows (`calls / rows`, with
answers of any length, so that a look at the table was one call):

| request                        | KV          | DY           |
|--------------------------------|-------------|--------------|
| 1 in 100, count=10             | 242 / 1,654 |              |
| 9 match, count=10              | 412 / 2,000 |              |
| no match, count=10             | 200 / 2,000 |              |
| 1 in 222, first                | 1003 / 1,202|              |
| whole key                      | 1 / 2,000   |              |
| latest of a partition          |             | 1 / 1,000    |
| of a partition, count=10       |             | 142 / 654    |
| 5 pages                        | 10 / 55     | 10 / 55      |
| 5 pages by key                 | 5 / 10,000  |              |
| 5 pages of a partition         |             | 5 / 4,904    |
| update_all limit=5             |             | 6 / 1,971    |
| scan and del_all               | all rows in one list       |
"""

from __future__ import annotations

from typing import Any

import pytest

from bkjs.db.database import Database
from bkjs.db.pools.memory import MemoryDriver
from bkjs.testing.db.checker import guarded
from bkjs.testing.db.opened import database, only

from .engines import Cassandra, Dynamo, counting

ROWS = 2000
TABLE = {
    "owner": {"primary": 1},
    "pos": {"type": "int", "primary": 2},
    "tag": {},
    "num": {"type": "int"},
}
REGEXP: Any = {"ops": {"tag": "regexp"}}


DRIVERS: dict[str, Any] = {
    "KV": only(MemoryDriver, conditional=True),
    "behind": only(MemoryDriver, conditional=True, behind=True),
    "DY": guarded(Dynamo),
    "CA": guarded(Cassandra),
}

QUERIES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "1 in 100, count=10": ({"tag": "rare"}, {"count": 10}),
    "9 match, count=10": ({"tag": "nine"}, {"count": 10}),
    "no match, count=10": ({"tag": "none"}, {"count": 10}),
    "1 in 222, first": ({"tag": "nine"}, {"first": True}),
    "whole key": ({"owner": "a", "pos": 7}, {}),
    "latest of a partition": ({"owner": "a"}, {"sort": "pos", "desc": True, "count": 1}),
    "of a partition, count=10": ({"owner": "a", "tag": "^r"}, {"count": 10, **REGEXP}),
    "a range of a partition": (
        {"owner": "a", "pos": [100, 119]},
        {"ops": {"pos": "between"}, "sort": "pos"},
    ),
}
PAGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "5 pages": ({}, {}),
    "5 pages by key": ({}, {"sort": "owner,pos"}),
    "5 pages of a partition": ({"owner": "a"}, {"sort": "pos"}),
    "5 pages, 1 in 100": ({"tag": "rare"}, {}),
}


def tag(number: int) -> str:
    return "nine" if number % 222 == 0 and number < 1990 else "rare" if number % 97 == 1 else "x"


async def filled(kind: type[Any]) -> tuple[Database, Any]:
    driver = counting(kind)("counted", "", {})
    db = database(driver)
    db.describe_tables({"t": TABLE})
    for number in range(ROWS):
        row = {"owner": "ab"[number % 2], "pos": number // 2, "tag": tag(number), "num": number}
        await db.put("t", row)
    driver.counted.take()
    return db, driver


async def costs(kind: type[Any]) -> dict[str, tuple[int, int]]:
    db, driver = await filled(kind)
    found: dict[str, tuple[int, int]] = {}
    for name, (query, options) in QUERIES.items():
        await db.select("t", query, **options)
        found[name] = driver.counted.take()
    for name, (query, options) in PAGES.items():
        start = None
        for _ in range(5):
            page = await db.select("t", query, count=10, start=start, **options)
            start = page.next_token
            if start is None:
                break
        found[name] = driver.counted.take()
    largest = 0

    def see(rows: Any) -> None:
        nonlocal largest
        largest = max(largest, len(rows))

    await db.scan("t", {}, see, batch=True)
    found["scan"] = driver.counted.take()
    assert largest <= 100
    await db.update_all("t", {"num": 1000}, {"tag": "u"}, ops={"num": "ge"}, limit=5)
    found["update_all limit=5"] = driver.counted.take()
    assert await db.del_all("t", {"num": 0}, ops={"num": "ge"}) == ROWS
    found["del_all"] = driver.counted.take()
    return found


KV = {
    "1 in 100, count=10": (6, 1200),
    "9 match, count=10": (10, 2000),
    "no match, count=10": (10, 2000),
    "1 in 222, first": (1, 200),
    "whole key": (1, 1),
    "latest of a partition": (1, 2000),
    "of a partition, count=10": (10, 2000),
    "a range of a partition": (1, 2000),
    "5 pages": (10, 55),
    "5 pages by key": (5, 10000),
    "5 pages of a partition": (5, 10000),
    "5 pages, 1 in 100": (14, 2526),
    "scan": (39, 2019),
    "update_all limit=5": (14, 805),
    "del_all": (4058, 11500),
}
DY = {
    "1 in 100, count=10": (19, 1140),
    "9 match, count=10": (34, 2000),
    "no match, count=10": (34, 2000),
    "1 in 222, first": (3, 180),
    "whole key": (1, 1),
    "latest of a partition": (1, 1),
    "of a partition, count=10": (16, 960),
    "a range of a partition": (1, 20),
    "5 pages": (5, 50),
    "5 pages by key": (170, 10000),
    "5 pages of a partition": (5, 50),
    "5 pages, 1 in 100": (35, 2054),
    "scan": (41, 2000),
    "update_all limit=5": (9, 240),
    "del_all": (2040, 2380),
}
COSTS: dict[str, dict[str, tuple[int, int]]] = {
    "KV": KV,
    "behind": KV
    | {
        "5 pages": (5, 55),
        "5 pages, 1 in 100": (13, 2403),
        "scan": (20, 2019),
        "del_all": (4020, 5900),
    },
    "DY": DY,
    "CA": DY
    | {
        "5 pages, 1 in 100": (36, 2060),
        "update_all limit=5": (10, 254),
        "del_all": (2059, 3140),
    },
}
"""Calls and rows of each request."""


@pytest.mark.parametrize("name", sorted(DRIVERS))
async def test_calls_and_rows_of_a_request(name: str):
    assert await costs(DRIVERS[name]) == COSTS[name]


@pytest.mark.parametrize("name", ["CA", "DY"])
async def test_no_other_partition_is_looked_at(name: str):
    """What is asked of one first key is read from its rows alone, in pages of them."""
    db, driver = await filled(DRIVERS[name])
    for query, options, most in (
        ({"owner": "a"}, {"sort": "pos", "count": 10}, 11),
        ({"owner": "a"}, {"sort": "-pos", "count": 10}, 11),
        ({"owner": "a", "pos": 100}, {"ops": {"pos": "ge"}, "count": 10}, 11),
        ({"owner": "a", "tag": "rare"}, {"count": 5}, 600),
        ({"owner": "a", "pos": [3, 5]}, {}, 1000),
        ({"owner": "a", "pos": 500}, {"ops": {"pos": "ne"}, "sort": "pos", "count": 3}, 200),
        ({"owner": "a"}, {"total": True}, 1000),
        ({"owner": "a"}, {"sort": "num", "count": 3}, 1000),
    ):  # fmt: skip
        driver.read = driver.scans = 0
        assert await db.select("t", query, **options)
        assert (driver.scans, driver.read <= most) == (0, True), (query, driver.read)
    driver.read = driver.scans = 0
    await db.update_all("t", {"owner": "a"}, {"tag": "u"}, limit=5)
    await db.aggregate("t", {"owner": "b"}, count=True)
    assert await db.del_all("t", {"owner": "a"}) == ROWS // 2
    assert driver.scans == 0
