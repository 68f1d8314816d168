"""SQLite as a database of bkjs."""

from __future__ import annotations

from bkjs import hookimpl


@hookimpl
def driver() -> type:
    from .database import SqliteDriver

    return SqliteDriver
