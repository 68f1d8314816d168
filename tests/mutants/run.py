"""`make mutants`: is every wrong line noticed? Arguments: names of lists, `--every N` for each Nth.

A list (`*.txt` beside this file) names a file of the project and the tests that hold it; then each
line is a mutant, `what is there ⇒ what is put in its place`, where `\\n` is the end of a line and
two backslashes are one. What is there must occur once, or `2| …` says which one it is. An indented
line below says why a mutant may survive: it is no fault, or costs time only. The tests run in
copies of the project, two at a time, each until its first failure.
"""

from __future__ import annotations

import argparse
import ast
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LISTS = Path(__file__).parent
PROCESSES = 2
SECONDS = 400
"""Of the tests of one mutant; one that takes longer is noticed, since the tests never end."""
FIRST = 16
"""Tests that run first, since they noticed other mutants of the same tests."""
USAGE = 4
"""What pytest ends with when it does not find a test."""
FOLDERS = ("kernel", "drivers", "examples", "plugins", "docs", "tests")
OPTIONS = ("-x", "-q", "--no-header", "--tb=line", "-p", "no:cacheprovider")


@dataclass
class Mutant:
    """One wrong line."""

    list: str
    file: str
    tests: list[str]
    old: str
    new: str
    place: int = 0
    """Which of several; 0 where there is one."""
    why: str = ""
    """Why it may survive."""

    def applied(self, text: str) -> str:
        if not self.old:
            return text
        count = text.count(self.old)
        if count < max(1, self.place) or (count > 1 and not self.place):
            raise SystemExit(f"{self.list}: {self.file} has {count} of {self.old!r}")
        start = -1
        for _ in range(max(1, self.place)):
            start = text.index(self.old, start + 1)
        found = text[:start] + self.new + text[start + len(self.old) :]
        try:
            ast.parse(found)
        except SyntaxError as error:
            raise SystemExit(f"{self.list}: {self} is no Python: {error}") from error
        return found

    def __str__(self) -> str:
        return f"{self.file}: {self.old!r} ⇒ {self.new!r}"


def read(path: Path) -> list[Mutant]:
    found: list[Mutant] = []
    file, tests = "", []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith(("file: ", "tests: ")) and " ⇒ " not in line:
            head, _, rest = line.partition(": ")
            file, tests = (rest, tests) if head == "file" else (file, rest.split())
        elif line.startswith("    # "):
            found[-1].why = line[6:]
        elif line.strip():
            old, arrow, new = line.partition(" ⇒ ")
            if not arrow:
                raise SystemExit(f"{path}:{number}: no ⇒")
            place = 0
            if old[:1].isdigit() and old[1:3] == "| ":
                place, old = int(old[0]), old[3:]
            found.append(Mutant(path.stem, file, tests, _lines(old), _lines(new), place))
    return found


def _lines(text: str) -> str:
    return text.replace("\\\\", "\0").replace("\\n", "\n").replace("\0", "\\")


def copied(folder: Path) -> dict[str, str]:
    """A copy of the project, and the environment in which its packages are found first."""
    for name in FOLDERS:
        ignored = shutil.ignore_patterns("__pycache__", "_build", ".venv", "node_modules")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored, symlinks=True)
    shutil.copy(ROOT / "pyproject.toml", folder)
    sources = [*folder.glob("*/src"), *folder.glob("*/*/src")]
    path = os.pathsep.join(map(str, sources))
    return os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def noticed(mutant: Mutant, first: Sequence[str], folder: Path, env: dict[str, str]) -> str:
    """How the tests noticed a mutant, "" when they did not; some of them run `first`."""
    file = folder / mutant.file
    text = file.read_text(encoding="utf-8")
    try:
        file.write_text(mutant.applied(text), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *OPTIONS, *first, *mutant.tests],
            cwd=folder,
            env=env,
            timeout=SECONDS if mutant.old else None,
            capture_output=True,
            text=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "time"
    finally:
        file.write_text(text, encoding="utf-8")
    if done.returncode == 0:
        return ""
    if done.returncode == USAGE and first:  # the mutant has changed the names of tests
        return noticed(mutant, (), folder, env)
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if done.returncode > 2 or not failed:
        return f"pytest ended with {done.returncode}: {done.stdout[-300:]}{done.stderr[-300:]}"
    return failed[0].partition(" - ")[0].partition(" ")[2]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("names", nargs="*")
    options.add_argument("--every", type=int, default=1)
    options.add_argument("--from", type=int, default=0, dest="first")
    options.add_argument("--check", action="store_true", help="only whether the lists fit the code")
    given = options.parse_args()
    names = given.names or sorted(path.stem for path in LISTS.glob("*.txt"))
    mutants = [m for name in names for m in read(LISTS / f"{name}.txt")][given.first :: given.every]
    for mutant in mutants:
        mutant.applied((ROOT / mutant.file).read_text(encoding="utf-8"))
    if given.check:
        print(f"{len(mutants)} mutants")
        return 0
    todo: queue.SimpleQueue[Mutant] = queue.SimpleQueue()
    every = [*dict.fromkeys(test for mutant in mutants for test in mutant.tests)]
    for mutant in (Mutant("", mutants[0].file, every, "", ""), *mutants):  # first without any
        todo.put(mutant)
    best: dict[tuple[str, ...], deque[str]] = {}  # tests that noticed others of a list lately
    outcomes: list[tuple[Mutant, str]] = []
    broken: list[str] = []

    def work() -> None:
        with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
            env = copied(Path(folder))
            while not broken:
                try:
                    mutant = todo.get_nowait()
                except queue.Empty:
                    return
                start = time.monotonic()
                first = best.setdefault(tuple(mutant.tests), deque(maxlen=FIRST))
                how = noticed(mutant, first, Path(folder), env)
                took = time.monotonic() - start
                if not mutant.old:
                    broken.extend([how] if how else [])
                    continue
                outcomes.append((mutant, how))
                if "::" in how and how not in first:
                    first.append(how)
                print(f"{len(outcomes)} {took:.0f} s {how or 'SURVIVES'}  {mutant}", flush=True)

    workers = [threading.Thread(target=work) for _ in range(min(PROCESSES, len(mutants)))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if broken:
        print(f"the tests fail without any mutant: {broken}")
        return 1
    survivors = [mutant for mutant, how in outcomes if not how]
    faults = [mutant for mutant in survivors if not mutant.why]
    rate = 100 * len(survivors) / max(1, len(outcomes))
    print(f"\n{len(outcomes)} run, {len(survivors)} survive ({rate:.1f} %)")
    for mutant in survivors:
        print(f"  {mutant}\n    {mutant.why or 'WITHOUT A REASON'}")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
