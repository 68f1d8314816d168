"""Counters, meters, histograms and timers.

Their `to_json` names are those of the statistics on the wire. Times are milliseconds there;
a `clock` gives seconds, as `time.time` does.
"""

from __future__ import annotations

import heapq
import math
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from .numbers import MISSING, Number, to_number

Clock = Callable[[], float]

_TICK: Final = 5.0  # seconds between two steps of the moving averages
_PERIODS: Final = {"r1m": 60, "r5m": 300, "r15m": 900}
_SHARES: Final = {"hmed": 0.5, "h75p": 0.75, "h95p": 0.95, "h99p": 0.99, "h999p": 0.999}


class Counter:
    """A number that goes up and down; it has no use for the clock."""

    def __init__(self, clock: Clock = time.time) -> None:
        self.count: Number = 0

    def inc(self, n: object = 1) -> Number:
        """The count after adding n, or 1 for a zero."""
        self.count += to_number(n) or 1
        return self.count

    def dec(self, n: object = 1) -> Number:
        """The count after taking n away, or 1 for a zero."""
        self.count -= to_number(n) or 1
        return self.count

    def reset(self, count: object = 0) -> None:
        """Begin again, with another number if one is given."""
        self.count = to_number(count)

    def to_json(self) -> Number:
        """The number."""
        return self.count


