"""What a measurement depends on: CPU time and memory of processes, versions, the machine."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

PACKAGES = (
    "uvicorn",
    "uvloop",
    "fastapi",
    "pydantic",
    "orjson",
    "asyncpg",
    "aiosqlite",
    "sqlalchemy",
)


def family(pid: int) -> list[int]:
    """A process and all that it has started."""
    found = [pid]
    for one in found:
        for task in _tasks(one):
            try:
                found += map(int, (task / "children").read_text().split())
            except OSError:  # it has ended meanwhile
                continue
    return found


def _tasks(pid: int) -> list[Path]:
    return list(Path(f"/proc/{pid}/task").glob("*"))


def cpu_ns(pid: int) -> int:
    """Nanoseconds that all threads of a process and its children have been on a CPU."""
    total = 0
    for one in family(pid):
        for task in _tasks(one):
            try:
                total += int((task / "schedstat").read_text().split()[0])
            except OSError:
                continue
    return total


def uss(pid: int) -> int:
    """Bytes of memory that only a process and its children have."""
    total = 0
    for one in family(pid):
        for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
            if line.startswith(("Private_Clean:", "Private_Dirty:")):
                total += int(line.split()[1]) * 1024
    return total


def load() -> str:
    """The load averages of the last 1, 5 and 15 minutes."""
    return " ".join(f"{one:.1f}" for one in os.getloadavg())


def describe() -> str:
    """One line: processor, cores, system, Python and the packages that matter."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES if find_spec(name))
    return (
        f"{os.cpu_count()} x {model}, {platform.system()} {platform.release()},"
        f" Python {platform.python_version()}, {versions}"
    )
