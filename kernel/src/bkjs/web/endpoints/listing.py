"""One page of a table for a client: what most `select` endpoints do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bkjs.db.operators import NULLS, operator
from bkjs.db.request.prepare import is_given
from bkjs.errors import BadRequest
from bkjs.lib.given import Given
from bkjs.web.input.controls import CONTROLS, get_result_page
from bkjs.web.output.columns import check_readable
from bkjs.web.request import Request

SELECT = ("ops", "select", "sort", "desc", "count", "page", "start", "total")
"""Controls that choose rows, under the names of the options of `db.select`."""


async def select_page(
    req: Request,
    table: str,
    query: Mapping[str, Any] | None = None,
    *,
    only: Mapping[str, Any] | None = None,
    owner: str = "",
    **options: Any,
) -> dict[str, Any]:
    """Rows by the parameters and controls of a request, as `{"count", "data", "next_token"}`.

    `query` stands in for the parameters of the request; rows must be equal to `only` whatever that
    says, also in columns that the caller may not see. When that makes all of them rows of the
    caller, `owner` is the column which says so: then he may search by his private columns, too.
    `options` of `db.select` win over controls.
    Raises BadRequest that names a column which the caller may not see, and for a token that does
    not open: with the first page in its place a client would read that for ever.
    """
    if req.query.get("_start") and req.controls.get("start") == "":
        raise BadRequest("_start: this token is not from here or was cut", field="_start")
    given = req.query if query is None else query
    asked = Given((name, value) for name, value in given.items() if not name.startswith("_"))
    aliases = options.get("aliases") or {}
    check_readable(req, table, asked, req.controls, owner=owner, aliases=aliases)
    if req.settings.notes and (ignored := asked.keys() - req.app.db.get_columns(table).keys()):
        req.note = f"ignored, {table} has no such column: {', '.join(sorted(ignored))}"
    chosen: dict[str, Any] = {n: req.controls[n] for n in SELECT if req.controls.get(n)}
    if owner and "select" in chosen:
        chosen["select"] = [*chosen["select"], owner]  # else nobody could tell whose rows they are
    chosen["strict"] = False
    chosen.setdefault("count", CONTROLS["count"]["dflt"])  # `_count=0` is not the whole table
    if only:
        asked |= only
        chosen["ops"] = {**chosen.get("ops", {}), **dict.fromkeys(only, "eq")}
    if chosen.get("ops"):
        _check_values(req, table, asked, chosen["ops"])
    return get_result_page(req, await req.app.db.select(table, asked, **(chosen | options)))


def _check_values(
    req: Request, table: str, asked: Mapping[str, Any], ops: Mapping[str, str]
) -> None:
    """Refuse an operator that has nothing to compare with: without it all rows would match."""
    known = req.app.db.get_columns(table)
    for name, op in ops.items():
        if name in known and not is_given(asked, name) and operator(op, name) not in NULLS:
            raise BadRequest(f"_ops: {name} {op} needs a value", field=name)
