"""Clients that leave at any moment: what only read ends, what wrote is done, nothing stays."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count

import pytest
from websockets.sync.client import connect

from bkjs.testing.process import Server
from tests.chaos.conftest import Chaos, Store

pytestmark = pytest.mark.process

SOON = 3.0
"""Seconds in which everything has to be free again."""
READ = b"GET /reads?tag=r&seconds=20 HTTP/1.1\r\nHost: x\r\n\r\n"
JSON = (
    b"POST /one HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n"
)
FORM = b"POST /one HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
FILE = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n' + b"x" * 300_000
READS = {
    "read": READ,
    "three ahead": READ * 4,
    "as many ahead as are read": READ * 9,
    "half a request ahead": READ + READ[:30],
    "stream": b"GET /events?tag=s&seconds=0.05 HTTP/1.1\r\nHost: x\r\n\r\n",
    "silent stream": b"GET /events?tag=s&seconds=20 HTTP/1.1\r\nHost: x\r\n\r\n",
    "half a body": JSON + b'\r\n{"tag":',
    "half a file": FORM + b"Content-Length: 5000000\r\n\r\n" + FILE,
    "half a head": READ[:40],
}


def leave(connection: socket.socket, *, reset: bool) -> None:
    """Close it, in order or as if the machine was gone."""
    if reset:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def state(server: Server) -> dict[str, int]:
    with server.client() as client:
        found: dict[str, int] = client.get("/state").json()
        return found


def until_free(server: Server, what: str) -> None:
    give_up = time.monotonic() + SOON
    while (found := state(server)) != {"running": 0, "busy": 0}:
        assert time.monotonic() < give_up, f"{found} after {what}"
        time.sleep(0.05)


def test_clients_that_leave_hold_nothing(chaos: Chaos, store: Store):
    with store.server() as server:
        ways: dict[str, Callable[[], None]] = {}

        def way(raw: bytes) -> Callable[[], None]:
            def go() -> None:
                reset = chaos.chance.random() < 0.5
                connections = [server.client().connect() for _ in range(10)]
                for connection in connections:
                    connection.sendall(raw)
                time.sleep(chaos.chance.random() * 0.3)
                for connection in connections:
                    leave(connection, reset=reset)

            return go

        def sockets() -> None:
            with ExitStack() as ends:
                url = f"ws://127.0.0.1:{server.port}/ws"
                made = [ends.enter_context(connect(url)) for _ in range(5)]
                for one in made:
                    one.send("/reads?tag=w&seconds=20")
                time.sleep(chaos.chance.random() * 0.3)
                for one in made:
                    one.socket.shutdown(socket.SHUT_RDWR)

        ways |= {name: way(raw) for name, raw in READS.items()} | {"websocket": sockets}
        names = list(ways)
        chaos.chance.shuffle(names)
        while chaos.goes_on() or names:
            name = names.pop() if names else chaos.chance.choice(list(ways))
            ways[name]()
            chaos.figures["rounds"] += 1
            until_free(server, name)
        assert server.stop() == 0


def test_what_writes_is_done_once_when_its_client_leaves(chaos: Chaos, store: Store):
    numbers, tags = count(), []
    with store.server() as server:
        while chaos.goes_on():
            for _ in range(10):
                tags.append(f"t{next(numbers)}")
                data = json.dumps({"tag": tags[-1], "seconds": 0.2}).encode()
                head = JSON.replace(b"/one", b"/late").replace(b"5000", b"%d" % len(data))
                with server.client().connect() as connection:
                    connection.sendall(head + b"\r\n" + data)
                    time.sleep(chaos.chance.random() * 0.02)
            until_free(server, "writes")
        time.sleep(0.5)
        until_free(server, "writes")
        assert server.stop() == 0
    chaos.figures["writes"] = len(tags)
    assert store.tags() == {f"{tag}.0": 1 for tag in tags}
