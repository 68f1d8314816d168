"""A plain select asks for the same by a plan as on the general way."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any, ClassVar

import pytest

from bkjs.db.contract import (
    OPERATORS,
    Capabilities,
    Condition,
    DbDriver,
    Page,
    Request,
    Row,
    Table,
    Written,
)
from bkjs.db.database import Database
from bkjs.db.request.prepare import WORDS
from bkjs.errors import BadRequest
from bkjs.lib.numbers import MISSING

TABLE: dict[str, dict[str, Any]] = {
    "id": {"type": "int", "primary": 1},
    "name": {"lower": 1},
    "num": {"type": "int", "index": 1},
    "day": {"type": "date"},
    "tags": {"type": "list"},
    "secret": {"hidden": 1},
    "quiet": {"noresult": 1},
    "kind": {"ops": {"select": "begins_with"}},
}
QUERIES: list[dict[Any, Any]] = [
    {},
    {"id": 1, "name": "B"},
    {"$or": {"id": 1, "name": "b"}, "num": 3},
    {"unknown": 1, "secret": 2, "num": 2},
    {5: 5, "id": 1},
    {"name": "word " * (WORDS + 1)},
    *(
        {column: value}
        for column, value in itertools.product(
            ["id", "name", "day", "tags", "kind"],
            ["1", 7, "", None, [], [1, None], ["a", "b"], (1, 2), MISSING, True],
        )
    ),
]
OPS: list[Any] = [*sorted(OPERATORS), "@@", "", None, "~~", 5, []]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"count": 2},
    {"count": 3, "sort": "num", "desc": True},
    {"count": 2, "sort": "num", "select": "name,quiet"},
    {"sort": "nothing"},
    {"count": 2, "sort": "num,-name"},
    {"count": 2, "sort": ["-num", "name"]},
    {"sort": "num,-nothing"},
    {"sort": "-num", "desc": True},
    {"sort": "-num,name", "desc": True},
    {"select": ["name", "unknown"], "sort": "num"},
    {"select": "unknown"},
    {"select": ""},
    {"count": 0, "desc": 1},
    {"count": "2"},
    {"count": -1},
    *({"ops": dict.fromkeys(TABLE, op)} for op in OPS),
    {"ops": {"id": "between"}, "count": 1, "sort": "id"},
]


class Recorder(DbDriver):
    """Remembers what it is asked for and gives three rows."""

    can: ClassVar[Capabilities] = Capabilities(
        sort=True,
        seek=True,
        groups=True,
        columns=True,
        operators=OPERATORS - {"contains", "ne"} | {"@@"},
    )
    resumes = False

    def __init__(self) -> None:
        super().__init__("recorder", "", {})
        self.seen: list[Request] = []

    def native(self, table: Table, condition: Condition) -> bool:
        return super().native(table, condition) and condition.column != "kind"

    async def open(self) -> None: ...
    async def close(self) -> None: ...

    async def get(self, req: Request) -> Row | None:
        return None

    async def select(self, req: Request) -> Page:
        self.seen.append(req)
        names = req.columns or tuple(TABLE)
        rows = [{name: f"{name}{i}" if name == "name" else i for name in names} for i in range(3)]
        last = req.resume is not None or not self.resumes
        return Page(rows[: req.count], None if last else 1)

    async def put(self, req: Request) -> Written:
        raise AssertionError("not asked for")

    delete = put


def database(**claims: bool) -> tuple[Database, Recorder]:
    db, driver = Database(), Recorder()
    driver.can = dataclasses.replace(Recorder.can, **claims)  # type: ignore[misc,arg-type]
    db.describe_tables({"item": TABLE})
    db.add_pool("recorder", driver)
    return db, driver


async def outcome(
    db: Database, driver: Recorder, query: dict[Any, Any], table: str = "item", **options: Any
) -> tuple[Any, ...]:
    driver.seen.clear()
    try:
        rows = await db.select(table, query, **options)
    except BadRequest as err:
        return (str(err),)
    asked = [(r.where, r.sort, r.after, r.count, r.columns) for r in driver.seen]
    return list(rows), rows.next_token, asked


@pytest.mark.parametrize("claims", [{}, {"columns": False}, {"seek": False}], ids=repr)
@pytest.mark.parametrize("options", OPTIONS, ids=repr)
async def test_both_ways_ask_for_the_same(options: dict[str, Any], claims: dict[str, bool]) -> None:
    db, driver = database(**claims)
    for query in QUERIES:
        own = {name: op for name, op in options.get("ops", {}).items() if name in query}
        for given in (options, options | {"ops": own}):  # only those of the query have a plan
            long = await outcome(db, driver, query, **given, quiet=True)
            for _ in range(2):  # with a new plan, and with the one that is kept
                assert await outcome(db, driver, query, **given) == long, (query, given)


OTHERS: dict[str, dict[str, dict[str, Any]]] = {
    "joined": {"id": {"primary": 1, "join": ["a", "b"]}, "a": {}, "b": {}},
    "keyless": {"a": {}, "b": {"type": "int"}},
    "wide": {"id": {"primary": 1}, **{f"c{n}": {"type": "int"} for n in range(11)}},
}


@pytest.mark.parametrize("table", OTHERS)
async def test_both_ways_ask_for_the_same_of_tables_that_are_not_so_plain(table: str) -> None:
    db, driver = database()
    db.describe_tables(OTHERS)
    many = list(range(1000))
    queries: list[dict[Any, Any]] = [
        {"a": "1", "b": "2"},
        {"a": "1", "b": 2, "id": "3"},
        {"a": "1"},
        {f"c{n}": many for n in range(10)},
        {f"c{n}": many for n in range(11)},  # more values than all conditions may have
    ]
    for query in queries:
        for options in ({}, {"count": 2}, {"count": 2, "sort": "b" if table != "wide" else "c1"}):
            long = await outcome(db, driver, query, table, **options, quiet=True)
            for _ in range(2):
                assert await outcome(db, driver, query, table, **options) == long, query


async def test_plain_selects_have_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    db, _ = database()
    monkeypatch.setattr(db, "find", None)
    rows = await db.select("item", {"num": 1, "name": "x"}, sort="num", count=2)
    assert len(rows) == 2
    assert rows.next_token
    assert len(await db.select("item", {"id": [1, 9]}, ops={"id": "between"})) == 3


async def test_the_token_goes_on_after_the_last_row() -> None:
    db, driver = database()
    rows = await db.select("item", {"num": 1}, sort="num", count=2)
    await db.select("item", {"num": 1}, sort="num", count=2, start=rows.next_token)
    assert driver.seen[-1].after == (1, 1)


async def test_a_following_page_has_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    db, driver = database()
    options: dict[str, Any] = {"sort": "num", "count": 2}
    page = await db.select("item", {"num": 1}, **options)
    forged = str(page.next_token)
    long = await outcome(db, driver, {"num": 1}, **options, start=forged, quiet=True)
    monkeypatch.setattr(db, "find", None)
    for start in (page.next_token, forged):
        assert await outcome(db, driver, {"num": 1}, **options, start=start) == long


@pytest.mark.parametrize(
    ("query", "change"),
    [
        ({"num": 2}, {}),
        ({"num": [1]}, {}),
        ({"num": 1, "name": "x"}, {}),
        ({"num": 1}, {"desc": True}),
        ({"num": 1}, {"sort": "name"}),
        ({"num": 1}, {"ops": {"num": "ge"}}),
        ({"num": 1}, {"start": "AAAA"}),
        ({"num": 1}, {"start": -1}),
        ({"num": 1}, {"start": [1]}),
        ({"num": 1}, {"start": 2}),
        ({"num": 1}, {"start": ""}),
        ({"num": 1}, {"count": None}),
    ],
    ids=repr,
)
async def test_both_ways_take_a_start_alike(query: dict[Any, Any], change: dict[str, Any]) -> None:
    db, driver = database()
    first = await db.select("item", {"num": 1}, sort="num", count=2)
    options = {"sort": "num", "count": 2, "start": first.next_token, **change}
    long = await outcome(db, driver, query, **options, quiet=True)
    assert await outcome(db, driver, query, **options) == long
    if options["start"] == first.next_token and options["count"]:
        assert long == ("start: invalid token",)


async def test_pages_that_the_driver_cuts_short_are_completed() -> None:
    db, driver = database()
    driver.resumes = True
    assert len(await db.select("item", {"num": 1})) == 6


async def test_a_hook_that_comes_later_is_called() -> None:
    db, _ = database()
    assert len(await db.select("item", {"num": 1})) == 3
    db.set_process_row("post", "item", lambda req, row, options: row["id"] == 1)
    assert len(await db.select("item", {"num": 1})) == 2


async def test_a_search_hands_its_words_to_the_driver() -> None:
    db, driver = database()
    driver.can = dataclasses.replace(Recorder.can, search=True)  # type: ignore[misc]
    await db.search("item", "hello")
    assert driver.seen[0].search == "hello"
