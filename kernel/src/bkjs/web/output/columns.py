"""Which columns of a reply leave the server, and which a caller may search by.

A column marked `secure` never leaves. Strangers get the columns marked `pub`; the owner of a row
everything else too; administrators besides `pub` those marked `admin` or `admins`. Whose columns
the rows of a reply have is declared, for those that lie deeper by the key under which they lie;
what no declaration covers does not leave.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import chain
from typing import Any, NamedTuple
from uuid import UUID

from bkjs.auth.accounts import Account, is_admin
from bkjs.core.services import AppKey
from bkjs.db.contract import EMPTY, Column, Table, Written
from bkjs.db.results import Rows
from bkjs.errors import BadRequest, BkError
from bkjs.lib.bounded import Bounded
from bkjs.lib.convert import str_split
from bkjs.lib.given import Given
from bkjs.web.request import Request

SECURE, OWN, PUBLIC = -1, 0, 1


class Visibility(NamedTuple):
    """Names of columns by who may see them; what is in no set is not described."""

    secure: frozenset[str]
    own: frozenset[str]
    """Only for the owner of the row."""
    public: frozenset[str]
    closed: frozenset[str]
    """What strangers do not see: secure and own."""
    kept: frozenset[str] = frozenset()
    """Of own: what only administrators see, unless the row is the account of the caller."""
    nested: frozenset[str] = frozenset()
    """Columns whose values hold others: they are no rows, whatever is in them."""
    searched: Mapping[str, frozenset[str]] = EMPTY
    """By name the other columns that a search by it looks into: those joined of it where it is no
    column itself, those that a full-text column is made of."""


NOTHING = Visibility(frozenset(), frozenset(), frozenset(), frozenset())
"""For a mapping of plain values: it is a row of no table."""


class Undeclared(BkError):
    """Nothing says whose columns a part of a reply has: it does not leave."""

    private = True


def visibility(
    tables: Iterable[Table], *, admin: bool = False, rules: Mapping[str, int] | None = None
) -> Visibility:
    """The merged visibility of the columns of some tables: later ones override, except `secure`.

    `rules` override it by column: -1 never, 0 only the owner, 1 everyone.
    """
    level: dict[str, int] = {}
    kept, nested = set(), set()
    searched: dict[str, frozenset[str]] = {}
    for table in tables:
        for column, name in _shown(table):
            if level.get(name) != SECURE:
                level[name] = _level(column.props, admin)
            if column.props.get("admin") or column.props.get("admins"):
                kept.add(name)
            if column.kind in ("json", "list"):
                nested.add(name)
            if column.kind == "search":
                searched[name] = frozenset(str_split(column.props.get("projection")))
            for part in str_split(column.props.get("join")):
                if part not in table.columns:
                    searched[part] = searched.get(part, frozenset()) | {column.name}
    for name, wanted in (rules or {}).items():
        if level.get(name) != SECURE:
            level[name] = wanted
    names = {value: frozenset(n for n in level if level[n] == value) for value in (-1, 0, 1)}
    secure, own, public = names[SECURE], names[OWN], names[PUBLIC]
    return Visibility(secure, own, public, secure | own, own & kept, frozenset(nested), searched)


def _shown(table: Table) -> Iterable[tuple[Column, str]]:
    """Columns under their names, and under those that only their value is taken apart into."""
    for column in table.columns.values():
        yield column, column.name
        unjoin = column.props.get("unjoin")
        parts = str_split(column.props.get("join") if unjoin in (True, 1) else unjoin)
        yield from ((column, part) for part in parts if part not in table.columns)


def _level(props: Mapping[str, Any], admin: bool) -> int:
    if props.get("secure"):
        return SECURE
    if props.get("pub"):
        return PUBLIC
    return PUBLIC if admin and (props.get("admin") or props.get("admins")) else OWN


class ColumnRules:
    """Visibility by tables, worked out once for each description."""

    def __init__(self, tables: Callable[[], Mapping[str, Table]]) -> None:
        """`tables` gives all that are described, by name: another mapping after each change."""
        self._tables = tables
        self._seen: Mapping[str, Table] = EMPTY
        self._known: Bounded[tuple[str, bool], Visibility] = Bounded(4096)

    def describe(self, name: str) -> Table | None:
        """The described table, None when it is unknown."""
        return self._tables().get(name.lower())

    def get(self, tables: str, *, admin: bool = False) -> Visibility | None:
        """The visibility for a comma-separated list of tables; None when none of them is known."""
        now = self._tables()
        if now is not self._seen:
            self._known.clear()
            self._seen = now
        seen = self._known.get((tables, admin))
        if seen is None:
            found = [table for name in tables.split(",") if (table := self.describe(name.strip()))]
            if not found:  # not remembered, the name may come from a path
                return None
            seen = self._known[tables, admin] = visibility(found, admin=admin)
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
    Raises Undeclared for rows that lie in a row.
    """
    if seen is None:
        if isinstance(value, Mapping) or _is_model(value):
            return {}
        return [{} for _ in value] if isinstance(value, LISTS) else value
    id = account.get("id")
    return _Cleaner(seen, str(id) if id else None, account_key, strict).rows(value)


