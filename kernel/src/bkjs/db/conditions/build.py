"""Query conditions: operators and their other names, groups, and their meaning in memory.

`matcher` is the truth table: whatever a database cannot evaluate itself is decided here, and the
conformance kit holds every driver to the same answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal

from bkjs.db.contract import (
    ALL,
    NATIVE_OPERATORS,
    OPERATORS,
    Column,
    Condition,
    Group,
    Order,
    Row,
    Shape,
    Table,
)
from bkjs.db.tables import types as convert
from bkjs.errors import BadRequest
from bkjs.lib.convert import str_split, str_split_unique, to_value
from bkjs.lib.wire import to_text

try:
    import re2  # linear time whatever the pattern: patterns may come from clients
except ImportError:
    re2 = None

_PatternError: type[Exception] = re.error if re2 is None else re2.error

Match = Callable[[Row], bool]
Test = Callable[[Any], bool]

NEVER: Final = Group("OR")
"""Matches nothing: an alternative of no conditions."""

ALIASES: Final[Mapping[str, str]] = {
    "": "eq", "=": "eq", "==": "eq", "!=": "ne", "<>": "ne",
    ">": "gt", ">=": "ge", "<": "lt", "<=": "le",
    "not_in": "not in", "not_between": "not between", "not_null": "not null",
    "like%": "begins_with", "not like%": "not begins_with", "not_begins_with": "not begins_with",
    "not_contains": "not contains", "not_like": "not like", "not_ilike": "not ilike",
    "~": "regexp", "!~": "not regexp", "~*": "iregexp", "!~*": "not iregexp",
    "not_regexp": "not regexp", "not_iregexp": "not iregexp",
}  # fmt: skip

LISTS: Final = frozenset({"in", "not in", "between", "not between"})
NULLS: Final = frozenset({"null", "not null"})
ORDERS: Final = frozenset({"gt", "ge", "lt", "le"})
PATTERNS: Final = frozenset({"regexp", "not regexp", "iregexp", "not iregexp"})
TEXT_TESTS: Final = PATTERNS | NATIVE_OPERATORS | {
    "begins_with", "not begins_with", "ilike%", "not ilike%", "contains", "not contains",
    "like", "not like", "ilike", "not ilike",
}  # fmt: skip

LONGEST_PATTERN: Final = 1000


def operator(name: Any, column: str, ops_map: Mapping[str, str] | None = None) -> str:
    """The canonical operator; raises BadRequest that names the column and an unknown one."""
    text = to_text(name).strip().lower() if name is not None else ""
    if ops_map and text in ops_map:
        text = str(ops_map[text]).strip().lower()
    found = ALIASES.get(text, text)
    if found not in OPERATORS and found not in NATIVE_OPERATORS:
        raise BadRequest(f"{column}: unknown operator {text[:32]!r}", field=column)
    return found


# -- from values and operators to groups -------------------------------------------------------


def operand(column: Column, op: str, value: Any, query: convert.Convert | None) -> Any:
    """The value of one condition in the column's type."""
    if op in NULLS:
        return value
    if op in LISTS:
        if value is None:
            return []
        if not isinstance(value, (list, tuple, set, frozenset)):
            if isinstance(value, str):
                kind = column.type if column.type not in ("list", "json", "obj", "array") else ""
                value = [to_value(item, kind) for item in str_split_unique(value, exact=True)]
            else:
                value = [value]
        return [query(item) for item in value] if query else list(value)
    if op in TEXT_TESTS:
        return _text_operand(column, op, value)
    return query(value) if query else value


def _text_operand(column: Column, op: str, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, (list, tuple)) and (op.endswith("contains") or op == "@@"):
        return [_text_operand(column, op, item) for item in value]
    text = to_text(value)
    if op in PATTERNS:
        return _checked_pattern(column.name, text)
    if column.props.get("lower"):
        return text.lower()
    return text.upper() if column.props.get("upper") else text


