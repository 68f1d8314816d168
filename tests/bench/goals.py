"""What is reached, beside what should be: the table of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Goal(NamedTuple):
    """One measured figure. `floor` is where the design would be wrong, None where none is set."""

    key: str
    what: str
    target: float
    floor: float | None = None
    unit: str = ""
    more: bool = False
    """Whether more is better."""


GOALS = (
    # relative to bare ASGI, or to what the same thing costs by hand with FastAPI
    Goal("P1 cpu", "`/ping`, everything loaded: CPU, raw ASGI = 1", 1.35, 1.7),
    Goal("P1 rate", "`/ping`: requests/s, raw ASGI = 1", 0.75, more=True),
    Goal("P1 fastapi", "FastAPI, a JSONResponse: its CPU, ours = 1", 2.5, 2, more=True),
    Goal("P2 cpu", "access log in a file: CPU more per request", 2, 6, "us"),
    Goal("P3 cpu", "signed, account cached, 10 hooks: CPU, raw ASGI = 1", 1.9, 2.6),
    Goal("P3 fastapi", "FastAPI, 3 dependencies: its CPU, ours = 1", 2.7, more=True),
    Goal("P4 cpu", "signed, 10 hooks, a row of PostgreSQL: CPU, raw ASGI = 1", 3.9, 5.4),
    Goal("P4 fastapi", "FastAPI + asyncpg, signature: its CPU, ours = 1", 2.5, 2, more=True),
    Goal("P5 cpu", "a row of SQLite: CPU, raw ASGI = 1", 2, 2.9),
    Goal("P5 fastapi", "FastAPI + aiosqlite: its CPU, ours = 1", 4, more=True),
    Goal(
        "P6 orjson", "100 rows, FastAPI + asyncpg + orjson: its CPU, ours = 1", 1.37, 1, more=True
    ),
    Goal(
        "P6 plain", "100 rows, FastAPI returns them untyped: its CPU, ours = 1", 8, 5.9, more=True
    ),
    Goal("G1 cpu", "a parameter route among 500: CPU, alone = 1", 1.05, 1.15),
    # the layer in one process, relative to the driver that it stands on
    Goal("D1 get", "`db.get` of PostgreSQL, 16 tasks: ops/s, asyncpg = 1", 0.8, 0.6, more=True),
    Goal("D1 add", "`db.add`: the same", 0.8, 0.6, more=True),
    Goal("D1 update", "`db.update`: the same", 0.8, 0.6, more=True),
    Goal("D1 cpu", "`db.get`: CPU more per operation than asyncpg", 6, 12, "us"),
    Goal("D1 pool", "`db.get`: ops/s, asyncpg's own pool = 1", 2, more=True),
    Goal("D2 list", "100 rows as dicts: lists/s, asyncpg's Records = 1", 0.65, 0.5, more=True),
    Goal("D2 page", "the same as a sorted page with its signed token", 0.65, more=True),
    Goal("D3 cpu", "`db.get` of SQLite: CPU", 10, 18, "us"),
    Goal("D3 rate", "`db.get` of SQLite, one process", 60_000, unit="/s", more=True),
    Goal("D5 rate", "`db.add` to SQLite, 16 tasks", 80_000, unit="/s", more=True),
    Goal("D5 peer", "`db.add` to SQLite: ops/s, aiosqlite = 1", 2, 1.2, more=True),
    Goal("D6 bulk", "`db.bulk` of 100 adds: rows/s, one by one = 1", 5, 3, more=True),
    Goal("S1 version", "`bkjs --version`: more than bare Python", 10, 30, "ms"),
    Goal("S1 help", "`bkjs --help`: more than bare Python", 60, 100, "ms"),
    Goal("S2 start", "start to first reply, 25 plugins, SQLite", 0.6, 1.0, "s"),
)


def _number(value: float, unit: str) -> str:
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}{unit if unit.startswith('/') else f' {unit}' if unit else ''}"


def judge(goal: Goal, reached: float) -> str:
    """`target`, `floor` (between floor and target), `BELOW`, or `missed` where no floor is set."""

    def holds(limit: float) -> bool:
        return reached >= limit if goal.more else reached <= limit

    if holds(goal.target):
        return "target"
    if goal.floor is None:
        return "missed"
    if holds(goal.floor):
        return "floor"
    return "BELOW"


def table(reached: Mapping[str, float]) -> str:
    """The goals that were measured, as a table in Markdown."""
    lines = ["| | what | target | floor | reached | |", "|---|---|---|---|---|---|"]
    for goal in GOALS:
        if goal.key not in reached:
            continue
        sign = "≥" if goal.more else "≤"
        value = reached[goal.key]
        floor = "" if goal.floor is None else f"{sign} {_number(goal.floor, goal.unit)}"
        lines.append(
            f"| {goal.key.split()[0]} | {goal.what} | {sign} {_number(goal.target, goal.unit)}"
            f" | {floor} | {_number(value, goal.unit)} | {judge(goal, value)} |"
        )
    return "\n".join(lines)


def failed(reached: Mapping[str, float]) -> list[str]:
    """The keys of goals whose floor was missed."""
    return [g.key for g in GOALS if g.key in reached and judge(g, reached[g.key]) == "BELOW"]
