"""Tables, rows and requests of the conformance tests for database drivers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bkjs.db.contract import ALL, Change, Condition, Group, Order, Request, Row, Table
from bkjs.db.tables.described import build

TABLES: dict[str, dict[str, dict[str, Any]]] = {
    "kit_item": {
        "id": {"primary": 1},
        "num": {"type": "int"},
        "name": {},
        "price": {"type": "real"},
        "tag": {},
    },
    "kit_pair": {
        "owner": {"primary": 1},
        "pos": {"type": "int", "primary": 2},
        "note": {},
        "rank": {"type": "int", "index": 1},
    },
    "kit_kinds": {
        "id": {"primary": 1},
        "flag": {"type": "bool"},
        "big": {"type": "bigint"},
        "real": {"type": "real"},
        "at": {"type": "timestamp"},
        "stamp": {"type": "mtime"},
        "doc": {"type": "json"},
        "obj": {"type": "obj"},
        "arr": {"type": "array"},
        "words": {"type": "list"},
        "text": {"type": "text"},
    },
    "kit_value": {
        "id": {"primary": 1},
        "whole": {"type": "int"},
        "real": {"type": "real"},
        "exact": {"type": "decimal"},
        "flag": {"type": "bool"},
        "at": {"type": "timestamp"},
        "stamp": {"type": "mtime"},
        "day": {"type": "date"},
        "doc": {"type": "json"},
        "obj": {"type": "obj"},
        "arr": {"type": "array"},
        "words": {"type": "list"},
        "text": {},
        "mail": {"type": "email"},
        "raw": {"type": "bytes"},
        "likes": {"type": "counter"},
    },
    "kit_ttl": {
        "id": {"primary": 1},
        "num": {"type": "int"},
        "count": {"type": "counter"},
        "end": {"type": "int", "ttl": 1},
    },
    "kit_ttl_ms": {
        "id": {"primary": 1},
        "num": {"type": "int"},
        "end": {"type": "mtime", "ttl": 1},
    },
    "kit_ttl_at": {
        "id": {"primary": 1},
        "num": {"type": "int"},
        "end": {"type": "timestamp", "ttl": 1},
    },
    "kit_dated": {
        "day": {"type": "date", "primary": 1},
        "exact": {"type": "decimal", "primary": 2},
        "note": {},
    },
    "kit_count": {
        "id": {"primary": 1},
        "likes": {"type": "counter"},
        "total": {"type": "int"},
        "words": {"type": "list"},
        "name": {},
    },
    "kit_list": {
        "id": {"primary": 1},
        "words": {"type": "list"},
        "nums": {"type": "list", "datatype": "int"},
        "parts": {"type": "list", "separator": "|"},
        "times": {"type": "list", "datatype": "timestamp"},
    },
    "kit_unique": {
        "id": {"primary": 1},
        "mail": {"unique": 1},
        "kind": {"unique1": 1},
        "num": {"type": "int", "unique1": 2},
    },
    "kit_made": {
        "id": {"type": "uuid", "primary": 1, "prefix": "k_"},
        "status": {"value": "ok"},
        "ctime": {"type": "now", "readonly": 1},
        "mtime": {"type": "now"},
    },
    # a table whose name begins like another one, with columns named like parts of a language
    "kit_item2": {
        "id": {"primary": 1},
        "select": {},
        "order": {"type": "int"},
        "from": {},
        "Mixed": {},
    },
}

ITEMS: list[Row] = [
    {"id": "a", "num": 1, "name": "alpha", "price": 1.5, "tag": "x"},
    {"id": "b", "num": 2, "name": "Beta", "price": 2.5, "tag": "x"},
    {"id": "c", "num": 3, "name": "alphabet", "price": 3.5, "tag": "y"},
    {"id": "d", "num": 10, "name": "100%_gamma", "price": 0.0, "tag": "y"},
    {"id": "e", "num": 0, "name": "délta", "price": None, "tag": None},
    {"id": "f", "num": -5, "name": None, "price": -1.25, "tag": "X"},
]
"""Rows of `kit_item` with nulls, zeros, mixed case, wildcards and letters beyond ASCII."""

CONDITIONS: list[tuple[str, str, Any, str]] = [
    ("num", "eq", 2, "b"),
    ("num", "eq", 0, "e"),
    ("num", "ne", 2, "acdef"),
    ("num", "gt", 2, "cd"),
    ("num", "ge", 2, "bcd"),
    ("num", "lt", 0, "f"),
    ("num", "le", 0, "ef"),
    ("num", "between", (1, 3), "abc"),
    ("num", "not between", (1, 3), "def"),
    ("num", "in", [1, 10, 99], "ad"),
    ("num", "not in", [1, 10, 99], "bcef"),
    ("price", "eq", 0.0, "d"),
    ("price", "lt", 2.0, "adf"),
    ("tag", "null", None, "e"),
    ("tag", "not null", None, "abcdf"),
    ("tag", "eq", "x", "ab"),
    ("tag", "ne", "x", "cdf"),
    ("name", "lt", "a", "bd"),
    ("name", "gt", "alpha", "ce"),
    ("name", "begins_with", "al", "ac"),
    ("name", "begins_with", "AL", ""),
    ("name", "begins_with", "100%_", "d"),
    ("name", "not begins_with", "al", "bde"),
    ("name", "ilike%", "BE", "b"),
    ("name", "not ilike%", "BE", "acde"),
    ("name", "contains", "pha", "ac"),
    ("name", "contains", "%", "d"),
    ("name", "contains", "_", "d"),
    ("name", "not contains", "ph", "bde"),
    ("name", "like", "alph_", "a"),
    ("name", "like", "alph%", "ac"),
    ("name", "like", "100\\%\\_%", "d"),
    ("name", "not like", "alph%", "bde"),
    ("name", "ilike", "BET_", "b"),
    ("name", "not ilike", "BET_", "acde"),
    ("name", "regexp", "^a.*t$", "c"),
    ("name", "not regexp", "^a", "bde"),
    ("name", "iregexp", "^BE", "b"),
    ("name", "not iregexp", "^BE", "acde"),
]
"""`(column, operator, value, ids of the rows that match)`: every operator at least once."""

HOSTILE = (
    "nosuch",
    "id; DROP TABLE kit_item",
    'id" OR "1"="1',
    "id` --",
    "id'",
    "$where",
    "__class__",
    "constructor",
    "id.name",
    "id\0",
    "*",
    "1=1",
    "id desc, (select 1)",
)
"""Names that must never reach the database as a column, operator, sort or table."""

UGLY_KEYS = (
    "a|b", "a^b", "a:b", "a*", "a_", "a%", "a\\b", "a'b", 'a"b', "a b", "a/b", "a.b", "$a",
    "é中😀", "A", "a", "null", "0", "true", "[]",
)  # fmt: skip


def table(name: str) -> Table:
    """The described table."""
    return build(name, TABLES[name])


def request(verb: str, name: str, **fields: Any) -> Request:
    """A request for a driver; `key` is taken out of `values` when it is not given."""
    described = table(name)
    values = fields.get("values")
    if values is not None and "key" not in fields:
        fields["key"] = {key: values[key] for key in described.keys}
    return Request(verb=verb, table=described, **fields)


def where(*conditions: Condition | Group) -> Group:
    """All of these conditions; none match every row."""
    return Group("AND", conditions) if conditions else ALL


def sets(**values: Any) -> list[Change]:
    """Changes that set these columns."""
    return [Change(name, "set", value) for name, value in values.items()]


def order(*names: str) -> tuple[Order, ...]:
    """Sort columns; a leading `-` means descending."""
    return tuple(Order(name.removeprefix("-"), name.startswith("-")) for name in names)


def ids(rows: list[Row] | Any) -> str:
    """The sorted ids of rows as one text."""
    return "".join(sorted(str(row["id"]) for row in rows))


def clean(row: Mapping[str, Any] | None) -> Row | None:
    """A row without its nulls, which a driver may leave out."""
    return None if row is None else {n: v for n, v in row.items() if v is not None}
