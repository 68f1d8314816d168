"""What the kernel does for databases that can less, also when somebody else writes meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bkjs.db.conditions.build import leaves
from bkjs.db.contract import ABSENT, Condition, Group, Page, Request, Row, Shape, Written
from bkjs.db.database import Database
from bkjs.db.pools.memory import MemoryDriver
from bkjs.db.request import read
from bkjs.db.request.plain import Plans
from bkjs.errors import BadRequest, DriverError, Unsupported
from bkjs.testing.db.opened import database, limited

TABLE = {"id": {"primary": 1}, "num": {"type": "int"}, "name": {}, "likes": {"type": "counter"}}


def make(driver: type[MemoryDriver], **flags: Any) -> Database:
    db = database(limited(driver, **flags)("memory", "", {}))  # type: ignore[arg-type]
    db.describe_tables({"t": TABLE})
    return db


class Late(MemoryDriver):
    """After each read another one writes."""

    late = False

    async def get(self, req: Request) -> Row | None:
        found = await super().get(req)
        if found and self.late:
            found = dict(found)
            self.tables["t"][found["id"],]["num"] = 9
        return found


async def late(**flags: Any) -> Database:
    db = make(Late, **flags)
    await db.put("t", {"id": "1", "num": 1, "name": "a"})
    db.pool().driver.late = True  # type: ignore[attr-defined]
    return db


@pytest.mark.parametrize(
    "flags", [{"update": False, "counters": False}, {"changes": frozenset({"set"})}], ids=str
)
async def test_what_is_expected_of_other_columns_still_holds_when_it_is_written(flags: Any):
    db = await late(**flags)
    done = await db.update(
        "t", {"id": "1", "name": "b"}, update_ops={"name": "concat"}, expected={"num": 1}
    )
    assert done.affected == 0
    assert (await db.get("t", {"id": "1"}))["name"] == "a"


async def test_what_another_one_puts_into_an_empty_column_is_kept():
    """Where the database replaces whole rows, and a row without a value has no such name either."""
    db = make(Late, update=False, counters=False)
    await db.put("t", {"id": "1", "name": "a"})
    db.pool().driver.late = True  # type: ignore[attr-defined]
    await db.update("t", {"id": "1", "name": "b"})
    row = await db.get("t", {"id": "1"})
    assert (row["num"], row["name"]) == (9, "b")


async def test_what_another_one_puts_into_a_column_of_no_table_is_kept():
    """Where the database replaces whole rows, those may have columns that nobody described."""

    class Extra(Late):
        async def get(self, req: Request) -> Row | None:
            found = await MemoryDriver.get(self, req)
            if found and self.late:
                self.tables["t"][found["id"],]["extra"] = 9
                found = {**found, "extra": 1}
                self.late = False
            return found

    db = make(Extra, update=False, counters=False)
    await db.put("t", {"id": "1", "name": "a", "extra": 1})
    db.pool().driver.late = True  # type: ignore[attr-defined]
    await db.update("t", {"id": "1", "name": "b"})
    row = await db.get("t", {"id": "1"})
    assert (row["extra"], row["name"]) == (9, "b")


async def test_a_row_that_is_given_back_is_the_one_that_is_stored():
    """Also when another one changes a column that the write has nothing to do with."""
    db = await late(changes=frozenset({"set"}), returning=False)
    done = await db.update(
        "t", {"id": "1", "name": "b"}, update_ops={"name": "concat"}, returning="*"
    )
    assert done.row == await db.get("t", {"id": "1"})
    assert (done.row["num"], done.row["name"]) == (9, "ab")


@pytest.mark.parametrize("flags", [{}, {"returning": False}], ids=str)
async def test_nothing_is_deleted_that_was_expected_to_be_missing(flags: Any):
    db = make(MemoryDriver, **flags)
    await db.put("t", {"id": "1", "num": 1})
    for options in ({}, {"returning": "*"}):
        done = await db.del_("t", {"id": "1"}, expected=ABSENT, **options)  # type: ignore[arg-type]
        assert (done.affected, done.row) == (0, None)
    assert await db.get("t", {"id": "1"}) is not None


async def test_many_are_changed_only_while_they_are_what_was_looked_for():
    """Beside what is expected of each: another one may have changed them since they were found."""

    class Moving(MemoryDriver):
        async def select(self, req: Request) -> Page:
            page = await super().select(req)
            for row in page.rows:
                self.tables["t"][row["id"],]["num"] = 9
            return page

    for verb in ("update_all", "del_all"):
        db = make(Moving, update_all=False, delete_all=False)
        await db.put("t", {"id": "1", "num": 1, "name": "a"})
        values = [{"name": "b"}] if verb == "update_all" else []
        mine = {"update_options" if values else "del_options": {"expected": {"name": "a"}}}
        assert not await getattr(db, verb)("t", {"num": 1}, *values, **mine)
        row = await db.get("t", {"id": "1"})
        assert (row["num"], row["name"]) == (9, "a")


async def test_a_row_is_deleted_as_it_was_expected():
    db = await late(operators=frozenset())
    done = await db.del_("t", {"id": "1"}, expected={"num": 2}, ops={"num": "lt"})
    assert done.affected == 0
    assert await db.get("t", {"id": "1"}) is not None


@pytest.mark.parametrize("flags", [{}, {"update": False, "counters": False}], ids=str)
async def test_nothing_is_made_of_what_was_expected_to_be_there(flags: Any):
    db = make(MemoryDriver, **flags)
    done = await db.update("t", {"id": "1", "num": 2}, upsert=True, expected={"num": None})
    assert done.affected == 0
    assert await db.get("t", {"id": "1"}) is None


async def test_filters_of_the_record_do_not_concern_what_is_expected():
    db = make(MemoryDriver)
    await db.put("t", {"id": "1", "num": 1, "name": "a"})
    new, options = {"id": "1", "num": 5, "name": "b"}, {"skip_columns": ["num"]}
    assert (await db.update("t", new, **options, expected={"num": 2})).affected == 0
    assert (await db.update("t", new, **options, expected={"num": 1})).affected == 1
    row = await db.get("t", {"id": "1"})
    assert (row["num"], row["name"]) == (1, "b")


async def test_nothing_that_is_expected_is_dropped():
    db = make(MemoryDriver)
    await db.put("t", {"id": "1", "num": 1})
    for expected in ({"nosuch": 1}, {"$or": {"nosuch": 1, "num": 1}}, {"$or": {"$and": {"x": 1}}}):
        with pytest.raises(BadRequest, match="expected: t has no column"):
            await db.update("t", {"id": "1", "num": 2}, expected=expected)


class NoSeek(MemoryDriver):
    """Does not begin after a row."""

    async def select(self, req: Request) -> Any:
        assert req.after is None
        return await super().select(req)


NUMBERS = [3, None, 1, 2, None, 2, 1]


@pytest.mark.parametrize("operators", [True, False])
@pytest.mark.parametrize("seek", [True, False])
@pytest.mark.parametrize("desc", [True, False])
@pytest.mark.parametrize(
    "query", [{}, {"name": "a"}, {"$or": {"name": "a", "likes": 5}}], ids=["all", "and", "or"]
)
async def test_pages_together_are_all_rows_in_order(
    monkeypatch: pytest.MonkeyPatch, operators: bool, seek: bool, desc: bool, query: Any
):
    monkeypatch.setattr(read, "BATCH", 2)
    flags = {} if operators else {"operators": frozenset[str]()}
    db = make(MemoryDriver if seek else NoSeek, seek=seek, **flags)
    for number, num in enumerate(NUMBERS):
        await db.put("t", {"id": str(number), "num": num, "name": "a" if number % 3 else "b"})
    wanted = [row["id"] for row in await db.select("t", query, sort="num", desc=desc)]
    assert len(wanted) == (4 if query else 7)
    found, start = [], None
    while True:
        rows = await db.select("t", query, sort="num", desc=desc, count=1, start=start)
        found += rows
        start = rows.next_token
        if start is None:
            break
    numbers = [row.get("num") for row in found]
    assert sorted(row["id"] for row in found) == sorted(wanted)
    assert numbers == sorted(numbers, key=lambda num: (num is not None, num), reverse=desc)
    paged = [
        row["id"]
        for page in range(1, 5)
        for row in await db.select("t", query, sort="num", desc=desc, count=2, page=page)
    ]
    assert paged == [row["id"] for row in found]


async def test_conditions_in_groups_count_among_all():
    db = make(MemoryDriver)
    with pytest.raises(BadRequest, match="more than 200 conditions"):
        await db.select("t", {f"$or{n}": {"num": 1} for n in range(101)})
    await db.select("t", {f"$or{n}": {"num": 1} for n in range(100)})


async def test_values_of_all_conditions_count_together():
    db = make(MemoryDriver)
    full = {f"$or{n}": {"num": list(range(1000))} for n in range(10)}
    await db.select("t", full)
    for more in ({"name": ["x"]}, {"$and": {"name": ["x"]}}):
        with pytest.raises(BadRequest, match="more than 10000 values in all"):
            await db.select("t", full | more)


async def test_nothing_matches_an_empty_list_whatever_else_is_asked_for():
    db = make(MemoryDriver)
    await db.put("t", {"id": "1", "num": 1, "name": "a"})
    assert await db.select("t", {"num": [], "name": "a"}) == []
    assert await db.select("t", {"name": "a", "$and": {"num": []}}) == []
    assert len(await db.select("t", {"$or": {"num": [], "name": "a"}})) == 1
    assert await db.select("t", {"$or": {"num": [], "id": []}}) == []


async def test_a_hook_before_a_write_sees_each_row_of_many():
    db, seen = make(MemoryDriver), []
    for number in range(3):
        await db.put("t", {"id": str(number), "num": 1})

    def hook(req: Any, row: Any, options: Any) -> None:
        if req.op != "select":
            seen.append((req.op, row["id"]))
            row["likes"] = 7

    db.set_process_row("pre", "t", hook)
    assert await db.update_all("t", {"num": 1}, {"name": "x"}) == 3
    assert [row["likes"] for row in await db.select("t")] == [7, 7, 7]
    assert await db.del_all("t", {"num": 1}) == 3
    assert seen == [(op, str(number)) for op in ("update", "del") for number in range(3)]


async def test_a_limit_of_rows_holds_over_all_that_run_at_once():
    db = make(MemoryDriver)
    for number in range(6):
        await db.put("t", {"id": str(number), "num": 1})
    assert await db.update_all("t", {"num": 1}, {"num": 2}, limit=3, concurrency=2) == 3
    assert len(await db.select("t", {"num": 2})) == 3
    assert await db.del_all("t", {"num": 2}, limit=2, concurrency=4) == 2


async def test_what_each_row_is_expected_to_be_holds_for_many():
    db = make(MemoryDriver)
    for number in range(4):
        await db.put("t", {"id": str(number), "num": 1, "name": "ab"[number % 2]})
    mine = {"expected": {"name": "a"}}
    assert await db.update_all("t", {"num": 1}, {"likes": 5}, update_options=mine) == 2
    assert {row["name"] for row in await db.select("t", {"likes": 5})} == {"a"}
    assert await db.del_all("t", {"num": 1}, del_options=mine) == 2
    assert {row["name"] for row in await db.select("t")} == {"b"}


class Text(MemoryDriver):
    """Stores lists as text and looks for parts of it; the kernel has to ask for whole items."""

    shape = Shape(lists=False)

    def native(self, table: Any, condition: Condition) -> bool:
        return True

    def asked(self, where: Group) -> None:
        assert "contains" not in {leaf.op for leaf in leaves(where)}

    async def select(self, req: Request) -> Any:
        self.asked(req.where)
        return await super().select(req)

    async def update_all(self, req: Request) -> int:
        self.asked(req.where)
        return await super().update_all(req)

    async def delete_all(self, req: Request) -> int:
        self.asked(req.where)
        return await super().delete_all(req)


async def test_a_database_that_keeps_lists_as_text_is_not_asked_what_is_in_them():
    db = make(Text)
    db.describe_tables({"t": {"tags": {"type": "list"}}})
    await db.put("t", {"id": "1", "tags": ["ab", "c"]})
    ops = {"tags": "contains"}
    for tag, count in (("a", 0), ("ab", 1)):
        assert len(await db.select("t", {"tags": tag}, ops=ops)) == count
        among = {"likes": 0, "$or": {"tags": tag, "name": "nobody"}}
        assert len(await db.select("t", among, ops=ops)) == count
        assert await db.update_all("t", {"tags": tag}, {"num": 1}, ops=ops) == count
        assert await db.del_all("t", {"tags": tag}, ops=ops) == count


async def test_only_the_properties_that_are_named_are_conditions():
    db = make(MemoryDriver)
    await db.put("t", {"id": "1", "num": 1, "name": "a"})
    assert len(await db.select("t", {"num": 1, "name": "b"}, keys=["num"])) == 1
    assert len(await db.select("t", {"num": 2, "name": "a"}, keys=["num"])) == 0


async def test_a_database_that_gives_more_rows_than_were_asked_for_is_not_believed():
    class Greedy(MemoryDriver):
        async def select(self, req: Request) -> Page:
            return await super().select(replace(req, count=None))

    db = make(Greedy)
    db.plans = Plans()
    for number in range(4):
        await db.put("t", {"id": str(number)})
    with pytest.raises(DriverError, match="more rows than asked for"):
        await db.select("t", {}, count=1, sort="id")


async def test_a_page_that_begins_behind_values_goes_on_where_an_answer_stopped():
    """Of a database that seeks, and stops early all the same."""

    class Short(MemoryDriver):
        async def select(self, req: Request) -> Page:
            return await super().select(replace(req, count=min(3, req.count or 3)))

    db = make(Short)
    for number in range(20):
        await db.put("t", {"id": f"{number:02}", "num": number // 4})
    for options in ({"sort": "num"}, {"sort": "-num"}, {"sort": "id"}):
        found: list[str] = []
        page = await db.select("t", count=7, **options)
        while True:
            found += [row["id"] for row in page]
            if page.next_token is None:
                break
            page = await db.select("t", count=7, start=page.next_token, **options)
        assert sorted(found) == [f"{number:02}" for number in range(20)]


class Seen(MemoryDriver):
    """Keeps the changes of its updates, and has no nulls."""

    shape = Shape(json=True, lists=True, nulls=False)
    changes: list[tuple[str, str, Any]]

    async def update(self, req: Request) -> Written:
        self.changes = [(c.column, c.op, c.value) for c in req.changes]
        return await super().update(req)


@pytest.mark.parametrize("expected", [None, {"name": "a"}])
@pytest.mark.parametrize("concat", [True, False])
async def test_null_is_no_value_where_there_are_no_nulls(concat: bool, expected: Any):
    db = make(Seen, changes=frozenset({"set", "remove", *(["concat"] * concat)}))
    await db.put("t", {"id": "1", "num": 1, "name": "a"})
    row, ops = {"id": "1", "num": None, "name": "b"}, {"name": "concat"}
    done = await db.update("t", row, update_ops=ops, expected=expected)
    assert done.affected == 1
    driver: Any = db.pool().driver
    assert ("num", "set", None) not in driver.changes
    assert ("num", "remove", None) in driver.changes


async def test_a_change_that_would_not_be_atomic_is_refused():
    flags = {"conditional": False, "transactions": False, "changes": frozenset({"set"})}
    db = make(MemoryDriver, **flags)
    await db.put("t", {"id": "1", "name": "a"})
    with pytest.raises(Unsupported, match="atomic update operation 'concat'"):
        await db.update("t", {"id": "1", "name": "b"}, update_ops={"name": "concat"})
    assert (await db.get("t", {"id": "1"}))["name"] == "a"


async def test_an_update_of_no_row_makes_none_unless_it_is_asked_to():
    db = make(MemoryDriver)
    for upsert in (False, True):
        done = await db.update("t", {"id": "1", "num": 2}, expected=ABSENT, upsert=upsert)
        assert done.affected == len(await db.select("t")) == upsert
    done = await db.update("t", {"id": "1", "num": 3}, expected=ABSENT, upsert=True)
    assert done.affected == 0


async def test_a_deleted_row_is_given_back_only_when_asked_for():
    db = make(MemoryDriver, operators=frozenset({"eq"}), changes=frozenset({"set"}))
    for returning in ("", "old"):
        await db.put("t", {"id": "1", "num": 5})
        done = await db.del_(
            "t", {"id": "1"}, expected={"num": 4}, ops={"num": "gt"}, returning=returning
        )
        assert done.affected == 1
        assert bool(done.row) is bool(returning)
