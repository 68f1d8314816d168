"""One connection cannot harm the process: memory stays flat and others are served."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.attack.conftest import PATIENCE, SCALE, Attack, Victim

pytestmark = pytest.mark.process

PING = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"


@contextlib.contextmanager
def connected(victim: Victim) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", victim.port), 10) as connection:
        yield connection


def send(connection: socket.socket, data: bytes, times: int, seconds: float) -> int:
    """Send as much of it as is taken in that time; how many bytes."""
    connection.settimeout(0.5)
    end, sent = time.monotonic() + seconds, 0
    whole = memoryview(data * times)
    with contextlib.suppress(TimeoutError, ConnectionError):
        while sent < len(whole) and time.monotonic() < end:
            sent += connection.send(whole[sent : sent + (1 << 18)])
    return sent


def test_pipelined_requests_are_answered_and_not_piled_up(victim: Victim, attack: Attack):
    count = 20_000 * SCALE
    answers = 0
    with connected(victim) as connection:
        sender = threading.Thread(target=connection.sendall, args=(PING * count,))
        connection.settimeout(30)
        sender.start()
        rest = b""
        while answers < count:
            data = connection.recv(1 << 20)
            assert data, f"closed after {answers} answers"
            data = rest + data
            answers += data.count(b"HTTP/1.1 200 OK")
            rest = data[-14:]
            rest = b"" if b"HTTP/1.1 200 OK" in rest else rest
        sender.join()
    assert answers == count
    assert attack.grown < 60
    assert attack.waited < PATIENCE


def test_pipelined_requests_whose_answers_are_not_read_stop_being_read(
    victim: Victim, attack: Attack
):
    with connected(victim) as connection:
        sent = send(connection, PING, 400_000 * SCALE, seconds=4)
    assert sent < len(PING) * 400_000 * SCALE
    assert attack.grown < 60
    assert attack.waited < PATIENCE


@pytest.mark.parametrize("trailer", [b"x: y\r\n" * 100, b"x: " + b"z" * 1000])
def test_trailers_are_limited_as_headers_are(victim: Victim, attack: Attack, trailer: bytes):
    """Many short ones, and one that goes on."""
    head = b"POST /ping HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    with connected(victim) as connection:
        connection.sendall(head)
        if trailer.startswith(b"x: z"):
            connection.sendall(b"x: ")
            trailer = b"z" * 1000
        send(connection, trailer, 20_000 * SCALE, seconds=5)
        connection.settimeout(5)
        reply = b""
        with contextlib.suppress(ConnectionError):  # reset while it was still sending
            while data := connection.recv(10_000):
                reply += data
    assert b"HTTP/1.1 431 " in reply or not reply
    assert attack.grown < 30
    assert attack.waited < PATIENCE