class Meter:
    """How often something happens: per second since last asked, since the start, and averages of
    the last 1, 5 and 15 minutes.
    """

    def __init__(self, clock: Clock = time.time) -> None:
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Begin again: nothing has happened."""
        self._started = self._asked = self._ticked = self._clock()
        self._sum: Number = 0
        self._pending: Number = 0
        self._rates = dict.fromkeys(_PERIODS, 0.0)
        self.count: Number = 0

    def mark(self, n: object = 1) -> None:
        """It happened n times."""
        if not isinstance(n, (int, float)):
            n = to_number(n)
        self._tick()
        self.count += n
        self._sum += n
        self._pending += n

    def _tick(self) -> None:
        """Bring the averages up to date: what came since the last step counts in the first."""
        steps = int((self._clock() - self._ticked) / _TICK)
        if steps < 1:
            return
        self._ticked += steps * _TICK
        for name, period in _PERIODS.items():
            keep = math.exp(-_TICK / period)
            rate = self._rates[name]
            rate += (1 - keep) * (self._pending / _TICK - rate)
            self._rates[name] = rate * keep ** (steps - 1)
        self._pending = 0

    def to_json(self) -> dict[str, Number]:
        """`rate` since last asked, `rmean` since the start, `r1m`, `r5m`, `r15m`, all per second,
        and `rcount`, how often in all. Asking begins a new `rate`.
        """
        self._tick()
        now = self._clock()
        rate = _per_second(self._sum, now - self._asked)
        self._asked, self._sum = now, 0
        mean = _per_second(self.count, now - self._started)
        return {"rate": rate, "rcount": self.count, "rmean": mean, **self._rates}


def _per_second(count: Number, seconds: float) -> float:
    return count / seconds if seconds > 0 else 0


class Histogram:
    """How values are distributed, the latest counting most.

    It keeps a sample of 1028 values; those of an hour ago have hardly any weight.
    """

    SIZE = 1028
    ALPHA = 0.015
    RESCALE = 3600

    def __init__(self, clock: Clock = time.time, rand: Callable[[], float] = random.random) -> None:
        self._clock = clock
        self._random = rand
        self.reset()

    def reset(self) -> None:
        """Begin again: no values."""
        self._sample: list[tuple[float, Number]] = []
        self._landmark = self._clock()
        self.count = 0
        self.sum: Number = 0
        self.min: Number | None = None
        self.max: Number | None = None
        self._mean = self._squares = 0.0

    def update(self, value: object) -> None:
        """Take in a value."""
        if not isinstance(value, (int, float)):
            value = to_number(value)
        self.count += 1
        self.sum += value
        self.min = value if self.min is None else min(self.min, value)
        self.max = value if self.max is None else max(self.max, value)
        before = value - self._mean
        self._mean += before / self.count
        self._squares += before * (value - self._mean)
        self._keep(value)

    def _keep(self, value: Number) -> None:
        age = self._clock() - self._landmark
        if age > self.RESCALE:
            factor = math.exp(-self.ALPHA * age)
            self._sample = [(weight * factor, kept) for weight, kept in self._sample]
            heapq.heapify(self._sample)
            self._landmark += age
            age = 0
        item = (math.exp(self.ALPHA * age) / (1 - self._random()), value)
        if len(self._sample) < self.SIZE:
            heapq.heappush(self._sample, item)
        else:
            heapq.heappushpop(self._sample, item)

    def percentiles(self, shares: Iterable[float]) -> list[float | None]:
        """The values below which so large shares of the sample lie, None when there is none."""
        values = sorted(value for _, value in self._sample)
        return [_percentile(values, share) for share in shares]

    def to_json(self) -> dict[str, Number | None]:
        """`hcnt`, `hsum`, `hmean`, `hmin`, `hmax`, `hvar`, `hdev` of all values, and of the sample
        the median `hmed` and `h75p` … `h999p`; None where there are too few.
        """
        variance = self._squares / (self.count - 1) if self.count > 1 else None
        mean = self.sum / self.count if self.count else 0
        return {
            "hcnt": self.count, "hsum": self.sum, "hmean": mean, "hmin": self.min,
            "hmax": self.max, "hvar": variance,
            "hdev": math.sqrt(variance or 0) if self.count else None,
            **dict(zip(_SHARES, self.percentiles(_SHARES.values()), strict=True)),
        }  # fmt: skip


def _percentile(values: list[Number], share: float) -> float | None:
    if not values:
        return None
    place = share * (len(values) + 1)
    if place < 1:
        return values[0]
    if place >= len(values):
        return values[-1]
    low = int(place)
    return values[low - 1] + (place - low) * (values[low] - values[low - 1])


class Timer:
    """How long something takes, as a histogram of milliseconds, and how often it happens."""

    def __init__(self, clock: Clock = time.time) -> None:
        self._clock = clock
        self.meter = Meter(clock)
        self.histogram = Histogram(clock)

    @contextmanager
    def measure(self) -> Iterator[None]:
        """`with` it: the time that the block takes."""
        started = self._clock()
        try:
            yield
        finally:
            self.update(max(0.0, (self._clock() - started) * 1000))

    def update(self, ms: object) -> None:
        """It took so many milliseconds."""
        self.meter.mark()
        self.histogram.update(ms)

    def reset(self) -> None:
        """Begin again."""
        self.meter.reset()
        self.histogram.reset()

    def to_json(self) -> dict[str, Number | None]:
        """The values of the meter and of the histogram, in milliseconds."""
        return {**self.meter.to_json(), **self.histogram.to_json()}


M = TypeVar("M", Counter, Meter, Histogram, Timer, "Metrics")


@dataclass
class Metrics:
    """Metrics by name; asking for one makes it."""

    clock: Clock = time.time
    members: dict[str, Any] = field(default_factory=dict)

    def get(self, name: str, kind: type[M]) -> M:
        """The metric of this name; `Metrics` for a group of them, such as those of one pool.

        Raises TypeError when the name is that of another kind.
        """
        found = self.members.get(name)
        if found is None:
            found = self.members[name] = kind(self.clock)
        if not isinstance(found, kind):
            raise TypeError(f"metric {name!r} is a {type(found).__name__}, not a {kind.__name__}")
        return found

    def reset(self, ending: str = "") -> None:
        """Begin again with those, here and in groups, whose name ends so."""
        for name, member in self.members.items():
            if isinstance(member, Metrics):
                member.reset(ending)
            elif name.endswith(ending):
                member.reset()

    def to_json(self) -> dict[str, Any]:
        """The values of each metric and group by its name."""
        return {name: metric.to_json() for name, metric in self.members.items()}

    def snapshot(self) -> dict[str, Any]:
        """All values on one level, as `pool_que_hmean`; counters named `…_0` begin again."""
        values = obj_flatten(self.to_json(), separator="_")
        self.reset("_0")
        return values


def obj_flatten(obj: Any, *, separator: str = ".") -> dict[str, Any]:
    """One level of names such as `a.b.0`; null and empty dicts and lists vanish."""
    flat: dict[str, Any] = {}

    def walk(value: Any, before: str) -> None:
        for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
            if isinstance(item, (Mapping, list, tuple)):
                walk(item, f"{before}{key}{separator or '.'}")
            elif item is not None and item is not MISSING:
                flat[f"{before}{key}"] = item

    if isinstance(obj, (Mapping, list, tuple)):
        walk(obj, "")
    return flat
