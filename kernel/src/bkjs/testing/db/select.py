"""Conformance tests of a driver's own conditions, order, pages and calls for many rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import pytest

from bkjs.db.contract import (
    Condition,
    DbDriver,
    Group,
    Request,
    Row,
)
from bkjs.db.database import Database
from bkjs.errors import AlreadyExists

from .base import KitBase, again, answer, empty, found, need, ordered, store, stored
from .random import agree, every
from .tables import (
    CONDITIONS,
    EDGE_CONDITIONS,
    EDGES,
    ITEMS,
    PAIR_CONDITIONS,
    PAIRS,
    PATH_CONDITIONS,
    PATHS,
    VALUES,
    clean,
    ids,
    order,
    request,
    sets,
    table,
    where,
)


def must_take(driver: DbDriver, name: str, group: Group) -> None:
    """Skip a test of conditions that the driver leaves to the kernel, at least in part."""
    if driver.plan(table(name), group, ()).native != group:
        pytest.skip("leaves it to the kernel")


def of(conditions: list[tuple[str, str, Any]]) -> Group:
    """All of these conditions."""
    return where(*(Condition(*condition) for condition in conditions))


def wide(driver: DbDriver) -> None:
    """Skip a test of whole numbers that the driver cannot have."""
    low, high = driver.shape.ints or (-(2**60), 2**60)
    if not low <= -(2**60) < 2**60 <= high:
        pytest.skip("has no such numbers")


class SelectTests(KitBase):
    """What a driver selects and changes natively."""

    # -- select --------------------------------------------------------------------------------

    @pytest.mark.parametrize("case", CONDITIONS, ids=lambda c: f"{c[0]} {c[1]} {c[2]!r}")
    async def test_native_condition(
        self, db: Database, driver: DbDriver, case: tuple[str, str, Any, str]
    ) -> None:
        """A condition that `native` accepts selects exactly the rows of the truth table.

        Troubleshooting: null matches only `null`, also for negated operators; text compares by
        code point; `%` and `_` are letters except for `like`. Refuse in `native` what differs.
        """
        *condition, expected = case
        group = of([tuple(condition)])
        must_take(driver, "kit_item", group)
        await store(driver, "kit_item", *ITEMS)
        assert ids(await found(driver, "kit_item", where=group)) == expected

    @pytest.mark.parametrize("case", EDGE_CONDITIONS, ids=lambda c: f"{c[0]} {c[1]} {c[2]!r:.30}")
    async def test_native_condition_where_engines_differ(
        self, db: Database, driver: DbDriver, case: tuple[str, str, Any, str]
    ) -> None:
        """The same for numbers beyond 2**53, empty text, text of several lines, letters of any
        plane and case, and long lists.

        Troubleshooting: refuse in `native` what differs; split a long list, or send it another way.
        """
        *condition, expected = case
        group = of([tuple(condition)])
        must_take(driver, "kit_item", group)
        wide(driver)
        await store(driver, "kit_item", *EDGES)
        assert ids(await found(driver, "kit_item", where=group)) == expected

    async def test_native_empty_text_is_no_null(self, db: Database, driver: DbDriver) -> None:
        """`eq ""` finds the empty text, and nothing else."""
        group = of([("name", "eq", "")])
        must_take(driver, "kit_item", group)
        await store(driver, "kit_item", *EDGES)
        assert ids(await found(driver, "kit_item", where=group)) == "a"

    @pytest.mark.parametrize("number", range(len(PAIR_CONDITIONS)))
    async def test_native_conditions_on_a_key(
        self, db: Database, driver: DbDriver, number: int
    ) -> None:
        """Conditions on the columns of a key of text and number, beside one another and others.

        Troubleshooting: `plan` sees all of them: what an engine has no form for beside the others
        it leaves out.
        """
        conditions, expected = PAIR_CONDITIONS[number]
        must_take(driver, "kit_pair", of(conditions))
        await store(driver, "kit_pair", *PAIRS)
        rows = await found(driver, "kit_pair", where=of(conditions))
        wanted = [(PAIRS[n]["owner"], PAIRS[n]["pos"]) for n in expected]
        assert sorted((row["owner"], row["pos"]) for row in rows) == sorted(wanted)

    @pytest.mark.parametrize("number", range(len(PATH_CONDITIONS)))
    async def test_native_conditions_on_a_key_of_texts(
        self, db: Database, driver: DbDriver, number: int
    ) -> None:
        """The same for a key of two texts, which are not one text with a separator."""
        conditions, expected = PATH_CONDITIONS[number]
        must_take(driver, "kit_path", of(conditions))
        await store(driver, "kit_path", *PATHS)
        rows = await found(driver, "kit_path", where=of(conditions))
        assert "".join(sorted(row["note"] for row in rows)) == expected

    async def test_driver_and_kernel_agree_on_conditions(self, driver: DbDriver) -> None:
        """Conditions, groups and orders at random: what the driver does itself is what the kernel
        would do.

        Troubleshooting: what differs is not what the engine can do; `plan` (or `native`) says no
        to it.
        """
        await agree(driver)

    async def test_a_plan_gives_back_what_it_was_asked_about(self, driver: DbDriver) -> None:
        """`native` of a plan is the group, or some items of an AND; with no items it has no order
        to lose, and of what it took it takes all again."""
        for name, cases in (("kit_pair", PAIR_CONDITIONS), ("kit_path", PATH_CONDITIONS)):
            described = table(name)
            for conditions, _ in cases:
                group = of(conditions)
                either = Group("OR", group.items)
                for sort in ((), order(*described.keys)):
                    plan = driver.plan(described, group, sort)
                    assert all(item in group.items for item in plan.native.items), group
                    assert driver.plan(described, plan.native, sort).native == plan.native, group
                    assert plan.ordered or not (plan.seek and sort), (
                        "to go on there must be an order"
                    )
                    assert driver.plan(described, either, sort).native in (either, Group()), either

    async def test_native_groups(self, db: Database, driver: DbDriver) -> None:
        """Groups of AND and OR nest.

        Troubleshooting: each group needs its own parentheses.
        """
        need(driver, "groups")
        x, num = Condition("tag", "eq", "x"), Condition("num", "eq", 1)
        either = Group("OR", (num, Condition("num", "eq", 3)))
        nested = Group("OR", (Group("AND", (x, num)), Condition("num", "eq", 10)))
        must_take(driver, "kit_item", nested)
        # OR in AND in OR
        third = Group("OR", (Group("AND", (x, either)), Group("AND", (Condition("num", "eq", 0),))))
        last = Group(
            "OR", (where(x, Group("OR", (where(x, num), num))), Condition("num", "eq", 10))
        )
        await store(driver, "kit_item", *ITEMS)
        assert ids(await found(driver, "kit_item", where=third)) == "ae"
        assert ids(await found(driver, "kit_item", where=last)) == "ad"
        assert ids(await found(driver, "kit_item", where=where(x, either))) == "a"
        assert ids(await found(driver, "kit_item", where=nested)) == "ad"
        assert ids(await found(driver, "kit_item", where=either)) == "ac"

    SORTS: ClassVar[list[tuple[tuple[str, ...], str]]] = [
        (("id",), "abcdef"),
        (("-id",), "fedcba"),
        (("num",), "feabcd"),
        (("name",), "fdbace"),
        (("-name",), "ecabdf"),
        (("price", "id"), "efdabc"),
        (("-price", "id"), "cbadfe"),
        (("tag", "-num"), "efbadc"),
        (("-tag", "num"), "cdabfe"),
    ]

    @pytest.mark.parametrize("case", SORTS, ids=lambda c: ",".join(c[0]))
    async def test_native_sort(
        self, db: Database, driver: DbDriver, case: tuple[tuple[str, ...], str]
    ) -> None:
        """Nulls first, last when descending; text by code point, so capitals before small ones.

        Troubleshooting: a database may sort by its locale or put nulls elsewhere unless told.
        """
        names, expected = case
        if not ordered(driver, request("select", "kit_item", sort=order(*names))):
            pytest.skip("does not claim sort")
        await store(driver, "kit_item", *ITEMS)
        rows = await found(driver, "kit_item", sort=order(*names))
        assert "".join(row["id"] for row in rows) == expected
        for count in range(1, 8):
            rows = await found(driver, "kit_item", sort=order(*names), count=count)
            wanted = expected[:count]
            assert "".join(row["id"] for row in rows) == wanted, f"with count={count}"

    async def test_native_sort_of_any_letters(self, db: Database, driver: DbDriver) -> None:
        """By code point, also beyond the plane where most letters are; numbers with all digits.

        Troubleshooting: engines whose text is UTF-16 sort \U0010ffff before \ue000.
        """
        if not ordered(driver, request("select", "kit_item", sort=order("tag", "id"))):
            pytest.skip("does not claim sort")
        wide(driver)
        await store(driver, "kit_item", *EDGES)
        for name, wanted in (("tag", "bgfacde"), ("num", "dcgeabf"), ("name", "badcgef")):
            for sort, keys in ((name, wanted), (f"-{name}", wanted[::-1])):
                rows = await found(driver, "kit_item", sort=order(sort, "id"))
                assert "".join(row["id"] for row in rows) == keys, sort

    @pytest.mark.parametrize("down", [False, True])
    async def test_native_order_of_a_key(self, db: Database, driver: DbDriver, down: bool) -> None:
        """The rows of a first key column in the order of the second, and a whole table in that of
        its key, as far as `plan` says so; numbers are no texts."""
        await store(driver, "kit_pair", *PAIRS)
        minus, done = "-" if down else "", 0
        for group, names, rows in (
            (of([("owner", "eq", "a")]), ("pos",), PAIRS[:4]),
            (of([("owner", "eq", "a")]), ("owner", "pos"), PAIRS[:4]),
            (of([("owner", "eq", "a|b"), ("pos", "gt", 0)]), ("pos", "owner"), PAIRS[5:8]),
            (where(), ("owner", "pos"), sorted(PAIRS, key=lambda r: (r["owner"], r["pos"]))),
        ):
            sort = order(*(minus + name for name in names))
            if not ordered(driver, request("select", "kit_pair", where=group, sort=sort)):
                continue
            done += 1
            wanted = [(row["owner"], row["pos"]) for row in (rows[::-1] if down else rows)]
            for count in (None, 1, 2, 3):
                found_ = await found(driver, "kit_pair", where=group, sort=sort, count=count)
                assert [(row["owner"], row["pos"]) for row in found_] == wanted[:count], (
                    sort,
                    count,
                )
        if not done:
            pytest.skip("does not claim such an order")

    @pytest.mark.parametrize("case", SORTS, ids=lambda c: ",".join(c[0]))
    async def test_native_seek(
        self, db: Database, driver: DbDriver, case: tuple[tuple[str, ...], str]
    ) -> None:
        """From the sort values of any row the rest follows, whatever is null or descending.

        Troubleshooting: `(a, b) > (x, y)` needs all columns in one direction and none null.
        """
        names, expected = case
        sort = order(*names, *(() if names[-1].endswith("id") else ("id",)))
        if not driver.plan(table("kit_item"), Group(), sort).seek:
            pytest.skip("does not claim seek")
        await store(driver, "kit_item", *ITEMS)
        rows = await found(driver, "kit_item", sort=sort)
        for number, row in enumerate(rows):
            after = tuple(row.get(o.column) for o in sort)
            rest = await found(driver, "kit_item", sort=sort, after=after)
            assert "".join(r["id"] for r in rest) == expected[number + 1 :]

    async def test_native_offset_and_count(self, db: Database, driver: DbDriver) -> None:
        """`offset` skips and `count` limits, also past the end."""
        need(driver, "sort", "offset")
        await store(driver, "kit_item", *ITEMS)
        for offset, count, expected in ((0, 2, "ab"), (4, 5, "ef"), (2, None, "cdef"), (9, 1, "")):
            rows = await found(driver, "kit_item", sort=order("id"), offset=offset, count=count)
            assert "".join(row["id"] for row in rows) == expected

    @pytest.mark.parametrize("count", [1, 2, 5, 6, 7])
    async def test_count_is_a_limit_and_resume_goes_on(
        self, db: Database, driver: DbDriver, count: int
    ) -> None:
        """A page never has more than `count` rows; what is left is reached with `resume`.

        Troubleshooting: without `sort` there is no other way to the next page.
        """
        await store(driver, "kit_item", *ITEMS)
        for sort in ((), order("num", "id"), order("tag")):
            if sort and not ordered(driver, request("select", "kit_item", sort=sort)):
                continue
            for columns in (None, ("id", "num")):
                rows: list[Row] = []
                resume = None
                for _ in range(20):
                    page = await driver.select(
                        request(
                            "select",
                            "kit_item",
                            count=count,
                            resume=resume,
                            columns=columns,
                            sort=sort,
                        )
                    )
                    assert len(page.rows) <= count
                    assert all(columns is None or {*row} <= {*columns} for row in page.rows)
                    rows += page.rows
                    resume = again(page.resume)
                    if resume is None:
                        break
                if driver.plan(table("kit_item"), Group(), sort).seek and len(rows) == count:
                    continue  # goes on by sort values instead
                assert ids(rows) == "abcdef", (
                    f"sorted by {sort}: `resume` leads behind a row, not behind all that are equal"
                )
                if len(sort) > 1:
                    assert "".join(row["id"] for row in rows) == "feabcd"

    async def test_native_behind(self, db: Database, driver: DbDriver) -> None:
        """`behind` leads behind any row of an answer, also when that is gone, and through JSON.

        Troubleshooting: make it of the key and the values of the order alone, not of a place in
        the answer.
        """
        need(driver, "behind")
        for sort in ((), order("num", "id"), order("-tag", "name", "id"), order("tag")):
            req = request("select", "kit_item", sort=sort)
            if sort and not ordered(driver, req):
                continue
            await store(driver, "kit_item", *ITEMS)
            rows = await answer(driver, req)
            for number, row in enumerate(rows):
                rest = [item["id"] for item in rows[number + 1 :]]
                for gone in (False, True):
                    if gone:
                        await driver.delete(request("delete", "kit_item", key={"id": row["id"]}))
                    resume = again(driver.behind(req, row))
                    for count in (None, 2):
                        page = request("select", "kit_item", sort=sort, resume=resume, count=count)
                        seen = [item["id"] for item in await answer(driver, page)]
                        assert seen == rest[:count], f"behind {row['id']} sorted by {sort}"
                await store(driver, "kit_item", row)

    @pytest.mark.parametrize("name", ["real", "exact", "flag", "at", "stamp", "day", "text", "raw"])
    async def test_places_behind_values_of_every_type(
        self, db: Database, driver: DbDriver, name: str
    ) -> None:
        """Pages in the order of a column go on behind its values, whatever they are.

        Troubleshooting: `resume` has to be such as JSON has it: dates, decimals and bytes as text.
        """
        for number, row in enumerate(VALUES):
            await db.put("kit_value", {"id": str(number), **row})
        req = request("select", "kit_value", sort=order(name, "id"))
        if not ordered(driver, req):
            pytest.skip("leaves the order to the kernel")
        rows = await answer(driver, req)
        wanted = [row["id"] for row in rows]
        assert sorted(wanted) == [str(number) for number in range(len(VALUES))]
        found = [row["id"] for row in await every(driver, replace(req, count=1))]
        assert found == wanted
        if driver.can.behind:
            for number, row in enumerate(rows):
                page = replace(req, resume=again(driver.behind(req, row)))
                assert [r["id"] for r in await answer(driver, page)] == wanted[number + 1 :]

    async def test_native_filters(self, db: Database, driver: DbDriver) -> None:
        """With `filters` rows that fail `match` do not count, and a page goes on behind what was
        looked at."""
        need(driver, "filters")
        await store(driver, "kit_item", *ITEMS)
        for count in (1, 2, 3, None):
            rows: list[Row] = []
            resume = None
            for _ in range(20):
                page = await driver.select(
                    request(
                        "select",
                        "kit_item",
                        match=lambda row: row["id"] in "bdf",
                        count=count,
                        resume=resume,
                    )
                )
                assert count is None or len(page.rows) <= count
                rows += page.rows
                resume = again(page.resume)
                if resume is None:
                    break
            assert ids(rows) == "bdf", f"with count={count}"

    async def test_long_tables(self, db: Database, driver: DbDriver) -> None:
        """1,500 rows are found: none is left out where an answer of the engine ends.

        Troubleshooting: many engines stop at a number of rows or bytes; `resume` says where.
        """
        rows: list[Row] = [{"id": f"r{n:04}", "num": n, "name": "x" * 100} for n in range(1500)]
        await db.bulk([{"op": "put", "table": "kit_item", "obj": row} for row in rows])
        wanted = [row["id"] for row in rows]
        seen = await found(driver, "kit_item")
        assert sorted(row["id"] for row in seen) == wanted, "`Page.resume` says where it goes on"
        if driver.can.total:
            assert await driver.total(request("total", "kit_item")) == 1500
        if ordered(driver, request("select", "kit_item", sort=order("id"))):
            assert [r["id"] for r in await found(driver, "kit_item", sort=order("id"))] == wanted
        if driver.can.many:
            keys = [{"id": key} for key in reversed(wanted)][: driver.can.many]
            many = await driver.many(request("many", "kit_item", keys=keys, columns=("id",)))
            assert sorted(map(tuple, map(dict.items, many))) == sorted(
                map(tuple, map(dict.items, keys))
            )

    async def test_native_many(self, db: Database, driver: DbDriver) -> None:
        """The rows of the given keys, each once, for one and for several key columns.

        Troubleshooting: long lists may have to be split; see what the database allows.
        """
        need(driver, "many")
        await store(driver, "kit_item", *ITEMS)
        await store(driver, "kit_pair", *({"owner": "o", "pos": n} for n in range(5)))
        missing = [f"no{n}" for n in range(min(driver.can.many, 1000))]
        keys = [{"id": key} for key in [*missing, "a", "c", "a"][-driver.can.many :]]
        rows = await driver.many(request("many", "kit_item", keys=keys))
        assert ids(rows) == "ac"
        assert [clean(row) for row in sorted(rows, key=lambda r: str(r["id"]))] == ITEMS[:3:2]
        rows = await driver.many(request("many", "kit_item", keys=keys, columns=("id", "num")))
        assert sorted(row["num"] for row in rows) == [1, 3]
        assert all(row.keys() == {"id", "num"} for row in rows)
        pairs = [{"owner": "o", "pos": n} for n in (1, 3, 9)]
        rows = await driver.many(request("many", "kit_pair", keys=pairs, columns=("pos",)))
        assert sorted(row["pos"] for row in rows) == [1, 3]
        assert all(row.keys() == {"pos"} for row in rows)
        await store(driver, "kit_path", *PATHS)
        for path in PATHS:
            key = {name: path[name] for name in ("folder", "name")}
            assert await driver.many(request("many", "kit_path", keys=[key])) == [path]

    async def test_native_bulk(self, db: Database, driver: DbDriver) -> None:
        """Each request gets its own outcome, in the order given; one failure stops no other.

        Troubleshooting: an error must not roll the others back.
        """
        need(driver, "bulk")
        await store(driver, "kit_item", ITEMS[0], ITEMS[1])
        requests: list[Request] = [
            request("put", "kit_item", values={"id": "p", "num": 1}),
            request("add", "kit_item", values={"id": "a", "num": 2}),
            request("add", "kit_item", values={"id": "n", "num": 3}),
            request("update", "kit_item", key={"id": "a"}, changes=sets(name="u")),
            request("delete", "kit_item", key={"id": "b"}),
            request("put", "kit_item", values={"id": "p", "num": 4}),
        ]
        claimed = {"put": True, "delete": True, "add": driver.can.add, "update": driver.can.update}
        verbs = {verb for verb in driver.can.bulk_verbs if claimed[verb]}
        mine = [req for req in requests if req.verb in verbs]
        errors = [error for req in mine for error in await driver.bulk([req])]
        await empty(driver, "kit_item")
        await store(driver, "kit_item", ITEMS[0], ITEMS[1])
        if driver.can.bulk >= len(mine):
            errors = await driver.bulk(mine)
        wanted = [
            AlreadyExists if r.verb == "add" and r.key == {"id": "a"} else type(None) for r in mine
        ]
        assert [type(error) for error in errors] == wanted
        if len(mine) == len(requests):
            assert ids(await found(driver, "kit_item")) == "anp"
            assert (await stored(driver, "kit_item", id="a") or {})["name"] == "u"
        if "put" in verbs:
            assert await stored(driver, "kit_item", id="p") == {"id": "p", "num": 4}
        if "delete" in verbs:
            assert await stored(driver, "kit_item", id="b") is None

    async def test_native_total(self, db: Database, driver: DbDriver) -> None:
        """`total` counts the rows that match, 0 without any."""
        need(driver, "total")
        assert await driver.total(request("total", "kit_item")) == 0
        await store(driver, "kit_item", *ITEMS)
        assert await driver.total(request("total", "kit_item")) == 6
        one = of([("num", "gt", 2)])
        if driver.plan(table("kit_item"), one, ()).native == one:
            assert await driver.total(request("total", "kit_item", where=one)) == 2

    async def test_native_update_all_and_delete_all(self, db: Database, driver: DbDriver) -> None:
        """They change exactly the rows that match and say how many."""
        need(driver, "update_all", "delete_all")
        match = of([("tag", "eq", "x")])
        must_take(driver, "kit_item", match)
        await store(driver, "kit_item", *ITEMS)
        change = request("update_all", "kit_item", where=match, changes=sets(name="all"))
        assert await driver.update_all(change) == 2
        named = [row for row in await found(driver, "kit_item") if row.get("name") == "all"]
        assert ids(named) == "ab"
        assert await driver.update_all(change) == 2, "rows that are found count, changed or not"
        assert await driver.delete_all(request("delete_all", "kit_item", where=match)) == 2
        assert ids(await found(driver, "kit_item")) == "cdef"
        assert await driver.delete_all(request("delete_all", "kit_item")) == 4
        assert await found(driver, "kit_item") == []

    async def test_native_returning(self, db: Database, driver: DbDriver) -> None:
        """`returning="*"` gives the row after an update and the row that a delete removed."""
        need(driver, "returning", "update")
        await store(driver, "kit_item", ITEMS[0])
        change = request(
            "update", "kit_item", key={"id": "a"}, changes=sets(name="n"), returning="*"
        )
        assert clean((await driver.update(change)).row) == {**ITEMS[0], "name": "n"}
        gone = request("delete", "kit_item", key={"id": "a"}, returning="*")
        assert clean((await driver.delete(gone)).row) == {**ITEMS[0], "name": "n"}
