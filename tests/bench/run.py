"""Benchmarks: ratios to raw clients and peers of the same run, and what was to be reached.

    python tests/bench/run.py [--only http,database,startup] [--rounds 5] [--seconds 2] [--dry]

Writes the table into docs/benchmarks.md unless `--dry`. Needs about five minutes, and two cores
that nothing else uses. The exit code is 1 when a floor is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from bkjs.testing import servers  # noqa: E402
from tests.bench import database, goals, machine, serving, startup  # noqa: E402 - after the path

PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- begin of the last run -->", "<!-- end of the last run -->"


@contextmanager
def pgsql() -> Iterator[str]:
    """The URL of `BKJS_TEST_PGSQL` or of a server started here, empty where there is none."""
    with ExitStack() as stack:
        try:
            url = stack.enter_context(servers.postgres())
        except servers.NotHere as reason:
            print(f"without PostgreSQL: {reason}")
            url = ""
        yield url


async def layer(folder: Path, url: str, rounds: int, seconds: float) -> dict[str, float]:
    """The database layer in this process, over the tables that a server has made."""
    from bkjs.app import App

    home = folder / "layer"
    await asyncio.to_thread(serving.prepare, home, url)
    argv = ["-home", str(home), *serving.parameters(url, connections=database.TASKS)]
    async with App(role="shell", argv=argv, modules=[]) as app:
        return await database.bench(app, str(folder), url, rounds, seconds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="http,database,startup")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--dry", action="store_true", help="do not write docs/benchmarks.md")
    options = parser.parse_args()
    reached: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="bkjs-bench-") as name, pgsql() as url:
        folder = Path(name)
        if "startup" in options.only:
            reached |= startup.bench(folder, options.rounds)
        if "database" in options.only:
            import uvloop

            work = layer(folder, url, options.rounds, options.seconds / 4)
            reached |= uvloop.run(work)
        if "http" in options.only:
            reached |= serving.bench(folder, url, options.rounds, options.seconds)
    text = report(reached, options.rounds, options.seconds)
    print(text)
    if not options.dry:
        write(text)
    return 1 if goals.failed(reached) else 0


def report(reached: dict[str, float], rounds: int, seconds: float) -> str:
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    how = f"{rounds} rounds of {seconds:g} s"
    return f"{day}, {machine.describe()}; {how}.\n\n{goals.table(reached)}"


def write(text: str) -> None:
    """Put the report between the two markers of the page."""
    page = PAGE.read_text(encoding="utf-8")
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{PAGE} has no lines {BEGIN!r} and {END!r}")
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
