"""The recorded requests of the 2018 protocol (accounts, authentication, parsing, replies) get the
recorded replies from a running server; a second run without `api-compat` gets the strict ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bkjs.testing.process import Server, run
from bkjs.testing.vectors import load, vectors
from tests.e2e.conftest import Empty
from tests.e2e.replay import Case, Replay

STRICT = {"AUTH-054": {"status": 415}}
"""Replies that differ without `api-compat`, where the records do not say so: a body of a type that
nobody reads."""


def ours(case: Case) -> Case:
    return case | {"strict": STRICT[case["id"]]} if case["id"] in STRICT else case


TRANSCRIPT = load("api-http-auth")
TRANSCRIPT["cases"] = [ours(case) for case in TRANSCRIPT["cases"]]
APP = Path(__file__).with_name("transcript_app.py")
pytestmark = pytest.mark.process


def config(*, strict: bool) -> list[str]:
    given = {k: v for k, v in TRANSCRIPT["config"].items() if not (strict and k == "api-compat")}
    return [item for name, value in given.items() for item in (f"-{name}", value)]


RUNS = [(database, mode) for database in ("sqlite", "pgsql") for mode in ("2018", "strict")]


@pytest.fixture(scope="module", params=RUNS, ids="-".join)
def replay(request: pytest.FixtureRequest, empty: Empty) -> Iterator[Replay]:
    kind, mode = request.param
    strict = mode == "strict"
    with empty(kind) as database:
        parameters = [*database, "-db-create-tables", "-app", str(APP)]
        with Server(*parameters, *config(strict=strict)) as server, server.client() as client:

            def after(entry: Case) -> None:
                changes = [i for k in ("type", "name") if k in entry for i in (f"-{k}", entry[k])]
                done = run(server.home, "user", "set", entry["user"], *changes, *parameters)
                assert done.returncode == 0, done.stderr

            yield Replay(TRANSCRIPT, client, after=after, strict=strict, modules=["bk_accounts"])


@pytest.mark.parametrize("case", vectors("api-http-auth"))
def test_reply_is_the_recorded_one(replay: Replay, case: Case):
    reason = replay.skipped(case)
    problems = replay.check(ours(case))
    if reason:
        pytest.skip(reason)
    assert not problems, "\n".join(problems)