class _Cleaner:
    """What one account may see of rows of some tables, and of the rows that lie in them."""

    __slots__ = ("closed", "free", "key", "mine", "nested", "other", "seen", "strict")

    def __init__(
        self,
        seen: Visibility,
        mine: str | None,
        key: str = "id",
        strict: bool = False,
        nested: Mapping[str, str] = EMPTY,
        other: Callable[[str], _Cleaner] | None = None,
        keep: bool = False,
    ) -> None:
        self.seen = seen
        self.mine = mine
        self.key = key
        self.strict = strict
        self.nested = nested
        """Tables by the key of a reply under which their rows lie; "" for plain values."""
        self.other = other
        self.closed = seen.secure | seen.kept if keep else seen.secure
        """What the owner does not see. An account sees of itself also what administrators set."""
        self.free = NOTHING.secure if nested or seen.secure else seen.nested
        """Columns of which nothing is to be taken away."""

    def reply(self, value: Any) -> Any:
        """A row, a list of rows, or a mapping with rows under `data` or `rows`, such as a page."""
        if not isinstance(value, Mapping):
            if not _is_model(value):
                return self.rows(value)
            value = _fields(value)
        held = [name for name in _ROWS if name in value and self._holds_rows(name, value)]
        if not held:
            return self.row(value)
        rest: Mapping[str, Any] = {k: v for k, v in value.items() if k not in held}
        if "count" in value and value.keys() <= _PAGE:
            rest = {name: plain(item, name) for name, item in rest.items()}
        else:
            rest = self.row(rest)
        return {
            name: self.rows(value[name]) if name in held else rest[name]
            for name in value
            if name in held or name in rest
        }

    def _holds_rows(self, name: str, reply: Mapping[str, Any]) -> bool:
        item = reply[name]
        if name in self.nested or type(item) in PLAIN or self.seen is NOTHING:
            return False
        if name not in self.seen.nested or isinstance(item, Rows):
            return True
        if name == "data" and "count" in reply and isinstance(item, LISTS):
            return True
        # a column of that name is one where the rest of a row is, too
        described = self.seen.public | self.seen.closed
        return described.isdisjoint(reply.keys() - set(_ROWS))

    def rows(self, value: Any) -> Any:
        """A row, a list of rows, or anything else as it is."""
        if isinstance(value, Mapping):
            return self.row(value)
        if _is_model(value):
            return self.row(_fields(value))
        if not isinstance(value, LISTS):
            return value
        if _is_flat(value):
            if not self.seen.closed and not self.strict:
                return value
            return self._visible_rows(value)
        return [self.row(row) if type(row) is dict else self.rows(row) for row in value]

    def row(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Without what is closed, at every depth."""
        if self.seen.closed or self.strict:
            row = self._visible(row)
        if PLAIN.issuperset(map(type, row.values())):
            return row
        free, changed = self.free, {}
        for name, value in row.items():
            if type(value) not in PLAIN and (name not in free or type(value) is Rows):
                changed[name] = self._under(name, value)
        return {**row, **changed} if changed else row

    def _visible(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Without closed columns; values that no table describes stay, unless it is strict."""
        gone = self._gone(row, self._owns(row))
        return {name: value for name, value in row.items() if name not in gone} if gone else row

    def _visible_rows(self, rows: Iterable[dict[str, Any]]) -> Iterable[Mapping[str, Any]]:
        """The same for rows in which there is nothing else, worked out for all of their names."""
        names: set[str] = set().union(*rows)
        gone = self._gone(names, False)
        own = self._gone(names, True) if self.mine is not None and self.key in names else gone
        if not gone and not own:
            return rows
        rows = list(map(dict.copy, rows))
        for row in rows:
            for name in gone if own is gone or not self._owns(row) else own:
                row.pop(name, None)
        return rows

    def _owns(self, row: Mapping[str, Any]) -> bool:
        return (
            self.mine is not None and (id := row.get(self.key)) is not None and str(id) == self.mine
        )

    def _gone(self, names: Iterable[str], own: bool) -> frozenset[str]:
        """Of the names in a row those that its owner, or a stranger, does not see."""
        seen = self.seen
        gone = (self.closed if own else seen.closed).intersection(names)
        if self.strict:
            gone = gone.union(set(names) - (seen.public | seen.own if own else seen.public))
        return gone

    def _under(self, name: str, value: Any) -> Any:
        """What lies under a name of a row and is not plain."""
        tables = self.nested.get(name)
        if tables is None:
            if name in self.seen.nested and not isinstance(value, Rows):
                return _without(value, self.seen.secure)
            return plain(value, name)
        if not tables:
            return without_rows(value, name)
        return self.other(tables).reply(value) if self.other else value


LISTS = (list, tuple, set, frozenset)
_ROW = frozenset({dict})
PLAIN: frozenset[type] = frozenset(
    {str, int, float, bool, type(None), bytes, bytearray, memoryview, datetime, date, Decimal, UUID}
)
"""Types of values that hold nothing else."""
_PAGE = {"count", "data", "next_token"}
_ROWS = ("data", "rows")
"""Names under which a reply may have the rows of its own tables."""


def _is_flat(value: Any) -> bool:
    """Whether it is a row, or a list of rows, in which there is nothing else."""
    if type(value) is dict:
        return PLAIN.issuperset(map(type, value.values()))
    return (
        isinstance(value, list)
        and _ROW.issuperset(map(type, value))
        and PLAIN.issuperset(map(type, chain.from_iterable(map(dict.values, value))))
    )


def _is_open(value: Any) -> bool:
    """The same for a page of such rows."""
    if _is_flat(value):
        return True
    if type(value) is not dict or not value.keys() <= _PAGE or not _is_flat(value.get("data")):
        return False
    return all(name == "data" or type(item) in PLAIN for name, item in value.items())


def plain(value: Any, name: str) -> Any:
    """A value that is no row, nor a list of them; raises Undeclared for one that may be."""
    if isinstance(value, Mapping) or _is_model(value):
        raise Undeclared(
            f"nothing says whose columns the rows under {name!r} of the reply have; the endpoint"
            f' needs tables={{"{name}": "TABLE"}}, or dict for TABLE if it is no row'
        )
    if isinstance(value, LISTS) and not PLAIN.issuperset(map(type, value)):
        return [plain(item, name) for item in value]
    return value


def without_rows(value: Any, name: str = "") -> Any:
    """The same value; raises Undeclared for rows in what is declared to have none.

    Only those that still are what the database gave are known.
    """
    if isinstance(value, (Rows, Account, Written)):
        where = f" under {name!r}" if name else ""
        raise Undeclared(f"the reply{where} is declared to be no rows, but has some; name a table")
    if isinstance(value, Mapping):
        items: Iterable[Any] = value.items()
    elif isinstance(value, LISTS):
        items = ((name, item) for item in value)
    elif _is_model(value):
        items = {**vars(value), **(getattr(value, "__pydantic_extra__", None) or {})}.items()
    else:
        return value
    for key, item in items:
        if type(item) not in PLAIN:
            without_rows(item, key)
    return value


def _without(value: Any, names: frozenset[str]) -> Any:
    """The value of a column without these names at any depth."""
    if isinstance(value, Mapping):
        return {key: _without(item, names) for key, item in value.items() if key not in names}
    if _is_model(value):
        return _without(_fields(value), names)
    if isinstance(value, LISTS) and not PLAIN.issuperset(map(type, value)):
        return [_without(item, names) for item in value]
    return value


def _is_model(value: Any) -> bool:
    """Whether it is a model, a dataclass or a named tuple."""
    kind = type(value)
    return kind not in PLAIN and (
        hasattr(kind, "model_dump") or is_dataclass(kind) or hasattr(kind, "_asdict")
    )


def _fields(value: Any) -> Mapping[str, Any]:
    """What a model, a dataclass or a named tuple holds."""
    if isinstance(value, Written):
        return value.row or value.obj or {}
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    dump = getattr(value, "model_dump", None) or value._asdict
    return dump()  # type: ignore[no-any-return]


def clean(
    req: Request,
    value: Any,
    tables: str,
    nested: Mapping[str, str] = EMPTY,
    *,
    owner: str = "id",
) -> Any:
    """What of a reply may leave for the account of this request.

    Rows belong to `tables`, those under a key of `nested` to the tables that it names; "" are
    plain values. A row whose column `owner` holds the id of the account is shown whole, but for
    what is secure. Raises Undeclared for rows that nothing declares.
    """
    if isinstance(value, dict) and value.keys() == {"count"} and req.controls.get("total"):
        return {"count": plain(value["count"], "count")}
    if not tables and isinstance(value, Rows):
        without_rows(value)
    rules, account = req.app[COLUMNS], req.account
    admin = is_admin(account)
    known = rules.get(tables, admin=admin) if tables else NOTHING
    if tables and known and not known.closed and not nested and _is_open(value):
        return value
    id = account.get("id")
    mine = str(id) if id else None

    cleaners: dict[str, _Cleaner] = {}

    def of(names: str) -> _Cleaner:
        cleaner = cleaners.get(names)
        if cleaner is None:
            seen = known if names == tables else rules.get(names, admin=admin)
            if seen is None:
                raise Undeclared(f"the reply belongs to no known table ({names})")
            key = owner if names == tables else "id"
            cleaner = _Cleaner(seen, mine, key, False, nested, of, key != "id")
            cleaners[names] = cleaner
        return cleaner

    return of(tables).reply(value)


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


def readable_columns(req: Request, table: str, *, owner: str = "") -> frozenset[str]:
    """The columns that this caller may read in any row; with `owner`, in those that are his own.

    `owner` is the column by which rows are his, `id` for the account itself.
    """
    seen = req.app[COLUMNS].get(table, admin=is_admin(req.account))
    if seen is None:
        return frozenset()
    if not owner:
        return seen.public
    return seen.public | (seen.own if owner == "id" else seen.own - seen.kept)


def check_readable(
    req: Request,
    table: str,
    query: Mapping[str, Any],
    controls: Mapping[str, Any] | None = None,
    *,
    owner: str = "",
    aliases: Mapping[str, str] = EMPTY,
) -> None:
    """Refuse a search by a column that the caller may not read: its answers would tell the value.

    The same for a name that stands for such a column: a part of a joined one, a full-text column
    that is made of it, one of the `aliases` that `db.select` gets. Refuses objects, too, where a
    value is wanted. Looks at the conditions in `query` and at the controls sort, select and ops, by
    default those of the request; raises BadRequest that names the column. What the table does not
    describe is left to the database layer.
    """
    found = req.app[COLUMNS].describe(table)
    described = found.columns if found else {}
    seen = req.app[COLUMNS].get(table, admin=is_admin(req.account))
    searched = seen.searched if seen else EMPTY
    readable = readable_columns(req, table, owner=owner)
    controls = req.controls if controls is None else controls
    names = [*controls.get("ops", ()), *controls.get("select", ())]
    for name, value in _conditions(query):
        names.append(name)
        column = aliases.get(name, name)
        if isinstance(value, Mapping) and column in described and described[column].kind != "json":
            raise BadRequest(f"{name}: must be a value or a list of values", field=name)
    if found and controls.get("sort"):
        names += req.app.db.sort_columns(table, controls["sort"])
    for name in names:
        column = aliases.get(name, name)
        if (column in described and column not in readable) or not readable.issuperset(
            searched.get(column, ())
        ):
            raise BadRequest(f"{name}: this column cannot be used here", field=name)


def _conditions(query: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for name, value in query.items():
        if not name.startswith("$"):
            yield name, value
        for group in value if isinstance(value, list) else [value]:
            if name.startswith("$") and isinstance(group, Mapping):
                yield from _conditions(group)
