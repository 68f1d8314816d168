"""Benchmarks: ratios to raw clients and peers of the same rounds, and what was to be reached.

    python tests/bench/run.py [--only P1,P3,D] [--rounds 9] [--seconds 1] [--dry]

Writes the table of all rows into docs/benchmarks.md unless `--dry`. Needs about ten minutes, and
two cores that nothing else uses. The exit code is 1 when a floor is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import random
import signal
import statistics
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import uvloop  # noqa: E402 - after the path

from bkjs.testing import servers  # noqa: E402
from tests.bench import database, goals, homes, machine, serving, startup  # noqa: E402
from tests.bench.meters import Figure, Meter, Run  # noqa: E402

PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- begin of the last run -->", "<!-- end of the last run -->"
WARM = 0.3
"""Part of a round that each meter runs before the first one, 0.3 s at least."""


def say(text: str) -> None:
    """A line of progress."""
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", file=sys.stderr, flush=True)


async def measure(
    rows: list[goals.Row], rounds: int, seconds: float
) -> tuple[dict[str, list[Figure]], dict[str, str]]:
    """What the meters of these rows gave, round by round, and why some are not there."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bkjs-bench-")))
        run = Run(folder, "", goals.needed(rows), stack, say)
        try:
            run.pgsql = stack.enter_context(servers.postgres())
        except servers.NotHere as reason:
            say(f"without PostgreSQL: {reason}")
        say("making the tables")
        homes.prepare(folder / "home", run.pgsql)
        if run.pgsql:
            await homes.fill_pgsql(run.pgsql, bench=1000, person=1000)
        meters: dict[str, Meter] = {}
        for module in (database, startup, serving):
            meters |= await module.meters(run)
        gc.freeze()  # as the command does that serves
        gc.set_threshold(50_000, 20, 50)
        seen = await take(meters, run, rounds, seconds)
        return seen, run.absent


async def take(
    meters: dict[str, Meter], run: Run, rounds: int, seconds: float
) -> dict[str, list[Figure]]:
    """All meters once in each round, in an order of its own; one that fails is left out."""
    seen: dict[str, list[Figure]] = {name: [] for name in meters}
    begun, warm = time.monotonic(), max(0.3, seconds * WARM)
    for number in range(rounds + 1):
        if number == 1:
            begun = time.monotonic()
        for place, name in enumerate(random.sample(list(seen), len(seen)), 1):
            if sys.stderr.isatty():
                at = f"round {number} of {rounds}, {place} of {len(seen)}: {name}"
                print(f"\r\033[K{at}", end="\r", file=sys.stderr, flush=True)
            try:
                # a task each: what one sets in its context is not for the next
                figure = await asyncio.create_task(meters[name](seconds if number else warm))
            except Exception as why:  # the others are measured all the same
                run.fail(name, why)
                del seen[name]
                continue
            if number:
                seen[name].append(figure)
        left = (time.monotonic() - begun) / max(1, number) * (rounds - number)
        say(f"round {number} of {rounds}" + (f", {left:.0f} s left" if number else ": warm"))
    return seen


def listing(seen: dict[str, list[Figure]]) -> str:
    """The medians of all figures, for whoever works on one of them; they mean nothing elsewhere."""
    lines = []
    for name, each in sorted(seen.items()):
        one = {key: statistics.median(figure[key] for figure in each) for key in each[0]}
        texts = {"cpu": "{:10.1f} us", "rate": "{:10.0f}/s", "uss": "{:10.1f} MB"}
        by = {"cpu": 1e3, "rate": 1, "uss": 1e6}
        lines.append(f"  {name:<22}" + "".join(texts[k].format(v / by[k]) for k, v in one.items()))
    return "\n".join(lines)


async def main(options: argparse.Namespace) -> int:
    """Run, print, write; the exit code."""
    this = asyncio.current_task()
    assert this
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    rows: list[goals.Row] = options.only
    before = machine.load()
    seen, absent = await measure(rows, options.rounds, options.seconds)
    raw = seen.get("raw small")
    spread = f"; spread of raw ± {goals.spread(raw):.0%}" if raw else ""
    head = (
        f"{datetime.now(UTC):%Y-%m-%d}, {machine.describe()}; {options.rounds} rounds of"
        f" {options.seconds:g} s; load average {before} at the beginning, {machine.load()} at the"
        f" end{spread}."
    )
    text = f"{head}\n\n{goals.table(rows, seen, absent)}"
    print(f"{listing(seen)}\n\n{text}")
    if not options.dry and rows is goals.ROWS:
        write(text)
    for row in (failed := goals.failed(rows, seen)):
        say(f"behind its floor: {row}")
    return 1 if failed else 0


def write(text: str) -> None:
    """Put the report between the two markers of the page."""
    page = PAGE.read_text(encoding="utf-8")
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{PAGE} has no lines {BEGIN!r} and {END!r}")
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def arguments() -> argparse.Namespace:
    """What was asked for on the command line."""

    def rows(text: str) -> list[goals.Row]:
        try:
            return goals.wanted(text.split(","))
        except ValueError as why:
            raise argparse.ArgumentTypeError(str(why)) from None

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--only", type=rows, default=goals.ROWS, metavar="P1,P3,D",
        help="rows by their keys; a letter alone for all that begin with it",
    )  # fmt: skip
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--dry", action="store_true", help="do not write docs/benchmarks.md")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(uvloop.run(main(arguments())))
    except asyncio.CancelledError:
        sys.exit("ended by a signal")
