"""The base of a driver whose database is reached over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bkjs.db.contract import DbDriver
from bkjs.errors import StartError

from .pool import HttpPool, Limits, Refused


class HttpDriver(DbDriver):
    """Requests go through `self.pool`; a driver says what they are.

    Settings of the pool: `max`, `max_queue`, `timeout`, `connect_timeout`, `idle` (ms), `retries`,
    `max_body`, `max_answer` (bytes), `ca` (a file with certificates to trust). The URL may name
    several nodes: `http://user:password@one:9200,two:9200/path`.
    """

    default_url: ClassVar[str] = ""
    """What the URL `default` stands for."""
    headers: ClassVar[Mapping[str, str]] = {}
    """Headers of each request."""
    greeting: ClassVar[str] = "/"
    """A path that any client may GET while the server answers."""
    accepts: ClassVar[Mapping[str, str]] = {
        "connect_timeout": "ms that a connection may take, 2000",
        "retries": "further tries of what failed before it was done",
        "max_body": "bytes of a request",
        "max_answer": "bytes of an answer",
        "ca": "file with the certificates that are trusted",
    }

    def __init__(self, name: str, url: str, options: Mapping[str, Any]) -> None:
        """Raises StartError for a URL that is none."""
        super().__init__(name, url, options)
        here = self.default_url if url in ("", "default") else url
        limits = Limits(
            size=max(1, int(options.get("max") or Limits.size)),
            max_queue=int(options.get("max_queue", Limits.max_queue)),
            timeout=seconds(options, "timeout", Limits.timeout),
            connect=seconds(options, "connect_timeout", Limits.connect),
            idle=seconds(options, "idle", Limits.idle),
            retries=int(options.get("retries", Limits.retries)),
            max_body=int(options.get("max_body") or Limits.max_body),
            max_answer=int(options.get("max_answer") or Limits.max_answer),
        )
        ca = str(options.get("ca") or "")
        self.pool = HttpPool(name, here, limits, headers=self.headers, ca=ca)

    async def open(self) -> None:
        """Ask the server once; raises Unavailable, or StartError when it refuses the login."""
        try:
            await self.pool.open()
        except OSError as exc:
            raise StartError(f"{self.name}: the file of the setting ca: {exc}") from None
        try:
            await self.alive()
        except BaseException as exc:
            await self.close()
            if isinstance(exc, Refused):
                raise StartError(exc.message) from None
            raise

    async def close(self) -> None:
        """Let running requests end for two seconds and close all connections."""
        await self.pool.close()

    async def alive(self) -> None:
        """Raises what a request would when the server does not answer now."""
        await self.pool.request("GET", self.greeting)

    def stats(self) -> dict[str, int]:
        """Requests that run and wait, tries after the first, nodes that failed lately."""
        return self.pool.stats()


def seconds(options: Mapping[str, Any], name: str, default: float) -> float:
    """A time of the pool's settings, which are in milliseconds; 0 and nothing are the default."""
    return float(options.get(name) or 0) / 1000 or default
