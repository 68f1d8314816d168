from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkjs.helpers.values import tuuid_time
from bkjs.lib import ids


@given(st.from_regex(r"([a-z]{1,5}_)?", fullmatch=True))
def test_an_identifier_is_one_with_its_prefix(prefix):
    assert ids.is_uuid(ids.uuid(prefix), prefix)
    assert ids.is_tuuid(ids.tuuid(prefix))
    assert ids.tuuid(prefix).startswith(prefix)


def test_identifiers_differ():
    assert len({ids.uuid() for _ in range(100)} | {ids.tuuid() for _ in range(100)}) == 200


@given(st.lists(st.integers(0, 2**42), unique=True))
def test_time_identifiers_sort_by_their_time(times):
    made = [(ids.tuuid(now=micros / 1_000_000), micros) for micros in times]
    assert [micros // 2 for _, micros in sorted(made)] == [micros // 2 for micros in sorted(times)]


def test_identifiers_of_one_moment_sort_by_their_order():
    made = [ids.tuuid(now=1520000000) for _ in range(50)]
    assert made == sorted(made)


@given(st.integers(0, 2**32 - 1), st.integers(0, 999_999))
def test_the_time_is_read_back(seconds, micros):
    text = f"{seconds:08x}{micros:06x}0b3c1a2b3c000001"
    assert tuuid_time(text) == pytest.approx(seconds * 1000 + micros / 1000)
    assert tuuid_time(f"p_{text}") == tuuid_time(text)


def test_a_forked_process_makes_other_identifiers(monkeypatch):
    mine = ids.tuuid(now=1520000000)
    monkeypatch.setattr(os, "getpid", lambda: 0x1234)
    assert mine[20:24] != ids.tuuid(now=1520000000)[20:24] == "3412"


@pytest.mark.parametrize("value", [None, 5, "", "x" * 30, "5a99544a0b3c1a2b3c4d5e6f00000", b"5a"])
def test_other_values_are_no_time_identifiers(value):
    assert not ids.is_tuuid(value)
