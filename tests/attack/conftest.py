"""A server under attack: its memory, and how long everybody else waits meanwhile.

`make test` sends a part of each attack, `make attack` (BKJS_ATTACK=full) ten times as much.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bkjs.testing.process import Server, run

SCALE = 10 if os.environ.get("BKJS_ATTACK") == "full" else 1
APP = Path(__file__).with_name("app.py")
PATIENCE = 0.5
"""Seconds that others may have to wait while an attack goes on, on a busy machine."""
SECRET = "0123456789abcdef"


def memory(pid: int) -> int:
    """Megabytes that a process has in memory."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) // 1024


class Victim(Server):
    """A server with the tables and endpoints of `app.py`, and an account for each of two people."""

    def __init__(self, *argv: str) -> None:
        modules = ("-app", str(APP), "-allow-modules", "^bk_accounts$", "-db-create-tables")
        super().__init__(*modules, *argv)

    def start(self) -> Victim:
        """Start it with the accounts `ann` and `bob`."""
        super().start()
        for login in ("ann", "bob"):
            done = run(self.home, "user", "add", "-login", login, "-name", login, "-secret", SECRET)
            assert done.returncode == 0, done.stderr
        return self

    def memory(self) -> int:
        """Megabytes that the process has in memory."""
        return memory(self.pid)

    def cpu(self) -> float:
        """Seconds of a processor that the process has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Attack:
    """One attack on a server: how much its memory grew at most, and how long everybody else waited.

    Everybody else is one client that asks for `/ping` all the time.
    """

    def __init__(self, victim: Victim) -> None:
        self.victim = victim
        self.waited = 0.0
        """The longest that a `/ping` took, in seconds."""
        self.answered = 0
        self._before = self._most = victim.memory()
        self._used = victim.cpu()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    @property
    def grown(self) -> int:
        """Megabytes that the memory of the process grew, at most."""
        self._most = max(self._most, self.victim.memory())
        return self._most - self._before

    @property
    def used(self) -> float:
        """Seconds of a processor that the process needed since the attack began."""
        return self.victim.cpu() - self._used

    def _ask(self) -> None:
        with self.victim.client(timeout=60) as client:
            while not self._stop.is_set():
                started = time.monotonic()
                try:
                    self.answered += client.get("/ping").status == 200
                except OSError:
                    client.close()
                self.waited = max(self.waited, time.monotonic() - started)
                self._most = max(self._most, self.victim.memory())
                time.sleep(0.005)

    def __enter__(self) -> Attack:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()


@pytest.fixture
def victim() -> Iterator[Victim]:
    """A fresh server: what an attack leaves behind must not count for the next."""
    if not Path("/proc/self/status").exists():
        pytest.skip("memory of other processes is read from /proc")
    with Victim() as server:
        yield server


@pytest.fixture
def attack(victim: Victim, record_property: Callable[[str, object], None]) -> Iterator[Attack]:
    """An attack that goes on from here to the end of the test; its figures stand in the summary."""
    with Attack(victim) as going:
        yield going
        record_property(
            "attack",
            f"+{going.grown} MB, others waited {going.waited:.2f} s, {going.used:.1f} s CPU",
        )
