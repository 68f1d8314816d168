"""The recorded requests of the 2018 protocol get the recorded replies from a running server; a
second run gets what they are without `api-compat`. Every transcript in the folder is replayed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from bkjs.core import entrypoints
from bkjs.testing.process import Server, run
from bkjs.testing.vectors import known, vectors
from tests.e2e.conftest import Empty
from tests.e2e.replay import Case, Replay

APP = Path(__file__).with_name("transcript_app.py")
MODULES = sorted(e.name for e in entrypoints.scan() if e.group == "bkjs.modules")
pytestmark = pytest.mark.process


def config(transcript: Mapping[str, Any], *, strict: bool) -> list[str]:
    # the secrets of the recorded accounts are as short as in 2018
    compat = {"api-compat": "secrets"} if strict else {"api-compat": "2018"}
    # in development messages say more than the reference does
    given = {"run-mode": "test"} | transcript["config"] | compat
    return [item for name, value in given.items() for item in (f"-{name}", value)]


def account(entry: Case) -> list[str]:
    """The columns of an entry of the set-up as options of `bkjs user`."""
    known(entry, ("user", "secret", "password", "type", "name", "after"), "key of the set-up")
    names = ("secret", "password", "type", "name")
    return [item for name in names if name in entry for item in (f"-{name}", entry[name])]


RUNS = [
    pytest.param(
        (database, mode), param.values[0], marks=param.marks, id=f"{database}-{mode}-{param.id}"
    )
    for database in ("sqlite", "pgsql")
    for mode in ("2018", "strict")
    for param in vectors("api-http")
]
"""Each case under each run; the cases of one transcript follow each other."""


@pytest.fixture(scope="module")
def replays(empty: Empty) -> Iterator[Callable[..., Replay]]:
    """The run of a transcript, which its first case begins and the next run ends."""
    current: dict[Any, Replay] = {}
    with ExitStack() as stack:

        def begin(transcript: Mapping[str, Any], database: str, mode: str) -> Replay:
            key = (id(transcript), database, mode)
            if key not in current:
                current.clear()
                stack.close()
                current[key] = stack.enter_context(started(empty, transcript, database, mode))
            return current[key]

        yield begin


@contextmanager
def started(empty: Empty, transcript: Mapping[str, Any], kind: str, mode: str) -> Iterator[Replay]:
    strict = mode == "strict"
    with empty(kind) as database:
        parameters = [*database, "-db-create-tables", "-app", str(APP)]
        parameters += ["-allow-modules", f"^({'|'.join(MODULES)})$"]
        with (
            Server(*parameters, *config(transcript, strict=strict)) as server,
            server.client() as client,
        ):

            def user(*words: str) -> str:
                done = run(server.home, "user", *words, *parameters, "-api-compat", "secrets")
                assert done.returncode == 0, done.stderr
                return done.stdout

            def after(entry: Case) -> None:
                user("set", entry["user"], *account(entry))

            replay = Replay(transcript, client, after=after, strict=strict, modules=MODULES)
            for entry in transcript["setup"]:
                if "after" not in entry:
                    made = json.loads(user("add", entry["user"], *account(entry)).splitlines()[-1])
                    replay.matcher.bound[entry["user"]] = str(made["id"])
            yield replay


@pytest.mark.parametrize(("mode", "case"), RUNS)
def test_reply_is_the_recorded_one(
    replays: Callable[..., Replay], mode: tuple[str, str], case: Any
):
    replay = replays(case.file, *mode)
    reason = replay.skipped(case)
    problems = replay.check(case)
    if reason:
        pytest.skip(reason)
    assert not problems, "\n".join(problems)
