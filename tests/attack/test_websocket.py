"""Frames cannot harm the process either."""

from __future__ import annotations

import contextlib
import json
import socket
import time

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.sync.client import ClientConnection, connect

from tests.attack.conftest import PATIENCE, SCALE, Attack, Victim

pytestmark = pytest.mark.process


def opened(victim: Victim, **options: object) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{victim.port}/", max_size=None, **options)  # type: ignore[arg-type]


def test_a_frame_with_a_long_path_is_refused_and_not_kept(victim: Victim, attack: Attack):
    with opened(victim) as ws:
        for number in range(30 * SCALE):
            ws.send(json.dumps({"path": f"/{number:06}" + "a" * 900_000, "id": number}))
            reply = json.loads(ws.recv(10))
            assert (reply["id"], reply["status"]) == (number, 414)
    assert attack.grown < 40
    assert attack.waited < PATIENCE


def test_many_paths_are_not_kept(victim: Victim, attack: Attack):
    with opened(victim) as ws:
        for number in range(2000 * SCALE):
            ws.send(f"/{number:06}" + "a" * 7000)
            assert b'"status":4' in ws.recv(10, decode=False)
            if number % 50 == 0:
                time.sleep(0.4)  # a connection may send so many a second
            if number * 7000 > 14_000_000:
                break
    assert attack.grown < 20


def test_a_client_that_does_not_read_is_cut_and_leaves_nothing(victim: Victim, attack: Attack):
    plain = socket.create_connection(("127.0.0.1", victim.port))
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    options = {"sock": plain, "max_size": None, "max_queue": 1, "close_timeout": 0}
    with connect(f"ws://127.0.0.1:{victim.port}/", **options) as ws:
        with contextlib.suppress(ConnectionClosed, TimeoutError, OSError):
            for _ in range(90):
                ws.send("/large?n=900000")
        time.sleep(4)
        plain.close()
    assert attack.grown < 30
    assert attack.waited < PATIENCE


def test_frames_without_a_message_count_too(victim: Victim, attack: Attack):
    """Empty pings and continuations: nothing is asked, but each is work."""
    with opened(victim) as ws:
        raw = ws.socket
        ping = Frame(Opcode.PING, b"").serialize(mask=True)
        with contextlib.suppress(OSError):
            raw.settimeout(5)
            for _ in range(50):
                raw.sendall(ping * 4000 * SCALE)
        time.sleep(1)
    assert attack.used < 3
    assert attack.waited < PATIENCE
