"""What holds for the whole run: real servers for the tests that ask for one, and its last lines,
which say what stood behind each name.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from bkjs.testing import engines
from bkjs.testing.servers import NotHere
from tests.servers.engine import Run, Scripted, run


class Engine:
    """Servers; where one cannot be had the test is skipped, with the reason."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def __call__(self, name: str) -> str:
        """The URL of a server for the whole run."""
        try:
            return self.run.url(name)
        except NotHere as reason:
            pytest.skip(f"{name} is not here: {reason}")

    @contextmanager
    def own(self, name: str) -> Iterator[Scripted]:
        """A server that the test may stop and start."""
        with ExitStack() as stack:
            try:
                server = stack.enter_context(self.run.own(name))
            except NotHere as reason:
                pytest.skip(f"{name} is not here: {reason}")
            yield server


@pytest.fixture(scope="session")
def engine(pytestconfig: pytest.Config) -> Iterator[Engine]:
    """Servers that the scripts in `tests/servers` start, when they are first asked for."""
    with run() as servers:
        yield Engine(servers)
        servers.look()


PGSQL = "BKJS_TEST_PGSQL"
MET = "BKJS_TEST_MET"
"""The environment variable with the file that gets the engines of a run."""
OWN = pytest.StashKey[tuple[str, str]]()
"""The URL of the server and the name of the database that this process has made in it."""


async def _execute(url: str, text: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        await connection.execute(text)
    finally:
        await connection.close()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Of several processes each has a database of its own in the PostgreSQL of all."""
    worker, url = getattr(session.config, "workerinput", None), os.environ.get(PGSQL)
    if worker and url:
        name = f"bkjs_{worker['testrunuid'][:8]}_{worker['workerid']}"
        asyncio.run(_execute(url, f"CREATE DATABASE {name}"))
        session.config.stash[OWN] = url, name
        os.environ[PGSQL] = urlsplit(url)._replace(path=f"/{name}").geturl()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that began this one which engines were met, and drop the database."""
    if own := session.config.stash.get(OWN, None):  # the server may be somebody's
        asyncio.run(_execute(own[0], f"DROP DATABASE {own[1]} WITH (FORCE)"))
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["engines"] = [list(engine) for engine in engines.met()]
    elif MET in os.environ:
        Path(os.environ[MET]).write_text(json.dumps(engines.met()))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Take over what a process has met, which has ended."""
    for name, kind, detail in getattr(node, "workeroutput", {}).get("engines", ()):
        engines.report(name, kind, detail)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter,
) -> Generator[None, None, None]:
    """Name the engines of the run."""
    yield  # what failed and was skipped comes first
    if engines.met():
        terminalreporter.section("engines")
    for engine in engines.met():
        kind = "not here" if engine.kind == "absent" else engine.kind
        terminalreporter.line(f"{engine.name:<16} {kind:<11} {engine.detail}")
