"""An end under load loses nothing, and one during the start is an end."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from itertools import count

import pytest

from tests.chaos.conftest import Chaos, Store
from tests.chaos.journal import Journal

pytestmark = pytest.mark.process

CLIENTS = 8
START = 1.5
"""Seconds that a start takes, about."""
IN_TIME = 6.0
"""Seconds in which a server ends whose requests may take three."""


def test_an_end_under_load_answers_what_was_begun_and_loses_nothing(chaos: Chaos, store: Store):
    journal, numbers = Journal(), count()
    server = store.server("-api-shutdown-timeout", "3000")
    with server:
        while chaos.goes_on():
            answers: dict[str, int] = {}

            def late(tag: str, answers: dict[str, int] = answers) -> None:
                with server.client() as client:
                    answers[tag] = client.post("/late", {"tag": tag, "seconds": 1}).status

            def write(task: int) -> None:
                tag = f"t{next(numbers)}"
                journal.write(server, chaos.choices(tag), tag)

            stream = server.client().connect()
            stream.sendall(b"GET /events?tag=s&seconds=0.1 HTTP/1.1\r\nHost: x\r\n\r\n")
            tags = [f"late{next(numbers)}" for _ in range(4)]
            waiting = [threading.Thread(target=late, args=(tag,)) for tag in tags]
            with chaos.meanwhile(write, CLIENTS):
                for thread in waiting:
                    thread.start()
                with server.client() as client:
                    while client.get("/state").json()["running"] < len(tags) + 1:
                        time.sleep(0.02)
                time.sleep(chaos.chance.random() * 0.5)
                began = time.monotonic()
                assert server.stop() == 0, server.output
                assert time.monotonic() - began < IN_TIME
            for thread in waiting:
                thread.join()
            stream.close()
            assert answers == dict.fromkeys(tags, 200)
            stored = store.tags()
            assert [stored[f"{tag}.0"] for tag in tags] == [1] * len(tags)
            named = [tag for (tag,) in store.query("SELECT id FROM named")]
            assert journal.faults(stored + type(stored)(named)) == []
            chaos.figures["ends"] += 1
            server.start()
    chaos.figures |= {"writes": len(journal.entries), "acknowledged": journal.acknowledged}
    assert journal.acknowledged


def test_an_end_at_any_moment_of_the_start_is_an_end(chaos: Chaos, sqlite: Store):
    with contextlib.closing(sqlite.server()) as server:
        while chaos.goes_on():
            server.spawn()
            time.sleep(chaos.chance.random() * START)
            assert server.stop() in (0, -signal.SIGTERM), server.output
            assert "Traceback" not in server.output
            chaos.figures["ends"] += 1
        server.start()
        with server.client() as client:
            assert client.get("/ping").status == 200
