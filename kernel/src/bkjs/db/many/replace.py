"""replace: update what is there, add what is not, skip what has not changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bkjs.db.contract import Absent, Group, Row, Written
from bkjs.db.pools.pools import Target
from bkjs.db.request import emulate
from bkjs.db.request.options import NAMES, check
from bkjs.db.request.prepare import Input, Options, as_dict
from bkjs.db.tables.types import type_of
from bkjs.db.verbs import Verbs
from bkjs.errors import AlreadyExists, BadRequest
from bkjs.lib.json import stored_json
from bkjs.lib.wire import to_text
from bkjs.readonly import READ_ONLY, refuse_write


async def replace(db: Verbs, table: str, obj: Input, options: Options) -> Written:
    """Update what is there, add what is not, and skip what the `check_…` options say."""
    if READ_ONLY.get():
        refuse_write()
    check("replace", options)
    target = db.target(table, options)
    obj = as_dict(obj)
    adding = {k: v for k, v in options.items() if k in NAMES["add"]}
    update = {k: v for k, v in options.items() if k in NAMES["update"]}
    column = options.get("check_mtime")
    if column and column not in target.table.columns:
        raise BadRequest(f"check_mtime: {target.table.name} has no column {str(column)[:64]!r}")
    if column and isinstance(options.get("expected"), (Group, Absent)):
        raise BadRequest("expected: a Group does not go together with check_mtime")
    if not options.get("put_only"):
        emulate.require_add(target)
    if not options.get("add_only"):
        emulate.require_update(target, "update")
        if column:
            emulate.require_conditional(target)
    for _ in range(emulate.ATTEMPTS):
        stored = await db.get(table, obj, pool=options.get("pool"))
        if stored is None:
            if options.get("put_only"):
                return Written()
            try:
                return await db.write("add", table, obj, adding)
            except AlreadyExists:
                continue
        if options.get("add_only") or _same(target, stored, obj, options):
            return Written()
        if column and obj.get(column) is not None:
            older = {"$or": {column: obj[column], "replaced": None}}
            update["expected"] = {**(options.get("expected") or {}), **older}
            update["ops"] = {**(options.get("ops") or {}), column: "lt"}
            update["aliases"] = {**(options.get("aliases") or {}), "replaced": column}
        return await db.write("update", table, obj, update)
    raise AlreadyExists


def _same(target: Target, stored: Row, obj: Mapping[str, Any], options: Options) -> bool:
    """Whether `check_data` finds nothing that differs."""
    wanted = options.get("check_data")
    if not wanted:
        return False
    names = list(obj) if wanted is True or not isinstance(wanted, (list, tuple)) else list(wanted)
    table = target.table
    return all(
        _comparable(stored.get(name)) == _comparable(obj.get(name))
        for name in names
        if name in table.columns
        and name in obj
        and name not in table.keys
        and not type_of(table.columns[name]).volatile
        and name != "mtime"
    )


def _comparable(value: Any) -> str:
    if value is None or value == "":
        return ""
    return stored_json(value) if isinstance(value, (dict, list)) else to_text(value)
