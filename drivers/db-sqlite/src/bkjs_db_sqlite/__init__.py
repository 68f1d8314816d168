"""SQLite as a database of bkjs."""

from __future__ import annotations

from bkjs import hookimpl


@hookimpl
def driver() -> type:
    """The class, imported when a pool of this type is opened."""
    from .database import SqliteDriver

    return SqliteDriver
