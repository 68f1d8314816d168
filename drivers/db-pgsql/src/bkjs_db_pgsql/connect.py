"""Making a connection, or saying in one sentence why there is none."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import asyncpg

from bkjs.errors import BkError, StartError, Unavailable

from .dialect import PgsqlDialect
from .errors import DEAD

SCHEMES = ("postgresql", "postgres", "pgsql", "pg")
"""What the URL of a server may begin with."""

Connection: TypeAlias = Any
"""An `asyncpg.Connection`, which publishes no types."""


class Connector:
    """Connects to one database; `timeout` and `limit` (of a statement, 0 for none) in seconds."""

    def __init__(
        self, name: str, url: str, options: Mapping[str, Any], timeout: float, limit: float
    ) -> None:
        self.name = name
        self.dsn = dsn(url, str(options.get("database") or "backend"))
        self.timeout = timeout
        given = dict(options.get("connect") or {})
        cache = int(given.pop("statement_cache_size", options.get("statement_cache_size", 512)))
        settings = dict(given.pop("server_settings", {}))
        if cache:  # a pooler between us and the server refuses settings
            settings.setdefault("application_name", "bkjs")
            settings.setdefault("statement_timeout", str(round(limit * 1000)))
            if options.get("schema"):
                settings.setdefault("search_path", search_path(options["schema"]))
        self.settings = {
            "timeout": timeout,
            "statement_cache_size": cache,
            "max_cached_statement_lifetime": 0,
            "max_cacheable_statement_size": 65536,
            "server_settings": settings,
            **given,
        }

    async def __call__(self) -> Connection:
        """A new connection; raises Unavailable, or StartError for what does not pass by itself."""
        try:
            connection = await asyncpg.connect(self.dsn, **self.settings)
        except Exception as exc:
            raise self._unreachable(exc) from exc
        await connection.set_type_codec(
            "numeric", schema="pg_catalog", encoder=str, decoder=number, format="text"
        )
        _notice_silence(connection, self.timeout)
        return connection

    def _unreachable(self, exc: Exception) -> BkError:
        where = place(self.dsn)
        if isinstance(exc, asyncpg.InvalidCatalogNameError):
            return StartError(f"{self.name}: there is no database {where}; make it with createdb")
        if isinstance(exc, asyncpg.InvalidAuthorizationSpecificationError):
            return StartError(f"{self.name}: {where} refuses the user or the password")
        if isinstance(exc, (TimeoutError, *DEAD, asyncpg.PostgresError)):
            number = exc.errno if isinstance(exc, OSError) else None
            reason = os.strerror(number) if number else ""
            if isinstance(exc, socket.gaierror):  # its numbers are others
                unknown = exc.errno == socket.EAI_NONAME
                reason = "the host name is not known" if unknown else str(exc.strerror)
            if isinstance(exc, asyncpg.PostgresError):
                reason = str(exc)  # such as: sorry, too many clients already
            return Unavailable(f"{self.name}: no connection to {where}{reason and ': ' + reason}")
        return StartError(f"{self.name}: cannot connect to {where}: {exc}")


def number(text: str) -> int | float:
    """A numeric as the number that JSON has."""
    return int(text) if len(text) < 20 and text.lstrip("-").isdigit() else float(text)


def dsn(url: str, database: str) -> str:
    """The URL for the client: of the default server for an empty one or a bare database name."""
    if url in ("", "default"):
        return f"postgresql://postgres@127.0.0.1/{database}"
    scheme, mark, rest = url.partition("://")
    if mark and scheme.lower() not in SCHEMES:
        raise StartError(f"a URL of PostgreSQL begins with postgresql://, not {scheme}://")
    return f"postgresql://{rest}" if mark else f"postgresql://postgres@127.0.0.1/{scheme}"


def place(url: str) -> str:
    """Host and database of a URL, without its secrets."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] + parts.path


def search_path(schema: Any) -> str:
    """A schema, or a list of schemas, as a setting."""
    names = [schema] if isinstance(schema, str) else list(schema)
    return ", ".join(PgsqlDialect().quote(str(name)) for name in names)


def _notice_silence(connection: Connection, timeout: float) -> None:
    """Let the system end a connection whose peer does not acknowledge what was sent."""
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    transport = getattr(connection, "_transport", None)
    found = transport.get_extra_info("socket") if transport is not None else None
    if option is not None and found is not None and found.family != getattr(socket, "AF_UNIX", -1):
        found.setsockopt(socket.IPPROTO_TCP, option, round(timeout * 1000))
