"""What a client may choose is the key of nothing that is kept without a bound."""

from __future__ import annotations

import pytest

from tests.attack.conftest import PATIENCE, SCALE, SECRET, Attack, Victim

pytestmark = pytest.mark.process


@pytest.mark.parametrize("path", ["/note/select", "/note/add", "/note/update"])
def test_names_of_parameters_are_not_kept(victim: Victim, attack: Attack, path: str):
    with victim.client("ann", SECRET) as client:
        for number in range(40 * SCALE):
            names = {f"k{number}_{place}_" + "z" * 80: 1 for place in range(9000)}
            reply = client.post(path, {**names, "id": str(number)})
            assert reply.status in (200, 400, 404), reply.text
    assert attack.grown < 40


def test_a_pattern_with_many_wildcards_takes_no_time(victim: Victim, attack: Attack):
    """A regular expression that goes back would take years."""
    with victim.client("ann", SECRET) as client:
        text = "the quick brown fox jumps over the lazy dog here " * 20
        assert client.post("/note/add", {"id": "1", "name": text}).status == 200
        pattern = "%25" + "e%25" * 7 + "zq"
        for op in ("like", "ilike", "contains", "not_like"):
            reply = client.get(f"/note/select?_ops=name,{op}&name={pattern}")
            assert reply.status in (200, 400), reply.text
    assert attack.waited < PATIENCE


@pytest.mark.parametrize(
    ("query", "op"),
    [
        ({"id": [str(number) for number in range(5000)]}, "in"),
        ({"name": ["x" + str(number) for number in range(5000)]}, "contains"),
        ({f"$or{number}": {"name": "x"} for number in range(500)}, ""),
    ],
)
def test_values_conditions_and_groups_are_limited(
    victim: Victim, attack: Attack, query: dict, op: str
):
    controls = {"_ops": f"{next(iter(query))},{op}"} if op else {}
    with victim.client("ann", SECRET) as client:
        reply = client.post("/note/select", {**query, **controls})
    assert reply.status == 400
    if op:
        assert next(iter(query)) in reply.json()["message"]
    assert attack.waited < PATIENCE


def test_paths_are_not_kept(victim: Victim, attack: Attack):
    with victim.client() as client:
        for number in range(1000 * SCALE):
            assert client.get(f"/{number:06}" + "a" * 7000).status == 417
    assert attack.grown < 15
