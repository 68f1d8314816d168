"""The nodes of one database: which one a request goes to."""

from __future__ import annotations

import base64
import random
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from yarl import URL

from bkjs.errors import StartError

FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 30.0
"""Seconds in which a node that failed is asked only when the others do not answer either; doubled
each time."""


@dataclass(slots=True)
class Node:
    """One address of the database."""

    base: str
    """Its URL without login, with the path that all requests begin with."""
    failures: int = 0
    """How often in a row it did not answer."""
    rest: float = 0.0
    """Until when (monotonic clock) others are asked first."""

    @property
    def place(self) -> str:
        """Host and port, for messages."""
        return self.base.partition("://")[2].partition("/")[0]

    def url(self, path: str) -> URL:
        """The URL of a path that is quoted already."""
        return URL(self.base + path, encoded=True)

    def works(self) -> None:
        """It has answered."""
        self.failures = 0
        self.rest = 0.0

    def fails(self, now: float) -> None:
        """It has not answered."""
        pause = min(FIRST_PAUSE * 2 ** min(self.failures, 20), LONGEST_PAUSE)
        self.failures += 1
        self.rest = now + pause


class Nodes:
    """The addresses in a URL such as `https://user:password@a:9200,b:9200/path`."""

    def __init__(self, pool: str, url: str) -> None:
        """Raises StartError for what is no such URL; it never shows the login."""
        scheme, mark, rest = url.partition("://")
        if not mark or scheme not in ("http", "https"):
            raise StartError(f"{pool}: the URL of this database begins with http:// or https://")
        place, slash, path = rest.partition("/")
        login, _, hosts = place.rpartition("@")
        if "?" in rest or "#" in rest:
            raise StartError(f"{pool}: a URL with ? or #; quote these characters in a password")
        self.all = [Node(self._base(pool, scheme, host) + (slash + path).rstrip("/"))
                    for host in hosts.split(",")]  # fmt: skip
        user, _, password = login.partition(":")
        secret = f"{unquote(user)}:{unquote(password)}".encode()
        self.secrets = tuple(filter(None, (unquote(password), password)))
        """The password, as it is and as the URL has it."""
        self.login = f"Basic {base64.b64encode(secret).decode()}" if login else ""
        """The header `Authorization`, "" without a login."""
        self._next = random.randrange(len(self.all))

    def _base(self, pool: str, scheme: str, host: str) -> str:
        base = f"{scheme}://{host}"
        try:
            parts = urlsplit(base)
            if not parts.hostname or parts.port == 0:
                raise ValueError("no host")
        except ValueError:
            raise StartError(f"{pool}: no host and port in its URL: {host!r}") from None
        return base

    def order(self, now: float) -> list[Node]:
        """All nodes in the order in which one request tries them: those that work first, each
        request beginning with another one."""
        if len(self.all) == 1:
            return self.all
        self._next = (self._next + 1) % len(self.all)
        turned = self.all[self._next :] + self.all[: self._next]
        return sorted(turned, key=lambda node: max(node.rest, now))

    def resting(self, now: float) -> int:
        """How many nodes failed lately."""
        return sum(node.rest > now for node in self.all)
