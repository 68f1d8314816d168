"""Which columns of a reply leave the server, and which a caller may search by.

A column marked `secure` never leaves. Strangers get the columns marked `pub`; the owner of a row
everything else too; administrators besides `pub` those marked `admin` or `admins`. A row of a
table that nobody declared exposes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from bkjs.auth.accounts import is_admin
from bkjs.core.services import AppKey
from bkjs.db.contract import Table
from bkjs.errors import BadRequest

if TYPE_CHECKING:
    from bkjs.web.request import Request

Describe = Callable[[str], Table | None]
"""Gives the described table, the same object until it is described anew; None if unknown."""

_Described = list[tuple[str, Table | None]]

SECURE, OWN, PUBLIC = -1, 0, 1


class Visibility(NamedTuple):
    """Names of columns by who may see them; what is in no set is not described."""

    secure: frozenset[str]
    own: frozenset[str]
    """Only for the owner of the row."""
    public: frozenset[str]
    closed: frozenset[str]
    """What strangers do not see: secure and own."""


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
    return Visibility(names[SECURE], names[OWN], names[PUBLIC], names[SECURE] | names[OWN])


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
        self._known: dict[tuple[str, bool], tuple[_Described, Visibility]] = {}

    def get(self, tables: str, *, admin: bool = False) -> Visibility | None:
        """The visibility for a comma-separated list of tables; None when none of them is known."""
        known = self._known.get((tables, admin))
        if known is not None:
            for name, table in known[0]:
                if self.describe(name) is not table:
                    break
            else:
                return known[1]
        described = [(name, self.describe(name)) for name in map(str.strip, tables.split(","))]
        found = [table for _, table in described if table]
        if not found:  # not remembered, the name may come from a path
            return None
        seen = visibility(found, admin=admin)
        self._known[tables, admin] = described, seen
        return seen


COLUMNS = AppKey[ColumnRules]("visibility of columns")


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
    single = isinstance(value, dict)
    if not single and not isinstance(value, (list, tuple)):
        return value
    if seen is None:
        return {} if single else [{} for _ in value]
    clean_row = _strict if strict else _open
    id = account.get("id")
    mine = str(id) if id else None
    if single:
        return clean_row(value, seen, mine is not None and str(value.get(account_key)) == mine)
    return [
        clean_row(row, seen, mine is not None and str(row.get(account_key)) == mine)
        if isinstance(row, dict)
        else check_result_columns(row, seen, account, account_key=account_key, strict=strict)
        for row in value
    ]


def _open(row: Mapping[str, Any], seen: Visibility, own: bool) -> Mapping[str, Any]:
    """Without what is closed; columns that no table describes stay."""
    closed = seen.secure if own else seen.closed
    if not closed.isdisjoint(row):
        row = {name: value for name, value in row.items() if name not in closed}
    if not seen.secure or _NESTED.isdisjoint(map(type, row.values())):
        return row
    return {name: _without(value, seen.secure) for name, value in row.items()}


def _strict(row: Mapping[str, Any], seen: Visibility, own: bool) -> Mapping[str, Any]:
    """Only what a table describes and opens."""
    visible = seen.public | seen.own if own else seen.public
    kept = {name: value for name, value in row.items() if name in visible}
    return _open(kept, seen, own)


_NESTED = {dict, list, tuple}


def _without(value: Any, names: frozenset[str]) -> Any:
    """A nested value without these names at any depth."""
    if isinstance(value, dict):
        return {key: _without(item, names) for key, item in value.items() if key not in names}
    if isinstance(value, (list, tuple)):
        return [_without(item, names) for item in value]
    return value


def clean(req: Request, value: Any, tables: str, **options: Any) -> Any:
    """What of a reply may leave for the account of this request; a page keeps its own fields.

    Empty `tables` mean that the reply holds no rows: it leaves as it is. `options` are those of
    `check_result_columns`.
    """
    if not tables:
        return value
    seen = req.app[COLUMNS].get(tables, admin=is_admin(req.account))
    return clean_reply(req, value, seen, **options)


def clean_reply(req: Request, value: Any, seen: Visibility | None, **options: Any) -> Any:
    """The same by a known visibility."""
    if seen is not None and not seen.closed and not options:
        return value
    if not isinstance(value, dict) or "count" not in value or not value.keys() <= _PAGE:
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
    seen = req.app[COLUMNS].get(table, admin=is_admin(req.account))
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

    Refuses objects, too, where a value is wanted. Looks at the conditions in `query` and at the
    controls sort, select and ops, by default those of the request; raises BadRequest that names
    the column. What the table does not describe is left to the database layer.
    """
    found = req.app[COLUMNS].describe(table)
    described = found.columns if found else {}
    readable = readable_columns(req, table, own=own)
    controls = req.controls if controls is None else controls
    names = [*controls.get("ops", ()), *controls.get("select", ())]
    for name, value in _conditions(query):
        names.append(name)
        if isinstance(value, Mapping) and name in described and described[name].kind != "json":
            raise BadRequest(f"{name}: must be a value or a list of values", field=name)
    if controls.get("sort"):
        names.append(controls["sort"])
    for name in names:
        if name in described and name not in readable:
            raise BadRequest(f"{name}: this column cannot be used here", field=name)


def _conditions(query: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for name, value in query.items():
        if not name.startswith("$"):
            yield name, value
        for group in value if isinstance(value, list) else [value]:
            if name.startswith("$") and isinstance(group, Mapping):
                yield from _conditions(group)
