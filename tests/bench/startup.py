"""What it takes to start."""

from __future__ import annotations

import asyncio
import subprocess
import sys

from bkjs.testing.process import Server
from tests.bench import homes, machine
from tests.bench.meters import Figure, Meter, Run

NAMES = ("start", "import", "worker memory")
PLUGINS = 25
IMPORT = "import fastapi, time; print(time.process_time_ns())"


async def meters(run: Run) -> dict[str, Meter]:
    """The figures of starts that are wanted."""
    if "worker memory" in run.wanted:
        run.absent["worker memory"] = "comes with workers that are forked; a server is one process"
    arguments = ["-db-pool", "sqlite", "-log", "warn", *homes.plugins(run.folder, PLUGINS)]

    def first_answer(*more: str) -> int:
        with Server(*arguments, *more, home=run.folder / "start") as server:
            return machine.cpu_ns(server.pid)

    if "start" in run.wanted:
        await asyncio.to_thread(first_answer, "-db-create-tables")

    async def start(seconds: float) -> Figure:
        return {"cpu": await asyncio.to_thread(first_answer)}

    async def imported(seconds: float) -> Figure:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", IMPORT, stdout=subprocess.PIPE
        )
        out, _ = await process.communicate()
        return {"cpu": int(out)}

    return {n: m for n, m in {"start": start, "import": imported}.items() if n in run.wanted}
