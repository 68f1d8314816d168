"""Packed keys, printed keys, escaped names, and conditions as ranges of keys."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bkjs.db.conditions.match import matcher
from bkjs.db.conditions.order import sort_key, sort_rows
from bkjs.db.contract import Condition, Group, Order
from bkjs.db.keys import (
    by_key,
    escape,
    pack,
    prefix_end,
    printed,
    unescape,
    unpack,
    unprinted,
)
from bkjs.db.tables.described import build

NUMBERS = st.one_of(
    st.integers(),
    st.integers(-3, 3),
    st.integers(-(10**400), 10**400),
    st.floats(allow_nan=False),
    st.booleans(),
    st.integers(2**53 - 3, 2**53 + 3).map(float),
)
CHARS = st.one_of(
    st.characters(exclude_categories=()), st.sampled_from("\0\1\2\x7f|\ud800\udfff\U0010ffff")
)
TEXTS = st.text(CHARS)
BYTES = st.one_of(st.binary(), st.lists(st.sampled_from(b"\0\1\2\xff"), max_size=5).map(bytes))
KINDS = (NUMBERS, TEXTS, BYTES)


@st.composite
def pairs(draw: Any) -> tuple[list[Any], list[Any]]:
    """Two rows of values of the same columns, often with the same first ones."""
    columns = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=3))
    first = [draw(st.none() | column) for column in columns]
    same = draw(st.integers(0, len(columns)))
    second = [*first[:same], *(draw(st.none() | column) for column in columns[same:])]
    return first, second


def order_of(values: list[Any]) -> list[Any]:
    return [sort_key(value) for value in values]


@settings(max_examples=300)
@given(pairs())
@example(([-0.0], [0]))
@example(([2**53], [float(2**53 + 1)]))
@example(([10**400], [math.inf]))
@example(([-(10**400)], [-math.inf]))
@example(([5e-324], [0]))
@example((["a|b", "c"], ["a", "b|c"]))
@example((["a\0", "b"], ["a", "\0b"]))
@example((["a", "b"], ["a\0", ""]))
@example((["\ud7ff"], ["\ud800"]))
@example((["\uffff"], ["\U00010000"]))
def test_bytes_have_the_order_of_the_values_and_equal_ones_are_equal(pair):
    first, second = pair
    a, b = pack(first), pack(second)
    assert (a == b) == (first == second)
    assert (a < b) == (order_of(first) < order_of(second))


@given(pairs())
def test_values_come_back(pair):
    values = pair[0]
    assert unpack(pack(values)) == tuple(values)


@given(st.floats(allow_nan=False), st.booleans(), NUMBERS)
def test_kinds_bring_back_the_types(real, flag, number):
    got = unpack(pack([real, flag, None]), ["real", "bool", "int"])
    assert got == (real, flag, None)
    assert [type(value) for value in got] == [float, bool, type(None)]


@pytest.mark.parametrize("bits", [2**11, 62000, 63487, 63488, 70000, 200_000])
def test_numbers_of_any_size(bits):
    rows = [-(1 << bits), -(1 << bits) + 1, -1, 1, (1 << bits) - 1, 1 << bits, (1 << bits) + 1]
    packed = [pack([row]) for row in rows]
    assert packed == sorted(packed)
    assert [unpack(data)[0] for data in packed] == rows


@given(pairs())
def test_what_begins_with_the_first_values_is_one_range(pair):
    first, second = pair
    for size in range(len(first) + 1):
        start = pack(first[:size])
        end = prefix_end(start)
        inside = start <= pack(second) and (end is None or pack(second) < end)
        assert inside == (first[:size] == second[:size])
        assert pack(second).startswith(start) == inside


@pytest.mark.parametrize("char", ["a", "\1", "\xff", "中"])
def test_text_without_nul_takes_its_own_length_and_three_bytes(char):
    assert len(pack([char * 100])) == 100 * len(char.encode()) + 3


def test_a_table_ends_before_one_whose_name_begins_like_it():
    item, item2 = pack(["kit_item"]), pack(["kit_item2"])
    assert not item2.startswith(item)
    assert prefix_end(item) <= item2


@given(BYTES)
def test_the_end_of_a_prefix_is_behind_all_that_begins_with_it(prefix):
    end = prefix_end(prefix)
    if end is None:
        assert set(prefix) <= {255}
        return
    assert prefix + b"\xff" * 20 < end
    assert not end.startswith(prefix)


@pytest.mark.parametrize("value", [{}, [], (), object(), 1j])
def test_values_without_an_order_are_refused(value):
    with pytest.raises(TypeError, match=type(value).__name__):
        pack([value])


def test_what_is_no_number_is_refused():
    with pytest.raises(ValueError, match="NaN"):
        pack([math.nan])


@given(BYTES)
def test_bytes_that_are_no_key_are_refused(data):
    try:
        values = unpack(data)
    except ValueError:
        return
    assert unpack(pack(values)) == values


@given(BYTES, BYTES)
def test_printed_keys_have_the_same_order(first, second):
    a, b = printed(first), printed(second)
    assert (a < b, a == b) == (first < second, first == second)
    assert unprinted(a) == first
    assert a.isascii()
    assert a.isprintable()
    assert " " not in a


@given(st.text(), st.text(), st.sampled_from(["", ".$", "^", "|: /*", "\0\xff"]))
def test_escaped_names_stay_different(first, second, chars):
    a, b = escape(first, chars), escape(second, chars)
    assert (a == b) == (first == second)
    assert unescape(a) == first
    assert not set(a) & set(chars)


@pytest.mark.parametrize("chars", ["0", "af", "é中"])
def test_characters_that_cannot_be_escaped_are_refused(chars):
    with pytest.raises(ValueError, match="cannot escape"):
        escape("x", chars)


# -- ranges --------------------------------------------------------------------------------------

T = build(
    "ranged",
    {
        "a": {"primary": 1},
        "b": {"type": "int", "primary": 2},
        "c": {"primary": 3},
        "x": {"type": "int", "index": 1},
        "y": {"index": 2},
        "z": {"type": "real"},
    },
)
VALUES: dict[str, list[Any]] = {
    "a": ["a", "ab", "a\0", "b", "é", ""],
    "b": [-2, -1, 0, 1, 2, 2**70],
    "c": ["x", "xy", "y", "\0", "\1", ""],
    "x": [-1, 0, 1],
    "y": ["u", "uu", "v"],
    "z": [-0.5, 0.0, 1.5],
}
NULLABLE = ("x", "y", "z")


@st.composite
def conditions(draw: Any) -> Condition:
    column = draw(st.sampled_from([*VALUES, "a", "a", "b", "x"]))
    values = st.sampled_from(VALUES[column])
    ops = ["eq", "eq", "ne", "gt", "ge", "lt", "le", "between", "in", "not in", "null"]
    op = draw(st.sampled_from([*ops, "begins_with", "begins_with"] if column in "acy" else ops))
    if op == "between":
        return Condition(column, op, (draw(values), draw(values)))
    if op.endswith("in"):
        return Condition(column, op, draw(st.lists(values, min_size=1, max_size=3)))
    return Condition(column, op, None if op == "null" else draw(values))


@st.composite
def groups(draw: Any) -> Group:
    items: list[Any] = draw(st.lists(conditions(), max_size=3))
    if draw(st.integers(0, 3)) == 3:
        nested = tuple(draw(st.lists(conditions(), max_size=2)))
        items.append(Group(draw(st.sampled_from(["AND", "OR"])), nested))
    return Group(draw(st.sampled_from(["AND", "AND", "AND", "OR"])), tuple(items))


ROWS = st.fixed_dictionaries(
    {
        name: st.sampled_from([*values, None] if name in NULLABLE else values)
        for name, values in VALUES.items()
    }
)


@settings(max_examples=300)
@given(groups(), st.lists(ROWS, max_size=30), st.sampled_from([None, "x_y"]))
def test_range_and_rest_are_all_conditions(where, rows, index):
    if index:
        index = next(iter(T.indexes))
    found = by_key(T, where, index)
    spans = found.spans(b"prefix")
    assert spans == sorted(spans, key=lambda span: span[0])
    rest = matcher(found.rest, T)
    for row in rows:
        key = b"prefix" + pack(row[name] for name in found.columns)
        hits = sum(start <= key and (end is None or key < end) for start, end in spans)
        assert hits <= 1
        assert bool(hits and rest(row)) == matcher(where, T)(row)


OPS = ("eq", "gt", "ge", "lt", "le", "between", "in", "begins_with", "ge lt", "gt le")


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize(("before", "name"), [((), "a"), (("a",), "b"), ((), "x"), (("x",), "y")])
def test_each_condition_is_its_range(op, before, name):
    index = next(iter(T.indexes)) if name in "xy" else None
    values, others = VALUES[name], [VALUES[n][1] for n in before]
    equal = [Condition(n, "eq", value) for n, value in zip(before, others, strict=True)]
    if op == "begins_with" and name in "bx":
        return
    for low in values:
        for high in values:
            pair = op in ("between", "in")
            items = [Condition(name, op, (low, high) if op == "between" else [low, high])]
            if not pair:
                ops = zip(op.split(), (low, high), strict=False)
                items = [Condition(name, one, value) for one, value in ops]
            where = Group("AND", (*equal, *items))
            found = by_key(T, where, index)
            assert found.rest.items == ()
            for value in (*values, None):
                for other in {VALUES[n][0] for n in before} | {*others}:
                    row = {name: value, **dict.fromkeys(before, other)}
                    if value is None and name in T.keys:
                        continue
                    for more in (b"", pack([None]), pack(["\U0010ffff"])):
                        key = pack([*(row[n] for n in before), value]) + more
                        hit = any(s <= key and (e is None or key < e) for s, e in found.spans())
                        assert hit == matcher(where, T)(row), (items, row)


@given(groups())
def test_what_is_taken_depends_on_the_shape_only(where):
    def other(group: Group) -> Group:
        return Group(
            group.join,
            tuple(other(i) if isinstance(i, Group) else Condition(*i[:2]) for i in group.items),
        )

    found, shape = by_key(T, where), by_key(T, other(where))
    assert len(found.equal) == len(shape.equal)
    assert [c[:2] for c in found.range] == [c[:2] for c in shape.range]
    assert other(found.rest) == shape.rest


def test_conditions_of_one_partition():
    where = Group(
        "AND",
        (
            Condition("b", "ge", 1),
            Condition("a", "eq", "o"),
            Condition("z", "gt", 0),
            Condition("b", "lt", 5),
            Condition("b", "lt", 4),
        ),
    )
    found = by_key(T, where)
    assert found.equal == ("o",)
    assert found.range == (Condition("b", "ge", 1), Condition("b", "lt", 5))
    assert found.rest.items == (Condition("z", "gt", 0), Condition("b", "lt", 4))


def test_text_conditions_on_other_kinds_are_no_range():
    where = Group("AND", (Condition("a", "eq", "x"), Condition("b", "begins_with", "1")))
    assert by_key(T, where).range == ()


SORTS = st.lists(
    st.builds(Order, st.sampled_from(list("abcz")), st.booleans()),
    max_size=4,
    unique_by=lambda order: order.column,
)


@settings(max_examples=200)
@given(groups(), SORTS, st.lists(ROWS, max_size=20, unique_by=lambda r: (r["a"], r["b"], r["c"])))
def test_an_order_that_is_claimed_is_the_order_of_the_keys(where, sort, rows):
    found = by_key(T, where)
    way = found.descending(sort)
    if way is None:
        return
    inside = [row for row in rows if matcher(where, T)(row)]
    inside.sort(key=lambda row: pack(row[name] for name in T.keys), reverse=way)
    wanted = list(inside)
    sort_rows(wanted, sort)
    assert [[r[o.column] for o in sort] for r in inside] == [
        [r[o.column] for o in sort] for r in wanted
    ]


@pytest.mark.parametrize(
    ("equal", "sort", "way"),
    [
        ([], "a", False),
        ([], "a,b,c", False),
        ([], "-a,-b", True),
        ([], "-a,b", None),
        ([], "b", None),
        ([], "a,c", None),
        (["a"], "b,c", False),
        (["a"], "-b,-c", True),
        (["a"], "-a,b", False),
        (["a"], "z", None),
        (["a", "b", "c"], "z", False),
        ([], "", False),
    ],
)
def test_orders_that_keys_have(equal, sort, way):
    where = Group("AND", tuple(Condition(name, "eq", VALUES[name][0]) for name in equal))
    orders = [Order(n.lstrip("-"), n[0] == "-") for n in sort.split(",") if n]
    assert by_key(T, where).descending(orders) is way
    behind = [*orders, Order("x"), Order("y"), Order("z")]
    assert by_key(T, where).descending(behind[:4], whole=False) is None
    if len(orders) + len(equal) <= 3 and sort != "z":
        assert by_key(T, where).descending(orders, whole=False) is way
