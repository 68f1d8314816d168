"""Changes over a reader, the store in this process, and rows as bytes."""

from __future__ import annotations

import math
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bkjs.errors import BadRequest
from bkjs_kv import MemoryStore, Overlay
from bkjs_kv.codec import LONGEST, decode, encode

KEYS = st.binary(max_size=2)
CHANGES = st.lists(st.tuples(KEYS, st.none() | st.binary(max_size=1)), max_size=12)
RANGES = st.tuples(KEYS, st.none() | KEYS, st.booleans(), st.none() | st.integers(0, 5))


def change(writer, model, changes):
    for key, value in changes:
        if value is None:
            writer.delete(key)
            model.pop(key, None)
        else:
            writer.put(key, value)
            model[key] = value


def same(reader, model, start, end, reverse, limit):
    wanted = [
        (key, model[key])
        for key in sorted(model, reverse=reverse)
        if start <= key and (end is None or key < end)
    ]
    assert list(reader.range(start, end, reverse=reverse, limit=limit)) == wanted[:limit]
    assert all(reader.get(key) == model.get(key) for key in [start, *model])


@settings(max_examples=300)
@given(CHANGES, CHANGES, CHANGES, RANGES)
def test_what_is_read_is_what_a_dictionary_would_hold(first, second, third, asked):
    store, model = MemoryStore(), {}
    with store.write() as writer:
        change(writer, model, first)
        same(writer, model, *asked)
    before = dict(model)
    with closing(store.snapshot()) as old:
        with store.write() as writer:
            change(writer, model, second)
            inner, inside = Overlay(writer), dict(model)
            change(inner, inside, third)
            same(inner, inside, *asked)
            same(writer, model, *asked)
        same(old, before, *asked)
    with store.write() as writer:
        inner = Overlay(writer)
        change(inner, model, third)
        inner.apply(writer)
    with closing(store.snapshot()) as now:
        same(now, model, *asked)


def test_nothing_lasts_of_a_transaction_that_fails():
    store = MemoryStore()

    def fail():
        with store.write() as writer:
            writer.put(b"a", b"1")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert store.snapshot().get(b"a") is None


def test_rows_are_copied_only_while_somebody_reads_them():
    store = MemoryStore()
    with store.write() as writer:
        writer.put(b"a", b"1")
    reader = store.snapshot()
    kept = reader.keys
    with store.write() as writer:
        writer.put(b"b", b"1")
    assert kept == [b"a"]
    reader.close()
    with closing(store.snapshot()) as now:
        newer = now.keys
    with store.write() as writer:
        writer.put(b"c", b"1")
    assert newer == [b"a", b"b", b"c"]


PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(2**65), 2**65),
    st.floats(allow_nan=False), st.text(), st.binary(),
)  # fmt: skip
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
)


def types(value):
    if isinstance(value, dict):
        return {name: types(item) for name, item in value.items()}
    return [types(item) for item in value] if isinstance(value, list) else type(value)


@settings(max_examples=300)
@given(st.dictionaries(st.text(), VALUES, max_size=4))
def test_rows_come_back_with_their_types(row):
    again = decode(encode(row))
    assert again == row
    assert types(again) == types(row)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**64, -(2**64), 10**4000, -(10**4000)])
def test_numbers_of_any_size_inside_of_anything(number):
    row = {"n": number, "doc": {"list": [number, True, 1.0, b"x"]}}
    assert decode(encode(row)) == row


def test_special_floats():
    row = decode(encode({"a": -0.0, "b": math.inf, "c": math.nan}))
    assert math.copysign(1, row["a"]) == -1
    assert row["b"] == math.inf
    assert math.isnan(row["c"])


def test_what_cannot_be_kept_is_refused():
    with pytest.raises(TypeError, match="complex"):
        encode({"a": 1j})
    with pytest.raises(BadRequest, match="more than 16777216 bytes"):
        encode({"a": "x" * LONGEST})
