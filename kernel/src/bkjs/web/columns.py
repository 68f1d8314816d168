"""Which columns of a reply leave the server, and which a caller may search by.

A column marked `secure` never leaves. Strangers get the columns marked `pub`; the owner of a row
everything else too; administrators besides `pub` those marked `admin` or `admins`. A row of a
table that nobody declared exposes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bkjs.core.errors import BadRequest
from bkjs.db.contract import Table
from bkjs.web.access import is_admin, same_account

if TYPE_CHECKING:
    from bkjs.web.request import Request

Describe = Callable[[str], Table | None]
"""Gives the described table, the same object until it is described anew; None if unknown."""

SECURE, OWN, PUBLIC = -1, 0, 1


@dataclass(frozen=True, slots=True)
class Visibility:
    """Names of columns by who may see them; what is in no set is not described."""

    secure: frozenset[str]
    own: frozenset[str]
    """Only for the owner of the row."""
    public: frozenset[str]

    @property
    def closed(self) -> frozenset[str]:
        """What strangers do not see."""
        return self.secure | self.own


def visibility(
    tables: Iterable[Table], *, admin: bool = False, rules: Mapping[str, int] | None = None
) -> Visibility:
    """The merged visibility of the columns of some tables: later ones override, except `secure`.

    `rules` override it by column: -1 never, 0 only the owner, 1 everyone.
    """
    level: dict[str, int] = {}
    for table in tables:
        for name, column in table.columns.items():
            if level.get(name) != SECURE:
                level[name] = _level(column.props, admin)
    for name, wanted in (rules or {}).items():
        if level.get(name) != SECURE:
            level[name] = wanted
    names = {value: frozenset(n for n in level if level[n] == value) for value in (-1, 0, 1)}
    return Visibility(names[SECURE], names[OWN], names[PUBLIC])


def _level(props: Mapping[str, Any], admin: bool) -> int:
    if props.get("secure"):
        return SECURE
    if props.get("pub"):
        return PUBLIC
    return PUBLIC if admin and (props.get("admin") or props.get("admins")) else OWN


class ColumnRules:
    """Visibility by tables, worked out once for each description."""

    def __init__(self, describe: Describe) -> None:
        self.describe = describe
        self._known: dict[tuple[str, bool], tuple[list[Table], Visibility]] = {}

    def get(self, tables: str, *, admin: bool = False) -> Visibility | None:
        """The visibility for a comma-separated list of tables; None when none of them is known."""
        found = [table for name in tables.split(",") if (table := self.describe(name.strip()))]
        if not found:
            return None
        known = self._known.get((tables, admin))
        if not known or len(known[0]) != len(found) or any(map(_differs, known[0], found)):
            known = self._known[tables, admin] = found, visibility(found, admin=admin)
        return known[1]


def _differs(one: object, other: object) -> bool:
    return one is not other


def check_result_columns(
    value: Any,
    seen: Visibility | None,
    account: Mapping[str, Any],
    *,
    account_key: str = "id",
    strict: bool = False,
) -> Any:
    """A row or list of rows without what this account may not see; new objects, never changed ones.

    `account_key` is the column that holds the owner. `strict` also drops what no table describes.
    """
    if isinstance(value, Mapping):
        own = same_account(value.get(account_key), account.get("id"))
        return _clean_row(value, seen, own, strict)
    if not isinstance(value, (list, tuple)):
        return value
    id = account.get("id")
    return [
        _clean_row(row, seen, same_account(row.get(account_key), id), strict)
        if isinstance(row, Mapping)
        else row
        for row in value
    ]


def _clean_row(
    row: Mapping[str, Any], seen: Visibility | None, own: bool, strict: bool
) -> Mapping[str, Any]:
    if seen is None:
        return {}
    if strict:
        visible = seen.public | seen.own if own else seen.public
        kept: Mapping[str, Any] = {name: row[name] for name in row if name in visible}
    else:
        closed = seen.secure if own else seen.closed
        kept = row if closed.isdisjoint(row) else {n: row[n] for n in row if n not in closed}
    if any(isinstance(item, (dict, list)) for item in kept.values()):
        return {name: _without(item, seen.secure) for name, item in kept.items()}
    return kept


def _without(value: Any, names: frozenset[str]) -> Any:
    """A nested value without these names at any depth."""
    if isinstance(value, dict):
        return {key: _without(item, names) for key, item in value.items() if key not in names}
    if isinstance(value, list):
        return [_without(item, names) for item in value]
    return value


def clean(req: Request, value: Any, tables: str, **options: Any) -> Any:
    """What of a reply may leave for the account of this request; a page keeps its own fields.

    Empty `tables` mean that the reply holds no rows: it leaves as it is. `options` are those of
    `check_result_columns`.
    """
    if not tables:
        return value
    seen = req.app.auth.columns.get(tables, admin=is_admin(req.account))
    if not isinstance(value, Mapping) or "count" not in value or not value.keys() <= _PAGE:
        return check_result_columns(value, seen, req.account, **options)
    if isinstance(value.get("data"), (list, tuple)):
        return {**value, "data": check_result_columns(value["data"], seen, req.account, **options)}
    if req.controls.get("total"):
        return value
    return check_result_columns(value, seen, req.account, **options)


_PAGE = {"count", "data", "next_token"}


def public_columns(
    table: Table, *, allow: Iterable[str] = (), skip: Iterable[str] = ()
) -> list[str]:
    """The columns that everyone may see, of those in `allow` if given, without those in `skip`."""
    allowed, skipped = set(allow), set(skip)
    return [
        name
        for name, column in table.columns.items()
        if _level(column.props, admin=False) == PUBLIC
        and (not allowed or name in allowed)
        and name not in skipped
    ]


def clear_query(
    table: Table,
    query: Mapping[str, Any],
    *,
    filter: str | Iterable[str] = (),
    keep: re.Pattern[str] | None = None,
    clear: re.Pattern[str] | None = None,
) -> dict[str, Any]:
    """The properties of `query` that a table takes.

    Without `filter` these are the described columns. With it, everything but the columns that
    have one of these properties (`admin`), or lack it (`!pub`). Names that match `keep` stay in
    any case, those that match `clear` go.
    """
    columns = table.columns
    marks = [filter] if isinstance(filter, str) else list(filter)

    def stays(name: str) -> bool:
        if clear and clear.search(name):
            return False
        if keep and keep.search(name):
            return True
        if not marks:
            return name in columns
        return name not in columns or not any(_has(columns[name].props, mark) for mark in marks)

    return {name: value for name, value in query.items() if stays(name)}


def _has(props: Mapping[str, Any], mark: str) -> bool:
    if mark.startswith("!"):
        return not props.get(mark[1:])
    return bool(props.get(mark))


def readable_columns(req: Request, table: str, *, own: bool = False) -> frozenset[str]:
    """The columns that this caller may read in any row; with `own`, in rows of his own."""
    seen = req.app.auth.columns.get(table, admin=is_admin(req.account))
    if seen is None:
        return frozenset()
    return seen.public | seen.own if own else seen.public


def check_readable(
    req: Request,
    table: str,
    query: Mapping[str, Any],
    controls: Mapping[str, Any] | None = None,
    *,
    own: bool = False,
) -> None:
    """Refuse a search by a column that the caller may not read: its answers would tell the value.

    Looks at the conditions in `query` and at the controls sort, select and ops, by default those
    of the request; raises BadRequest that names the column. What the table does not describe
    is left to the database layer.
    """
    found = req.app.auth.columns.describe(table)
    described = found.columns if found else {}
    readable = readable_columns(req, table, own=own)
    controls = req.controls if controls is None else controls
    names = [*_condition_names(query), *controls.get("ops", ()), *controls.get("select", ())]
    if controls.get("sort"):
        names.append(controls["sort"])
    for name in names:
        if name in described and name not in readable:
            raise BadRequest(f"{name}: this column cannot be used here", field=name)


def _condition_names(query: Mapping[str, Any]) -> Iterable[str]:
    for name, value in query.items():
        if not name.startswith("$"):
            yield name
        for group in value if isinstance(value, list) else [value]:
            if name.startswith("$") and isinstance(group, Mapping):
                yield from _condition_names(group)
