"""A request of few bytes makes no great work: wrong items, long answers, many words."""

from __future__ import annotations

import json
import time

import pytest

from tests.attack.conftest import PATIENCE, SECRET, Attack, Victim

pytestmark = pytest.mark.process

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize("number", [19_000, 200_000])
@pytest.mark.parametrize("path", ["/numbers", "/numbers?", "/router/numbers"])
def test_items_that_are_all_wrong(victim: Victim, attack: Attack, path: str, number: int):
    """Each would be described before the first fifty are told."""
    items = ",".join("a" * number) if path[-1] == "?" else ["a"] * number
    body = json.dumps({"n": items}, separators=(",", ":")).encode()
    with victim.client("ann", SECRET) as client:
        reply = client.post(path, body, headers=JSON)
    assert reply.status in (400, 413, 422), reply.text[:200]
    assert len(reply.body) < 10_000
    assert attack.waited < PATIENCE, attack.waited
    assert attack.grown < 100, attack.grown


@pytest.mark.parametrize("path", ["/note/batch", "/note/atomic"])
def test_a_batch_that_asks_for_one_long_row_again_and_again(
    victim: Victim, attack: Attack, path: str
):
    wanted = {"path": "/note/get", "data": {"id": "long"}}
    add = {"path": "/note/add", "data": {"id": "new"}}
    with victim.client(timeout=60) as client:
        client.post("/note/add", {"id": "long", "name": "x" * 900_000})
        reply = client.post(path, [*[wanted] * 99, add])
        assert len(reply.body) < 12_000_000
        if path == "/note/batch":
            outcomes = [one["status"] for one in reply.json()]
            assert outcomes == [200] * 10 + [413] * 90
        else:
            assert (reply.status, reply.json()["item"]) == (413, 10)
        # what has no outcome was not done
        assert client.post("/note/get", {"id": "new"}).status == 404
    assert attack.grown < 150, attack.grown


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"words": "x " * 200_000}, id="one text"),
        pytest.param({"words": "x;" * 200_000}, id="without blanks"),
        pytest.param({"words": ["x y " * 100] * 900}, id="texts"),
        pytest.param({f"$or{n}": {"words": "x " * 900} for n in range(150)}, id="groups"),
    ],
)
def test_a_search_for_many_words(victim: Victim, attack: Attack, given: dict[str, object]):
    """They were looked for in every row, for half a minute."""
    with victim.client(timeout=60) as client:
        client.post("/note/add", {"id": "1", "name": "x y z"})
        started = time.monotonic()
        reply = client.post("/note/select", {**given, "_ops": {"words": "@@"}})
        took = time.monotonic() - started
        assert (reply.status, "more than 1000 words" in reply.text) == (400, True), reply.text
        assert took < PATIENCE, took
        few = client.post("/note/select", {"words": "z x", "_ops": {"words": "@@"}})
        assert few.json()["count"] == 1
