"""Servers under kills, restarts, and clients that come and go, for as long as it is given.

`make test` runs each test for some seconds, `make chaos` (BKJS_CHAOS=full) for a minute and more,
and says every ten seconds how far it is. What is chosen by chance follows from a seed, which a
failure shows and the summary lists: BKJS_CHAOS_SEED=N makes the same choices again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from bkjs.testing.process import Server, run
from bkjs.testing.servers import NotHere, Postgres

FULL = os.environ.get("BKJS_CHAOS") == "full"
SECONDS = 50.0 if FULL else 2.0
APP = Path(__file__).with_name("app.py")
databases = count()


class Chaos:
    """One run: its choices, how long it goes on, and its figures."""

    def __init__(self, seed: int, say: Callable[[str], None]) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.figures: Counter[str] = Counter()
        self._say = say
        self._began = self._said = 0.0

    def choices(self, who: object) -> random.Random:
        """The choices of one task, which do not depend on what the others do."""
        return random.Random(f"{self.seed} {who}")

    def text(self) -> str:
        """The seed and the figures."""
        figures = ", ".join(f"{number} {name}" for name, number in self.figures.most_common())
        return f"seed {self.seed}: {figures}"

    def goes_on(self) -> bool:
        """Whether there is time left, from the first call on; says now and then how far it is."""
        now = time.monotonic()
        self._began = self._began or now
        self._said = self._said or now
        if FULL and now - self._said > 10:
            self._said = now
            self._say(f"{now - self._began:.0f} of {SECONDS:.0f} s, {self.text()}")
        return now - self._began < SECONDS

    @contextlib.contextmanager
    def meanwhile(self, work: Callable[[int], None], tasks: int) -> Iterator[None]:
        """Run `work` in so many threads, again and again until the block ends."""
        over = threading.Event()
        failed: list[BaseException] = []

        def repeat(task: int) -> None:
            try:
                while not over.is_set():
                    work(task)
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=repeat, args=(task,)) for task in range(tasks)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join()
        if failed:
            raise failed[0]


@pytest.fixture
def chaos(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Iterator[Chaos]:
    plugins = request.config.pluginmanager
    reporter: Any = plugins.get_plugin("terminalreporter")
    capture: Any = plugins.get_plugin("capturemanager")

    def say(text: str) -> None:
        with capture.global_and_fixture_disabled():
            reporter.write_line(f"\n  {request.node.name}: {text}")

    seed = int(os.environ.get("BKJS_CHAOS_SEED") or secrets.randbelow(1_000_000))
    print(f"BKJS_CHAOS_SEED={seed} makes the same choices")
    going = Chaos(seed, say)
    yield going
    record_property("chaos", going.text())


class Store:
    """A database, empty at first, and what is in it behind the back of the server."""

    def __init__(self, home: Path, cluster: Postgres | None = None, name: str = "") -> None:
        self.home = home
        self.cluster = cluster
        self.url = cluster.url.rpartition("/")[0] + f"/{name}" if cluster else ""

    @property
    def argv(self) -> tuple[str, ...]:
        """The parameters of a server or command that uses it."""
        if not self.cluster:
            return ("-db-pool", "sqlite")
        return ("-db-pool", "pgsql", "-db-pgsql-pool", self.url)

    def query(self, text: str) -> list[tuple[Any, ...]]:
        """The rows of a statement."""
        if not self.cluster:
            with contextlib.closing(sqlite3.connect(self.home / "var" / "backend.db")) as file:
                rows = file.execute(text).fetchall()
                file.commit()
                return rows
        return asyncio.run(self._ask(text))

    async def _ask(self, text: str) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(self.url)
        try:
            return [tuple(row) for row in await connection.fetch(text)]
        finally:
            await connection.close()

    def tags(self) -> Counter[str]:
        """How often each tag is stored."""
        return Counter(tag for (tag,) in self.query("SELECT tag FROM entry"))

    def server(self, *argv: str) -> Server:
        """A server of `app.py` over this database, not started."""
        own = ("-app", str(APP), "-db-create-tables", "-api-no-access-log")
        return Server(*own, *self.argv, *argv, home=self.home)

    def run(self, *argv: str) -> Any:
        """A command over this database, with the tables of `app.py`."""
        return run(self.home, *argv, "-app", str(APP), *self.argv)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Postgres]:
    try:
        cluster = Postgres()
    except NotHere as reason:
        pytest.skip(f"PostgreSQL is not here: {reason}")
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


@pytest.fixture
def sqlite(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


@pytest.fixture
def pgsql(tmp_path: Path, cluster: Postgres) -> Store:
    name = f"chaos{next(databases)}"
    Store(tmp_path, cluster, "postgres").query(f"CREATE DATABASE {name}")
    return Store(tmp_path / "home", cluster, name)


@pytest.fixture(params=["sqlite", "pgsql"])
def store(request: pytest.FixtureRequest) -> Store:
    found: Store = request.getfixturevalue(request.param)
    return found
