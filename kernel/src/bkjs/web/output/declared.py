"""What endpoints declare of their replies: the type of those that belong to no table, and which
tables others belong to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from enum import Enum
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from bkjs.db.contract import EMPTY, Table
from bkjs.db.tables.codec import parts
from bkjs.errors import PluginError
from bkjs.lib.signatures import expect, kind_of
from bkjs.lib.text import near
from bkjs.web.endpoint import Endpoint
from bkjs.web.request import Request

from . import columns
from .columns import LISTS, PLAIN, Undeclared, without_rows

if TYPE_CHECKING:
    from pydantic import BaseModel
    from starlette.requests import HTTPConnection

Tables = str | Sequence[str]
"""The table that rows belong to, or several that they are made of."""
Nested = Mapping[str, Tables | type[dict[Any, Any]]]
"""Tables by the key of a reply under which their rows lie; `dict` for plain values."""

_UNTYPED = {dict, list, tuple, set, frozenset, Mapping, Sequence, Any, object, *PLAIN}
_SCALARS: tuple[type, ...] = (*PLAIN, Enum)


def table_names(tables: Tables) -> tuple[str, ...]:
    """The names of the tables that rows belong to; raises TypeError for what is no name."""
    names = tables if isinstance(tables, LISTS) else (tables,)
    for name in names:
        expect("table=", name, (str, type(None)), "the name of a table")
    return tuple(filter(None, names))


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

    Of a model its fields leave, in a list as well; where the type says nothing, as `dict` and `Any`
    do, everything does, for which reason rows in such a reply are refused.
    """
    if kind is None:

        def refuse(value: Any) -> Any:
            raise Undeclared(
                f"nothing says whose columns the reply of {path} has; it needs table=, or reply="
            )

        return refuse
    if isinstance(kind, (str, dict, list, tuple, set, int, float)):
        wanted = "a type, as dict, list[Size]"
        raise TypeError(f"{path}: reply= wants {wanted}, not {kind_of(kind)}")
    if kind in _UNTYPED:
        return without_rows
    from pydantic import TypeAdapter

    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    may_hold_rows = _takes_anything(kind, set())

    def checked(value: Any) -> Any:
        if may_hold_rows:
            without_rows(value)
        return adapter.dump_python(adapter.validate_python(value))

    return checked


def check_tables(endpoint: Endpoint, known: Mapping[str, Table]) -> None:
    """Raises PluginError for a table or an owner that an endpoint declares and nobody describes."""
    nested = (name for names in endpoint.nested.values() if names for name in names.split(","))
    for name in map(str.strip, (*endpoint.tables, *nested)):
        if name.lower() not in known:
            raise _refused(endpoint, f"no table {name!r}{near(name, known)}")
    columns = {name for table in endpoint.tables for name in known[table.lower()].columns}
    if endpoint.owner != "id" and endpoint.owner not in columns:
        hint = near(endpoint.owner, columns)
        raise _refused(endpoint, f"its tables have no column {endpoint.owner!r}{hint}")
    if endpoint.verb and endpoint.writes and endpoint.params:
        _check_params(endpoint, endpoint.params, known[endpoint.tables[0].lower()])


def _check_params(endpoint: Endpoint, params: type[BaseModel], table: Table) -> None:
    """What a model names goes into a row as it is: a name that is no column would be lost."""
    usable = {name for name, column in table.columns.items() if not column.props.get("hidden")}
    for name in params.model_fields.keys() - usable - parts(table):
        what = (
            "is a hidden column" if name in table.columns else f"is no column{near(name, usable)}"
        )
        raise _refused(
            endpoint, f"{params.__name__}.{name} would be lost, in {table.name} it {what}"
        )


def _refused(endpoint: Endpoint, text: str) -> PluginError:
    """The blame is on who declared it, not on who has a look at all of them."""
    return PluginError(f"{endpoint}: {text}", plugin=endpoint.fn.__module__)


def _takes_anything(kind: Any, seen: set[Any]) -> bool:
    """Whether a value of this type may hold mappings whose names it does not say."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _takes_anything(args[0], seen)
    if origin is Literal or kind is ... or (isinstance(kind, type) and issubclass(kind, _SCALARS)):
        return False
    if isinstance(origin or kind, type) and issubclass(origin or kind, Mapping) and args:
        return args[-1] in PLAIN or _takes_anything(args[-1], seen)
    if args:
        return any(_takes_anything(arg, seen) for arg in args)
    if kind in seen:
        return False
    seen.add(kind)
    fields = getattr(kind, "model_fields", None)
    if fields is not None:
        if kind.model_config.get("extra") == "allow":
            return True
        return any(_takes_anything(field.annotation, seen) for field in fields.values())
    if is_dataclass(kind) or hasattr(kind, "__total__") or hasattr(kind, "_fields"):
        return any(_takes_anything(of, seen) for of in get_type_hints(kind).values())
    return kind in _UNTYPED or not isinstance(kind, type)
