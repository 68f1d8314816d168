"""`bulk` of a driver whose database takes several writes of one kind in a call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any

from bkjs.db.contract import Request
from bkjs.errors import BkError, Unavailable

Write = Callable[[Sequence[Request]], Awaitable[object]]


async def in_chunks(
    reqs: Sequence[Request],
    size: int,
    write: Write,
    kind: Callable[[Request], Hashable] = lambda req: req.verb,
) -> list[BkError | None]:
    """Write requests in their order, in chunks of neighbours; the error of each, as `bulk` wants.

    A chunk has `size` requests at most, all of one `kind`, and never two for one row, which many
    databases refuse or do in any order. `write` stores all of a chunk, or none of it and raises.
    Then they are written again one by one, so that only those fail that are to blame; after
    Unavailable not: there is nobody to ask, and some may be stored.
    """
    outcomes: list[BkError | None] = []
    for chunk in _chunks(reqs, size, kind):
        try:
            await write(chunk)
        except Unavailable as exc:
            outcomes += [exc] * len(chunk)
        except BkError as exc:
            outcomes += [exc] if len(chunk) == 1 else await in_chunks(chunk, 1, write, kind)
        else:
            outcomes += [None] * len(chunk)
    return outcomes


def _chunks(
    reqs: Sequence[Request], size: int, kind: Callable[[Request], Hashable]
) -> list[list[Request]]:
    chunks: list[list[Request]] = []
    now: Hashable = None
    rows: set[Any] = set()
    for req in reqs:
        values = req.key or req.values
        row = (req.table.name, *(str(values.get(name)) for name in req.table.keys))
        if not chunks or kind(req) != now or row in rows or len(chunks[-1]) >= size:
            chunks.append([])
            rows.clear()
            now = kind(req)
        chunks[-1].append(req)
        rows.add(row)
    return chunks
