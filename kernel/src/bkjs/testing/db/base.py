"""What the conformance classes share: fresh tables for each test."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bkjs.db.contract import DbDriver, Row
from bkjs.db.database import Database

from .checker import guard
from .opened import database
from .tables import ITEMS, TABLES, clean, request

MODULES = (
    "aggregates",
    "driver",
    "select",
    "facade",
    "outage",
    "reads",
    "search",
    "unique",
    "values",
    "writes",
)
KIT = frozenset({"bkjs.testing.db", *(f"bkjs.testing.db.{name}" for name in MODULES)})


class KitBase:
    """Fresh tables for each test, and no replaced tests."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__module__ in KIT:
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
    async def db(self, driver: DbDriver) -> AsyncIterator[Database]:
        """A database over the driver, with empty tables."""
        db = database(guard(driver))
        db.describe_tables(copy.deepcopy(TABLES))
        for name in TABLES:
            await db.drop(name)
            await db.create(name)
        yield db
        for name in TABLES:
            await db.drop(name)


def possible(db: Database, flag: str) -> bool:
    """Whether a guarantee is there, natively or by conditional writes."""
    can = db.pool().can
    return bool(getattr(can, flag) or can.conditional)


async def fill(db: Database, name: str = "kit_item", rows: list[Row] | None = None) -> None:
    """Put rows, those of `ITEMS` unless others are given, into a table."""
    for row in ITEMS if rows is None else rows:
        await db.put(name, row)


async def walk(db: Database, name: str, count: int, **options: Any) -> list[Row]:
    """All rows, page by page."""
    rows: list[Row] = []
    start: str | None = None
    while True:
        page = await db.select(name, {}, count=count, start=start, **options)
        assert len(page) <= count
        rows += page
        start = page.next_token
        if start is None:
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
    rows: list[Row] = []
    resume = None
    while True:
        page = await driver.select(request("select", name, resume=resume, **fields))
        rows += page.rows
        if page.resume is None:
            return rows
        resume = page.resume


async def stored(driver: DbDriver, name: str, **key: Any) -> Row | None:
    """The row with a key as the driver itself reads it, without nulls."""
    return clean(await driver.get(request("get", name, key=key)))
