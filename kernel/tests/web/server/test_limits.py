"""Rate limits."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bkjs.testing.vectors import known, vectors
from bkjs.web.server.limits import Buckets, Limited, Limits


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def make(clock: Clock | None = None, **settings: Any) -> Limits:
    api = SimpleNamespace(
        **{"rlimits_rate": {}, "rlimits_max": {}, "rlimits_intervals": {}, "rlimits_interval": 1000,
           "rlimits_total": 0} | settings
    )  # fmt: skip
    return Limits(api, Buckets(clock=clock or Clock()))


@pytest.mark.parametrize("case", vectors("api-ratelimit"))
def test_bucket(case: dict[str, Any]) -> None:
    clock = Clock()
    buckets = Buckets(clock=clock)
    for step in case.get("preferred", case)["steps"]:
        known(step, ("dt", "consumed", "delay", "count"), "key")
        clock.now += step["dt"] / 1000

        delay = buckets.take("x", case["rate"], case["max"], case["interval"])

        assert (delay == 0) == step["consumed"]
        if step["delay"] == "$positive":
            assert delay > 0
        else:
            assert delay == step["delay"]
        assert buckets._buckets["x"].count == pytest.approx(step["count"], abs=0.001)


async def test_without_a_rate_nothing_is_limited() -> None:
    limits = make()
    for _ in range(1000):
        await limits.check("ip", "1.2.3.4")


async def test_a_refusal_says_when_to_come_back() -> None:
    limits = make(rlimits_rate={"ip": 1}, rlimits_intervals={"ip": 5000})
    await limits.check("ip", "a")

    with pytest.raises(Limited) as error:
        await limits.check("ip", "a")

    assert (error.value.status, error.value.retry_after) == (429, 5)
    await limits.check("ip", "b")


async def test_a_slow_rate_does_not_leak() -> None:
    clock = Clock()
    limits = make(clock, rlimits_rate={"ip": 0.1}, rlimits_max={"ip": 1})
    await limits.check("ip", "a")
    clock.now += 5
    for _ in range(3):
        with pytest.raises(Limited):
            await limits.check("ip", "a")


async def test_servers_behind_a_balancer_share_the_rate() -> None:
    limits = make(rlimits_rate={"ip": 4}, rlimits_total=2)
    await limits.check("ip", "a")
    await limits.check("ip", "a")
    with pytest.raises(Limited):
        await limits.check("ip", "a")


async def test_registered_limits_give_way_to_configured_ones() -> None:
    limits = make(rlimits_rate={"mine": 2})
    limits.register("mine", 1)
    await limits.check("mine", "a")
    await limits.check("mine", "a")


async def test_the_number_of_buckets_is_bounded() -> None:
    buckets = Buckets(size=10, clock=Clock())
    for number in range(100):
        buckets.take(f"x{number}", 1, 1, 1000)
    assert len(buckets) == 10


async def test_changed_limits_begin_with_a_full_bucket() -> None:
    buckets = Buckets(clock=Clock())
    assert buckets.take("x", 1, 1, 1000) == 0
    assert buckets.take("x", 1, 1, 1000) > 0
    assert buckets.take("x", 2, 2, 1000) == 0


async def test_the_bucket_not_used_for_the_longest_time_goes_first() -> None:
    buckets = Buckets(size=2, clock=Clock())
    for name in "abac":
        buckets.take(name, 5, 5, 1000)
    assert list(buckets._buckets) == ["a", "c"]


@pytest.mark.parametrize(("kind", "path", "seconds"), [("ip", "", 5), ("path", "/x", 1)])
async def test_paths_count_by_the_second(kind: str, path: str, seconds: int) -> None:
    limits = make(rlimits_rate={path or kind: 1}, rlimits_interval=5000)
    await limits.check(kind, "a", path=path)
    with pytest.raises(Limited) as error:
        await limits.check(kind, "a", path=path)
    assert error.value.retry_after == seconds
