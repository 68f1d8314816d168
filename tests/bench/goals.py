"""What is to be reached, and the arithmetic of a run: ratios of figures of the same rounds."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

STEADY = 0.15
"""Half the range of a yardstick, beside its median, above which nothing is judged."""

Figures = Mapping[str, Sequence[Mapping[str, float]]]
"""What each meter gave in each round: `cpu` (ns of an operation), `rate` (of them a second), `uss`
(bytes)."""


class Row(NamedTuple):
    """One ratio: figures `over` and `under` of one round. Without a target it is only shown."""

    key: str
    what: str
    over: str
    under: str
    target: float | None = None
    floor: float | None = None
    """Where a change would have done harm; behind it the run fails."""
    more: bool = False
    """Whether more is better."""
    by: str = "cpu"
    yardstick: str = "raw small"
    """The figure whose spread says how steady the machine was; none for what is measured once."""


def read(text: str) -> list[Row]:
    """The rows of a text as in rows.txt; raises ValueError for a line that is none."""
    rows = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        key, what, figures, limits, yardstick = [*map(str.strip, line.split("|")), ""][:5]
        pair, _, by = figures.partition(", ")
        over, under = pair.split(" / ")
        sign, *numbers = limits.split() or [""]
        if sign not in ("", "≤", "≥"):
            raise ValueError(f"{sign!r} is neither ≤ nor ≥: {line}")
        target, floor = [*map(float, numbers), None, None][:2]
        yardstick = "" if yardstick == "-" else yardstick or "raw small"
        rows.append(Row(key, what, over, under, target, floor, sign == "≥", by or "cpu", yardstick))
    return rows


ROWS = read(Path(__file__).with_name("rows.txt").read_text(encoding="utf-8"))


class Ratio(NamedTuple):
    """A row as it was reached: median, least and most of the rounds; `spread` of its yardstick."""

    median: float
    least: float
    most: float
    spread: float


def wanted(words: Iterable[str]) -> list[Row]:
    """The rows of these keys; a letter alone stands for all that begin with it.

    Raises ValueError for a word that no row goes by.
    """
    chosen = [word.strip() for word in words]
    known = {row.key for row in ROWS} | {row.key[0] for row in ROWS}
    if unknown := [word for word in chosen if word not in known]:
        raise ValueError(f"no row {unknown[0]!r}; there are {', '.join(sorted(known))}")
    return [row for row in ROWS if row.key in chosen or row.key[0] in chosen]


def needed(rows: Iterable[Row]) -> set[str]:
    """The figures that these rows divide, and those that say how steady the machine was."""
    return {name for row in rows for name in (row.over, row.under, row.yardstick) if name}


def ratio(row: Row, seen: Figures) -> Ratio | None:
    """What came out, None when one of its figures, or its yardstick, was not measured."""
    over, under = seen.get(row.over), seen.get(row.under)
    if not over or not under or not (seen.get(row.yardstick) or not row.yardstick):
        return None
    each = [a[row.by] / b[row.by] for a, b in zip(over, under, strict=True)]
    return Ratio(statistics.median(each), min(each), max(each), spread(seen.get(row.yardstick, ())))


def spread(rounds: Sequence[Mapping[str, float]]) -> float:
    """Half the range of CPU beside its median: 0.1 for figures from 0.9 to 1.1 of it."""
    cpu = [one["cpu"] for one in rounds]
    return (max(cpu) - min(cpu)) / 2 / statistics.median(cpu) if cpu else 0.0


def judge(row: Row, reached: Ratio) -> str:
    """`target`, `floor` (between both), `missed` where no floor is set, `BELOW`, or `noisy`."""

    def holds(limit: float) -> bool:
        return reached.median >= limit if row.more else reached.median <= limit

    if row.target is None:
        return ""
    if reached.spread > STEADY:
        return "noisy"
    if holds(row.target):
        return "target"
    if row.floor is None:
        return "missed"
    return "floor" if holds(row.floor) else "BELOW"


def failed(rows: Iterable[Row], seen: Figures) -> list[str]:
    """What of the rows is behind its floor."""
    return [
        f"{row.key}: {row.what}"
        for row in rows
        if (r := ratio(row, seen)) and judge(row, r) == "BELOW"
    ]


def table(rows: Iterable[Row], seen: Figures, absent: Mapping[str, str]) -> str:
    """The rows in Markdown; `absent` says why there is no figure of that name."""
    lines = ["| | what | target | floor | reached | min–max | |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        sign = "≥" if row.more else "≤"
        limits = [
            "" if limit is None else f"{sign} {limit:.2f}" for limit in (row.target, row.floor)
        ]
        if reached := ratio(row, seen):
            range_ = f"{_number(reached.least)}–{_number(reached.most)}"
            came = [_number(reached.median), range_, judge(row, reached)]
        else:
            reasons = [
                absent[name] for name in (row.over, row.under, row.yardstick) if name in absent
            ]
            came = ["", "", f"not here: {reasons[0] if reasons else 'not measured'}"]
        lines.append(f"| {' | '.join([row.key, row.what, *limits, *came])} |")
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:.{1 if abs(value) >= 10 else 2}f}"
