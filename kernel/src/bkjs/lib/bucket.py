"""The token bucket behind rate limits. Times are milliseconds; a `clock` gives seconds."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Self

from .numbers import Number, to_number
from .wire import number_text

Clock = Callable[[], float]
"""Seconds, as `time.time` gives them."""

_FIELDS = ("rate", "max", "count", "time", "interval")


class TokenBucket:
    """A limit of `rate` tokens in each `interval` of milliseconds, at most `max` saved up."""

    def __init__(
        self,
        rate: object,
        max: object = None,
        interval: object = None,
        *,
        count: object = None,
        time: object = None,
        clock: Clock = time.time,
    ) -> None:
        self._clock = clock
        self.rate = to_number(rate)
        self.max = self.rate if max is None else to_number(max)
        self.interval = to_number(interval) or 1000
        self.count = self.max if count is None else to_number(count)
        self.time = self._now() if time is None else int(to_number(time))
        self._elapsed: Number = 0

    @classmethod
    def load(
        cls, state: Sequence[object] | Mapping[str, object], *, clock: Clock = time.time
    ) -> Self:
        """The bucket that `to_list` or `to_json` described."""
        if isinstance(state, Mapping):
            state = [state.get(name) for name in _FIELDS]
        rate, max, count, when, interval = [*state, None, None, None, None][:5]
        return cls(rate, max, interval, count=count, time=when, clock=clock)

    def _now(self) -> int:
        return round(self._clock() * 1000)

    def consume(self, tokens: object = 1) -> bool:
        """Whether so many tokens are here now, which takes them."""
        now = self._now()
        if now < self.time:
            self.time = now - math.ceil(self.interval)
        self._elapsed = now - self.time
        if self.count < self.max:
            self.count = min(self.max, self.count + self.rate * self._elapsed / self.interval)
        self.time = now
        wanted = max(0, to_number(tokens))
        if wanted > self.count:
            return False
        self.count -= wanted
        return True

    def delay(self, tokens: object = 1) -> Number:
        """Milliseconds after which it is sensible to try again."""
        waited = 0 if to_number(tokens) >= self.max else self._elapsed
        return max(0, self.interval - waited)

    def equal(self, rate: object, max: object = None, interval: object = None) -> bool:
        """Whether the bucket has these limits."""
        other = TokenBucket(rate, max, interval)
        return (self.rate, self.max, self.interval) == (other.rate, other.max, other.interval)

    def to_list(self) -> list[Number]:
        """`[rate, max, count, time, interval]`, as shared caches keep it."""
        return [self.rate, self.max, self.count, self.time, self.interval]

    def to_json(self) -> dict[str, Number]:
        """The limits and the state by name, for `load`."""
        return dict(zip(_FIELDS, self.to_list(), strict=True))

    def __str__(self) -> str:
        return ",".join(map(number_text, self.to_list()))
