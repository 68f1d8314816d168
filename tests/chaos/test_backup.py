"""A backup of a database in use is one moment of it, and one that is stopped leaves nothing."""

from __future__ import annotations

import signal
import subprocess
import time
from collections import Counter
from itertools import count
from pathlib import Path

import pytest

from bkjs.testing.process import DEADLINE, command
from tests.chaos.conftest import APP, Chaos, Store

pytestmark = pytest.mark.process

WRITERS = 4
TOGETHER = 7
"""Rows of one transaction."""
ROWS = 30_000


def fill(store: Store, rows: int) -> None:
    source = store.home / "rows.jsonl"
    source.write_text("".join(f'{{"id":"n{n:06}","name":"{"x" * 99}"}}\n' for n in range(rows)))
    done = store.run("db", "import", "-table", "named", str(source), "-db-create-tables")
    assert done.returncode == 0, done.stderr


def test_a_backup_has_all_or_nothing_of_each_transaction(chaos: Chaos, store: Store):
    numbers = count()
    with store.server() as server:
        fill(store, 2000)

        def write(task: int) -> None:
            tag = f"t{next(numbers)}"
            with server.client() as client:
                client.post("/together", {"tag": tag, "n": TOGETHER})

        copies: list[Path] = []
        with chaos.meanwhile(write, WRITERS):
            while chaos.goes_on() or not copies:
                copies.append(store.home / f"copy{len(copies)}")
                done = store.run("db", "backup", str(copies[-1]))
                assert done.returncode == 0, done.stderr
        assert server.stop() == 0, server.output
    chaos.figures |= {"backups": len(copies), "transactions": next(numbers)}
    for copy in (copies[0], copies[-1]):
        done = store.run("db", "restore", str(copy), "-overwrite")
        assert done.returncode == 0, done.stderr
        each = Counter(tag.partition(".")[0] for tag in store.tags())
        assert set(each.values()) <= {TOGETHER}
        assert store.query("SELECT count(*) FROM named")[0][0] == 2000


def test_a_backup_that_is_stopped_leaves_nothing(chaos: Chaos, store: Store):
    store.home.mkdir(parents=True)
    fill(store, ROWS)
    target = store.home / "copies" / "copy"
    target.parent.mkdir()
    argv = command("db", "backup", str(target), "-home", str(store.home))
    ways = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    while chaos.goes_on() or ways:
        number = ways.pop() if ways else chaos.chance.choice([signal.SIGINT, signal.SIGTERM])
        process = subprocess.Popen([*argv, "-app", str(APP), *store.argv], stderr=subprocess.PIPE)
        give_up = time.monotonic() + DEADLINE
        while not any(target.parent.iterdir()):
            assert time.monotonic() < give_up
            time.sleep(0.002)
        time.sleep(chaos.chance.random() * 0.05)
        process.send_signal(number)
        process.communicate(timeout=DEADLINE)
        chaos.figures[number.name] += 1
        left = [path.name for path in target.parent.iterdir()]
        if left == ["copy"]:  # it was quicker
            done = store.run("db", "restore", str(target), "-overwrite")
            assert done.returncode == 0, done.stderr
            subprocess.run(["rm", "-r", str(target)], check=True)
        else:
            assert left == []
            assert process.returncode == 130
        assert store.query("SELECT count(*) FROM named")[0][0] == ROWS
