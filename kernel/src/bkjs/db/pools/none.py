"""The database that is not there: every operation succeeds and finds nothing."""

from __future__ import annotations

from bkjs.db.contract import Capabilities, DbDriver, Page, Request, Row, Written


class NoneDriver(DbDriver):
    """Stores nothing."""

    can = Capabilities(add=True, update=True, conditional=True, counters=True)

    async def open(self) -> None:
        """Nothing to connect to."""

    async def close(self) -> None:
        """Nothing to free."""

    async def get(self, req: Request) -> Row | None:
        return None

    async def put(self, req: Request) -> Written:
        return Written()

    add = update = delete = put

    async def select(self, req: Request) -> Page:
        return Page([])
