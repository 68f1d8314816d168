"""Named pools: one opened driver each, the tables that belong to it, and plain counters."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from re import Pattern
from time import perf_counter_ns
from typing import Any, NamedTuple, TypeVar

from bkjs.db.conditions.match import Match, matcher
from bkjs.db.contract import Capabilities, DbDriver, Group, Operations, Table
from bkjs.db.tables.codec import MOST_TOLD, Codec
from bkjs.errors import BadRequest, BkError, Unavailable, Unsupported
from bkjs.lib.text import near

from .none import NoneDriver

log = logging.getLogger(__name__)

T = TypeVar("T")
Allowed = Mapping[str, Sequence[tuple[Pattern[str], str]]]
"""`{table: [(pattern of column names, type)]}`"""


@dataclass(eq=False, slots=True)
class Pool:
    """An opened driver under a name such as `pgsql1`."""

    name: str
    driver: DbDriver
    tables: frozenset[str] = frozenset()
    """Tables that are routed to this pool."""
    lossy: bool = False
    """Emulate what the database cannot do atomically by reading and writing."""
    lenient: bool = False
    """Take values as the reference does; see `Codec`."""
    allow: Allowed = field(default_factory=dict)
    real: dict[str, dict[str, Mapping[str, Any]]] = field(default_factory=dict)
    """Tables and columns as the database has them; see `Database.cache_columns`."""
    strict: bool = False
    """The program may not name columns that are not described; else it is warned."""
    hints: bool = False
    """Errors name what is nearest: see `Codec`."""
    count: int = 0
    errors: int = 0
    nanoseconds: int = 0
    _codecs: dict[Table, Codec] = field(default_factory=dict)

    @property
    def type(self) -> str:
        """The driver's scheme: the name without its trailing number."""
        return self.name.rstrip("0123456789")

    @property
    def can(self) -> Capabilities:
        """What the driver does natively."""
        return self.driver.can

    def codec(self, table: Table) -> Codec:
        """The table as this pool stores it."""
        found = self._codecs.get(table)
        if found is None:
            found = self._codecs[table] = self.new_codec(table)
        return found

    def new_codec(self, table: Table) -> Codec:
        """The same for a table that is not described, or only for a while."""
        return Codec(
            table,
            self.driver.shape,
            pool=self.name,
            loose=not self.driver.can.columns,
            strict=self.strict,
            hints=self.hints,
            lenient=self.lenient,
            allow=self.allow.get(table.name, ()),
        )

    def forget(self) -> None:
        """Drop what was worked out from table definitions."""
        self._codecs.clear()

    def failure(self, exc: Exception) -> BkError:
        """The error to raise for one that the driver raised, counted."""
        self.errors += 1
        err = self.driver.error(exc)
        err.private = err.private or isinstance(err, Unavailable)  # it names hosts and files
        return err

    async def call(self, operation: Awaitable[T]) -> T:
        """Await one operation of the driver; its errors become ours."""
        self.count += 1
        start = perf_counter_ns()
        try:
            return await operation
        except Exception as exc:
            err = self.failure(exc)
            if err is exc:
                raise
            raise err from exc
        finally:
            self.nanoseconds += perf_counter_ns() - start

    def stats(self) -> dict[str, int]:
        """Requests, errors, microseconds spent, and what the driver counts."""
        own = {
            "count": self.count,
            "errors": self.errors,
            "microseconds": self.nanoseconds // 1000,
        }
        return {**self.driver.stats(), **own}


class Target(NamedTuple):
    """Where a request goes: a table, its pool, and the driver or a transaction in it."""

    pool: Pool
    ops: Operations
    codec: Codec

    @property
    def table(self) -> Table:
        """The described table."""
        return self.codec.table

    @property
    def can(self) -> Capabilities:
        """What the driver does natively."""
        return self.pool.driver.can

    def matcher(self, group: Group) -> Match:
        """Whether a row meets the conditions, as the database stores it."""
        return matcher(group, self.table, nested=self.codec.shape.json)

    def unsupported(self, what: str) -> Unsupported:
        """The error to raise for what the database cannot do."""
        return Unsupported(f"{self.pool.name}: driver {self.pool.type!r} has no {what}")


class Pools:
    """All pools by name, and which one serves a table."""

    def __init__(self) -> None:
        self.none = Pool("none", NoneDriver("none", "", {}))
        self.by_name: dict[str, Pool] = {"none": self.none}
        self.by_table: dict[str, Pool] = {}
        self.default = ""
        self._told: set[str] = set()

    def add(self, pool: Pool) -> None:
        """Serve requests by a pool, in the place of one with its name."""
        self.by_name[pool.name] = pool
        self.route()

    def remove(self, name: str) -> Pool | None:
        """Take a pool out, not closed; None when there is none."""
        pool = self.by_name.pop(name, None)
        self.route()
        return pool

    def route(self) -> None:
        """Work out again which pool has which tables."""
        self.by_table = {
            table.lower(): pool for pool in self.by_name.values() for table in pool.tables
        }

    def find(self, table: str, name: str | None = None) -> Pool:
        """The named pool, else the table's own, else the default, else `none`.

        Raises BadRequest for an unknown name, or warns of it once, as of an unknown column.
        """
        named = self.by_name.get(name) if name else None
        if named is not None:
            return named
        found = self.by_table.get(table) or self.by_name.get(self.default) or self.none
        if name:
            message = f"no pool {name!r}{near(name, self.by_name)}"
            if found.strict:
                raise BadRequest(message, field="pool")
            if name not in self._told and len(self._told) < MOST_TOLD:
                self._told.add(name)
                log.warning("%s; %s is used", message, found.name)
        return found

    def opened(self) -> Iterable[Pool]:
        """Every pool but `none`."""
        return [pool for pool in self.by_name.values() if pool is not self.none]
