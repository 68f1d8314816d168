"""Tables, rows and requests of the conformance tests for database drivers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
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
    # the first column of the key is the second that is described
    "kit_path": {
        "name": {"primary": 2},
        "note": {},
        "folder": {"primary": 1},
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
        "raw": {"type": "bytes"},
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

EDGES: list[Row] = [
    {"id": "a", "num": 2**53, "name": "", "tag": "x"},
    {"id": "b", "num": 2**53 + 1, "name": None, "tag": None},
    {"id": "c", "num": -(2**53) - 1, "name": "a\nb", "tag": "\ud7ff"},
    {"id": "d", "num": None, "name": "DÉLTA", "tag": "\ue000"},
    {"id": "e", "num": 7, "name": "délta", "tag": "\U0010ffff"},
    {"id": "f", "num": 2**60, "name": "xay", "tag": "am"},
    {"id": "g", "num": 0, "name": "al", "tag": "al"},
]
"""Rows of `kit_item` where engines differ: beyond the digits of a double, empty, of several lines,
in two cases, outside the plane where most letters are."""

EDGE_CONDITIONS: list[tuple[str, str, Any, str]] = [
    ("num", "eq", 2**53, "a"),
    ("num", "eq", 2**53 + 1, "b"),
    ("num", "gt", 2**53, "bf"),
    ("num", "in", [*range(1000, 1200), 2**53 + 1, 7], "be"),
    ("num", "not in", [*range(1000, 1200), 2**53 + 1, 7], "acfg"),
    ("num", "ne", 7, "abcfg"),
    ("name", "null", None, "b"),
    ("name", "not null", None, "acdefg"),
    ("name", "not in", ["", "al"], "cdef"),
    ("name", "ne", "al", "acdef"),
    ("name", "ge", "a", "cefg"),
    ("name", "not between", ["a", "b"], "adef"),
    ("name", "like", "a%b", "c"),
    ("name", "like", "a_b", "c"),
    ("name", "not like", "a%", "adef"),
    ("name", "regexp", "a", "cefg"),
    ("name", "regexp", "^b", ""),
    ("name", "iregexp", "L", "deg"),
    ("name", "not regexp", "a", "ad"),
    ("name", "ilike", "Délta", "de"),
    ("name", "ilike%", "dÉ", "de"),
    ("name", "contains", "A", "d"),
    ("name", "not contains", "a", "ad"),
    ("name", "begins_with", "DÉ", "d"),
    ("tag", "begins_with", "al", "g"),
    ("tag", "gt", "\ud7ff", "de"),
    ("tag", "gt", "\ue000", "e"),
    ("tag", "lt", "\U0010ffff", "acdfg"),
    ("tag", "between", ["\ud7ff", "\ue000"], "cd"),
]
"""`(column, operator, value, ids of the rows of EDGES that match)`."""

PAIRS: list[Row] = [
    {"owner": owner, "pos": pos, "note": note, "rank": pos % 2}
    for owner in ("a", "a|b", "ab")
    for pos, note in ((-1, "x"), (2, "xy"), (3, None), (10, "y"))
]
PAIR_CONDITIONS: list[tuple[list[tuple[str, str, Any]], list[int]]] = [
    ([("owner", "eq", "a")], [0, 1, 2, 3]),
    ([("owner", "eq", "a"), ("pos", "eq", 2)], [1]),
    ([("owner", "eq", "a"), ("pos", "in", [2, 10, 99])], [1, 3]),
    ([("owner", "eq", "a"), ("pos", "ne", 2)], [0, 2, 3]),
    ([("owner", "eq", "a"), ("pos", "not in", [2, 3])], [0, 3]),
    ([("owner", "eq", "a"), ("pos", "between", [-1, 3])], [0, 1, 2]),
    ([("owner", "eq", "a"), ("pos", "not between", [0, 3])], [0, 3]),
    ([("owner", "eq", "a"), ("pos", "gt", 2), ("pos", "lt", 10)], [2]),
    ([("owner", "eq", "a"), ("note", "begins_with", "x")], [0, 1]),
    ([("owner", "eq", "a"), ("pos", "ge", 2), ("note", "null", None)], [2]),
    ([("owner", "in", ["a", "ab"])], [0, 1, 2, 3, 8, 9, 10, 11]),
    ([("owner", "in", ["a|b"]), ("pos", "in", [2])], [5]),
    ([("owner", "begins_with", "a|")], [4, 5, 6, 7]),
    ([("owner", "ne", "a"), ("pos", "lt", 0)], [4, 8]),
    ([("owner", "gt", "a"), ("rank", "eq", 0), ("pos", "gt", 2)], [7, 11]),
    ([("pos", "eq", 3)], [2, 6, 10]),
    ([("pos", "in", [10, 2]), ("note", "eq", "y")], [3, 7, 11]),
]
"""Conditions on `kit_pair`, and which rows of PAIRS match all of them."""

PATHS: list[Row] = [
    {"folder": "a", "name": "b|c", "note": "1"},
    {"folder": "a|b", "name": "c", "note": "2"},
    {"folder": "a", "name": "b", "note": "3"},
    {"folder": "b", "name": "a", "note": "4"},
    {"folder": "ab", "name": "c", "note": "5"},
    {"folder": "a", "name": "bc", "note": "6"},
    {"folder": "a\\", "name": "|c", "note": "7"},
    {"folder": 'a","', "name": "c", "note": "8"},
    {"folder": "a", "name": '","c', "note": "9"},
]
"""Rows of `kit_path`: keys that are easily taken for one another."""
PATH_CONDITIONS: list[tuple[list[tuple[str, str, Any]], str]] = [
    ([("folder", "eq", "a")], "1369"),
    ([("folder", "eq", "a"), ("name", "begins_with", "b")], "136"),
    ([("folder", "eq", "a"), ("name", "ne", "b")], "169"),
    ([("folder", "eq", "a"), ("name", "in", ["b", "c", "bc"])], "36"),
    ([("folder", "eq", "a"), ("name", "between", ["b", "bc"])], "36"),
    ([("folder", "eq", "a"), ("name", "gt", "b"), ("note", "ne", "6")], "1"),
    ([("folder", "in", ["a|b", "ab"])], "25"),
    ([("folder", "begins_with", "a|")], "2"),
    ([("name", "eq", "c")], "258"),
]
"""Conditions on `kit_path`, and the notes of the rows of PATHS that match all of them."""

VALUES: list[Row] = [
    {},
    *(
        {
            "real": number / 3,
            "exact": Decimal(number) / 7,
            "flag": number > 2,
            "at": datetime(2024, 2, 28, 23, 59, number, 5 * number, tzinfo=UTC),
            "stamp": 1_700_000_000_000 + number,
            "day": date(2024, 2, 27 + number),
            "text": "äé中😀"[number],
            "raw": bytes([number, 255, 0]),
        }
        for number in (0, 2, 1, 2)
    ),
]
"""Rows of `kit_value` without their keys: one of nulls, two that are alike."""

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
    "é中😀", "A", "a", "null", "0", "true", "[]", "a ", " a", "a\tb", "a\r\nb", "a\nb", "é",
    "e\u0301",
    "007", "7", "7.0", "1e3", "1000", "None", "k" * 255, "k" * 256, "k" * 300, "k" * 299 + "l",
    "..",
    "a#b", "a?b", "a&b=c", "a=b", "a,b", "a;b", "~a", "-a", "+a", "{a}", "[a]", "a\u2028b",
    "\ufeffa", "😀",
    "\ue000", "𝒶", "_a", "__a", "a\x7f", "a\x1f", "ß", "ss", "İ", "i",
)  # fmt: skip


UGLY_TEXTS = (
    *UGLY_KEYS, "", " ", "\r\n", "a\r", "\n", "a" * 255 + " ", "x" * 70_000, "é" * 5000,
    "true ", "-0",
    "0x10", "2024-01-01", "2024-01-01T00:00:00Z", "a\\", "\\0", "%s", "${a}", "null ",
    '{"a":1}', "[1]",
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
