"""What the conformance classes share: fresh tables for each test."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bkjs.db.contract import DbDriver
from bkjs.db.database import Database

from .db_tables import TABLES
from .dbs import database

KIT = frozenset({"bkjs.testing.db", "bkjs.testing.db_driver", "bkjs.testing.db_facade"})


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
        db = database(driver)
        db.describe_tables(copy.deepcopy(TABLES))
        for name in TABLES:
            await db.drop(name)
            await db.create(name)
        yield db
        for name in TABLES:
            await db.drop(name)
