"""A log that nobody reads holds up nobody, and does not keep a process alive."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator

import pytest

from bkjs.testing.process import DEADLINE, Server
from tests.chaos.conftest import Chaos, Store

pytestmark = pytest.mark.process

ENOUGH = 500
"""Requests after which lines are lost: the log keeps some for a reader that is slow."""
PATIENCE = 1.0
"""Seconds that one request may take."""


@pytest.fixture
def unread(sqlite: Store) -> Iterator[tuple[Server, subprocess.Popen[bytes]]]:
    """A server that writes its log into a pipe."""
    server = sqlite.server("-log", "info")
    argv = [word for word in server.argv if word != "-api-no-access-log"]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        give_up = time.monotonic() + DEADLINE
        while time.monotonic() < give_up:
            try:
                with server.client() as client:
                    client.get("/ping")
                break
            except OSError:
                time.sleep(0.05)
        yield server, process
    finally:
        process.kill()
        process.communicate()
        server.close()


def test_requests_are_answered_while_nobody_reads_the_log(
    chaos: Chaos, unread: tuple[Server, subprocess.Popen[bytes]]
):
    server, process = unread
    assert process.stderr
    os.set_blocking(process.stderr.fileno(), False)
    longest = 0.0
    with server.client() as client:

        def ask() -> None:
            nonlocal longest
            fails = chaos.chance.random() < 0.8
            began = time.monotonic()
            reply = client.get("/fails" if fails else f"/named/get?id={'y' * 300}")
            longest = max(longest, time.monotonic() - began)
            assert reply.status == (500 if fails else 404)
            chaos.figures["requests"] += 1

        while chaos.goes_on() or chaos.figures["requests"] < ENOUGH:
            ask()
        read = b""
        while b"lines of the log were lost" not in read:
            with contextlib.suppress(BlockingIOError):
                read += os.read(process.stderr.fileno(), 1 << 20)
            ask()
            assert len(read) < 1 << 24, "nothing is said of the lines that were lost"
        for _ in range(500):  # and again nobody reads
            ask()
    assert longest < PATIENCE
    process.terminate()
    assert process.wait(DEADLINE) == 0
