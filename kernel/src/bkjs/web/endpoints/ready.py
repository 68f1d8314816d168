"""/ready: whether the server can do its work now, for load balancers and supervisors."""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import TYPE_CHECKING

from bkjs.auth.accounts import is_admin
from bkjs.errors import BkError, Unavailable
from bkjs.web.request import Request
from bkjs.web.response import NO_STORE, Response

from .routes import Routes

if TYPE_CHECKING:
    from bkjs.app import App

log = logging.getLogger(__name__)

AGE = 1.0
"""Seconds that an answer counts: however many ask, a database is asked once in that time."""
WAIT = 2.0
"""Seconds that a database has to answer."""


def routes(app: App) -> Routes:
    """The endpoint of an application."""
    found = Routes()
    readiness = _Readiness(app)

    @found.endpoint("/ready", public=True)
    async def ready(req: Request) -> Response:
        """200 when every database answers, else 503; administrators see the reason by pool."""
        wrong = await readiness.reasons()
        if not wrong:
            return Response(b'{"ready":true}', headers=NO_STORE)
        error = Unavailable("Not ready, a database does not answer")
        await app.auth.authenticate(req)  # which an endpoint that is open to all has not done
        if is_admin(req.account):
            error.extra["pools"] = wrong
        raise error

    return found


class _Readiness:
    """What is wrong by pool, looked at once a second at most."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._looked = -AGE
        self._looking: asyncio.Task[dict[str, str]] | None = None

    async def reasons(self) -> dict[str, str]:
        """Why pools do not answer, by name; empty when all do."""
        if self._looking is None or (self._looking.done() and monotonic() - self._looked >= AGE):
            self._looking = asyncio.create_task(self._look(), name="readiness of databases")
        return await asyncio.shield(self._looking)

    async def _look(self) -> dict[str, str]:
        names = [pool["name"] for pool in self._app.db.get_pools()]
        answers = await asyncio.gather(*map(self._ask, names))
        self._looked = monotonic()
        return {name: reason for name, reason in zip(names, answers, strict=True) if reason}

    async def _ask(self, name: str) -> str:
        try:
            async with asyncio.timeout(WAIT):
                await self._app.db.alive(pool=name)
        except TimeoutError:
            return f"no answer in {WAIT:g} s"
        except BkError as error:
            return error.message
        return ""
