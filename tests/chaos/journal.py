"""A journal of everything that was asked for, to compare with what is stored."""

from __future__ import annotations

import http.client
import time
from collections import Counter
from random import Random
from typing import NamedTuple

from bkjs.testing.process import Server

ROWS = {"one": 1, "replaced": 1, "together": 7, "many": 40}
"""Rows that one request to an endpoint writes."""


class Entry(NamedTuple):
    """One request that wrote, and the status that was answered, None for no answer."""

    path: str
    tags: list[str]
    status: int | None


class Journal:
    """Everything that was asked for, and what was said about it."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.acknowledged = 0

    def write(self, server: Server, chance: Random, tag: str) -> None:
        """One request of any kind; now and then its client leaves without waiting."""
        path = chance.choice(list(ROWS))
        body = {"tag": tag, "n": ROWS[path]}
        status = None
        try:
            with server.client() as client:
                if chance.random() < 0.2:
                    data, headers = client.compose("POST", f"/{path}", headers=None, body=body)
                    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                    with client.connect() as connection:
                        connection.sendall(f"POST /{path} HTTP/1.1\r\n{head}\r\n".encode() + data)
                        time.sleep(chance.random() * 0.02)
                else:
                    status = client.post(f"/{path}", body).status
        except (OSError, EOFError, http.client.HTTPException):
            time.sleep(0.02)
        self.entries.append(Entry(path, [f"{tag}.{n}" for n in range(ROWS[path])], status))
        self.acknowledged += status == 200

    def faults(self, stored: Counter[str]) -> list[str]:
        """Where what is stored is not what was said."""
        found = []
        for path, tags, status in self.entries:
            counts = [stored[tag] for tag in tags]
            if status == 200 and min(counts) < 1:
                found.append(f"{path} {tags[0]}: acknowledged, {counts.count(0)} of it lost")
            if max(counts) > 1:
                found.append(f"{path} {tags[0]}: stored {max(counts)} times")
            if path == "together" and len(set(counts)) > 1:
                found.append(f"{path} {tags[0]}: {counts.count(0)} of a transaction missing")
        return found
