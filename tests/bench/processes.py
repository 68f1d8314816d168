"""Processes that are measured: peers in sessions of their own, backendjs and PocketBase."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from bkjs.testing.servers import NotHere
from tests.bench import homes, machine, peers
from tests.bench.meters import ROOT, Run

HOST = "127.0.0.1"
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
BACKENDJS = ("backendjs@1.0.0", "node@22")
POCKETBASE = "BENCH_POCKETBASE"
RECORDS = "/api/collections/person/records"
STARTS = 30.0
"""Seconds that a peer may take until it listens."""


class Running(NamedTuple):
    """A server that answers."""

    pid: int
    port: int
    bearer: str = ""
    """What lets in, where a token does."""


def spawn(
    run: Run, name: str, command: list[str], port: int, env: Mapping[str, str], cwd: Path = ROOT
) -> Running:
    """Start a peer in a session of its own, wait until it listens."""
    log = run.folder / f"{name}.log"
    process = run.stack.enter_context(_process(command, log, env, cwd))
    give_up = time.monotonic() + STARTS
    while process.poll() is None and time.monotonic() < give_up:
        try:
            socket.create_connection((HOST, port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return Running(process.pid, port)
    output = log.read_text(errors="replace").strip()[-2000:]
    *_, last = output.splitlines() or [""]
    raise RuntimeError(f"did not start: {last}\n{output}")


@contextmanager
def _process(
    command: list[str], log: Path, env: Mapping[str, str], cwd: Path
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=cwd, env={**os.environ, **env}, stdin=subprocess.DEVNULL,
            stdout=output, stderr=output, start_new_session=True
        )  # fmt: skip
    family = [process.pid]
    try:
        yield process
    finally:
        family = machine.family(process.pid)
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pid in family[1:]:  # those that it has left behind
            if Path(f"/proc/{pid}").exists():
                os.kill(pid, 9)


def backendjs(run: Run, port: int) -> Running:
    """backendjs from npm with the node that it wants, kept in the folder of what tests fetch."""
    npm = shutil.which("npm")
    if not npm:
        raise NotHere("no npm")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bkjs-servers"
    folder = Path(os.environ.get("BKJS_SERVERS") or cache) / BACKENDJS[0]
    if not (folder / ".complete").exists():
        run.say(f"fetching {BACKENDJS[0]}")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"private": true}')
        command = [npm, "install", "--no-audit", "--no-fund", "--loglevel=error", *BACKENDJS]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)
        (folder / ".complete").touch()
    home = run.folder / "backendjs"
    home.mkdir()
    homes.peer_file(home / "person.db")
    node = str(folder / "node_modules" / "node" / "bin" / "node")
    command = [node, str(Path(__file__).with_name("backendjs.js")), "-home", str(home)]
    command += ["-api-port", str(port), "-api-bind", HOST, "-db-sqlite-pool", str(home / "person")]
    if run.pgsql:
        command += ["-db-pg-pool", run.pgsql, "-db-pg-pool-max", str(peers.CLIENTS)]
    env = {"NODE_PATH": str(folder / "node_modules"), "NODE_ENV": "production"}
    env["AWS_EC2_METADATA_DISABLED"] = "1"  # else it asks the machine for an identity
    return spawn(run, "backendjs", command, port, env=env, cwd=home)


def pocketbase(run: Run, port: int) -> Running:
    """PocketBase with the rows and an account, its log of requests off."""
    program = os.environ.get(POCKETBASE) or shutil.which("pocketbase")
    if not program:
        raise NotHere(f"no pocketbase on the path, nor in {POCKETBASE}")
    folder = ["--dir", str(run.folder / "pocketbase")]
    user = {"identity": "bench@example.com", "password": "bench-secret-0123"}
    make = [program, "superuser", "upsert", *user.values(), *folder]
    subprocess.run(make, check=True, capture_output=True, timeout=60)
    command = [program, "serve", "--http", f"{HOST}:{port}", *folder]
    server = spawn(run, "pocketbase", command, port, env={})
    call = partial(_call, f"http://{HOST}:{port}/api")
    admin = call("POST", "/collections/_superusers/auth-with-password", user)["token"]
    call("PATCH", "/settings", {"logs": {"maxDays": 0}}, admin)
    rule = "@request.auth.id != ''"
    kinds = {"name": "text", "email": "text", "num": "number", "mtime": "number"}
    fields = [{"name": name, "type": kind} for name, kind in kinds.items()]
    rules = dict.fromkeys(("listRule", "viewRule", "createRule"), rule)
    call(
        "POST", "/collections", {"name": "person", "type": "base", "fields": fields} | rules, admin
    )
    for n in range(1, peers.ROWS + 1):
        row = {"name": f"name {n}", "email": f"user{n}@example.com", "num": n * 7}
        row |= {"id": f"{n:015d}", "mtime": 1700000000000 + n}
        call("POST", RECORDS.removeprefix("/api"), row, admin)
    secret = user["password"]
    new = {"email": user["identity"], "password": secret, "passwordConfirm": secret}
    call("POST", "/collections/users/records", new, admin)
    bearer = call("POST", "/collections/users/auth-with-password", user)["token"]
    return server._replace(bearer=bearer)


def _call(url: str, method: str, path: str, body: Mapping[str, Any], bearer: str = "") -> Any:
    headers = {"content-type": "application/json", "authorization": bearer}
    data = json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, headers, method=method)
    with OPENER.open(request, timeout=20) as reply:
        return json.load(reply)
