"""What conditions mean: whether a stored row meets them, decided in memory.

`matcher` is the truth table: whatever a database cannot evaluate itself is decided here, and the
conformance kit holds every driver to the same answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, Literal

from orjson import JSONDecodeError

from bkjs.db.contract import Column, Condition, Group, Request, Row, Table
from bkjs.db.operators import TEXT_TESTS
from bkjs.db.tables.columns import item_text, separator
from bkjs.db.tables.types import is_list
from bkjs.db.tables.values import date_text, equal_json, json_value, read_decimal
from bkjs.errors import BadRequest
from bkjs.lib.convert import str_split
from bkjs.lib.patterns import compile_linear
from bkjs.lib.wildcards import fold, like
from bkjs.lib.wire import to_text

from .build import fold_group

Match = Callable[[Row], bool]
Test = Callable[[Any], bool]


_TEXTS: Final[Mapping[str, Callable[[Any], str]]] = {
    "decimal": lambda value: format(read_decimal(value), "f"),
    "date": lambda value: date_text(value) if isinstance(value, datetime) else to_text(value),
}
"""What looks into a text finds of values that drivers store in more than one way."""


def matcher(group: Group, table: Table, *, nested: bool = True) -> Match:
    """Whether a stored row meets the conditions; without `nested` its columns of JSON, and values
    for them, are texts."""
    decode = _as_it_is if nested else _parsed
    return fold_group(group, lambda condition: _row_test(condition, table, decode), _joined)


def _as_it_is(value: Any) -> Any:
    return value


def _parsed(text: Any) -> Any:
    try:
        return json_value(text)
    except JSONDecodeError:  # the column is somebody else's
        return None


def _joined(join: Literal["AND", "OR"], tests: list[Match]) -> Match:
    if len(tests) == 1:
        return tests[0]
    if join == "OR":
        return lambda row: any(test(row) for test in tests)
    return (lambda row: all(test(row) for test in tests)) if tests else lambda row: True


def as_expected(req: Request, row: Row | None) -> bool:
    """Whether the stored row with the key of a write, None when there is none, is as expected."""
    expected = req.expected
    if isinstance(expected, Group):
        return row is not None and matcher(expected, req.table)(row)
    return expected is None or row is None


def _row_test(item: Condition, table: Table, decode: Callable[[Any], Any]) -> Match:
    name = item.column
    if item.op == "null":
        return lambda row: row.get(name) is None
    if item.op == "not null":
        return lambda row: row.get(name) is not None
    column = table.columns.get(name)
    json = column is not None and column.kind == "json"
    test = _json_test(item, decode) if json else value_test(item.op, item.value)
    if column is not None and is_list(column) and item.op.endswith("contains"):
        test = _member_test(column, item)
    elif column is not None and column.kind == "list":
        if item.op != "eq" or not isinstance(item.value, (list, tuple)):  # a whole list, unchanged
            test = _list_test(column, test)
    elif column is not None and item.op in TEXT_TESTS and column.kind in _TEXTS:
        test, as_text = value_test(item.op, item.value), _TEXTS[column.kind]

        def match_text(row: Row) -> bool:
            value = row.get(name)
            return value is not None and test(as_text(value))

        return match_text

    def match(row: Row) -> bool:
        value = row.get(name)
        return value is not None and test(value)

    return match


def _json_test(item: Condition, decode: Callable[[Any], Any]) -> Test:
    """Values of JSON are compared as such, however they are stored; `contains` asks for an item of
    a list that holds nothing else."""
    op = item.op.removeprefix("not ")
    negate = (op == "ne") is not item.op.startswith("not ")
    if op == "contains":

        def contains(value: Any) -> bool:
            found = decode(value)
            within = isinstance(found, list) and any(
                not isinstance(one, _NESTED) and item_text(one) == item.value for one in found
            )
            return within is not negate

        return contains
    wanted = [decode(one) for one in (item.value if op == "in" else [item.value])]
    plain = {_scalar(one) for one in wanted if not isinstance(one, _NESTED)}
    nested = [(one, equal_json(one)) for one in wanted if isinstance(one, _NESTED)]

    def equals(value: Any) -> bool:
        found = decode(value)
        if not isinstance(found, _NESTED):
            return (_scalar(found) in plain) is not negate
        # true is 1 in Python, at any depth: what looks equal is looked at once more
        same = any(found == one and equal_json(found) == text for one, text in nested)
        return same is not negate

    return equals


_NESTED = (dict, list)


def _scalar(value: Any) -> tuple[bool, Any]:
    return isinstance(value, bool), value


def _list_test(column: Column, test: Test) -> Test:
    """A list is compared as the text that it is where a database has no lists."""
    by = separator(column, ",")

    def test_text(value: Any) -> bool:
        return test(by.join(map(item_text, value)) if isinstance(value, (list, tuple)) else value)

    return test_text


def _member_test(column: Column, item: Condition) -> Test:
    """`contains` of a list column asks for a whole item, however the list is stored."""
    by, wanted, negate = column.props.get("separator"), item.value, item.op.startswith("not ")

    def test(value: Any) -> bool:
        return (wanted in map(item_text, str_split(value, by))) is not negate

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
            prefix = fold(to_text(value))
            return lambda stored: fold(to_text(stored)).startswith(prefix)
        case "contains":
            return lambda stored: (
                value in (stored if isinstance(stored, (list, tuple)) else to_text(stored))
            )
        case "like":
            fits = like(to_text(value))
            return lambda stored: fits(to_text(stored))
        case "ilike":
            fits = like(fold(to_text(value)))
            return lambda stored: fits(fold(to_text(stored)))
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


def pattern_test(pattern: Any, *, ignore_case: bool = False) -> Test:
    """Whether a regular expression is found in a value; linear time where re2 is installed."""
    source = to_text(pattern)
    search = compile_linear(source, ignore_case=ignore_case).search

    def test(stored: Any) -> bool:
        try:
            return search(to_text(stored)) is not None
        except UnicodeEncodeError:  # a lone surrogate, which is no text for re2
            return False

    return test
