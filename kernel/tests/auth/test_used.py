"""The memory of used signatures."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest

import bkjs.auth.used
from bkjs.auth.used import WAYS, ReplayCache
from bkjs.errors import Unavailable

NOW = 1_700_000_000_000
fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that share a file")


async def test_a_second_use_is_refused_until_it_expires():
    used = ReplayCache()
    assert await used.first_use("a", NOW + 10, NOW)
    assert not await used.first_use("a", NOW + 10, NOW + 10)
    assert await used.first_use("b", NOW + 10, NOW)
    assert await used.first_use("a", NOW + 20, NOW + 11)


async def test_a_full_bucket_forgets_what_expires_first():
    used = ReplayCache(buckets=1)
    for number in range(WAYS):
        assert await used.first_use(str(number), NOW + 1000 - number, NOW)
    assert await used.first_use("more", NOW + 5000, NOW)
    for number in range(WAYS - 1):
        assert not await used.first_use(str(number), NOW + 1000, NOW)
    assert await used.first_use(str(WAYS - 1), NOW + 1000, NOW)


async def test_memory_survives_a_restart_and_is_private(tmp_path: Path):
    path = tmp_path / "used"
    used = ReplayCache(path)
    assert await used.first_use("a", NOW + 10, NOW)
    used.close()
    used.close()
    again = ReplayCache(path)
    assert not await again.first_use("a", NOW + 10, NOW)
    again.close()
    assert path.stat().st_mode & 0o077 == 0


def _use(path: Path, pipe: object) -> None:
    import asyncio

    used = ReplayCache(path)
    wins = sum(asyncio.run(used.first_use(str(n), NOW + 10, NOW)) for n in range(200))
    pipe.send(wins)  # type: ignore[attr-defined]


@fork
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_processes_share_it_and_exactly_one_wins(tmp_path: Path):
    context = multiprocessing.get_context("fork")
    mine, theirs = context.Pipe()
    workers = [context.Process(target=_use, args=(tmp_path / "used", theirs)) for _ in range(2)]
    for worker in workers:
        worker.start()
    wins = [mine.recv() for _ in workers]
    for worker in workers:
        worker.join()
    assert sum(wins) == 200


async def test_a_lock_that_never_opens_is_an_error(monkeypatch: pytest.MonkeyPatch):
    used = ReplayCache()
    monkeypatch.setattr(bkjs.auth.used, "_WAIT", 0)
    monkeypatch.setattr(used, "_lock", lambda: False)
    with pytest.raises(Unavailable):
        await used.first_use("a", NOW + 1, NOW)
