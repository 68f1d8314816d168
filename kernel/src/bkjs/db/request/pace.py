"""How fast an operation over many rows may go, so that it leaves something to others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from bkjs.errors import BadRequest


class Pace:
    """At most `rate` rows in a second, or units where the database counts what it costs."""

    def __init__(
        self,
        rate: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.rate = rate
        self._clock = clock
        self._sleep = sleep
        self._free = clock()

    async def take(self, rows: float) -> None:
        """Return when the rows, or units, before these have had their time."""
        now = self._clock()
        start = max(self._free, now)
        self._free = start + rows / self.rate
        if start > now:
            await self._sleep(start - now)


def pace(settings: Mapping[str, Any], options: Mapping[str, Any], factor: float) -> Pace | None:
    """What `use_capacity` asks for: rows in a second, or `read` or `write` for what the pool's
    option `read_capacity` or `write_capacity` says; of that `factor_capacity` is used.

    None where nothing is asked for or known.
    """
    wanted = options.get("use_capacity")
    if wanted in ("read", "write"):
        wanted = settings.get(f"{wanted}_capacity")
    if not wanted:
        return None
    share = options.get("factor_capacity", factor)
    try:
        rate = float(wanted) * float(share)
    except (TypeError, ValueError) as err:
        raise BadRequest("use_capacity: not a number of rows", field="use_capacity") from err
    if not 0 < rate < float("inf") or float(share) > 1:
        raise BadRequest("use_capacity: must be above 0, factor_capacity at most 1")
    return Pace(rate)
