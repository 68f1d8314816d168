"""What is remembered of accounts: for how long, how much of it, and what ends it everywhere."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from bkjs.auth.cache import Cache, Epoch


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Cache[int]:
    monkeypatch.setattr("bkjs.auth.cache.time", SimpleNamespace(monotonic=clock))
    return Cache(Epoch(), ttl=5, size=2)


def put(cache: Cache[int], key: str, value: int) -> None:
    cache.put(key, value, cache._epoch.now())


def test_an_entry_ends_with_its_time(cache: Cache[int], clock: Clock):
    put(cache, "a", 1)
    clock.now += 5
    assert cache.get("a") == 1  # being read does not prolong it
    clock.now += 0.1
    assert cache.get("a") is None


def test_the_ones_not_used_for_the_longest_time_go_first(cache: Cache[int]):
    put(cache, "a", 1)
    put(cache, "b", 2)
    assert cache.get("a") == 1
    put(cache, "c", 3)
    assert [cache.get(key) for key in "abc"] == [1, None, 3]
    assert len(cache._items) == 2


def test_a_change_ends_all_of_them(cache: Cache[int]):
    put(cache, "a", 1)
    put(cache, "b", 2)
    cache._epoch.change()
    assert [cache.get(key) for key in "ab"] == [None, None]
    put(cache, "a", 3)
    assert cache.get("a") == 3


def test_what_was_read_before_a_change_is_not_kept(cache: Cache[int]):
    before = cache._epoch.now()
    cache._epoch.change()
    assert cache.get("a") is None  # which has seen the change
    cache.put("a", 1, before)
    assert cache.get("a") is None


def test_processes_share_an_epoch_and_each_change_is_another(tmp_path: Path):
    mine, theirs = Epoch(tmp_path / "epoch"), Epoch(tmp_path / "epoch")
    seen = {mine.now()}
    for _ in range(10):
        theirs.change()
        assert mine.now() == theirs.now()
        seen.add(mine.now())
    assert len(seen) == 11
    assert (tmp_path / "epoch").stat().st_mode & 0o077 == 0
    for epoch in (mine, theirs, mine):
        epoch.close()
