"""What holds for the whole run: real servers for the tests that ask for one, and its last lines,
which say what stood behind each name.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager

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
