"""What reads return: rows with a paging token, and the steps from stored rows to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bkjs.db.pools.pools import Target
from bkjs.db.request.hooks import Hooks, RowRequest, run_post
from bkjs.db.request.prepare import Options
from bkjs.db.tables.rows import trim

from .contract import Row


class Rows(list[Row]):
    """The rows of one page. `next_token` is None when nothing follows; pass it as `start`."""

    __slots__ = ("_next", "info")

    def __init__(
        self,
        rows: Iterable[Row] = (),
        next_token: str | Callable[[], str] | None = None,
        info: Mapping[str, Any] | None = None,
    ) -> None:
        """A token that is dear to make may be given as a function."""
        super().__init__(rows)
        self._next = next_token
        self.info: dict[str, Any] = dict(info) if info else {}

    @property
    def next_token(self) -> str | None:
        """Where the next page begins."""
        if callable(self._next):
            self._next = self._next()
        return self._next

    @property
    def first(self) -> Row | None:
        """The first row, None when there is none."""
        return self[0] if self else None


def finish(
    target: Target,
    hooks: Hooks,
    req: RowRequest,
    rows: list[Row],
    columns: tuple[str, ...] | None,
    options: Options,
) -> list[Row]:
    """Stored rows as the caller gets them: unique, trimmed, converted, hooked and filtered."""
    if options.get("unique"):
        rows = unique(rows, options["unique"])
    rows = trim(rows, columns)
    if not options.get("noconvertrows"):
        read = target.codec.reader(columns)
        if read:
            rows = [read(row) for row in rows]
    found = hooks.find("post", req.table, own=not options.get("noprocessrows"))
    if found:
        rows = run_post(found, req, rows, options)
    if options.get("postfilter"):
        rows = [row for row in rows if options["postfilter"](req, row, options)]
    if options.get("postprocess"):
        rows = list(options["postprocess"](req, rows, options))
    return rows


def unique(rows: Iterable[Row], column: str) -> list[Row]:
    """The first row for each value of a column."""
    found: dict[str, Row] = {}
    for row in rows:
        found.setdefault(repr(row.get(column)), row)
    return list(found.values())
