"""What a client may choose is the key of nothing that is kept without a bound."""

from __future__ import annotations

import pytest

from tests.attack.conftest import SCALE, SECRET, Others, Victim
from tests.attack.test_connection import PATIENCE

pytestmark = pytest.mark.process


@pytest.mark.parametrize("path", ["/note/select", "/note/add", "/note/update"])
def test_names_of_parameters_are_not_kept(victim: Victim, path: str):
    before = victim.memory()
    with victim.client("ann", SECRET) as client, Others(victim):
        for number in range(40 * SCALE):
            names = {f"k{number}_{place}_" + "z" * 80: 1 for place in range(9000)}
            reply = client.post(path, {**names, "id": str(number)})
            assert reply.status in (200, 400, 404), reply.text
    assert victim.memory() - before < 40


def test_a_pattern_with_many_wildcards_takes_no_time(victim: Victim):
    """A regular expression that goes back would take years."""
    with victim.client("ann", SECRET) as client:
        text = "the quick brown fox jumps over the lazy dog here " * 20
        assert client.post("/note/add", {"id": "1", "name": text}).status == 200
        with Others(victim) as others:
            pattern = "%25" + "e%25" * 7 + "zq"
            for op in ("like", "ilike", "contains", "not_like"):
                reply = client.get(f"/note/select?_ops=name,{op}&name={pattern}")
                assert reply.status in (200, 400), reply.text
    assert others.longest < PATIENCE


@pytest.mark.parametrize(
    ("query", "op"),
    [
        ({"id": [str(number) for number in range(5000)]}, "in"),
        ({"name": ["x" + str(number) for number in range(5000)]}, "contains"),
        ({f"$or{number}": {"name": "x"} for number in range(500)}, ""),
    ],
)
def test_values_conditions_and_groups_are_limited(victim: Victim, query: dict, op: str):
    controls = {"_ops": f"{next(iter(query))},{op}"} if op else {}
    with victim.client("ann", SECRET) as client, Others(victim) as others:
        reply = client.post("/note/select", {**query, **controls})
    assert reply.status == 400
    if op:
        assert next(iter(query)) in reply.json()["message"]
    assert others.longest < PATIENCE


def test_paths_are_not_kept(victim: Victim):
    before = victim.memory()
    with victim.client() as client:
        for number in range(1000 * SCALE):
            assert client.get(f"/{number:06}" + "a" * 7000).status == 417
    assert victim.memory() - before < 15
