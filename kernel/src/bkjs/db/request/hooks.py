"""Row hooks: callbacks before a request is prepared and after its rows were read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from bkjs.db.contract import Row
from bkjs.lib.given import Given
from bkjs.lib.text import near

When = Literal["pre", "post"]
VERBS: Final = ("get", "select", "search", "list", "add", "put", "update", "incr", "del")
"""What a hook may be registered for: `RowRequest.op`."""


@dataclass(slots=True)
class RowRequest:
    """What a row hook learns about the request."""

    op: str
    table: str
    pool: str
    obj: Any = None
    """What the caller gave."""


RowHook = Callable[[RowRequest, Row, Mapping[str, Any]], object]
"""Changes the row in place; a post hook that returns exactly True drops it."""


class Hooks:
    """Registered callbacks by table and verb; `*` stands for every table."""

    def __init__(self) -> None:
        self._hooks: dict[tuple[When, str, str], tuple[RowHook, ...]] = {}

    def add(
        self, when: When, table: str, hook: RowHook, verbs: Collection[str] | None = None
    ) -> None:
        """Register a callback for some verbs, or for all, after those that are there.

        Raises ValueError for an unknown verb.
        """
        if isinstance(verbs, str):
            verbs = (verbs,)
        for verb in VERBS if verbs is None else dict.fromkeys(verbs):
            if verb not in VERBS:
                raise ValueError(f"hook of {table}: unknown verb {verb!r}{near(verb, VERBS)}")
            key = (when, table.lower(), verb)
            self._hooks[key] = (*self._hooks.get(key, ()), hook)

    def find(self, when: When, table: str, verb: str, *, own: bool = True) -> tuple[RowHook, ...]:
        """The hooks of a table and then those of all; without `own` only the latter."""
        if not self._hooks:
            return ()
        mine = self._hooks.get((when, table, verb), ()) if own else ()
        return mine + self._hooks.get((when, "*", verb), ())


def clone(obj: Mapping[str, Any]) -> Row:
    """A copy that a hook may change: nested dicts and lists are copied one level deep."""
    row = {name: type(v)(v) if type(v) in (dict, list, Given) else v for name, v in obj.items()}
    return Given(row) if type(obj) is Given else row


def run_pre(
    hooks: tuple[RowHook, ...], req: RowRequest, obj: Mapping[str, Any], options: Mapping[str, Any]
) -> Row:
    """The caller's object as the hooks leave it; the original stays as it is."""
    row = clone(obj)
    for hook in hooks:
        if hook(req, row, options) is True:
            break
    return row


def run_post(
    hooks: tuple[RowHook, ...], req: RowRequest, rows: list[Row], options: Mapping[str, Any]
) -> list[Row]:
    """The rows that no hook drops. Without rows hooks run once with an empty one."""
    if not rows:
        _dropped(hooks, req, {}, options)
        return rows
    return [row for row in rows if not _dropped(hooks, req, row, options)]


def _dropped(
    hooks: tuple[RowHook, ...], req: RowRequest, row: Row, options: Mapping[str, Any]
) -> bool:
    return any(hook(req, row, options) is True for hook in hooks)
