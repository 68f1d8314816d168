"""What endpoints declare of their replies: the type of those that belong to no table, and which
tables others belong to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast, get_args, get_origin

from bkjs.db.contract import EMPTY, Table
from bkjs.errors import StartError
from bkjs.lib.text import near
from bkjs.web.endpoint import Endpoint
from bkjs.web.request import Request

from . import columns
from .columns import PLAIN, Undeclared, without_rows

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

Tables = str | Sequence[str]
"""The table that rows belong to, or several that they are made of."""
Nested = Mapping[str, Tables | type[dict[Any, Any]]]
"""Tables by the key of a reply under which their rows lie; `dict` for plain values."""

_UNTYPED = {dict, list, tuple, set, Mapping, Sequence, Any, object, *PLAIN}


def table_names(tables: Tables) -> tuple[str, ...]:
    """The names of the tables that rows belong to."""
    return tuple(filter(None, (tables,) if isinstance(tables, str) else tables))


def nested_names(tables: Nested) -> dict[str, str]:
    """The same for rows that lie deeper, each with commas; "" for plain values."""
    if not isinstance(tables, Mapping):
        raise ValueError(
            f"tables={tables!r}: the tables of what lies deeper, by its key; rows that are made of"
            " several tables have table=(…, …)"
        )
    return {
        key: "" if isinstance(names, type) else ",".join(table_names(names))
        for key, names in tables.items()
    }


def clean(
    request: Request | HTTPConnection,
    value: Any,
    table: Tables,
    tables: Nested = EMPTY,
    *,
    owner: str = "",
) -> Any:
    """What of some rows may leave for the caller of a request, ours or one of FastAPI.

    `table`, `tables` and `owner` are those of `routes.endpoint`, which does this by itself; a route
    of FastAPI calls it. Raises Undeclared for rows whose columns they do not name.
    """
    req: Request = request if isinstance(request, Request) else cast(Any, request).state.bk
    names = ",".join(table_names(table))
    return columns.clean(req, value, names, nested_names(tables), owner=owner or "id")


def reply_check(path: str, kind: Any) -> Callable[[Any], Any]:
    """What makes of a reply what may leave, by its declared type; None is no declaration.

    Of a model its fields leave, in a list as well; of `dict` and the like everything, for which
    reason rows in it are refused.
    """
    if kind is None:

        def refuse(value: Any) -> Any:
            raise Undeclared(
                f"nothing says whose columns the reply of {path} has; it needs table=, or reply="
            )

        return refuse
    if _is_untyped(kind):
        return without_rows
    if model := getattr(kind, "model_validate", None):
        return lambda value: model(value).model_dump()
    from pydantic import TypeAdapter

    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    return lambda value: adapter.dump_python(adapter.validate_python(value))


def check_tables(endpoint: Endpoint, known: Mapping[str, Table]) -> None:
    """Raises StartError for a table or an owner that an endpoint declares and nobody describes."""
    nested = (name for names in endpoint.nested.values() if names for name in names.split(","))
    for name in map(str.strip, (*endpoint.tables, *nested)):
        if name.lower() not in known:
            raise StartError(f"{endpoint.path}: no table {name!r}{near(name, known)}")
    columns = {name for table in endpoint.tables for name in known[table.lower()].columns}
    if endpoint.owner != "id" and endpoint.owner not in columns:
        hint = near(endpoint.owner, columns)
        raise StartError(f"{endpoint.path}: its tables have no column {endpoint.owner!r}{hint}")


def _is_untyped(kind: Any) -> bool:
    if kind in _UNTYPED or kind is ...:
        return True
    return get_origin(kind) in _UNTYPED and all(map(_is_untyped, get_args(kind)))
