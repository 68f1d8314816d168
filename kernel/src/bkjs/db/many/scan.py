"""scan: every matching row, a page at a time."""

from __future__ import annotations

from inspect import isawaitable

from bkjs.db.request.options import NAMES, OnRow, check
from bkjs.db.request.pace import pace
from bkjs.db.request.prepare import Input, Options
from bkjs.db.request.read import PAGE
from bkjs.db.verbs import Verbs


async def scan(db: Verbs, table: str, query: Input, on_row: OnRow, options: Options) -> int:
    """Call back with each row (`batch`: with each page) until no more match or `limit` is reached.

    An error of the callback stops the scan and is raised.
    """
    check("scan", options)
    limit = int(options.get("limit") or 0)
    whole = bool(options.get("batch"))
    verb = "search" if options.get("search") else "select"
    known = {k: v for k, v in options.items() if k in NAMES["select"]}
    known["count"] = int(options.get("count") or PAGE)
    speed = pace(db.target(table, options).pool.driver.options, options, 0.9)
    done = 0
    while True:
        if limit:
            known["count"] = min(known["count"], limit - done)
        rows = await db.find(verb, table, query, known)
        for item in [rows] if whole and rows else ([] if whole else rows):
            result = on_row(item)
            if isawaitable(result):
                await result
        done += len(rows)
        if speed:
            await speed.take(rows.info.get("consumed_capacity", len(rows)))
        if rows.place is None or (limit and done >= limit):
            return done
        # no token: the row may be gone, and the token of one with long values reads it again
        known["start"] = rows.place
