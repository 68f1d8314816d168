"""`make test`: run pytest with the real servers that this machine can have, and stop them.

PostgreSQL is started at once, others when a test asks for them. Arguments go to pytest, in one
process; without any it is all tests, most of them in as many processes as there are cores. A server
or browser that cannot be had never fails the run: its last lines say why.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from bkjs.testing import engines
from bkjs.testing.servers import NotHere, postgres

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.servers import engine

TOGETHER = ("kernel/tests", "drivers", "plugins", "examples/todo")
ALONE = ("tests", "docs")
"""Those that look at the time, the memory or all of the machine come after the others, which run in
several processes."""

# the installed service must not start: the tests start servers of their own
QUIET = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}


def install(package: str) -> None:
    """Install a Debian package where this user may; a failure only means that it is not here."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    print(f"tests: installing {package}", file=sys.stderr)
    for argv in (["update"], ["install", "-y", "--no-install-recommends", package]):
        subprocess.run(
            ["apt-get", "-q", *argv],
            env=os.environ | QUIET,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            check=False,
        )


def here(program: str, *folders: str) -> bool:
    return bool(shutil.which(program)) or any(
        next(Path("/").glob(folder), None) for folder in folders
    )


def main(argv: list[str]) -> int:
    for number in (signal.SIGHUP, signal.SIGINT):  # of nohup and of a shell's background
        signal.signal(number, signal.SIG_DFL)
    env = dict(os.environ)
    if "BKJS_TEST_PGSQL" not in env and not here("postgres", "usr/lib/postgresql/*/bin/postgres"):
        install("postgresql")
    if not here("chromium", "usr/bin/chromium-browser", "usr/bin/google-chrome*"):
        install("chromium")
    with ExitStack() as servers:
        engines.report("sqlite", "real", f"SQLite {sqlite3.sqlite_version}")
        try:
            env["BKJS_TEST_PGSQL"] = servers.enter_context(postgres())
        except NotHere as error:
            print(f"tests: {error}", file=sys.stderr)
        env[engine.RUN] = str(servers.enter_context(engine.run()).folder)
        met = Path(env[engine.RUN]) / "met.json"
        env |= {engines.KNOWN: json.dumps(engines.met()), "BKJS_TEST_MET": str(met)}
        pytest = [sys.executable, "-m", "pytest"]
        if argv:
            return subprocess.call([*pytest, *argv], env=env)
        many = ["-n", str(min(4, os.cpu_count() or 1)), "--dist", "loadscope"]
        first = subprocess.call([*pytest, *many, *TOGETHER], env=env)
        if met.exists():
            env[engines.KNOWN] = met.read_text()
        return subprocess.call([*pytest, *ALONE], env=env) or first


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
