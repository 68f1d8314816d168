"""Databases: one table-oriented API over many engines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bkjs.core.services import AppKey

if TYPE_CHECKING:
    from .database import Database

__all__ = ["DATABASE", "Tables"]

DATABASE: AppKey[Database] = AppKey("db", "databases are open from configure_module on")
"""Where an application has its database: `app[DATABASE]`, for those who know `App` `app.db`."""

Tables = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""What the hook `tables` declares: properties by column by table."""
