"""An import that is stopped says what it stored, and no batch is half."""

from __future__ import annotations

import re
import signal
import subprocess
import time

import pytest

from bkjs.testing.process import DEADLINE, command
from tests.chaos.conftest import APP, Chaos, Store

pytestmark = pytest.mark.process

ROWS = 40_000
BATCH = 500
SAID = re.compile(r"(\d+) rows imported into entry")
"""The last line."""


def test_what_a_stopped_import_says_is_what_is_stored(chaos: Chaos, store: Store):
    store.home.mkdir(parents=True)
    source = store.home / "rows.jsonl"
    source.write_text("".join(f'{{"tag":"t{n:06}"}}\n' for n in range(ROWS)))
    tables = store.run("db", "tables", "-db-create-tables")
    assert tables.returncode == 0, tables.stderr
    argv = command("db", "import", "-table", "entry", str(source), "-home", str(store.home))
    argv += ["-app", str(APP), *store.argv]
    ways = [[signal.SIGINT], [signal.SIGINT] * 2, [signal.SIGTERM], [signal.SIGKILL]]
    chaos.chance.shuffle(ways)
    while chaos.goes_on() or ways:
        signals = ways.pop() if ways else [signal.SIGINT] * 2
        store.query("DELETE FROM entry")
        process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
        least = chaos.chance.randrange(ROWS // 2)
        give_up = time.monotonic() + DEADLINE
        while store.query("SELECT count(*) FROM entry")[0][0] <= least:
            assert time.monotonic() < give_up
            time.sleep(0.02)
        for number in signals:  # the second one while a batch is written, or at the end
            process.send_signal(number)
            time.sleep(chaos.chance.random() * chaos.chance.choice((0.003, 0.03)))
        _, said = process.communicate(timeout=DEADLINE)
        chaos.figures["imports"] += 1
        stored = store.tags()
        assert max(stored.values()) == 1
        assert len(stored) % BATCH == 0, "a batch is stored whole"
        if signals != [signal.SIGKILL]:
            found = SAID.fullmatch(said.splitlines()[-1])
            assert found, said
            assert int(found[1]) == len(stored)
            assert process.returncode in ((0, 130) if len(stored) == ROWS else (130,))
