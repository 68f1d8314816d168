"""Requests to servers that run side by side, in turn, in an order that changes each round."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bkjs.auth.signature import sign
from bkjs.testing.process import Server, free_port, run
from tests.bench import database, load, peers

ROOT = Path(__file__).parents[2]
APP = Path(__file__).with_name("app.py")
DAY = 86_400_000


@dataclass
class Target:
    """One path of one server, and the rounds that it has run."""

    pid: int
    port: int
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    rounds: list[load.Load] = field(default_factory=list)

    def measure(self, seconds: float) -> load.Load:
        return load.run(self.pid, self.port, self.path, self.headers, seconds)

    def median(self, name: str) -> float:
        return statistics.median(getattr(one, name) for one in self.rounds)


@contextmanager
def uvicorn(factory: str, env: dict[str, str]) -> Iterator[tuple[int, int]]:
    """A peer in one process, with the same loop and parser as ours; its pid and port."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--factory", f"tests.bench.peers:{factory}"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--loop", "uvloop"]
    command += ["--http", "httptools", "--no-access-log", "--log-level", "warning"]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **env})
    try:
        yield process.pid, port
    finally:
        process.terminate()
        process.wait(20)


def servers(stack: ExitStack, folder: Path, pgsql: str) -> dict[str, Target]:
    """Everything that is measured, started."""
    peer_db = str(folder / "peer-http.db")
    database.fill_sqlite(peer_db, "bench", peers.ROWS, create=True)
    env = {"BENCH_PGSQL": pgsql, "BENCH_SQLITE": peer_db}
    wanted = {
        "raw": ("raw", "/ping"),
        "fastapi json": ("fastapi_json", "/ping"),
        "fastapi depends": ("fastapi_depends", "/ping"),
        "fastapi sqlite": ("fastapi_sqlite", "/get"),
    }
    targets = {
        name: Target(*stack.enter_context(uvicorn(factory, env)), path)
        for name, (factory, path) in wanted.items()
    }
    if pgsql:
        pid, port = stack.enter_context(uvicorn("fastapi_pgsql", env))
        signed = {"x-sign": peers.token("/get")}
        targets["fastapi pgsql"] = Target(pid, port, "/get", signed)
        targets["fastapi orjson list"] = Target(pid, port, "/list")
        targets["fastapi plain list"] = Target(pid, port, "/plain")
    return targets | _ours(stack, folder, pgsql)


def parameters(pgsql: str, *, connections: int = peers.CONNECTIONS) -> list[str]:
    """Both databases; the table `bench` is in PostgreSQL when there is one."""
    made = ["-db-pool", "sqlite", "-app", str(APP), "-log", "warn"]
    if pgsql:
        made += ["-db-pgsql-pool", pgsql, "-db-pgsql-pool-tables", "bench"]
        made += ["-db-pgsql-pool-max", str(connections)]
    return made


def prepare(home: Path, pgsql: str) -> None:
    """Make the tables of both databases, their rows, and the account that signs."""
    arguments = parameters(pgsql)
    env = {"PYTHONPATH": str(ROOT)}
    with Server(*arguments, "-db-create-tables", home=home, env=env):
        pass
    user = ["-login", "bench", "-secret", "bench-secret-0123", "-name", "Bench"]
    done = run(home, "user", "add", *user, *arguments, env=env)
    if done.returncode:
        raise RuntimeError(done.stderr)
    database.fill_sqlite(str(sqlite_file(home)), "bench_lite", peers.ROWS, create=False)
    if pgsql:
        asyncio.run(database.fill_pgsql(pgsql, peers.ROWS))


def sqlite_file(home: Path) -> Path:
    """The database file of a home: the one that holds the table."""
    for path in home.rglob("*"):
        if path.is_file() and path.read_bytes()[:15] == b"SQLite format 3":
            with sqlite3.connect(path) as connection:
                found = connection.execute("SELECT 1 FROM sqlite_master WHERE name='bench_lite'")
                if found.fetchone():
                    return path
    raise RuntimeError(f"no SQLite database with the table bench_lite in {home}")


