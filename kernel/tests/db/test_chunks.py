"""Writes in chunks: in their order, alike, one for a row, and one by one after a failure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkjs.db.conditions.build import fold_group
from bkjs.db.contract import Condition, Group, Request
from bkjs.db.many.chunks import in_chunks
from bkjs.db.tables.described import build
from bkjs.errors import AlreadyExists, DriverError, Timeout, Unavailable

TABLE = build("t", {"id": {"primary": 1, "type": "int"}, "v": {}})
OTHER = build("u", {"id": {"primary": 1, "type": "int"}})


def put(number, verb="put", table=TABLE):
    return Request(verb=verb, table=table, key={"id": number}, values={"id": number})


class Store:
    """All of a call or nothing; fails with `errors` for some keys."""

    def __init__(self, **errors):
        self.calls = []
        self.stored = []
        self.errors = errors

    async def write(self, chunk):
        self.calls.append([req.key["id"] for req in chunk])
        for req in chunk:
            if error := self.errors.get(f"n{req.key['id']}"):
                raise error
        self.stored += [(req.verb, req.key["id"]) for req in chunk]


async def test_neighbours_go_together_up_to_the_size():
    store = Store()
    assert await in_chunks([put(n) for n in range(5)], 2, store.write) == [None] * 5
    assert store.calls == [[0, 1], [2, 3], [4]]
    assert await in_chunks([], 2, store.write) == []


async def test_other_verbs_and_a_second_write_of_a_row_begin_another():
    store = Store()
    await in_chunks([put(1), put(2), put(3, "delete"), put(4), put(5), put(4)], 9, store.write)
    assert store.calls == [[1, 2], [3], [4, 5], [4]]
    store = Store()
    await in_chunks([put(1), put(1, table=OTHER)], 9, store.write)
    assert store.calls == [[1, 1]]


async def test_the_driver_says_what_is_alike():
    store = Store()
    reqs = [put(1), put(2, "delete"), put(3, table=OTHER), put(4)]
    await in_chunks(reqs, 9, store.write, lambda req: req.table)
    assert store.calls == [[1, 2], [3], [4]]


async def test_a_record_without_a_key_is_told_by_its_values():
    store = Store()
    reqs = [Request(verb="add", table=TABLE, values={"id": 1}) for _ in range(2)]
    for req in reqs:
        req.key = {}
    calls = []

    async def write(chunk):
        calls.append(len(chunk))

    await in_chunks(reqs, 9, write)
    assert calls == [1, 1]
    assert store.calls == []


async def test_only_what_is_to_blame_fails():
    store = Store(n2=(error := AlreadyExists()))
    outcomes = await in_chunks([put(n) for n in range(5)], 4, store.write)
    assert outcomes == [None, None, error, None, None]
    assert store.calls == [[0, 1, 2, 3], [0], [1], [2], [3], [4]]
    assert [number for _, number in store.stored] == [0, 1, 3, 4]


@pytest.mark.parametrize("kind", [Unavailable, Timeout])
async def test_nothing_is_asked_again_when_nobody_answers(kind):
    store = Store(n1=(error := kind("away")))
    assert await in_chunks([put(n) for n in range(4)], 2, store.write) == [error, error, None, None]
    assert store.calls == [[0, 1], [2, 3]]


async def test_what_is_no_error_of_ours_is_raised():
    with pytest.raises(ZeroDivisionError):
        await in_chunks([put(1), put(2)], 2, Store(n1=ZeroDivisionError()).write)


@given(
    st.lists(st.tuples(st.integers(0, 6), st.sampled_from(["put", "delete"])), max_size=30),
    st.integers(1, 5),
    st.sets(st.integers(0, 6)),
)
async def test_whatever_fails_the_others_are_stored_in_order(given, size, bad):
    store = Store(**{f"n{number}": DriverError("no") for number in bad})
    outcomes = await in_chunks([put(number, verb) for number, verb in given], size, store.write)
    assert [error is not None for error in outcomes] == [number in bad for number, _ in given]
    assert store.stored == [(verb, number) for number, verb in given if number not in bad]
    assert all(len(call) <= size and len(set(call)) == len(call) for call in store.calls)


def test_a_group_becomes_a_filter_of_a_document_store():
    group = Group("AND", (
        Condition("a", "eq", 1),
        Group("OR", (Condition("b", "gt", 2), Condition("c", "eq", 3), Group("OR"))),
    ))  # fmt: skip
    found = fold_group(
        group,
        lambda c: {c.column: {f"${c.op}": c.value}},
        lambda join, items: {"$" + join.lower(): items},
    )
    assert found == {
        "$and": [{"a": {"$eq": 1}}, {"$or": [{"b": {"$gt": 2}}, {"c": {"$eq": 3}}, {"$or": []}]}]
    }
