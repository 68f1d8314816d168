"""Conditions: values apart from structure, prefixes as ranges, and what comes after a row."""

import sqlite3
from contextlib import closing
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkjs.db.conditions.match import matcher
from bkjs.db.conditions.order import beyond, comes_after
from bkjs.db.contract import ALL, Condition, Group, Order
from bkjs.db.tables.described import build
from bkjs.errors import BadRequest
from bkjs_sql import Dialect
from bkjs_sql.where import (
    Draft,
    after_prefix,
    behind,
    by_key,
    condition,
    escape_like,
    outline,
    padded,
    where,
)

T = build(
    "t",
    {
        "id": {"primary": 1},
        "num": {"type": "int"},
        "name": {},
        'odd`name" {p}{o} AND': {},
        "data": {"type": "json"},
    },
)


class Liking(Dialect):
    operators: ClassVar = {
        **Dialect.operators,
        "like": "{c} LIKE {p}",
        "contains": "instr({c}, {p}) > 0",
    }


LIKING = Liking()


def text_of(group, dialect=LIKING):
    values = []
    draft = Draft(dialect, T)
    text = condition(draft, outline(group, dialect, values))
    assert len(draft.names) == len(values) == text.count("?")
    return text, values


def every(*tests):
    return Group("AND", tests)


@pytest.mark.parametrize(
    ("test", "text", "values"),
    [
        (Condition("num", "eq", 0), '"num" = ?', [0]),
        (Condition("num", "ne", 1), '"num" <> ?', [1]),
        (Condition("num", "between", (1, 2)), '("num" BETWEEN ? AND ?)', [1, 2]),
        (Condition("num", "not between", (1, 2)), 'NOT ("num" BETWEEN ? AND ?)', [1, 2]),
        (Condition("name", "null"), '"name" IS NULL', []),
        (Condition("name", "not null"), '"name" IS NOT NULL', []),
        (Condition("name", "begins_with", "ab"), '("name" >= ? AND "name" < ?)', ["ab", "ac"]),
        (Condition("name", "begins_with", "\U0010ffff"), '"name" >= ?', ["\U0010ffff"]),
        (
            Condition("name", "not begins_with", "a"),
            'NOT ("name" >= ? AND "name" < ?)',
            ["a", "b"],
        ),
        (Condition("name", "contains", "x"), 'instr("name", ?) > 0', ["x"]),
        (
            Condition("name", "contains", ["x", "y"]),
            '(instr("name", ?) > 0 AND instr("name", ?) > 0)',
            ["x", "y"],
        ),
        (Condition("num", "in", [1, None, 2]), '"num" IN (?, ?)', [1, 2]),
        (Condition("num", "in", []), "1 = 0", []),
        (Condition("num", "not in", []), "NOT (1 = 0)", []),
    ],
)
def test_condition_text(test, text, values):
    assert text_of(every(test)) == (text, values)


@pytest.mark.parametrize(
    ("pattern", "bound"), [("a\\", "a"), ("a\\\\", "a\\\\"), ("\\", ""), ("a%", "a%")]
)
def test_pattern_does_not_end_in_half_an_escape(pattern, bound):
    assert text_of(every(Condition("name", "like", pattern)))[1] == [bound]


def test_no_conditions_match_every_row_and_no_alternatives_match_none():
    assert text_of(ALL) == ("", [])
    assert text_of(Group("OR")) == ("1 = 0", [])
    assert text_of(Group("OR", (ALL, Condition("num", "eq", 1)))) == ('(1 = 1) OR "num" = ?', [1])


def test_groups_are_parenthesised_at_every_level():
    either = Group("OR", (Condition("num", "eq", 1), Condition("num", "eq", 2)))
    text, values = text_of(every(Condition("id", "eq", "a"), Group("AND", (either,))))
    assert text == '"id" = ? AND (("num" = ? OR "num" = ?))'
    assert values == ["a", 1, 2]


def test_expectation_is_parenthesised_against_the_key():
    expected = Group("OR", (Condition("num", "eq", 1), Condition("num", "null")))
    draft = Draft(LIKING, T)
    text = where(draft, by_key(T, outline(expected, LIKING, [])))
    assert text == ' WHERE "id" = ? AND ("num" = ? OR "num" IS NULL)'


def test_values_are_in_neither_structure_nor_text():
    marker = "'; DROP TABLE t; --"
    group = every(
        Condition("name", "eq", marker),
        Condition("name", "in", [marker] * 3),
        Group("OR", (Condition("name", "begins_with", marker), Condition("name", "like", marker))),
    )
    values = []
    structure = outline(group, LIKING, values)
    assert "DROP" not in repr(structure)
    assert "DROP" not in condition(Draft(LIKING, T), structure)
    assert values.count(marker) >= 4


def test_equal_structures_are_equal_whatever_the_values():
    def shape(low, names):
        group = every(Condition("num", "gt", low), Condition("name", "in", names))
        return outline(group, LIKING, [])

    assert shape(1, ["a", "b", "c"]) == shape(2, ["x", "y", "z", "w"])
    assert hash(shape(1, ["a"])) == hash(shape(9, ["b"]))


def test_hostile_column_names_stay_names():
    name = 'odd`name" {p}{o} AND'
    text, _ = text_of(every(Condition(name, "between", (1, 2))))
    quoted = '"odd`name"" {p}{o} AND"'
    assert text == f"({quoted} BETWEEN ? AND ?)"


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 64, "é" * 32])
def test_names_that_no_engine_can_store_are_refused(name):
    with pytest.raises(BadRequest, match="invalid name"):
        Dialect().quote(name)


