"""Connections that stay open end when what let them in no longer holds: a changed password or type,
a deleted or expired account, a session that is over."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from bkjs.errors import BkError

from .cache import Epoch

log = logging.getLogger(__name__)

End = Callable[[], Awaitable[None]]

SOON, ANYWAY = 1.0, 60.0
"""Seconds between looks whether any account of this host has changed, and at all that is open:
what other hosts change and what only time ends is seen then."""


class Ticket(NamedTuple):
    """What shows later that an account may still do what it began."""

    login: str
    fingerprint: str
    token: bool
    session: str


Holds = Callable[[Ticket, int], Awaitable[bool]]
"""Whether a ticket is still good at a time in ms."""


class LongLived:
    """The connections of one process that were opened, or used, in the name of an account."""

    def __init__(
        self, holds: Holds, epoch: Epoch, *, soon: float = SOON, anyway: float = ANYWAY
    ) -> None:
        self._holds, self._epoch = holds, epoch
        self._soon, self._anyway = soon, anyway
        self._held: dict[End, set[Ticket]] = {}
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, end: End, ticket: Ticket) -> None:
        """Call `end` once this ticket is no longer good, unless `release` comes first."""
        self._held.setdefault(end, set()).add(ticket)
        if self._task is None:
            self._task = asyncio.create_task(self._watch(), name="long-lived connections")

    def release(self, end: End) -> None:
        """The connection has ended by itself."""
        self._held.pop(end, None)

    async def check(self) -> None:
        """Look at all tickets and end the connections of those that are no longer good."""
        now = int(time.time() * 1000)
        ended = []
        for end, tickets in list(self._held.items()):
            await asyncio.sleep(0)  # requests go first
            for ticket in list(tickets):
                if not await self._holds(ticket, now):
                    ended.append(end)
                    break
        for end in ended:
            self.release(end)
        # a client that is gone already cannot be told, and keeps nobody else from being told
        await asyncio.gather(*(end() for end in ended), return_exceptions=True)

    async def _watch(self) -> None:
        try:
            seen, quiet = self._epoch.now(), 0.0
            while self._held:
                await asyncio.sleep(self._soon)
                quiet += self._soon
                now = self._epoch.now()
                if now == seen and quiet < self._anyway:
                    continue
                try:
                    await self.check()
                except BkError as error:
                    log.warning("open connections could not be checked: %s", error)
                else:
                    seen, quiet = now, 0.0
        finally:
            self._task = None

    def close(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
