"""join: rows completed with the records that their keys name."""

from __future__ import annotations

from collections.abc import Sequence

from bkjs.db.contract import Row
from bkjs.db.pools.pools import Target
from bkjs.db.request.options import check
from bkjs.db.request.prepare import Options
from bkjs.db.results import Rows
from bkjs.db.tables.described import query_for_keys, selected_columns
from bkjs.db.verbs import Verbs
from bkjs.lib.wire import to_text


async def join(db: Verbs, table: str, rows: Sequence[Row], options: Options) -> Rows:
    """The rows merged with the records that their keys name."""
    check("join", options)
    target = db.target(table, options)
    if not rows:
        return Rows()
    names = list(options.get("keys") or target.table.keys)
    keys_map = options.get("keys_map") or {}
    columns_map = options.get("columns_map") or {}
    queries = [query_for_keys(names, row, keys_map=keys_map, noempty=True) for row in rows]
    wanted = [query if len(query) == len(names) else None for query in queries]
    found: dict[str, Row] = {}
    for record in await _records(db, target, names, [q for q in wanted if q], options):
        found.setdefault(repr([to_text(record.get(name)) for name in names]), record)
    joined: list[Row] = []
    for row, query in zip(rows, wanted, strict=True):
        record = found.get(repr([to_text(query[n]) for n in names]), {}) if query else {}
        if options.get("existing") and not record:
            continue
        renamed = {columns_map.get(name, name): value for name, value in record.items()}
        joined.append(_merge(row, renamed, options))
    return Rows(joined)


async def _records(
    db: Verbs, target: Target, names: list[str], queries: list[Row], options: Options
) -> list[Row]:
    known = {k: options[k] for k in ("pool", "noprocessrows", "noconvertrows") if k in options}
    if options.get("select"):
        chosen = selected_columns(target.table, options["select"])
        if chosen is not None:
            known["select"] = tuple(dict.fromkeys((*chosen, *names)))
    if not queries:
        return []
    if set(names) == set(target.table.keys):
        return await db.list(target.table.name, queries, **known)
    groups = {f"$and{number}": query for number, query in enumerate(queries)}
    return await db.select(target.table.name, {"$or": groups}, **known)


def _merge(row: Row, record: Row, options: Options) -> Row:
    attach = options.get("attach")
    if attach:
        return {**row, attach: record}
    merged = dict(row)
    sums = options.get("incr") or ()
    for name, value in record.items():
        if name in sums:
            merged[name] = (merged.get(name) or 0) + (value or 0)
        elif options.get("override") or not merged.get(name):
            merged[name] = value
    return merged
