"""A driver, or a database over one driver, without an application: for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields
from typing import Any, TypeVar

from bkjs.db.contract import Capabilities, DbDriver
from bkjs.db.database import Database

from .checker import guarded

D = TypeVar("D", bound=DbDriver)


@asynccontextmanager
async def opened(
    driver: type[D], url: str = "", /, *, name: str = "", **options: Any
) -> AsyncIterator[D]:
    """The driver, open; closed on leaving. `options` are the pool's settings."""
    made = driver(name or driver.__name__.removesuffix("Driver").lower(), url, options)
    await made.open()
    try:
        yield made
    finally:
        await made.close()


def database(driver: DbDriver) -> Database:
    """A database whose only pool is this driver, which must be open."""
    db = Database()
    db.add_pool(driver.name, driver, default=True)
    return db


def limited(driver: type[DbDriver], **flags: Any) -> type[DbDriver]:
    """The driver's class with other capabilities, to test what the kernel does for it: one that
    raises Unclaimed when it is asked for more."""
    return only(driver, **{f.name: getattr(driver.can, f.name) for f in fields(driver.can)} | flags)


def only(driver: type[DbDriver], /, **flags: Any) -> type[DbDriver]:
    """The same with no capabilities but these."""
    return guarded(type(driver.__name__, (driver,), {"can": Capabilities(**flags)}))