def _ours(stack: ExitStack, folder: Path, pgsql: str) -> dict[str, Target]:
    home = folder / "home"
    prepare(home, pgsql)
    arguments = [*parameters(pgsql), "-api-allow-path", "^/open/"]
    quiet = [*arguments, "-api-no-access-log"]
    env = {"PYTHONPATH": str(ROOT)}

    def start(*argv: str, routes: int = 0, of: Path = home) -> Server:
        further = {**env, "BENCH_ROUTES": str(routes)}
        return stack.enter_context(Server(*argv, home=of, env=further))

    main = start(*quiet)
    logged = start(*arguments, "-api-access-log-file", "access.log", of=_copy(home, "logged"))
    many = start(*quiet, routes=500, of=_copy(home, "many"))

    def target(server: Server, path: str, *, signed: bool = False) -> Target:
        host = f"127.0.0.1:{server.port}"
        headers = sign("bench", "bench-secret-0123", "GET", path, host=host, expires=DAY)
        return Target(server.pid, server.port, path, headers if signed else {})

    targets = {
        "ping": target(main, "/ping"),
        "ping logged": target(logged, "/ping"),
        "signed": target(main, "/bench/small", signed=True),
        "sqlite": target(main, "/open/get"),
        "item": target(main, "/open/item/5"),
        "item among 500": target(many, "/open/item/5"),
    }
    if pgsql:
        targets["pgsql"] = target(main, "/bench/get", signed=True)
        targets["list"] = target(main, "/open/list")
    return targets


def _copy(home: Path, name: str) -> Path:
    """A home of its own, since one home has one server."""
    import shutil

    return Path(shutil.copytree(home, home.with_name(name)))


def bench(folder: Path, pgsql: str, rounds: int, seconds: float) -> dict[str, float]:
    """The figures of P1 to P6 and G1; those of PostgreSQL only with its URL."""
    with ExitStack() as stack:
        targets = servers(stack, folder, pgsql)
        for target in targets.values():
            _until_it_answers(target)
            target.measure(seconds / 2)
        for _ in range(rounds):
            for target in random.sample(list(targets.values()), len(targets)):
                target.rounds.append(target.measure(seconds))
    for name, target in targets.items():
        figures = f"{target.median('rate'):8.0f}/s {target.median('cpu'):7.1f} us"
        print(f"  {name:<22} {figures}  p99 {target.median('p99'):6.2f} ms")
    return _figures(targets, with_pgsql=bool(pgsql))


def _until_it_answers(target: Target) -> None:
    import socket

    give_up = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", target.port), 1).close()
            return
        except OSError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.02)


def _figures(targets: dict[str, Target], *, with_pgsql: bool) -> dict[str, float]:
    cpu = {name: target.median("cpu") for name, target in targets.items()}
    pairs = zip(targets["ping"].rounds, targets["raw"].rounds, strict=True)
    figures = {
        "P1 cpu": cpu["ping"] / cpu["raw"],
        "P1 rate": statistics.median(ours.rate / raw.rate for ours, raw in pairs),
        "P1 fastapi": cpu["fastapi json"] / cpu["ping"],
        "P2 cpu": cpu["ping logged"] - cpu["ping"],
        "P3 cpu": cpu["signed"] / cpu["raw"],
        "P3 fastapi": cpu["fastapi depends"] / cpu["signed"],
        "P5 cpu": cpu["sqlite"] / cpu["raw"],
        "P5 fastapi": cpu["fastapi sqlite"] / cpu["sqlite"],
        "G1 cpu": cpu["item among 500"] / cpu["item"],
    }
    if with_pgsql:
        figures["P4 cpu"] = cpu["pgsql"] / cpu["raw"]
        figures["P4 fastapi"] = cpu["fastapi pgsql"] / cpu["pgsql"]
        figures["P6 orjson"] = cpu["fastapi orjson list"] / cpu["list"]
        figures["P6 plain"] = cpu["fastapi plain list"] / cpu["list"]
    return figures
