"""Memory stays where it was, and requests are answered, whatever mixture of them comes."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from random import Random

import pytest
from websockets.sync.client import connect

from bkjs.testing.client import Client
from bkjs.testing.process import Server
from tests.attack.conftest import SECRET, memory
from tests.chaos.conftest import Chaos, Store

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc"),
]

CLIENTS = 6
ALLOWED = 15
"""Megabytes that a process may grow, once it is warm."""


def ask(server: Server, client: Client, chance: Random) -> int:
    """One request of any kind; its status."""
    key = f"m{chance.randrange(500)}"
    match chance.randrange(20):
        case 0:
            return client.get(f"/nowhere/{chance.random()}").status
        case 1:
            return client.get("/fails").status
        case 2 | 3:
            return client.get(f"/router/{chance.randrange(10_000)}").status
        case 4 | 5 | 6:
            return client.get("/named/select?name=x&_sort=id&_count=20").status
        case 7 | 8 | 9 | 10:
            return client.post("/replaced", {"tag": key, "n": 2}).status
        case 11:
            return client.post("/replaced", {"tag": key, "n": "none"}).status
        case 12 | 13:
            return client.get("/account/get").status
        case 14 if chance.random() < 0.1:
            with connect(f"ws://127.0.0.1:{server.port}/ws") as socket:
                socket.send("/named/get?id=m1.0")
                socket.recv()
            return 101
    return client.get(f"/named/get?id={key}.0&q{chance.randrange(10**9)}=1").status


def test_memory_is_flat_under_mixed_requests(chaos: Chaos, sqlite: Store):
    server = sqlite.server("-allow-modules", "^bk_accounts$", "-log", "none")
    sizes: list[int] = []
    with server:
        done = sqlite.run("user", "add", "-login", "ann", "-name", "A", "-secret", SECRET)
        assert done.returncode == 0, done.stderr
        choices = [chaos.choices(task) for task in range(CLIENTS)]
        clients = [server.client("ann", SECRET) for _ in range(CLIENTS)]

        def work(task: int) -> None:
            chaos.figures[f"x {ask(server, clients[task], choices[task])}"] += 1

        with chaos.meanwhile(work, CLIENTS):
            while chaos.goes_on():
                sizes.append(memory(server.pid))
                time.sleep(0.1)
        for client in clients:
            client.close()
        assert server.stop() == 0
    quarter = len(sizes) // 4
    grown = statistics.median(sizes[-quarter:]) - statistics.median(sizes[quarter : 2 * quarter])
    chaos.figures["MB grown"] = round(grown)
    assert {"x 200", "x 400", "x 404", "x 500"} <= chaos.figures.keys()
    assert grown < ALLOWED, sizes
