"""Slows down who guesses passwords, without locking out who knows them.

Only failures count, so that many logins at once are no offence. Too many bring a debt that is paid
off with time. Of one login from one address only so many are tried at a time as may fail at once:
guessing in parallel gains nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple, TypeVar

from bkjs.errors import Limited

from .accounts import MAX_LOGIN, normal_login

V = TypeVar("V")

SIZE = 100_000
MESSAGE = "Too many failed logins, please try again later."


class Rule(NamedTuple):
    """So many failures at once, and how many are forgiven in a second."""

    burst: int
    rate: float


HERE = Rule(10, 1 / 6)
"""A login from one address."""
ANYWHERE = Rule(100, 1)
"""A login from all addresses that have never known its password."""
ADDRESS = Rule(100, 5)
"""All logins from one address."""


def network(ip: str) -> str:
    """What counts as one address: of IPv6 the part that a provider gives one customer."""
    if ":" not in ip:
        return ip
    try:
        packed = ipaddress.IPv6Address(ip.partition("%")[0]).packed
    except ValueError:
        return ip
    return packed[:8].hex()


def attempt(login: str, ip: str) -> str:
    """A login and who tries it, as `api-rlimits-rate-login` counts them.

    A stranger who names the login of another uses up nothing of what that one may try.
    """
    return f"{normal_login(login[:MAX_LOGIN])} {network(ip)}"


class Gate:
    """Lets in so many at a time; `visitors` are those inside and in front of it."""

    __slots__ = ("room", "visitors")

    def __init__(self) -> None:
        self.room = asyncio.Semaphore(HERE.burst)
        self.visitors = 0


def _counts(login: str, ip: str, device: str) -> list[tuple[str, Rule]]:
    """Where a failure counts and by which rule, the caller's own count first."""
    if device:
        return [(f"device {device} {login}", HERE)]
    return [
        (f"here {ip} {login}", HERE),
        (f"address {ip}", ADDRESS),
        (f"anywhere {login}", ANYWHERE),
    ]


class Throttle:
    """Counts failed logins by login and address, in this process."""

    def __init__(self, *, size: int = SIZE, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = size
        self._clock = clock
        self._failures: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._known: OrderedDict[str, None] = OrderedDict()
        self._gates: dict[str, Gate] = {}

    @asynccontextmanager
    async def turn(self, login: str, ip: str, *, device: str = "") -> AsyncIterator[None]:
        """`async with` it a password is tried; then `failed` or `succeeded` has to be called.

        Raises Limited as `check`, which says what `device` is: at once, or when its turn comes.
        """
        self.check(login, ip, device=device)
        key = f"{device or network(ip)} {login}"
        gate = self._gates.setdefault(key, Gate())
        gate.visitors += 1
        try:
            async with gate.room:
                self.check(login, ip, device=device)
                yield
        finally:
            gate.visitors -= 1
            if not gate.visitors:
                del self._gates[key]

    def check(self, login: str, ip: str, *, device: str = "") -> None:
        """Raise Limited (429) when this login or this address has failed too often.

        An address that has logged in with success is not stopped by the failures of others, and a
        `device`, the id of a session of this login, by nobody's but its own.
        """
        known = f"{network(ip)} {login}" in self._known
        for key, rule in _counts(login, network(ip), device):
            over = self._debt(key, rule) - rule.burst + 1
            if over > 0 and not (known and rule is ANYWHERE):
                raise Limited(over / rule.rate * 1000, MESSAGE)

    def failed(self, login: str, ip: str, *, device: str = "") -> None:
        """Count a wrong password."""
        for key, rule in _counts(login, network(ip), device):
            self._keep(self._failures, key, (self._debt(key, rule) + 1, self._clock()))

    def succeeded(self, login: str, ip: str, *, device: str = "") -> None:
        """The password was right: this address is known from now on."""
        own, _ = _counts(login, network(ip), device)[0]
        self._failures.pop(own, None)
        self._keep(self._known, f"{network(ip)} {login}", None)

    def _debt(self, key: str, rule: Rule) -> float:
        count, then = self._failures.get(key, (0.0, 0.0))
        return max(0.0, count - (self._clock() - then) * rule.rate)

    def _keep(self, where: OrderedDict[str, V], key: str, value: V) -> None:
        where[key] = value
        where.move_to_end(key)
        if len(where) > self._size:
            where.popitem(last=False)