def condition(column: str, op: str | None, value: Any, *, keep_empty: bool = False) -> Group:
    """One condition as a group: `ALL` when it is dropped, `NEVER` when nothing can match.

    Without an operator a list means `in` and None means null. An empty text drops the condition.
    """
    if op is None:
        op = "in" if isinstance(value, (list, tuple, set, frozenset)) else "eq"
    if op in NULLS:
        return Group("AND", (Condition(column, op),))
    if value == "" and isinstance(value, str) and not keep_empty:
        return ALL
    if op in ("eq", "ne") and isinstance(value, (list, tuple, set, frozenset)):
        op = "in" if op == "eq" else "not in"
    if op in LISTS:
        return _list_condition(column, op, [item for item in value if item is not None])
    if value is None:
        if op in ("eq", "ne"):
            return Group("AND", (Condition(column, "null" if op == "eq" else "not null"),))
        return NEVER
    if op in ORDERS and isinstance(value, (list, tuple, dict)):
        raise BadRequest(f"{column}: {op} needs one value", field=column)
    if isinstance(value, list) and op != "@@":  # contains: all of them
        return join_groups("AND", [condition(column, op, item) for item in value])
    return Group("AND", (Condition(column, op, value),))


def _list_condition(column: str, op: str, items: list[Any]) -> Group:
    if op.endswith("between"):
        if len(items) == 1:
            return condition(column, "eq" if op == "between" else "ne", items[0])
        if not items:
            return NEVER
        return Group("AND", (Condition(column, op, (items[0], items[1])),))
    if not items:
        return NEVER if op == "in" else ALL
    return Group("AND", (Condition(column, op, items),))


def join_groups(join: Literal["AND", "OR"], groups: Iterable[Group]) -> Group:
    """Groups joined into one, as flat as it can be; dropped ones (`ALL`) do not count."""
    given = [group for group in groups if group != ALL]
    if join == "AND" and NEVER in given:
        return NEVER
    useful = [group for group in given if group != NEVER]
    if given and not useful:
        return NEVER
    if len(useful) == 1:
        return useful[0]
    items: list[Condition | Group] = []
    for group in useful:
        items += group.items if group.join == join or len(group.items) == 1 else [group]
    return Group(join, tuple(items)) if items else ALL


def both(first: Group, second: Group) -> Group:
    return join_groups("AND", (first, second))


def leaves(group: Group) -> Iterable[Condition]:
    """Every condition of a group and of the groups in it."""
    for item in group.items:
        if isinstance(item, Group):
            yield from leaves(item)
        else:
            yield item


# -- evaluation --------------------------------------------------------------------------------


def matcher(group: Group, table: Table, shape: Shape) -> Match:
    """Whether a stored row meets the conditions."""
    if group == NEVER:
        return lambda row: False
    tests = [
        matcher(item, table, shape) if isinstance(item, Group) else _row_test(item, table, shape)
        for item in group.items
    ]
    if not tests:
        return lambda row: True
    if len(tests) == 1:
        return tests[0]
    if group.join == "AND":
        return lambda row: all(test(row) for test in tests)
    return lambda row: any(test(row) for test in tests)


def _row_test(item: Condition, table: Table, shape: Shape) -> Match:
    name = item.column
    if item.op == "null":
        return lambda row: row.get(name) is None
    if item.op == "not null":
        return lambda row: row.get(name) is not None
    test = value_test(item.op, item.value)
    column = table.columns.get(name)
    if column is not None and convert.is_list(column) and item.op.endswith("contains"):
        test = _member_test(column, item)

    def match(row: Row) -> bool:
        value = row.get(name)
        return value is not None and test(value)

    return match


def _member_test(column: Column, item: Condition) -> Test:
    """`contains` of a list column asks for a whole item, however the list is stored."""
    by, wanted, negate = column.props.get("separator"), item.value, item.op.startswith("not ")

    def test(value: Any) -> bool:
        return (wanted in [to_text(i) for i in str_split(value, by)]) is not negate

    return test


