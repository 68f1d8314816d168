"""Guessing passwords is slow, knowing them is not."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from bkjs.auth.throttle import ADDRESS, ANYWHERE, HERE, Throttle, network
from bkjs.web.server.limits import Limited


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def throttle(clock: Clock) -> Throttle:
    return Throttle(clock=clock)


def test_failures_are_limited_and_forgiven_with_time(throttle: Throttle, clock: Clock):
    for _ in range(HERE.burst):
        throttle.check("u", "1.1.1.1")
        throttle.failed("u", "1.1.1.1")
    with pytest.raises(Limited) as refused:
        throttle.check("u", "1.1.1.1")
    assert refused.value.status == 429
    clock.now += refused.value.retry_after
    throttle.check("u", "1.1.1.1")


def test_guessing_in_parallel_is_paid_for_afterwards(throttle: Throttle, clock: Clock):
    for _ in range(ADDRESS.burst - 1):
        throttle.check("u", "1.1.1.1")
    for _ in range(ADDRESS.burst - 1):
        throttle.failed("u", "1.1.1.1")
    clock.now += 2 * HERE.burst / HERE.rate
    with pytest.raises(Limited):
        throttle.check("u", "1.1.1.1")


def test_successes_do_not_count(throttle: Throttle):
    for _ in range(10 * ADDRESS.burst):
        throttle.check("u", "1.1.1.1")
        throttle.succeeded("u", "1.1.1.1")


def test_a_victim_gets_in_from_a_known_address_while_others_guess(throttle: Throttle):
    throttle.succeeded("u", "9.9.9.9")
    for number in range(ANYWHERE.burst):
        throttle.failed("u", f"1.1.1.{number}")
    with pytest.raises(Limited):
        throttle.check("u", "8.8.8.8")
    throttle.check("u", "9.9.9.9")
    throttle.check("other", "8.8.8.8")


def test_a_known_device_is_stopped_by_its_own_failures_only(throttle: Throttle):
    for number in range(10 * ANYWHERE.burst):
        throttle.failed("u", f"1.1.1.{number % 200}")
    throttle.check("u", "1.1.1.1", device="d")
    for _ in range(HERE.burst):
        throttle.failed("u", "1.1.1.1", device="d")
    with pytest.raises(Limited):
        throttle.check("u", "1.1.1.1", device="d")
    throttle.check("u", "1.1.1.1", device="other")


def test_an_address_that_tries_many_logins_is_limited(throttle: Throttle):
    for number in range(ADDRESS.burst):
        throttle.failed(f"u{number}", "1.1.1.1")
    with pytest.raises(Limited):
        throttle.check("fresh", "1.1.1.1")


async def test_those_who_try_one_login_do_not_hold_up_another_of_their_address(throttle: Throttle):
    async with AsyncExitStack() as inside:
        for _ in range(HERE.burst):
            await inside.enter_async_context(throttle.turn("u", "1.1.1.1"))
        async with asyncio.timeout(5), throttle.turn("other", "1.1.1.1"):
            pass


async def test_all_addresses_of_one_customer_wait_for_their_turn(throttle: Throttle):
    async def try_one() -> None:
        async with throttle.turn("u", "2001:db8:1:2::ffff"):
            pass

    async with AsyncExitStack() as inside:
        for number in range(HERE.burst):
            await inside.enter_async_context(throttle.turn("u", f"2001:db8:1:2::{number:x}"))
        waiting = asyncio.create_task(try_one())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not waiting.done()
    await waiting


def test_the_right_password_forgives_what_was_mistyped(throttle: Throttle):
    for _ in range(3):
        for _ in range(HERE.burst - 1):
            throttle.failed("u", "1.1.1.1")
        throttle.check("u", "1.1.1.1")
        throttle.succeeded("u", "1.1.1.1")


def test_who_comes_again_is_remembered_longest(clock: Clock):
    throttle = Throttle(size=2, clock=clock)
    for login in ("a", "b", "a", "c"):
        throttle.succeeded(login, "1.1.1.1")
    assert list(throttle._known) == ["1.1.1.1 a", "1.1.1.1 c"]


def test_memory_is_bounded(clock: Clock):
    throttle = Throttle(size=10, clock=clock)
    for number in range(100):
        throttle.failed(f"u{number}", "1.1.1.1")
        throttle.succeeded(f"u{number}", "1.1.1.1")
    assert len(throttle._failures) <= 10
    assert len(throttle._known) <= 10


def test_all_addresses_of_one_ipv6_customer_are_one(throttle: Throttle):
    for number in range(HERE.burst):
        throttle.failed("u", f"2001:db8:1:2::{number:x}")
    with pytest.raises(Limited):
        throttle.check("u", "2001:db8:1:2:ffff::1")
    throttle.check("u", "2001:db8:1:3::1")


def test_a_customer_that_is_known_is_known_by_all_its_addresses(throttle: Throttle):
    throttle.succeeded("u", "2001:db8:1:2::1")
    for number in range(ANYWHERE.burst):
        throttle.failed("u", f"1.1.1.{number}")
    throttle.check("u", "2001:db8:1:2::2")
    with pytest.raises(Limited):
        throttle.check("u", "2001:db8:1:3::1")


@pytest.mark.parametrize("ip", ["", "1.2.3.4", "nonsense", "1:2:nonsense"])
def test_other_addresses_stand_for_themselves(ip: str):
    assert network(ip) == ip
