"""Rate limits of this process: token buckets by address, path, login, account and own names."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from bkjs.auth.signature import utf8
from bkjs.auth.throttle import attempt
from bkjs.errors import LIMITED, Limited
from bkjs.lib.bucket import TokenBucket
from bkjs.web.request import Request

SIZE = 100_000
"""Buckets that are kept; the one not used for the longest time goes first, and is full again."""


class Buckets:
    """Token buckets by name, of bounded number."""

    def __init__(self, *, size: int = SIZE, clock: Callable[[], float] = time.time) -> None:
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()
        self._size = size
        self._clock = clock

    def take(self, name: str, rate: float, max: float, interval: float) -> float:
        """Take one token: 0 when there was one, else the ms until there will be.

        Other limits than before begin with a full bucket.
        """
        bucket = self._buckets.get(name)
        if bucket is None or (bucket.rate, bucket.max, bucket.interval) != (rate, max, interval):
            bucket = self._buckets[name] = TokenBucket(rate, max, interval, clock=self._clock)
            if len(self._buckets) > self._size:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(name)
        if bucket.consume(1):
            return 0
        return (1 - bucket.count) * interval / rate

    def __len__(self) -> int:
        return len(self._buckets)


class Limits:
    """The limits that are configured or registered, over the buckets that count."""

    def __init__(
        self,
        api: Any,
        buckets: Buckets | None = None,
        *,
        count: Callable[[str], None] = lambda kind: None,
    ) -> None:
        """`count` is told the kind of each refusal."""
        self._api = api
        self._count = count
        self.buckets = buckets or Buckets()
        self.registered: dict[str, tuple[float, float, float]] = {}
        """Rate, maximum and interval by kind or path, for what the configuration leaves open."""

    def register(self, name: str, rate: float, max: float = 0, interval: float = 0) -> None:
        """A limit of a kind or path, unless the configuration has one."""
        self.registered[name] = (rate, max, interval)

    def _limit(self, name: str) -> tuple[float, float, float]:
        api = self._api
        rate, max, interval = self.registered.get(name, (0, 0, 0))
        rate = (api.rlimits_rate or {}).get(name, rate)
        max = (api.rlimits_max or {}).get(name, max) or rate
        interval = (api.rlimits_intervals or {}).get(name, interval)
        return rate, max, interval

    async def check(
        self,
        kind: str,
        key: str = "",
        *,
        path: str = "",
        rate: float = 0,
        max: float = 0,
        interval: float = 0,
        total: int = 0,
        message: str = LIMITED,
    ) -> None:
        """Count one use of `key`; raises Limited (429) when there were too many.

        `rate`, `max`, `interval` (ms) and `total`, the number of servers that share the limit,
        go before the configured ones. Without a rate nothing is limited.
        """
        set_rate, set_max, set_interval = self._limit(path if kind == "path" else kind)
        rate = rate or set_rate
        if rate <= 0:
            return
        max = max or set_max or rate
        usual = 1000 if kind in ("path", "id") else self._api.rlimits_interval
        interval = interval or set_interval or usual
        total = total or self._api.rlimits_total
        if 1 < total < rate:
            rate, max = rate / total, max / total
        prefix = "req" if kind == "path" else kind
        delay = self.buckets.take(f"TB{prefix}:{key}{path}", rate, max, interval)
        if delay > 0:
            self._count(kind)
            raise Limited(delay, message)

    async def check_login(self, req: Request) -> None:
        """Count a use of the login that the signature names, right or not, by who sends it."""
        name = self._api.signature_header_name
        fields = (req.credentials.get(name) or utf8(req.header(name))).split("|", 3)
        if len(fields) > 2 and fields[2].strip():
            await self.check("login", attempt(fields[2], req.ip))

    async def check_request(self, req: Request, *kinds: str) -> None:
        """Count the request for `ip`, `path` or `id`, in that order."""
        for kind in kinds:
            if kind == "ip":
                await self.check("ip", req.ip)
            elif kind == "path":
                await self.check("path", req.ip, path=req.path)
            elif kind == "id" and (account := req.account).get("id"):
                await self.check(
                    "id",
                    str(account["id"]),
                    rate=account.get("rlimits_rate") or 0,
                    max=account.get("rlimits_max") or 0,
                )
