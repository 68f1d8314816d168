"""Recorded preparation of requests, key helpers and the truth table of operators."""

import json

import pytest

from bkjs.db.conditions.match import matcher
from bkjs.db.contract import Shape
from bkjs.db.database import Database
from bkjs.db.pools.cache import get_cache_key, get_cache_keys
from bkjs.db.request import prepare
from bkjs.db.tables.codec import Codec
from bkjs.db.tables.described import build
from bkjs.errors import BadRequest
from bkjs.testing.vectors import known, vectors

SHAPES = {
    "plain": Shape(strict=False, json=True, lists=True),
    "json_text": Shape(strict=False, json=False, lists=True),
    "strict": Shape(strict=True, json=True, lists=True, nulls=False, empty_value=""),
}
OPTIONS = {"updateOps": "update_ops"}


def codec(case):
    table = build("pt", case.file["tables"]["pt"])
    return Codec(table, SHAPES[case["flags"]], pool="sqlite", loose=True, lenient=True)


@pytest.mark.parametrize("case", vectors("db-prepare"))
def test_prepare(case):
    made = codec(case)
    options = {OPTIONS.get(name, name): value for name, value in case["options"].items()}
    op, obj = case["op"], case["obj"]
    wanted = case.wanted()
    if op == "list":
        rows = [prepare.key_row(made, made.key(item)) for item in obj]
        assert rows == wanted
        return
    if op in ("add", "put", "update", "incr"):
        if op in ("add", "put") and "ne" not in obj and case["flags"] != "strict":
            # an absent notempty column is refused, which the recording did not know
            with pytest.raises(BadRequest, match="ne cannot be empty"):
                prepare.record(made, op, obj, options)
            obj, wanted = {**obj, "ne": "v"}, {**wanted, "ne": "v"}
        ops = options.get("update_ops") or {}
        if op == "incr":
            ops = prepare.counters(made, obj, ops)
            assert ops == case["result_update_ops"]
        row = made.encode(prepare.record(made, op, obj, options))
    else:
        row, ops = prepare.query(made, op, obj, options)
        assert ops == case.get("result_ops", ops)
    if case["flags"] == "strict":
        # nulls of an update stay; a json column is text there, as no shape of ours mixes the two
        row = prepare.record(made, op, obj, options) if op in ("update", "incr") else row
        wanted = {k: json.loads(v) if k == "j" and v else v for k, v in wanted.items()}
    assert row == wanted


FUNCTIONS = (
    "get_cache_key", "get_cache_keys", "get_filtered_columns", "get_index_columns",
    "get_index_for_keys", "get_indexes", "get_keys", "get_query_for_keys", "get_selected_columns",
)  # fmt: skip


@pytest.mark.parametrize("case", vectors("db-keys"))
def test_keys(case):
    db = Database()
    db.describe_tables(case.file["tables"])
    name, args = case["fn"], list(case["args"])
    known([name], FUNCTIONS, "function")
    wanted = case.wanted()
    if name == "get_cache_key":
        table, obj, *rest = args
        explicit = (rest[0] if rest else {}).get("cacheKey")
        assert get_cache_key(db.schema.table(table), obj, cache_key=explicit) == wanted
        return
    if name == "get_cache_keys":
        table, key, obj = args
        named = {"byname": ["name"], "two": ["name", "type"]}
        assert get_cache_keys(table, key, obj, named) == (wanted or None)
        return
    options = args.pop() if isinstance(args[-1], dict) and len(args) > 1 else {}
    if name == "get_index_for_keys":
        args, options = [*args, options], {}
    if args[-1] is None:
        args.pop()
    if name == "get_query_for_keys" and len(args) == 1:
        args, options = [*args, options], {}
    listed = options.pop("list", None)
    if name == "get_filtered_columns":
        result = db.get_filtered_columns(*args)
        assert (list(result) if listed else result) == wanted
        return
    if name == "get_keys" and "allkeys" in options:
        options = {"allkeys": True}
    result = getattr(db, name)(*args, **options)
    assert result == wanted


@pytest.mark.parametrize("case", vectors("db-operators"))
def test_operators(case):
    described = {"id": {"primary": 1}, "c": {"type": case["type"]}}
    made = Codec(build("t", described), lenient=True)
    where = prepare.select_where(made, "select", {"c": case["query"]}, {"ops": {"c": case["op"]}})
    match = matcher(where, made.table)
    assert [match({"id": "1", "c": value}) for value in case["values"]] == case.wanted()
