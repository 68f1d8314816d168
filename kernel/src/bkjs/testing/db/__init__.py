"""The conformance kit for database drivers.

    from bkjs.testing.db import DbDriverTests, opened

    class TestMine(DbDriverTests):
        @pytest.fixture
        async def driver(self, my_url):
            async with opened(MyDriver, my_url) as driver:
                yield driver

`DriverTests` talk to the driver and follow what it claims in `can`. `FacadeTests` talk through the
kernel and hold for every driver: natively or emulated, the answer is the same, and what cannot keep
its guarantee is refused; so do `UniqueTests`. `OutageTests` are for drivers with a server. A test
that a driver cannot pass is marked, not replaced; further tests belong in another class.
"""

from __future__ import annotations

import sys

import pytest

from bkjs.testing.db.base import KIT

pytest.register_assert_rewrite(*(KIT - sys.modules.keys()))

from bkjs.testing.db.driver import DriverTests  # noqa: E402 - asserts are rewritten first
from bkjs.testing.db.facade import FacadeTests  # noqa: E402
from bkjs.testing.db.opened import database, limited, only, opened  # noqa: E402
from bkjs.testing.db.outage import OutageTests  # noqa: E402
from bkjs.testing.db.unique import UniqueTests  # noqa: E402

__all__ = [
    "DbDriverTests",
    "OutageTests",
    "UniqueTests",
    "database",
    "limited",
    "only",
    "opened",
]


class DbDriverTests(DriverTests, FacadeTests, UniqueTests):
    """Everything that a database driver has to pass; give it a `driver` fixture."""
