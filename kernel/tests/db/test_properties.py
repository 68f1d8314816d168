"""What holds for any input: pages, conditions and preparation against naive versions of them."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bkjs.db.conditions.match import matcher
from bkjs.db.contract import Shape
from bkjs.db.pools.memory import MemoryDriver
from bkjs.db.request import prepare
from bkjs.db.tables.codec import Codec
from bkjs.db.tables.described import build
from bkjs.testing.db.opened import database, limited

TABLES = {
    "t": {
        "k1": {"primary": 1},
        "k2": {"primary": 2, "type": "int"},
        "num": {"type": "int"},
        "name": {},
    }
}
names = st.text(alphabet="ab%_é", max_size=3)
numbers = st.integers(-3, 3)
keys = st.tuples(st.sampled_from(["x", "y", "z"]), st.integers(0, 5))
values = st.tuples(st.none() | numbers, st.none() | names)
DRIVERS = [
    MemoryDriver,
    limited(MemoryDriver, seek=False, offset=False),
    limited(MemoryDriver, sort=False),
    limited(MemoryDriver, operators=frozenset()),
]


def as_row(key, value):
    return {"k1": key[0], "k2": key[1], "num": value[0], "name": value[1]}


def make(driver, rows):
    opened = driver("memory", "", {})
    db = database(opened)
    db.describe_tables(TABLES)
    opened.tables["t"] = {key: as_row(key, value) for key, value in rows.items()}
    return db


@pytest.mark.parametrize("driver", DRIVERS, ids=["full", "no seek", "no sort", "no operators"])
@given(
    rows=st.dictionaries(keys, values, max_size=12),
    others=st.lists(st.tuples(keys, values), max_size=6),
    count=st.integers(1, 4),
    sort=st.sampled_from([None, "num", "name", "k1", "k2"]),
    desc=st.booleans(),
    filtered=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_pages_visit_every_row_once_while_others_are_added(
    driver, rows, others, count, sort, desc, filtered
):
    async def run():
        db = make(driver, rows)
        coming = [(("w", n), value) for n, (_, value) in enumerate(others)]
        query = {"k1": "[xyz]"} if filtered else {}
        options = {"ops": {"k1": "regexp"}} if filtered else {}
        seen, start = [], None
        while True:
            page = await db.select(
                "t", query, count=count, start=start, sort=sort, desc=desc, **options
            )
            seen += [(row["k1"], row["k2"]) for row in page if row["k1"] != "w"]
            if coming:
                await db.put("t", as_row(*coming.pop()))
            start = page.next_token
            if start is None:
                break
        assert sorted(seen) == sorted(rows)

    asyncio.run(run())


@pytest.mark.parametrize("driver", DRIVERS, ids=["full", "no seek", "no sort", "no operators"])
@given(
    rows=st.dictionaries(keys, values, max_size=12),
    count=st.integers(1, 5),
    skip=st.integers(0, 13),
    sort=st.sampled_from(["num", "name"]),
)
@settings(max_examples=40, deadline=None)
def test_offsets_are_slices_of_the_whole(driver, rows, count, skip, sort):
    async def run():
        db = make(driver, rows)
        whole = sorted(
            (as_row(key, value) for key, value in rows.items()),
            key=lambda r: (r[sort] is not None, r[sort], r["k1"], r["k2"]),
        )
        page = await db.select("t", {}, count=count, start=skip, sort=sort)
        assert page == whole[skip : skip + count]
        assert (page.next_token is None) == (skip + count >= len(whole))

    asyncio.run(run())


# -- conditions ----------------------------------------------------------------------------------

TEXT_OPS = ["eq", "ne", "gt", "ge", "lt", "le", "begins_with", "contains", "like", "ilike%"]
NUM_OPS = ["eq", "ne", "gt", "ge", "lt", "le"]


def leaf():
    return st.one_of(
        st.tuples(st.just("num"), st.sampled_from(NUM_OPS), numbers),
        st.tuples(st.just("num"), st.sampled_from(["in", "not in"]), st.lists(numbers, max_size=3)),
        st.tuples(st.just("num"), st.sampled_from(["null", "not null"]), st.just(1)),
        st.tuples(st.just("num"), st.just("between"), st.tuples(numbers, numbers).map(list)),
        st.tuples(st.just("name"), st.sampled_from(TEXT_OPS), names.filter(bool)),
        st.tuples(
            st.just("name"),
            st.sampled_from(["not begins_with", "not contains"]),
            names.filter(bool),
        ),
    )


trees = st.recursive(
    leaf(),
    lambda inner: st.tuples(
        st.sampled_from(["$or", "$and"]), st.lists(inner, min_size=1, max_size=3)
    ),
    max_leaves=6,
)


def to_query(tree, ops, aliases, counter):
    """A tree as the public API has it: properties, operators and aliases."""
    if tree[0] in ("$or", "$and"):
        query = {}
        for item in tree[1]:
            query.update(to_query(item, ops, aliases, counter))
        counter[0] += 1
        return {f"{tree[0]}{counter[0]}": query}
    counter[0] += 1
    name = f"p{counter[0]}"
    aliases[name], ops[name] = tree[0], tree[1]
    return {name: tree[2]}


def oracle(tree, row):
    """The meaning of a tree, written down as plainly as can be."""
    if tree[0] == "$or":
        return any(oracle(item, row) for item in tree[1])
    if tree[0] == "$and":
        return all(oracle(item, row) for item in tree[1])
    column, op, value = tree
    stored = row[column]
    if op == "null":
        return stored is None
    if op == "not in" and value == []:
        return True
    if stored is None:
        return False
    if op == "not null":
        return True
    match op:
        case "eq":
            return stored == value
        case "ne":
            return stored != value
        case "gt":
            return stored > value
        case "ge":
            return stored >= value
        case "lt":
            return stored < value
        case "le":
            return stored <= value
        case "in":
            return stored in value
        case "not in":
            return stored not in value
        case "between":
            return value[0] <= stored <= value[1]
        case "begins_with":
            return stored[: len(value)] == value
        case "not begins_with":
            return stored[: len(value)] != value
        case "ilike%":
            return stored.lower()[: len(value)] == value.lower()
        case "contains":
            return stored.find(value) >= 0
        case "not contains":
            return stored.find(value) < 0
        case "like":
            return naive_like(stored, value)
    raise AssertionError(op)


def naive_like(text, pattern):
    if not pattern:
        return not text
    if pattern[0] == "%":
        return any(naive_like(text[n:], pattern[1:]) for n in range(len(text) + 1))
    return bool(text) and pattern[0] in ("_", text[0]) and naive_like(text[1:], pattern[1:])


def drops(tree):
    """Whether a tree has a condition that is dropped, which an OR does not count."""
    if tree[0] in ("$or", "$and"):
        return any(drops(item) for item in tree[1])
    return tree[1] == "not in" and tree[2] == []


@given(tree=trees.filter(lambda t: not drops(t)), rows=st.lists(values, max_size=6))
@settings(max_examples=300, deadline=None)
def test_conditions_mean_what_a_naive_reading_says(tree, rows):
    codec = Codec(build("t", TABLES["t"]))
    ops, aliases = {}, {}
    query = to_query(tree, ops, aliases, [0])
    where = prepare.select_where(codec, "select", query, {"ops": ops, "aliases": aliases})
    match = matcher(where, codec.table)
    for num, name in rows:
        row = {"num": num, "name": name}
        assert match(row) == oracle(tree, row), (where, row)


# -- preparation -----------------------------------------------------------------------------------

KINDS = {
    "id": {"primary": 1},
    "i": {"type": "int"},
    "r": {"type": "real"},
    "b": {"type": "bool"},
    "t": {"maxlength": 3},
    "lo": {"lower": 1},
    "em": {"type": "email"},
    "doc": {"type": "json"},
    "obj": {"type": "obj"},
    "words": {"type": "list"},
    "at": {"type": "timestamp"},
    "en": {"values": ["a", "1"]},
    "key": {"join": ["id", "t"]},
}
anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.floats(-1e9, 1e9, allow_nan=False, width=32),
    st.text(alphabet="aB1 .,é@|", max_size=8),
    st.lists(st.integers(0, 9), max_size=3),
    st.dictionaries(st.sampled_from(["x", "y"]), st.integers(0, 9), max_size=2),
)


@pytest.mark.parametrize("verb", ["put", "update", "import"])
@given(obj=st.dictionaries(st.sampled_from([*KINDS, "other", "_x"]), anything))
@settings(max_examples=200, deadline=None)
def test_a_prepared_record_stays_as_it_is(verb, obj):
    codec = Codec(build("t", KINDS), Shape())
    before = dict(obj)
    try:
        once = prepare.record(codec, verb, obj)
    except prepare.BadRequest:
        return  # an object where text is wanted
    assert obj == before
    assert once.keys() <= KINDS.keys()
    assert prepare.record(codec, verb, once) == once


@given(obj=st.dictionaries(st.sampled_from(list(KINDS)), anything))
@settings(max_examples=200, deadline=None)
def test_decoding_undoes_encoding(obj):
    for shape in (Shape(bools=False), Shape(json=True, lists=True, dates=True), Shape(nulls=False)):
        codec = Codec(build("t", KINDS), replace(shape))
        try:
            stored = codec.encode(prepare.record(codec, "put", {**obj, "id": "1"}))
        except prepare.BadRequest:
            continue  # an item that holds the separator cannot be stored as text, nor can a dict
        typed = prepare.record(codec, "put", {**obj, "id": "1"})
        wanted = {name: value for name, value in typed.items() if value not in (None, [])}
        found = codec.decode(stored)
        assert {n: v for n, v in found.items() if v not in (None, [])} == {
            name: [str(item) for item in value] if name == "words" else value
            for name, value in wanted.items()
        }