def value_test(op: str, value: Any) -> Test:
    """The meaning of an operator for a stored value that is not null."""
    if op.startswith("not "):
        positive = value_test(op[4:], value)
        return lambda stored: not positive(stored)
    match op:
        case "eq":
            return lambda stored: bool(stored == value)
        case "ne":
            return lambda stored: bool(stored != value)
        case "gt":
            return lambda stored: compare(stored, value) > 0
        case "ge":
            return lambda stored: compare(stored, value) >= 0
        case "lt":
            return lambda stored: compare(stored, value) < 0
        case "le":
            return lambda stored: compare(stored, value) <= 0
        case "between":
            low, high = value
            return lambda stored: compare(stored, low) >= 0 and compare(stored, high) <= 0
        case "in":
            return _one_of(value)
        case "begins_with":
            return lambda stored: to_text(stored).startswith(value)
        case "ilike%":
            prefix = to_text(value).lower()
            return lambda stored: to_text(stored).lower().startswith(prefix)
        case "contains":
            return lambda stored: (
                value in (stored if isinstance(stored, (list, tuple)) else to_text(stored))
            )
        case "like":
            search = like(value).fullmatch
            return lambda stored: search(to_text(stored)) is not None
        case "ilike":
            search = like(to_text(value).lower()).fullmatch
            return lambda stored: search(to_text(stored).lower()) is not None
        case "regexp" | "iregexp":
            return pattern_test(value, ignore_case=op == "iregexp")
    raise BadRequest(f"this database has no operator {op!r}")


def _one_of(values: Iterable[Any]) -> Test:
    items = list(values)
    try:
        known = frozenset(items)
    except TypeError:
        return lambda stored: stored in items
    return lambda stored: not isinstance(stored, (list, dict)) and stored in known


def compare(a: Any, b: Any) -> int:
    """Negative, 0 or positive; values of different kinds compare as text."""
    try:
        return int(a > b) - int(a < b)
    except TypeError:
        a, b = to_text(a), to_text(b)
        return int(a > b) - int(a < b)


def like(pattern: Any) -> re.Pattern[str]:
    """LIKE as a pattern: `%` any text, `_` any character, a backslash takes either literally."""
    parts = []
    escaped = False
    for char in to_text(pattern):
        if escaped or char not in "%_\\":
            parts.append(re.escape(char))
            escaped = False
        elif char == "\\":
            escaped = True
        else:
            parts.append(".*" if char == "%" else ".")
    return re.compile("".join(parts), re.S)


def pattern_test(pattern: Any, *, ignore_case: bool = False) -> Test:
    """Whether a regular expression is found in a value; linear time where re2 is installed."""
    source = to_text(pattern)
    search = _compile(f"(?i){source}" if ignore_case else source).search

    def test(stored: Any) -> bool:
        try:
            return search(to_text(stored)) is not None
        except UnicodeEncodeError:  # a lone surrogate, which is no text for re2
            return False

    return test


def _compile(source: str) -> Any:
    if re2 is None:
        return re.compile(source)
    options = re2.Options()
    options.log_errors = False
    return re2.compile(source, options)


def _checked_pattern(column: str, source: str) -> str:
    if len(source) > LONGEST_PATTERN:
        raise BadRequest(f"{column}: the pattern is too long", field=column)
    try:
        _compile(source)
    except (_PatternError, re.error, RecursionError, OverflowError, UnicodeError) as err:
        raise BadRequest(f"{column}: invalid pattern", field=column) from err
    return source


# -- order -------------------------------------------------------------------------------------


def sort_key(value: Any) -> tuple[bool, Any]:
    """Orders nulls before all values."""
    return (value is not None, _Text(value) if isinstance(value, (dict, list)) else value)


class _Text:
    """Values that have no order of their own compare as text."""

    __slots__ = ("text",)

    def __init__(self, value: Any) -> None:
        self.text = to_text(value)

    def __lt__(self, other: object) -> bool:
        return self.text < (other.text if isinstance(other, _Text) else to_text(other))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Text) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


def sort_rows(rows: list[Row], orders: Iterable[Order]) -> None:
    """Sort in place by several columns, nulls first, or last when descending."""
    for order in reversed(list(orders)):
        rows.sort(key=lambda row, name=order.column: sort_key(row.get(name)), reverse=order.desc)  # type: ignore[misc]


def after(orders: tuple[Order, ...], values: tuple[Any, ...]) -> Match:
    """Whether a row comes after these values of the sort columns."""

    def match(row: Row) -> bool:
        for order, value in zip(orders, values, strict=True):
            a, b = sort_key(row.get(order.column)), sort_key(value)
            if a != b:
                return b < a if not order.desc else a < b
        return False

    return match
