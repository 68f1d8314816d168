"""Nothing in the folder of golden data is passed over in silence."""

from __future__ import annotations

import re
from typing import Any

import pytest

from bkjs.testing.vectors import KINDS, Case, Kind, cases, files, kinds
from tests.clean import ROOT

WAITING = {"DynamoDB": "join|index", "Elasticsearch": "obj", "locations": "pages"}
"""What cases of databases that are not there yet have, by the word of the documentation."""


def waiting() -> tuple[set[str], set[str]]:
    """The areas and the parts of the database that the documentation says are still to come."""
    text = " ".join((ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8").split())
    found = re.search("Recorded cases of the areas (.+?), and of `db` those of (.+?), wait", text)
    assert found
    return set(re.findall("`(.+?)`", found[1])), set(re.split(", | and ", found[2]))


def waits(data: dict[str, Any]) -> bool:
    areas, parts = waiting()
    if data.get("area") in areas:
        return True
    keys = {key for case in data["cases"] for key in case}
    known = [keys & set(WAITING[part].split("|")) for part in parts]
    return data.get("area") == "db" and any(known)


@pytest.mark.vectors
@pytest.mark.parametrize("path", files(), ids=lambda path: path.stem)
def test_every_file_is_of_one_kind_or_waits_for_its_part(path):
    data = files()[path]
    found = kinds(data)
    assert found or waits(data), f"{path.name}: nobody knows cases like {data['cases'][:1]}"
    assert len(found) <= 1, f"{path.name} may be {' or '.join(found)}"


@pytest.mark.vectors
@pytest.mark.parametrize("kind", KINDS)
def test_no_case_has_what_nobody_looks_at(kind):
    problems = [f"{c.where}: {p}" for c in cases(kind) for p in KINDS[kind].unknown(c)]
    assert not problems, "\n".join(problems)


@pytest.mark.vectors
def test_images_wait_for_their_module():
    """The two functions of `api-misc` that nothing tests."""
    text = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
    assert "`icon_path` and `is_icon` of the area `api`" in " ".join(text.split())


def test_unknown_keys_and_groups_are_named():
    kind = Kind("lib", "group args", "result", groups="a b")
    case = Case({"group": "c", "args": [], "reslut": 1}, {}, "x-1")
    assert kind.unknown(case) == ["unknown key 'reslut'", "unknown group 'c'"]
    assert kind.unknown(Case({"group": "a"}, {}, "x-2")) == ["the key 'args' is missing"]
