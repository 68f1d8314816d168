"""What the conformance classes share: empty tables for each test, failures that say what to do."""

from __future__ import annotations

import copy
import functools
import inspect
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from bkjs.db.contract import DbDriver, Operations, Request, Row
from bkjs.db.database import Database
from bkjs.db.request.plain import Plans
from bkjs.db.results import Rows

from .checker import guard, settled
from .opened import database
from .tables import ITEMS, TABLES, clean, request, table

MODULES = (
    "aggregates",
    "driver",
    "expiry",
    "edges",
    "select",
    "facade",
    "moving",
    "random",
    "outage",
    "reads",
    "search",
    "transactions",
    "unique",
    "values",
    "writes",
)
KIT = frozenset({"bkjs.testing.db", *(f"bkjs.testing.db.{name}" for name in MODULES)})


class NoPlans(Plans):
    """Serves no request by a plan: all of them go the general way."""


class KitBase:
    """Empty tables for each test, and no replaced tests.

    The tables are made once for a class and stay; a test that changes one drops it.
    """

    plain = True
    """Whether plain requests are served by plans, as they are in an application."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__module__ in KIT:
            for name, test in list(vars(cls).items()):
                if name.startswith("test_") and inspect.isfunction(test):
                    setattr(cls, name, _helpful(test))
            return
        replaced = [
            name
            for name in vars(cls)
            if name.startswith("test_")
            and any(hasattr(base, name) for base in cls.__mro__[1:] if base.__module__ in KIT)
        ]
        if replaced:
            raise TypeError(f"{cls.__name__} replaces tests of the kit: {', '.join(replaced)}")

    @pytest.fixture
    async def db(self, driver: DbDriver) -> Database:
        """A database over the driver, with empty tables."""
        db = database(guard(settled(driver)))
        if not self.plain:
            db.plans = NoPlans()
        db.describe_tables(copy.deepcopy(TABLES))
        first = "made" not in vars(type(self))
        there = await driver.describe() if driver.can.tables and not first else {}
        for name in TABLES:
            if first or (driver.can.tables and name not in there):
                await db.drop(name)
                await db.create(name)
            else:
                await empty(driver, name)
        type(self).made = True  # type: ignore[attr-defined]
        return db


def _helpful(test: Callable[..., Any]) -> Callable[..., Any]:
    """The test, whose failure ends with what its docstring says under Troubleshooting."""
    _, found, text = (inspect.getdoc(test) or "").partition("Troubleshooting:")
    if not found:
        return test
    hint = f"Troubleshooting: {' '.join(text.split())}"

    @functools.wraps(test)
    async def run(*args: Any, **kwargs: Any) -> None:
        __tracebackhide__ = True
        try:
            await test(*args, **kwargs)
        except Exception as error:
            error.add_note(hint)
            raise

    return run


async def empty(driver: DbDriver, name: str) -> None:
    """Delete all rows of a table."""
    if driver.can.delete_all:
        await driver.delete_all(request("delete_all", name))
        return
    for row in await found(driver, name, columns=table(name).keys):
        await driver.delete(request("delete", name, key=row))


def need_facade(db: Database, flag: str) -> None:
    """Skip a facade test of a guarantee that the database cannot give."""
    if not possible(db, flag):
        pytest.skip(f"has no {flag} writes")


def possible(db: Database, flag: str) -> bool:
    """Whether a guarantee is there, natively or by conditional writes."""
    can = db.pool().can
    return bool(getattr(can, flag) or can.conditional or can.versions)


def checks(db: Database) -> bool:
    """Whether a write can depend on the stored row."""
    return db.pool().can.conditional or db.pool().can.versions


def compares(db: Database, name: str, column: str) -> bool:
    """Whether a write can depend on the value of a column: what is emulated by that is refused
    elsewhere."""
    driver = db.pool().driver
    return driver.can.versions or (
        driver.can.conditional and driver.comparable(table(name).columns[column])
    )


async def fill(db: Database, name: str = "kit_item", rows: list[Row] | None = None) -> None:
    """Put rows, those of `ITEMS` unless others are given, into a table."""
    for row in ITEMS if rows is None else rows:
        await db.put(name, row)


async def pages(db: Database, name: str, query: Any = None, **options: Any) -> AsyncIterator[Rows]:
    """Page by page to the end; only the last may be empty, where the driver says that it can be."""
    start: str | None = None
    while True:
        page = await db.select(name, query or {}, start=start, **options)
        assert len(page) <= options["count"]
        if page.next_token is not None and db.pool().can.exact:
            assert len(page) == options["count"], "a page is short, and another one follows"
        yield page
        start = page.next_token
        if start is None:
            return


async def walk(db: Database, name: str, count: int, query: Any = None, **options: Any) -> list[Row]:
    """All rows, page by page."""
    rows: list[Row] = []
    async for page in pages(db, name, query, count=count, **options):
        rows += page
        assert len(rows) < 10_000, "the pages never end"
    return rows


def need(driver: DbDriver, *flags: str) -> None:
    """Skip a driver test whose capability is not claimed."""
    missing = [flag for flag in flags if not getattr(driver.can, flag)]
    if missing:
        pytest.skip(f"does not claim {', '.join(missing)}")


async def store(driver: DbDriver, name: str, *rows: Row) -> None:
    """Put rows by a driver itself, as its shape wants them."""
    for row in rows:
        values = row if driver.shape.nulls else clean(row)
        await driver.put(request("put", name, values=values))


async def found(driver: DbDriver, name: str, **fields: Any) -> list[Row]:
    """All rows of a select, however often the driver stops early."""
    return await answer(driver, request("select", name, **fields))


async def answer(ops: Operations, req: Request) -> list[Row]:
    """The rows of one select, `count` at most, however often it stops early."""
    rows: list[Row] = []
    count = req.count
    while True:
        page = await ops.select(req)
        rows += page.rows
        assert count is None or len(rows) <= count, "more rows than `count`"
        if page.resume is None or len(rows) == count:
            return rows
        left = None if count is None else count - len(rows)
        req = replace(req, resume=again(page.resume), after=None, offset=0, count=left)


def again(resume: Any) -> Any:
    """A resume point as the kernel gives it back, which kept it in a token."""
    return json.loads(json.dumps(resume))


async def stored(driver: DbDriver, name: str, /, **key: Any) -> Row | None:
    """The row with a key as the driver itself reads it, without nulls."""
    return clean(await driver.get(request("get", name, key=key)))


def ordered(driver: DbDriver, req: Request) -> bool:
    """Whether the driver has this order of these conditions itself."""
    plan = driver.plan(req.table, req.where, req.sort)
    return plan.ordered and plan.native == req.where
