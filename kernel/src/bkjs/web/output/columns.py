"""Which columns of a reply leave the server, and which a caller may search by.

A column marked `secure` never leaves. Strangers get the columns marked `pub`; the owner of a row
everything else too; administrators besides `pub` those marked `admin` or `admins`. A row of a
table that nobody declared exposes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from bkjs.auth.accounts import is_admin
from bkjs.core.services import AppKey
from bkjs.db.contract import Table
from bkjs.errors import BadRequest
from bkjs.lib.given import Given

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

    Whatever is a mapping, a list, a set or a model counts by what it is, at every depth: rows under
    a name that is no column are rows of the same tables. `account_key` is the column that holds the
    owner. `strict` also drops what no table describes.
    """
    if seen is None:
        if isinstance(value, Mapping) or _fields(value) is not None:
            return {}
        return [{} for _ in value] if isinstance(value, LISTS) else value
    id = account.get("id")
    return _Cleaner(seen, str(id) if id else None, account_key, strict).clean(value)


class _Cleaner(NamedTuple):
    """What of the rows of some tables one account may see."""

    seen: Visibility
    mine: str | None
    account_key: str
    strict: bool

    def clean(self, value: Any) -> Any:
        """A row, a list of rows, or anything else as it is."""
        if isinstance(value, Mapping):
            return self.row(value)
        if isinstance(value, LISTS):
            return [self.row(row) if type(row) is dict else self.clean(row) for row in value]
        fields = _fields(value)
        return value if fields is None else self.row(fields)

    def row(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Without what is closed; columns that no table describes stay, unless it is strict."""
        seen = self.seen
        own = self.mine is not None and str(row.get(self.account_key)) == self.mine
        if self.strict:
            visible = seen.public | seen.own if own else seen.public
            row = {name: value for name, value in row.items() if name in visible}
        closed = seen.secure if own else seen.closed
        if not closed.isdisjoint(row):
            row = {name: value for name, value in row.items() if name not in closed}
        if PLAIN.issuperset(map(type, row.values())):
            return row
        columns = seen.own | seen.public
        return {
            name: _without(value, seen.secure) if name in columns else self.clean(value)
            for name, value in row.items()
        }


LISTS = (list, tuple, set, frozenset)
PLAIN = frozenset({str, int, float, bool, type(None), bytes})
"""Types of values that hold nothing else."""


def _without(value: Any, names: frozenset[str]) -> Any:
    """The value of a column without these names at any depth."""
    if isinstance(value, Mapping):
        return {key: _without(item, names) for key, item in value.items() if key not in names}
    if isinstance(value, LISTS):
        return [_without(item, names) for item in value]
    fields = _fields(value)
    return value if fields is None else _without(fields, names)


def _fields(value: Any) -> Mapping[str, Any] | None:
    """What a model or a dataclass holds, None for anything else."""
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump()  # type: ignore[no-any-return]
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else None


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
    if not isinstance(value, Mapping) or "count" not in value or not value.keys() <= _PAGE:
        return check_result_columns(value, seen, req.account, **options)
    if isinstance(value.get("data"), LISTS):
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

    kept = {name: value for name, value in query.items() if stays(name)}
    return Given(kept) if type(query) is Given else kept


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
