"""Configuration out of the table `bk_config`: read at the start, from time to time, and with the
configuration files."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import socket
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bkjs.config.parse import parse_rows
from bkjs.core.kernel import Kernel
from bkjs.db.contract import Row
from bkjs.db.database import Database
from bkjs.errors import BkError

log = logging.getLogger(__name__)

TABLE = "bk_config"
REFRESH = 60
"""Seconds between looks for records whose `ttl` has passed."""


def config_types(
    *,
    run_mode: str,
    app_name: str,
    role: str = "",
    roles: Sequence[str] = (),
    tag: str = "",
    network: str = "",
    region: str = "",
    zone: str = "",
) -> list[str]:
    """The types of records to ask for, most general first. `roles` replace the process's `role`."""
    attrs = [run_mode, app_name, f"{run_mode}-{app_name}"]
    for name in ([tag] if tag else []) + list(roles or [role]):
        attrs += [f"{run_mode}-{name}", f"{run_mode}-{app_name}-{name}"]
    variants = [""] + [f"-{place}" for place in (network, region, zone) if place]
    types: dict[str, str] = {}
    for attr in attrs:
        if attr and not attr.endswith("-"):
            for variant in variants:
                types.setdefault((attr + variant).lower(), attr + variant)
    return list(types.values())


def by_priority(rows: Iterable[Mapping[str, Any]], types: Sequence[str]) -> list[Mapping[str, Any]]:
    """The rows most specific first."""
    rank = {name.lower(): place for place, name in enumerate(types)}
    return sorted(rows, key=lambda row: -rank.get(str(row["type"]).lower(), -1))


def choose(rows: Iterable[Mapping[str, Any]], types: Sequence[str]) -> list[Mapping[str, Any]]:
    """The row that counts for each name: the most specific one."""
    chosen: dict[str, Mapping[str, Any]] = {}
    for row in by_priority(rows, types):
        chosen.setdefault(row["name"], row)
    return list(chosen.values())


def query(types: Sequence[str], *, name: str = "") -> tuple[Row, Row]:
    """The query for the records of these types, and its options."""
    wanted: Row = {"type": list(types), "status": "ok"}
    if name:
        wanted["name"] = name
    return wanted, {"ops": {"type": "in", "mtime": "gt"}}


class DbConfig:
    """The records that concern this process, and when each is due to be read again."""

    def __init__(self, app: Kernel, db: Database) -> None:
        self.app = app
        self.db = db
        self.network = network()
        self.rows: dict[tuple[str, str], Row] = {}
        self.due: dict[tuple[str, str], float] = {}

    @property
    def pool(self) -> str:
        """The name of the pool that holds the table."""
        return str(self.app.config.db.config or "")

    def types(self) -> list[str]:
        """The types of records to ask for, most general first."""
        core, settings = self.app.config.core, self.app.config.db
        instance: Mapping[str, Any] = core.instance
        return config_types(
            run_mode=core.run_mode,
            app_name=self.app.name,
            role=self.app.role,
            roles=settings.config_roles or (),
            tag=str(instance.get("tag") or ""),
            network=self.network,
            region=str(instance.get("region") or ""),
            zone=str(instance.get("zone") or ""),
        )

    async def load(self) -> None:
        """Read all records and apply them; a wrong record leaves the configuration as it was."""
        wanted, options = query(self.types())
        rows = await self.db.select(TABLE, wanted, pool=self.pool, **options)
        self.rows.clear()
        self.due.clear()
        self._take(rows)

    async def refresh(self) -> None:
        """Read the records whose time has come, and apply what they say now."""
        now = self.db.now()
        keys = [key for key, due in self.due.items() if due <= now]
        if not keys:
            return
        items = [{"name": name, "type": kind} for name, kind in keys]
        rows = await self.db.list(TABLE, items, pool=self.pool)
        for key in keys:
            self.rows.pop(key, None)
            self.due.pop(key, None)
        self._take([row for row in rows if row.get("status") == "ok"])

    def _take(self, rows: Sequence[Row]) -> None:
        now = self.db.now()
        for row in rows:
            key = row["name"], row["type"]
            self.rows[key] = row
            if (row.get("ttl") or 0) > 0:
                self.due[key] = now + row["ttl"]
        self.apply()

    def apply(self) -> None:
        """Give the configuration the records that count."""
        rows = choose(self.rows.values(), self.types())
        tokens = parse_rows((str(row["name"]), str(row.get("value") or "")) for row in rows)
        for problem in self.app.config.update({"database": tokens}):
            log.error("configuration of the database not applied: %s", problem)

    async def run(self) -> None:
        """Keep it up to date until cancelled; a failure is logged and tried again."""
        loop = asyncio.get_running_loop()
        loaded, asked = loop.time(), self.app.reloaded
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asked.wait(), REFRESH + random.random())
            minutes = self.app.config.db.config_interval
            try:
                if asked.is_set() or (minutes and loop.time() - loaded >= minutes * 60):
                    asked.clear()
                    loaded = loop.time()
                    await self.load()
                else:
                    await self.refresh()
            except BkError as err:
                log.warning("configuration of the database cannot be read: %s", err)


def network() -> str:
    """The first two numbers of this host's address, such as `10.0`; "" without an IPv4 network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing, only chooses the way there
        except OSError:
            return ""
        address: str = probe.getsockname()[0]
    return ".".join(address.split(".")[:2])
