"""What a measurement depends on: CPU time of processes, versions, the machine."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    found = [int(word) for word in text.split()]
    return found + [grandchild for child in found for grandchild in _children(child)]


def cpu_seconds(pid: int) -> float:
    """User and system time that a process and its children have used."""
    total = 0
    for one in (pid, *_children(pid)):
        try:
            # the name in the second field may hold anything, so count from its closing bracket
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def describe() -> str:
    """One line: processor, cores, system, Python and the packages that matter."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    names = ("uvicorn", "fastapi", "pydantic", "orjson", "asyncpg", "aiosqlite")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    return (
        f"{os.cpu_count()} x {model}, {platform.system()} {platform.release()},"
        f" Python {platform.python_version()}, {versions}"
    )