LETTERS = st.sampled_from(["a", "b", "\ud7ff", "\ue000", "\U0010ffff", "%", "_", "\\", "A"])
WORDS = st.text(LETTERS, max_size=4)


@given(WORDS, WORDS)
def test_prefix_is_a_range_in_code_point_order(prefix, text):
    end = after_prefix(prefix)
    inside = prefix <= text and (end is None or text < end)
    assert inside == text.startswith(prefix)


@given(WORDS)
def test_end_of_a_prefix_can_be_stored(prefix):
    end = after_prefix(prefix)
    assert end is None or end.encode()


def test_escaped_pattern_has_no_wildcards():
    assert escape_like(r"50%_\x") == r"50\%\_\\x"


@given(st.integers(0, 300), st.sampled_from([1, 2, 3]))
def test_padding_makes_few_lengths_and_adds_nothing_new(count, width):
    values = list(range(count * width))
    longer = padded(values, width)
    assert longer[: len(values)] == values
    assert set(longer) == set(values)
    rows = len(longer) // width
    assert rows == 0 or rows & (rows - 1) == 0


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from("abc"),
            "num": st.sampled_from([None, 1, 2]),
            "name": st.sampled_from([None, "", "x"]),
        }
    ),
    min_size=1,
    max_size=8,
)


@given(
    ROWS, st.lists(st.booleans(), min_size=3, max_size=3), st.permutations(["id", "num", "name"])
)
def test_what_comes_after_a_row_is_what_the_kernel_says(rows, directions, columns):
    sort = tuple(Order(name, desc) for name, desc in zip(columns, directions, strict=True))
    start = tuple(rows[0][name] for name in columns)
    group = beyond(sort, start, lambda name: name != "id")
    native, kernel = matcher(group, T), comes_after(sort, start)
    assert [native(row) for row in rows] == [kernel(row) for row in rows]


NO_NULLS = build(
    "t", {"a": {"primary": 1}, "b": {"primary": 1}, "n": {"type": "int"}, "m": {"notnull": 1}}
)


@pytest.mark.parametrize(
    ("tests", "sort", "after", "text"),
    [
        (ALL, "a", ("x",), "`a` > ?"),
        (every(Condition("n", "eq", 1)), "a", ("x",), "`n` = ? AND `a` > ?"),
        (every(Condition("n", "eq", 1)), "-a", ("x",), "`n` = ? AND `a` < ?"),
        (ALL, "n", (None,), "`n` IS NOT NULL"),
        (ALL, "n,a", (1, "x"), "(`n`, `a`) > (?, ?)"),
        (every(Condition("n", "gt", 0)), "m,a,b", "xyz", "`n` > ? AND (`m`, `a`, `b`) > (?, ?, ?)"),
        (ALL, "-m,-a", "xy", "(`m`, `a`) < (?, ?)"),
        (
            Group("OR", (Condition("n", "eq", 1), Condition("n", "eq", 2))),
            "a,b",
            "xy",
            "(`n` = ? OR `n` = ?) AND (`a`, `b`) > (?, ?)",
        ),
    ],
)
def test_what_comes_after_a_row_lets_an_index_be_entered(tests, sort, after, text):
    order = tuple(Order(n.removeprefix("-"), n[0] == "-") for n in sort.split(","))
    assert after_text(tests, order, tuple(after)) == text


@pytest.mark.parametrize(
    ("sort", "after"), [("-n,-a", (1, "x")), ("n,a", (None, "x")), ("m,-a", ("x", "y"))]
)
def test_rows_are_not_compared_as_such_where_a_null_or_a_direction_is_in_the_way(sort, after):
    order = tuple(Order(n.removeprefix("-"), n[0] == "-") for n in sort.split(","))
    assert ") > (" not in (text := after_text(ALL, order, after))
    assert ") < (" not in text


def after_text(tests, order, after):
    values = []
    draft = Draft(Ticks(), NO_NULLS)
    structure = behind(
        outline(tests, draft.dialect, values), NO_NULLS, order, after, Ticks(), values
    )
    text = condition(draft, structure)
    assert len(draft.names) == len(values) == text.count("?")
    return text


class Ticks(Dialect):
    quote_mark = "`"


@given(ROWS, st.booleans(), st.permutations(["id", "num", "name"]), st.integers(1, 3))
def test_sqlite_finds_what_the_kernel_says_comes_after_a_row(rows, down, columns, width):
    """As one row or column by column, with nulls."""
    sort = tuple(Order(name, down) for name in columns[:width])
    start = tuple(rows[0][order.column] for order in sort)
    values: list[Any] = []
    draft = Draft(Ticks(), T)
    tests = condition(draft, behind(("AND", ()), T, sort, start, Ticks(), values))
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (id, num, name)")
        connection.executemany("INSERT INTO t VALUES (:id, :num, :name)", rows)
        found = connection.execute(f"SELECT id, num, name FROM t WHERE {tests}", values).fetchall()
    wanted = filter(comes_after(sort, start), rows)
    assert sorted(map(repr, found)) == sorted(
        repr((row["id"], row["num"], row["name"])) for row in wanted
    )


def test_texts_compare_by_code_point_also_as_rows():
    class Collating(Liking):
        def by_code_point(self, name, of):
            return f'{name} COLLATE "C"' if of == "text" else name

    row = Group("AND", (Condition(("name", "num"), "gt", ("x", 1)),))
    text = condition(Draft(Collating(), T), outline(row, Collating(), []))
    assert text == '("name" COLLATE "C", "num") > (?, ?)'
    text, _ = text_of(Group("AND", (Condition("name", "lt", "x"),)), Collating())
    assert text == '"name" COLLATE "C" < ?'
