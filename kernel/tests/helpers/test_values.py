from __future__ import annotations

from bkjs.helpers.values import to_flags


def test_flags_come_and_go_without_changing_the_list():
    flags = ["a"]
    assert to_flags("add", flags, ["a", "b"]) == ["a", "b"]
    assert flags == ["a"]
    assert to_flags("what", flags, "x") == ["a"]
