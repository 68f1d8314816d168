"""Servers that run side by side, each in one process, and what they are asked."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from bkjs.auth.signature import sign
from bkjs.testing.process import Server
from bkjs.testing.servers import free_port
from tests.bench import homes, machine, peers
from tests.bench.homes import ENV, LOGIN, SECRET
from tests.bench.meters import ROOT, Figure, Meter, Run
from tests.bench.processes import HOST, OPENER, RECORDS, Running, backendjs, pocketbase, spawn

DAY = 86_400_000
ANYBODY = 100_000
TYPICAL = (
    "-run-mode", "production", "-api-trusted-proxies", "127.0.0.1",
    "-api-access-log-file", "access.log"
)  # fmt: skip
PROXIED = {"x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "https"}
"""What a proxy adds, which ends TLS."""
NEW = {"name": "name", "email": "user@example.com", "num": 5}


class Ours(NamedTuple):
    """A server of ours: parameters, environment, and how many accounts there are."""

    parameters: tuple[str, ...] = ()
    env: Mapping[str, str] = {}
    accounts: int = 1_000
    plugins: int = 0


OURS = {
    "default": Ours(),
    "hooks": Ours(env={"BENCH_HOOKS": "10"}, accounts=ANYBODY),
    "typical": Ours(TYPICAL, {"BENCH_HOOKS": "10"}),
    "routes": Ours(env={"BENCH_ROUTES": "1000"}),
    "tables": Ours(("-db-create-tables",), {"BENCH_TABLES": "1000"}),
    "plugins": Ours(("-db-create-tables",), plugins=50),
    "grown": Ours(accounts=homes.MANY),
}


class Ask(NamedTuple):
    """What a figure asks of which server; `how` makes its requests."""

    server: str
    target: str
    how: str = "open"
    body: Mapping[str, Any] | None = None
    pgsql: bool = False
    """Only where there is PostgreSQL."""


ASKS = {
    "bare small": Ask("bare", "/small"),
    "raw small": Ask("raw", "/small"),
    "raw big": Ask("raw", "/big"),
    "raw echo": Ask("raw", "/echo", body=NEW),
    "raw frame": Ask("raw", "/open/small", "frames"),
    "raw get": Ask("raw", "/get", pgsql=True),
    "fastapi signed": Ask("fastapi", "/small", "token"),
    "fastapi get": Ask("fastapi", "/get", "token", pgsql=True),
    "fastapi lite": Ask("fastapi", "/lite", "token"),
    "fastapi page": Ask("fastapi", "/page", pgsql=True),
    "fastapi add": Ask("fastapi", "/add", body=NEW, pgsql=True),
    "idiomatic get": Ask("idiomatic", "/get", "token", pgsql=True),
    "idiomatic memory": Ask("idiomatic", "/docs", "memory"),
    "default small": Ask("default", "/open/small"),
    "default static": Ask("default", "/public/bench/10k.txt"),
    "default frame": Ask("default", "/open/small", "frames"),
    "default add": Ask("default", "/open/note/add", body=NEW, pgsql=True),
    "default add lite": Ask("default", "/open/note_lite/add", body=NEW),
    "default memory": Ask("default", "/open/small", "memory"),
    "default session get": Ask("default", "/lite/get?id={id}", "session"),
    "default session list": Ask("default", "/lite/select?_count=20&_sort=num", "session"),
    "default session add": Ask("default", "/note_lite/add", "session", body=NEW),
    "hooks signed": Ask("hooks", "/bench/small", "signed"),
    "hooks anybody": Ask("hooks", "/bench/small", "anybody"),
    "typical small": Ask("typical", "/open/small"),
    "typical get": Ask("typical", "/bench/get", "signed", pgsql=True),
    "typical lite": Ask("typical", "/bench/5/lite", "signed"),
    "typical page": Ask("typical", "/open/page/select?_count=100&_sort=id", pgsql=True),
    **{f"{name} alone": Ask(name, "/bench/5/lite", "signed") for name in OURS},
    "backendjs small": Ask("backendjs", "/small"),
    "backendjs lite": Ask("backendjs", "/lite"),
    "backendjs get": Ask("backendjs", "/get", pgsql=True),
    "pocketbase get": Ask("pocketbase", f"{RECORDS}/{{pb}}", "pocketbase"),
    "pocketbase list": Ask(
        "pocketbase", f"{RECORDS}?perPage=20&sort=num&skipTotal=1", "pocketbase"
    ),
    "pocketbase add": Ask("pocketbase", RECORDS, "pocketbase", body=NEW),
}


async def meters(run: Run) -> dict[str, Meter]:
    """A meter for each figure that is wanted and whose server could be started."""
    asks = {name: ask for name, ask in ASKS.items() if name in run.wanted}
    if not run.pgsql:
        for name in [name for name, ask in asks.items() if ask.pgsql]:
            del asks[name]
            run.absent[name] = "no PostgreSQL"
    running = {}
    for server in dict.fromkeys(ask.server for ask in asks.values()):
        run.say(f"starting {server}")
        try:
            running[server] = _start(run, server)  # not in a thread, which would go on after us
        except Exception as why:  # whatever keeps one from being measured, the others are
            run.fail(server, why)
    found: dict[str, Meter] = {}
    for name, ask in asks.items():
        if ask.server in running:
            try:
                found[name] = _meter(run, name, ask, running[ask.server])
            except Exception as why:
                run.fail(name, why)
        else:
            run.absent[name] = run.absent[ask.server]
    return found


def _meter(run: Run, name: str, ask: Ask, server: Running) -> Meter:
    file = run.folder / f"{name.replace(' ', '-')}.requests"
    if ask.how == "memory":
        size = float(machine.uss(server.pid))

        async def memory(seconds: float) -> Figure:
            return {"uss": size}

        return memory
    file.write_bytes(b"".join(one + b"\0" for one in HOW[ask.how](ask, server)))
    extra = ["frames"] if ask.how == "frames" else []
    command = [sys.executable, "-m", "tests.bench.load", str(server.port)]

    async def measure(seconds: float) -> Figure:
        process = await asyncio.create_subprocess_exec(
            *command, str(seconds), str(file), *extra, cwd=ROOT,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )  # fmt: skip
        assert process.stdin
        assert process.stdout
        count = spent = 0
        try:
            if await process.stdout.readline():  # all are connected
                before = machine.cpu_ns(server.pid)
                process.stdin.write(b"go\n")
                count = int(await process.stdout.readline() or 0)
                spent = machine.cpu_ns(server.pid) - before
        finally:
            process.stdin.close()
            wrong = (await process.communicate())[1].decode()
        if process.returncode or not count:
            raise RuntimeError(f"{ask.target}: {wrong or 'no answer'}")
        return {"cpu": spent / count, "rate": count / seconds}

    return measure


# -- requests --------------------------------------------------------------


def _raw(ask: Ask, headers: Mapping[str, str], target: str = "") -> bytes:
    method, data, sent = "GET", b"", {"host": HOST, **headers}
    if ask.server == "typical":
        sent |= PROXIED
    if ask.body is not None:
        method, data = "POST", json.dumps(ask.body).encode()
        sent |= {"content-type": "application/json", "content-length": str(len(data))}
    lines = [f"{method} {target or ask.target} HTTP/1.1", *(f"{n}: {v}" for n, v in sent.items())]
    return "\r\n".join([*lines, "", ""]).encode() + data


def _signed(ask: Ask, login: str) -> bytes:
    return _raw(ask, sign(login, SECRET, "GET", ask.target, host=HOST, expires=DAY))


def _any(ask: Ask, headers: Mapping[str, str]) -> list[bytes]:
    """A request, or one for each row where the target names one."""
    ids = range(1, peers.ROWS + 1) if "{" in ask.target else range(1)
    targets = (ask.target.format(id=one, pb=f"{one:015d}") for one in ids)
    return [_raw(ask, headers, target) for target in targets]


def _session(ask: Ask, server: Running) -> list[bytes]:
    target = "/auth?_session=1"
    url = f"http://{HOST}:{server.port}{target}"
    request = urllib.request.Request(url, headers=sign(LOGIN, SECRET, "GET", url))
    with OPENER.open(request, timeout=10) as reply:
        cookie = reply.headers["set-cookie"].partition(";")[0]
    return _any(ask, {"cookie": cookie})


def _frames(ask: Ask, server: Running) -> list[bytes]:
    upgrade = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    return [
        _raw(ask, upgrade | {"sec-websocket-key": "YmVuY2gtYmVuY2gtYmVuYw=="}),
        ask.target.encode(),
    ]


HOW: dict[str, Callable[[Ask, Running], list[bytes]]] = {
    "open": lambda ask, server: _any(ask, {}),
    "signed": lambda ask, server: [_signed(ask, LOGIN)],
    "anybody": lambda ask, server: [_signed(ask, f"user{n}") for n in range(1, ANYBODY + 1)],
    "session": _session,
    "token": lambda ask, server: _any(ask, {"x-sign": peers.token(ask.target)}),
    "pocketbase": lambda ask, server: _any(ask, {"authorization": server.bearer}),
    "frames": _frames,
}


# -- servers --------------------------------------------------------------


def _start(run: Run, name: str) -> Running:
    if name in OURS:
        return _ours(run, name)
    port = free_port()
    if name in ("backendjs", "pocketbase"):
        return (backendjs if name == "backendjs" else pocketbase)(run, port)
    if name == "bare":
        command = [sys.executable, "-m", "tests.bench.bare", str(port)]
    else:
        command = [sys.executable, "-m", "uvicorn", "--factory", f"tests.bench.peers:{name}"]
        command += ["--host", HOST, "--port", str(port), "--loop", "uvloop"]
        command += ["--http", "httptools", "--no-access-log", "--log-level", "warning"]
    file = run.folder / "peers.db"
    if not file.exists():
        homes.peer_file(file)
    env = {"BENCH_PGSQL": run.pgsql, "BENCH_SQLITE": str(file)}
    return spawn(run, name, command, port, env)


def _ours(run: Run, name: str) -> Running:
    ours = OURS[name]
    home = homes.copy(run.folder / "home", name)
    homes.accounts(home, ours.accounts)
    files = run.folder / "files"
    files.mkdir(exist_ok=True)
    (files / "10k.txt").write_bytes(b"x" * 10_000)
    pgsql = any(ask.pgsql for ask in ASKS.values() if ask.server == name)
    arguments = [*homes.parameters(run.pgsql if pgsql else ""), *ours.parameters]
    arguments += homes.plugins(run.folder, ours.plugins) if ours.plugins else []
    arguments += ["-api-ws-max-rate", "1000000"]  # that limit would be what is measured
    arguments += [] if "-api-access-log-file" in ours.parameters else ["-api-no-access-log"]
    env = ENV | {"BENCH_FILES": str(files)} | dict(ours.env)
    server = run.stack.enter_context(Server(*arguments, home=home, env=env))
    return Running(server.pid, server.port)
