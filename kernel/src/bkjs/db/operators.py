"""The names of operators: aliases, what kinds of value they take, and the check of a name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bkjs.errors import BadRequest
from bkjs.lib.text import near
from bkjs.lib.wire import to_text

from .contract import NATIVE_OPERATORS, OPERATORS

ALIASES: Final[Mapping[str, str]] = {
    "": "eq", "=": "eq", "==": "eq", "!=": "ne", "<>": "ne",
    ">": "gt", ">=": "ge", "<": "lt", "<=": "le",
    "not_in": "not in", "not_between": "not between", "not_null": "not null",
    "like%": "begins_with", "not like%": "not begins_with", "not_begins_with": "not begins_with",
    "not_contains": "not contains", "not_like": "not like", "not_ilike": "not ilike",
    "~": "regexp", "!~": "not regexp", "~*": "iregexp", "!~*": "not iregexp",
    "not_regexp": "not regexp", "not_iregexp": "not iregexp",
}  # fmt: skip
"""Other names of operators; anything else is canonical or unknown."""

LISTS: Final = frozenset({"in", "not in", "between", "not between"})
NULLS: Final = frozenset({"null", "not null"})
WHOLE: Final = frozenset({"eq", "ne", "in", "not in", "contains", "not contains"}) | NULLS
"""What a column of JSON has: values are compared as a whole, or asked for as items of a list."""
ORDERS: Final = frozenset({"gt", "ge", "lt", "le"})
PATTERNS: Final = frozenset({"regexp", "not regexp", "iregexp", "not iregexp"})
TEXT_TESTS: Final = PATTERNS | NATIVE_OPERATORS | {
    "begins_with", "not begins_with", "ilike%", "not ilike%", "contains", "not contains",
    "like", "not like", "ilike", "not ilike",
}  # fmt: skip


def operator(name: Any, column: str, ops_map: Mapping[str, str] | None = None) -> str:
    """The canonical operator; raises BadRequest that names the column and an unknown one."""
    text = to_text(name).strip().lower() if name is not None else ""
    if ops_map and text in ops_map:
        text = str(ops_map[text]).strip().lower()
    found = ALIASES.get(text, text)
    if found not in OPERATORS and found not in NATIVE_OPERATORS:
        hint = near(text[:32], (*OPERATORS, *ALIASES))
        raise BadRequest(f"{column}: unknown operator {text[:32]!r}{hint}", field=column)
    return found
