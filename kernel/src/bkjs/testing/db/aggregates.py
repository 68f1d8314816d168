"""Conformance tests of `aggregate`: the same figures, the database's or the kernel's."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from bkjs.db.conditions import groups
from bkjs.db.contract import ALL, DbDriver, Row
from bkjs.db.database import Database
from bkjs.db.request import aggregate
from bkjs.errors import BadRequest

from .base import KitBase, fill

WHOLE = [-(2**63), -1, 0, 1, 3, 2**53 + 1, 2**63 - 1, None]
REAL = [-1.5, 0.0, 0.1, 0.2, 1e16, -1e16, 1e300, -1e300, 5e-324, None]
EXACT = [Decimal(n) for n in ("-3", "0", "0.1", "0.25", "10", "9" * 30, "1e-30")]
TEXTS = ["", "a", "A", "ab", "é", "e\u0301", "z", "\ud7ff", "\ue000", "\U0010ffff", None]
VALUES: dict[str, list[Any]] = {
    "whole": WHOLE,
    "real": REAL,
    "exact": [*EXACT, None],
    "flag": [True, False, None],
    "at": [datetime(2020, 1, day, microsecond=day, tzinfo=UTC) for day in (1, 2, 30)] + [None],
    "day": [date(1999, 12, 31), date(2000, 1, 1), None],
    "text": TEXTS,
}
SUMMED = ("whole", "exact", "real")
ORDERED = (*SUMMED, "at", "day", "text")


class AggregateTests(KitBase):
    """Figures of groups of rows.

    Troubleshooting: `Operations.aggregate` says what the driver gives, and `DbDriver.aggregates`
    which figures the kernel shall make because those of the engine are others.
    """

    async def test_figures_of_all_rows(self, db: Database) -> None:
        """Nulls do not count; without `by` there is one row."""
        await fill(db)
        found = await db.aggregate(
            "kit_item",
            count=True,
            sum=["num", "price"],
            min="num,name",
            max="num,name",
            avg="num,price",
            distinct="tag",
        )
        assert found == [
            {
                "count": 6,
                "sum_num": 11,
                "sum_price": 6.25,
                "min_num": -5,
                "min_name": "100%_gamma",
                "max_num": 10,
                "max_name": "délta",
                "avg_num": 11 / 6,
                "avg_price": 1.25,
                "distinct_tag": 3,
            }
        ]
        assert list(found[0])[:3] == ["count", "sum_num", "sum_price"]
        assert [type(found[0][name]) for name in ("sum_num", "sum_price")] == [int, float]

    async def test_figures_of_the_rows_that_match(self, db: Database) -> None:
        """Conditions are those of `select`, whoever evaluates them."""
        await fill(db)
        for query, ops, number in (
            ({"num": 2}, {"num": "ge"}, 3),
            ({"name": "^a"}, {"name": "regexp"}, 2),
            ({"$or": {"tag": "y", "num": -5}}, {}, 3),
            ({}, {"tag": "null"}, 1),
            ({"num": []}, {}, 0),
        ):
            found = await db.aggregate("kit_item", query, ops=ops, count=True)
            assert found == [{"count": number}], query

    async def test_groups(self, db: Database) -> None:
        """Null is a group; they come in the order of `by`, nulls first, text by code point."""
        await fill(db)
        found = await db.aggregate("kit_item", by="tag", count=True, max="num")
        assert found == [
            {"tag": None, "count": 1, "max_num": 0},
            {"tag": "X", "count": 1, "max_num": -5},
            {"tag": "x", "count": 2, "max_num": 2},
            {"tag": "y", "count": 2, "max_num": 10},
        ]
        only = await db.aggregate("kit_item", {"num": 1}, ops={"num": "gt"}, by=["tag"])
        assert only == [{"tag": "x"}, {"tag": "y"}]
        more = await db.aggregate("kit_item", {"tag": "y"}, by="tag,num", desc=True)
        assert [row["num"] for row in more] == [10, 3]

    async def test_sort_and_limit_of_groups(self, db: Database) -> None:
        """By any column of the answer; the group decides what that leaves open."""
        await fill(db)
        options: Any = {"by": "tag", "count": True}
        found = await db.aggregate("kit_item", **options, sort="count", desc=True)
        assert [row["tag"] for row in found] == ["x", "y", None, "X"]
        found = await db.aggregate("kit_item", **options, sort="count", limit=1)
        assert found == [{"tag": None, "count": 1}]

    async def test_figures_of_nothing(self, db: Database) -> None:
        """No rows are no groups; without `by` they are one, whose figures are null, or 0."""
        wanted: Any = {"sum": "num", "avg": "price", "min": "name", "distinct": "tag"}
        nothing = {"sum_num": None, "min_name": None, "avg_price": None, "distinct_tag": 0}
        queries: list[Row] = [{}, {"num": []}]
        for query in queries:
            assert await db.aggregate("kit_item", query, **wanted) == [nothing]
            assert await db.aggregate("kit_item", query, by="id", **wanted) == []
        await db.put("kit_item", {"id": "a"})
        assert await db.aggregate("kit_item", count=True, **wanted) == [{"count": 1, **nothing}]

    async def test_sums_are_exact(self, db: Database) -> None:
        """Whole numbers beyond 64 bits, all digits of decimals, floats rounded once at the end."""
        large, tiny = Decimal("9" * 30), Decimal("1e-30")
        near, far = db.pool().driver.shape.reals or (5e-324, 1e300)
        for number, (whole, exact, real) in enumerate(
            [
                (2**63 - 1, large, far),
                (2**63 - 1, tiny, 1.0),
                (2**63 - 1, Decimal("0.10"), -far),
                (-1, None, near),
            ]
        ):
            row = {"id": str(number), "whole": whole, "exact": exact, "real": real}
            await db.put("kit_value", row)
        (found,) = await db.aggregate("kit_value", sum=SUMMED, avg="whole,real")
        assert found["sum_whole"] == 3 * (2**63 - 1) - 1
        assert found["sum_exact"] == Decimal("9" * 30 + ".1" + 28 * "0" + "1")
        assert found["sum_real"] == 1.0
        assert found["avg_whole"] == (3 * (2**63 - 1) - 1) / 4
        assert found["avg_real"] == 0.25
        assert [type(found[f"sum_{name}"]) for name in SUMMED] == [int, Decimal, float]
        if db.pool().driver.shape.reals:
            return
        await db.put("kit_value", {"id": "0", "real": 1.7e308})
        await db.put("kit_value", {"id": "1", "real": 1.7e308})
        with pytest.raises(BadRequest, match="sum_real: number out of range"):
            await db.aggregate("kit_value", {"id": ["0", "1"]}, sum="real")

    async def test_average_of_decimals(self, db: Database) -> None:
        """20 digits after the point, or those of the sum where it has more, half to even."""
        for number, exact in enumerate(("1", "0", "0")):
            await db.put("kit_value", {"id": str(number), "exact": exact})
        (found,) = await db.aggregate("kit_value", avg="exact", sum="exact")
        assert found == {"sum_exact": 1, "avg_exact": Decimal("0." + "3" * 20)}
        assert str(found["sum_exact"]) == "1"
        await db.put("kit_value", {"id": "1", "exact": "0.5"})
        assert str((await db.aggregate("kit_value", avg="exact"))[0]["avg_exact"]) == "0.5"
        await db.put("kit_value", {"id": "0", "exact": Decimal("1e-25")})
        (found,) = await db.aggregate("kit_value", {"id": ["0", "2"]}, avg="exact")
        assert found["avg_exact"] == 0  # half of it, to the even digit

    @pytest.mark.parametrize(
        ("options", "error"),
        [
            ({}, "nothing is asked for"),
            ({"sum": "nosuch"}, "sum: kit_value has no column 'nosuch'"),
            ({"by": "text;x"}, "by: kit_value has no column 'text;x'"),
            ({"sum": "text"}, "sum: not possible with kit_value.text, a column of type text"),
            ({"avg": "day"}, "avg: not possible with kit_value.day, a column of type date"),
            ({"min": "flag"}, "min: not possible with kit_value.flag, a column of type bool"),
            ({"by": "doc"}, "by: not possible with kit_value.doc, a column of type json"),
            ({"distinct": "words"}, "distinct: not possible with kit_value.words"),
            ({"count": True, "sort": "whole"}, "sort: the answer has no column 'whole'"),
            ({"count": True, "limit": "x"}, "limit: not a number of rows"),
        ],
    )
    async def test_what_is_no_figure_is_refused(
        self, db: Database, options: dict[str, Any], error: str
    ) -> None:
        """Unknown columns, and those of a type that has no such figure, by name."""
        with pytest.raises(BadRequest, match=error):
            await db.aggregate("kit_value", **options)

    async def test_hidden_columns_have_no_figures(self, db: Database) -> None:
        """What no query may name is in no figure either; two columns of one name are none."""
        db.describe_tables(
            {"kit_hidden": {"id": {"primary": 1}, "pin": {"type": "int", "hidden": 1}, "count": {}}}
        )
        hidden: list[dict[str, Any]] = [{"sum": "pin"}, {"by": "pin"}, {"distinct": "pin"}]
        for options in hidden:
            with pytest.raises(BadRequest, match="no column 'pin'"):
                await db.aggregate("kit_hidden", **options)
        with pytest.raises(BadRequest, match="two columns 'count'"):
            await db.aggregate("kit_hidden", by="count", count=True)
        with pytest.raises(TypeError, match="'coutn'; did you mean 'count'"):
            await db.aggregate("kit_hidden", coutn=True)  # type: ignore[call-arg]

    async def test_groups_are_bounded(self, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        """More groups than an answer may have are refused, not cut off."""
        await fill(db)
        for module in (groups, aggregate):
            monkeypatch.setattr(module, "GROUPS", 4)
        assert len(await db.aggregate("kit_item", by="tag")) == 4
        with pytest.raises(BadRequest, match="kit_item: more than 4 groups by id"):
            await db.aggregate("kit_item", by="id", limit=1)

    async def test_different_values_are_bounded(
        self, db: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where they have to be remembered: not more than that, and just so many."""
        await fill(db)
        target = db.target("kit_item")
        monkeypatch.setattr(groups, "DISTINCT", 5)
        plan = aggregate.figures(target, {"distinct": "name"})  # five, and a null
        assert await aggregate.completed(target, ALL, plan.groups) == [(5,)]
        plan = aggregate.figures(target, {"distinct": "id"})
        with pytest.raises(BadRequest, match="kit_item: more than 5 different values of id"):
            await aggregate.completed(target, ALL, plan.groups)

    async def test_figures_in_a_transaction(self, db: Database) -> None:
        """They are those of its own writes, too."""
        if not db.pool().can.transactions:
            pytest.skip("no transactions")
        await fill(db)
        async with db.transaction() as tx:
            await tx.put("kit_item", {"id": "z", "num": 100})
            assert await tx.aggregate("kit_item", sum="num") == [{"sum_num": 111}]
        assert await db.aggregate("kit_item", sum="num") == [{"sum_num": 111}]

    async def test_driver_and_kernel_agree(self, db: Database, driver: DbDriver) -> None:
        """Figures, groups and conditions at random: the driver's are those of the kernel.

        Troubleshooting: what differs is not what the engine can do; `aggregates` says no to it.
        """
        if not driver.can.aggregates:
            pytest.skip("does not claim aggregates")
        chance = random.Random(3)
        rows: list[Row] = [
            {"id": f"{n:03}"} | {name: chance.choice(VALUES[name]) for name in VALUES}
            for n in range(150)
        ]
        await fill(db, "kit_value", rows)
        target = db.target("kit_value")
        for _ in range(60):
            wanted: Any = {
                "by": chance.sample(list(VALUES), chance.randrange(4)),
                "count": chance.random() < 0.5,
                "sum": chance.sample(SUMMED, chance.randrange(3)),
                "avg": chance.sample(SUMMED, chance.randrange(2)),
                "min": chance.sample(ORDERED, chance.randrange(1, 3)),
                "max": chance.sample(ORDERED, chance.randrange(3)),
                "distinct": chance.sample(list(VALUES), chance.randrange(3)),
            }
            plan = aggregate.figures(target, wanted)
            found = await db.aggregate("kit_value", **wanted)
            mine = aggregate.rows_of(plan, await aggregate.completed(target, ALL, plan.groups))
            assert found == mine, wanted
