"""A request without a body is answered at once, whatever reads it."""

from __future__ import annotations

import contextlib
import json
import socket

import pytest
from websockets.sync.client import connect

from tests.attack.conftest import SECRET, Victim

pytestmark = pytest.mark.process

EMPTY = [b"", b"Transfer-Encoding: chunked\r\n", b"Content-Length: 0\r\n"]


@pytest.mark.parametrize("path", ["/taken", "/router/taken"])
@pytest.mark.parametrize("header", EMPTY)
def test_a_body_that_is_none_keeps_nobody_waiting(victim: Victim, path: str, header: bytes):
    """`curl -X POST` sends no length."""
    with victim.client("ann", SECRET) as client:
        signed = client.sign("POST", path, b"", {"host": "x"})
    head = "".join(f"{name}: {value}\r\n" for name, value in signed.items()).encode()
    raw = b"POST %b HTTP/1.1\r\nHost: x\r\n%b%b\r\n" % (path.encode(), head, header)
    with socket.create_connection(("127.0.0.1", victim.port), 3) as connection:
        connection.sendall(raw + (b"0\r\n\r\n" if b"chunked" in header else b""))
        reply = b""
        with contextlib.suppress(TimeoutError):
            reply = connection.recv(10_000)
    assert reply.startswith(b"HTTP/1.1 200 "), reply


def test_a_handler_that_gives_a_generator_is_answered_over_websocket(victim: Victim):
    with connect(f"ws://127.0.0.1:{victim.port}/") as ws:
        ws.send('{"path": "/pieces", "id": 1}')
        assert json.loads(ws.recv(3))["status"] == 500
