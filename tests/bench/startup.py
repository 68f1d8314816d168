"""How long the command line and a server take to start."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bkjs.testing.process import Server

PLUGIN = """
from bkjs import hookimpl
from bkjs.web import Routes

routes = Routes()


@routes.endpoint("/{name}/get", table="{name}")
async def get(req):
    return await req.app.db.get("{name}", {{"id": req.query.get("id", "")}})


@hookimpl
def tables():
    return {{"{name}": {{"id": {{"primary": 1, "pub": 1}}, "name": {{"pub": 1}}}}}}


@hookimpl
def configure_web(app, web):
    web.add(routes)
"""
PLUGINS = 25


def _seconds(command: Sequence[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begun


def bench(folder: Path, rounds: int) -> dict[str, float]:
    """The figures of S1 and S2."""
    bkjs = str(Path(sys.executable).with_name("bkjs"))
    commands = {
        "bare": [sys.executable, "-c", "pass"],
        "version": [bkjs, "--version"],
        "help": [bkjs, "--help"],
    }
    seen: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds * 3 + 1):
        for name, command in commands.items():
            seen[name].append(_seconds(command))
    median = {name: statistics.median(times[1:]) for name, times in seen.items()}
    return {
        "S1 version": (median["version"] - median["bare"]) * 1000,
        "S1 help": (median["help"] - median["bare"]) * 1000,
        "S2 start": _server(folder, rounds),
    }


def _server(folder: Path, rounds: int) -> float:
    modules = folder / "modules"
    modules.mkdir()
    for number in range(PLUGINS):
        (modules / f"plugin{number}.py").write_text(PLUGIN.format(name=f"plugin{number}"))
    arguments = ["-db-pool", "sqlite", "-modules-path", str(modules)]
    arguments += ["-allow-modules", "^(bk_accounts|plugin.*)$", "-log", "warn"]
    with Server(*arguments, "-db-create-tables", home=folder / "start"):
        pass
    times = []
    for _ in range(rounds):
        server = Server(*arguments, home=folder / "start")
        begun = time.perf_counter()
        with server:
            times.append(time.perf_counter() - begun)
    return statistics.median(times)
