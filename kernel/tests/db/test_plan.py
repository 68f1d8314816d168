"""What a driver is asked to do itself, and what a token of the next page is good for."""

from dataclasses import replace

import pytest

from bkjs.db.contract import ALL, Condition, Group, Order
from bkjs.db.database import Database
from bkjs.db.pools.memory import MemoryDriver
from bkjs.db.request.plan import narrowed, total_order
from bkjs.db.tables.described import build
from bkjs.errors import BadRequest, Unsupported
from bkjs.testing.db import database, limited, only, opened
from bkjs.testing.db.checker import guarded

from .engines import Cassandra, Dynamo


@pytest.mark.parametrize("engine", [Dynamo, Cassandra])
@pytest.mark.parametrize("values", [[(5, 5), (3, 7), (7, 3)], [(3, 7), (5, 5), (7, 3)]])
async def test_conditions_that_happen_to_be_equal_are_no_rule_for_others(engine, values):
    async with opened(engine) as driver:
        db = database(driver)
        db.describe_tables({"t": {"a": {"primary": 1}, "b": {"type": "int", "primary": 2}}})
        for number in range(10):
            await db.add("t", {"a": "x", "b": number})
        for low, high in values:
            query = {"a": "x", "b": low, "c": high}
            rows = await db.select("t", query, ops={"b": "gt", "c": "gt"}, aliases={"c": "b"})
            assert [row["b"] for row in rows] == list(range(max(low, high) + 1, 10))


@pytest.mark.parametrize("engine", [MemoryDriver, only(MemoryDriver, conditional=True)])
@pytest.mark.parametrize("sort", ["v", "id"])
async def test_a_token_of_another_kind_of_values_is_refused(engine, sort):
    def described(**kinds):
        db = Database(token_key=b"0" * 32)
        db.add_pool("here", driver, default=True)
        db.describe_tables({"t": {"id": {"primary": 1, **kinds}, "v": kinds}})
        return db

    async with opened(engine) as driver:
        db = described()
        for text in "123":
            await db.add("t", {"id": text, "v": text})
        token = (await db.select("t", sort=sort, count=1)).next_token
        assert len(await described().select("t", sort=sort, count=5, start=token)) == 2
        db = described(type="int")
        await db.drop("t")
        await db.add("t", {"id": 1, "v": 1})
        with pytest.raises(BadRequest, match="invalid token"):
            await db.select("t", sort=sort, count=5, start=token)


@pytest.mark.parametrize("engine", [Dynamo, Cassandra])
async def test_what_is_done_with_one_condition_is_no_rule_for_another(engine):
    async with opened(guarded(engine)) as driver:
        db = database(driver)
        db.describe_tables(
            {"t": {"a": {"primary": 1}, "b": {"type": "int", "primary": 2}, "c": {}}}
        )
        for number in range(4):
            await db.put("t", {"a": "x", "b": number, "c": str(number % 2)})
        for _ in range(2):
            for query, found in (({"a": "x"}, 4), ({"c": "1"}, 2), ({"b": 3}, 1)):
                for options in ({}, {"sort": "b"}, {"sort": "c", "count": 9}):
                    assert len(await db.select("t", query, **options)) == found
            for query in ({"a": "x", "b": 2}, {"c": "0", "b": 2}):
                rows = await db.select("t", query, ops={"b": "ge"})
                assert [row["b"] for row in rows] == ([2, 3] if "a" in query else [2])


def test_the_key_goes_the_way_of_the_last_column():
    table = build("t", {"id": {"primary": 1}, "n": {"primary": 1}, "v": {}})
    up, down = Order("v"), Order("v", True)
    for sort, desc, last in (((up,), True, False), ((down,), False, True), ((), True, True)):
        keys = tuple(Order(name, last) for name in ("id", "n"))
        assert total_order(table, sort, desc) == (*sort, *keys)
    assert total_order(table, (Order("n", True), up), True) == (Order("n", True), up, Order("id"))


async def test_rows_before_a_place_are_left_out_where_no_null_is_among_them():
    async with opened(MemoryDriver) as driver:
        db = database(driver)
        db.describe_tables({"t": {"id": {"primary": 1}, "v": {}}})
        target = db.target("t")
        for order, value, op in (
            (Order("v"), "a", "ge"),
            (Order("v", True), "a", ""),
            (Order("id", True), "a", "le"),
            (Order("v"), None, ""),
        ):
            wanted = Group("AND", (Condition(order.column, op, value),)) if op else ALL
            assert narrowed(target, ALL, order, value) == wanted


async def test_what_nothing_can_match_is_not_asked_for():
    class Silent(MemoryDriver):
        async def select(self, req):
            raise AssertionError(f"asked for {req}")

        total = select

    async with opened(Silent) as driver:
        db = database(driver)
        db.describe_tables({"t": {"id": {"primary": 1}, "v": {}}})
        for options in ({}, {"count": 1}, {"sort": "v"}):
            assert await db.select("t", {"v": []}, **options) == []
        assert await db.select("t", {"v": []}, total=True) == [{"count": 0}]
        assert await db.scan("t", {"v": []}, lambda row: None) == 0


async def test_values_that_a_database_cannot_compare_are_looked_at_before_a_write():
    class Blind(MemoryDriver):
        def comparable(self, column):
            return column.name != "v"

    async with opened(limited(Blind, transactions=False)) as driver:
        db = database(driver)
        db.describe_tables({"t": {"id": {"primary": 1}, "v": {}, "n": {}}})
        await db.put("t", {"id": "1", "v": "a"})
        with pytest.raises(Unsupported, match="comparison of 'v'"):
            await db.update("t", {"id": "1", "n": "b"}, expected={"v": "a"})
        assert (await db.update("t", {"id": "1", "n": "b"}, expected={"v": "x"})).affected == 0


@pytest.mark.parametrize("sort", ["v", ""])
async def test_a_token_holds_when_the_database_seeks_no_more(sort):
    async with opened(MemoryDriver) as driver:
        db = database(driver)
        db.describe_tables({"t": {"id": {"primary": 1}, "v": {}}})
        for text in "1234":
            await db.add("t", {"id": text, "v": "a"})
        options = {"sort": sort} if sort else {}
        token = (await db.select("t", count=2, **options)).next_token
        seeking = type(driver).can
        try:
            type(driver).can = replace(seeking, seek=False)
            db.describe_tables({"t": {"w": {}}})  # what is known of the driver is worked out anew
            rows = await db.select("t", count=5, start=token, **options)
        finally:
            type(driver).can = seeking
        assert [row["id"] for row in rows] == ["3", "4"]


@pytest.mark.parametrize("size", [0, 2])
async def test_rows_come_in_the_order_of_their_keys_however_a_database_gives_them(size):
    class Backwards(MemoryDriver):
        can = replace(MemoryDriver.can, many=size)

        async def many(self, req):
            return (await super().many(req))[::-1]

    async with opened(Backwards) as driver:
        db = database(driver)
        db.describe_tables({"t": {"id": {"primary": 1}}})
        for text in "1234":
            await db.add("t", {"id": text})
        rows = await db.list("t", ["3", "1", "9", "4", "2", "1"])
        assert [row["id"] for row in rows] == ["3", "1", "4", "2"]
