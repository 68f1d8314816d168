"""What was acknowledged is stored, once and whole, whatever is killed or restarted meanwhile."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from itertools import count
from random import Random

import pytest

from bkjs.testing.process import Server
from tests.chaos.conftest import Chaos, Store
from tests.chaos.journal import Entry, Journal

pytestmark = pytest.mark.process

WRITERS = 12


def killed(server: Server, store: Store, chance: Random) -> None:
    """The server dies and is started again."""
    server.kill()
    server.start()


def restarted(server: Server, store: Store, chance: Random) -> None:
    """The database ends, with and without a word to its clients, and comes back."""
    assert store.cluster
    store.cluster.stop(immediate=chance.random() < 0.5)
    time.sleep(chance.random())
    store.cluster.start()


@pytest.mark.parametrize(
    ("kind", "fault"),
    [("sqlite", killed), ("pgsql", killed), ("pgsql", restarted)],
    ids=["sqlite-killed", "pgsql-killed", "pgsql-restarted"],
)
def test_what_was_acknowledged_is_stored_once_and_whole(
    request: pytest.FixtureRequest,
    chaos: Chaos,
    kind: str,
    fault: Callable[[Server, Store, Random], None],
):
    store: Store = request.getfixturevalue(kind)
    journal = Journal()
    choices = [chaos.choices(task) for task in range(WRITERS)]
    numbers = count()

    def write(task: int) -> None:
        journal.write(server, choices[task], f"t{next(numbers)}")

    with store.server() as server:
        with chaos.meanwhile(write, WRITERS):
            while chaos.goes_on():
                time.sleep(chaos.chance.uniform(0.3, 1.2))
                fault(server, store, chaos.chance)
                chaos.figures["faults"] += 1
            before, give_up = journal.acknowledged, time.monotonic() + 10
            while journal.acknowledged < before + 50:
                assert time.monotonic() < give_up, "no writes after the last fault"
                time.sleep(0.05)
        assert server.stop() == 0, server.output
    chaos.figures |= {"writes": len(journal.entries), "acknowledged": journal.acknowledged}
    named = Counter(tag for (tag,) in store.query("SELECT id FROM named"))
    assert journal.faults(store.tags() + named) == []


def test_the_journal_notices_what_is_lost_doubled_or_half():
    journal = Journal()
    journal.entries += [
        Entry("one", ["a.0"], 200),
        Entry("many", ["b.0", "b.1"], None),
        Entry("together", ["c.0", "c.1"], None),
        Entry("one", ["d.0"], 503),
    ]
    stored = Counter({"b.0": 2, "c.1": 1})
    assert journal.faults(stored) == [
        "one a.0: acknowledged, 1 of it lost",
        "many b.0: stored 2 times",
        "together c.0: 1 of a transaction missing",
    ]
    assert journal.faults(Counter(["a.0", "b.1", "c.0", "c.1", "d.0"])) == []
