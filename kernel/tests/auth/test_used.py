"""The memory of used signatures."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
from pathlib import Path

import pytest

import bkjs.auth.used
from bkjs.auth.cache import Epoch
from bkjs.auth.used import BUCKETS, ROOM, SHARE, WAYS, ReplayCache
from bkjs.errors import Limited, StartError, Unavailable

NOW = 1_700_000_000_000
fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that share a file")


async def test_a_second_use_is_refused_until_it_expires():
    used = ReplayCache()
    assert await used.first_use("a", NOW + 10, NOW)
    assert not await used.first_use("a", NOW + 10, NOW + 10)
    assert await used.first_use("b", NOW + 10, NOW)
    assert await used.first_use("a", NOW + 5000, NOW + 2000)  # remembered to the whole second
    assert await used.first_use("c", NOW + 1000, NOW)
    assert not await used.first_use("c", NOW + 1000, NOW + 1000)  # the last moment


async def test_what_is_still_good_is_never_forgotten():
    """Neither for what expires later nor by somebody who signs a lot."""
    used = ReplayCache(buckets=1)
    assert await used.first_use("hers", NOW + 1000, NOW, "ann")
    for number in range(SHARE):
        assert await used.first_use(f"his {number}", NOW + 10**8, NOW, "bob")
    for number in range(20):
        with pytest.raises(Limited, match="expiry") as refused:
            await used.first_use(f"more {number}", NOW + 10**8, NOW, "bob")
        assert refused.value.retry_after == 100_001
    assert not await used.first_use("hers", NOW + 1000, NOW, "ann")
    for number in range(WAYS - SHARE - 1):
        assert await used.first_use(f"other {number}", NOW + 1000, NOW, f"other {number}")
    with pytest.raises(Unavailable):  # full
        await used.first_use("one more", NOW + 1000, NOW, "eve")
    assert await used.first_use("later", NOW + 9000, NOW + 3000, "eve")  # some have expired
    assert not await used.first_use("his 0", NOW + 10**8, NOW + 3000, "bob")


async def test_a_few_logins_cannot_fill_it_for_all_others():
    """Two that sign as much as they can, a week ahead, have an eighth of it."""
    week = NOW + 7 * 86_400_000
    used = ReplayCache(buckets=64)
    for login in ("eve", "mallory"):
        refusals = []
        for number in range(64 * WAYS):
            try:
                await used.first_use(f"{login} {number}", week, NOW, login)
            except Limited as refused:
                refusals.append(refused.retry_after)
        assert 64 * SHARE * 0.9 < 64 * WAYS - len(refusals) <= 64 * SHARE == 64 * WAYS // 16
        assert min(refusals) > 600_000
    for number in range(1000):
        assert await used.first_use(f"ann {number}", NOW + 1000, NOW, f"ann {number}")
        assert not await used.first_use(f"ann {number}", NOW + 1000, NOW, f"ann {number}")


@pytest.mark.parametrize(("far", "ways"), ROOM)
async def test_no_number_of_logins_closes_it_for_who_signs_for_a_shorter_time(far, ways):
    """Those who sign ahead have so much of it, whoever they are; the rest is for others."""
    used = ReplayCache(buckets=1)
    ahead, near = NOW + (far + 2) * 1000, NOW + far * 1000
    for number in range(ways):
        assert await used.first_use(f"far {number}", ahead, NOW, f"stranger {number}")
    for number in range(20):
        with pytest.raises(Unavailable, match="expiry that is near"):
            await used.first_use(f"more {number}", ahead, NOW, f"new {number}")
    for number in range(ways):  # the next room is at least as large
        assert await used.first_use(f"near {number}", near, NOW, f"ann {number}")
        assert not await used.first_use(f"near {number}", near, NOW, f"ann {number}")
    later = NOW + 2000  # what has come nearer does not count any more
    used = ReplayCache(buckets=1)
    for number in range(ways):
        assert await used.first_use(f"far {number}", ahead, NOW, f"stranger {number}")
    assert await used.first_use("later", later + ahead - NOW, later, "ann")


async def test_it_serves_what_is_signed_for_seconds_while_strangers_hold_all_other_room():
    """4,000 a second for 30 seconds, in a sixteenth of the memory."""
    used = ReplayCache(buckets=BUCKETS // 16)
    for seconds in (7 * 86_400, 80_000, 3000):
        for number in range(BUCKETS // 16 * WAYS):
            with contextlib.suppress(Unavailable):
                ahead = NOW + seconds * 1000
                await used.first_use(f"{seconds} {number}", ahead, NOW, f"{number % 5000}")
    for number in range(4000 // 16 * 60):
        now = NOW + number * 16_000 // 4000
        assert await used.first_use(f"ann {number}", now + 30_000, now, f"ann {number % 100}")


async def test_a_login_has_room_for_what_a_busy_one_signs():
    used = ReplayCache()
    for number in range(4000):
        assert await used.first_use(f"ann {number}", NOW + 3_600_000, NOW, "ann")


async def test_an_old_entry_of_the_same_signature_hides_no_newer_one():
    used = ReplayCache(buckets=1)
    assert await used.first_use("filler", NOW + 10_000, NOW)
    assert await used.first_use("a", NOW + 1000, NOW, "x")
    assert await used.first_use("b", NOW + 1000, NOW, "x")
    assert await used.first_use("b", NOW + 99_000, NOW + 5000, "x")
    assert not await used.first_use("b", NOW + 99_000, NOW + 5000, "x")
    assert await used.first_use("c", NOW + 99_000, NOW + 5000, "x")
    assert not await used.first_use("b", NOW + 99_000, NOW + 5000, "x")


async def test_nobody_can_choose_signatures_of_one_bucket(tmp_path: Path):
    """With another key the same signatures lie elsewhere."""
    first, second = (
        ReplayCache(tmp_path / str(number), key=bytes([number]) * 32, buckets=64)
        for number in (1, 2)
    )
    for number in range(20):
        for used in (first, second):
            assert await used.first_use(str(number), NOW + 1000, NOW)
    places = []
    for name in ("1", "2"):
        data = (tmp_path / name).read_bytes()
        buckets = [data[at : at + 2048] for at in range(0, len(data), 2048)]
        places.append([number for number, bucket in enumerate(buckets) if any(bucket)])
    assert places[0] != places[1]
    first.close()
    second.close()


async def test_the_room_on_the_disk_is_taken_at_the_start(tmp_path: Path, monkeypatch):
    """Storing into a hole of a file on a full disk is SIGBUS, which nothing catches."""
    used = ReplayCache(tmp_path / "used")
    status = (tmp_path / "used").stat()
    assert status.st_blocks * 512 >= status.st_size == 1 << 23
    used.close()

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(StartError, match=r"other.*No space left"):
        ReplayCache(tmp_path / "other")
    with pytest.raises(StartError, match=r"epoch.*No space left"):
        Epoch(tmp_path / "epoch")


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


@fork
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_who_has_used_it_lets_others(tmp_path: Path):
    used = ReplayCache(tmp_path / "used")
    assert asyncio.run(used.first_use("mine", NOW + 10, NOW))
    context = multiprocessing.get_context("fork")
    mine, theirs = context.Pipe()
    worker = context.Process(target=_use, args=(tmp_path / "used", theirs))
    worker.start()
    worker.join()
    assert worker.exitcode == 0
    assert mine.recv() == 200
    used.close()


async def test_a_lock_that_never_opens_is_an_error(monkeypatch: pytest.MonkeyPatch):
    used = ReplayCache()
    monkeypatch.setattr(bkjs.auth.used, "_WAIT", 0)
    monkeypatch.setattr(used, "_lock", lambda: False)
    with pytest.raises(Unavailable):
        await used.first_use("a", NOW + 1, NOW)
