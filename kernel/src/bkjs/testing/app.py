"""An application for tests: temporary home, memory database, only the modules listed."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from bkjs.app import App


@asynccontextmanager
async def make_app(
    modules: Sequence[Any] = (),
    *argv: str,
    role: str = "web",
    home: str = "",
    pool: str = "memory",
) -> AsyncIterator[App]:
    """A started `App` with exactly these modules (objects or names), whatever is installed.

    `argv` are further parameters, as on the command line; tables are created. The home is a new
    temporary directory unless given, and the default database keeps everything in memory.
    """
    with tempfile.TemporaryDirectory(prefix="bkjs-test-") as fresh:
        parameters = ["-home", home or fresh, "-log", "warn", "-db-pool", pool, "-db-create-tables"]
        app = App(role=role, argv=[*parameters, *argv], modules=modules)
        async with app:
            yield app
