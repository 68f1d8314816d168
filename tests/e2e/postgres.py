"""A PostgreSQL server of the tests' own: on loopback, in a temporary directory."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Self

from bkjs.testing.process import free_port

FAST = "fsync=off synchronous_commit=off full_page_writes=off"
"""What costs the disk and proves nothing here."""


def _program(name: str) -> str:
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return str(installed[0]) if installed else shutil.which(name) or ""


def missing() -> str:
    """Why no server can be started here, empty when one can."""
    if not (_program("initdb") and _program("pg_ctl")):
        return "PostgreSQL: no initdb and pg_ctl here"
    return ""


class Postgres:
    """One server with the superuser `bkjs` and the database `bkjs`; use it as a context manager."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="bkjs-pg-"))
        self._data = self._folder / "data"
        self.port = free_port()
        self.password = "pg-planted-password"
        self.url = f"postgresql://bkjs:{self.password}@127.0.0.1:{self.port}/postgres"

    def _run(self, program: str, *args: str) -> None:
        """The server refuses to run as root, so root becomes the user that Debian made for it."""
        who: dict[str, Any] = {"user": "postgres"} if os.geteuid() == 0 else {}
        with (self._folder / "output").open("ab") as output:
            subprocess.run(
                [_program(program), *args],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=True,
                timeout=60,
                **who,
            )

    def __enter__(self) -> Self:
        secret = self._folder / "password"
        secret.write_text(self.password)
        if os.geteuid() == 0:
            for path in (self._folder, secret):
                shutil.chown(path, "postgres")
        try:
            self._run(
                "initdb", "-D", str(self._data), "-U", "bkjs", "-A", "scram-sha-256", "-N",
                "-E", "UTF8", "--locale=C", f"--pwfile={secret}",
            )  # fmt: skip
            self.start()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        return self

    def start(self) -> None:
        options = f"-p {self.port} -h 127.0.0.1 -k {self._folder} "
        options += " ".join(f"-c {item}" for item in FAST.split())
        log = str(self._folder / "log")
        self._run("pg_ctl", "-D", str(self._data), "-w", "-l", log, "-o", options, "start")

    def stop(self) -> None:
        """Stop at once, as a crash does; connections are cut."""
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", "immediate", "stop")

    @property
    def running(self) -> bool:
        return (self._data / "postmaster.pid").exists()

    def __exit__(self, *exc: object) -> None:
        if self.running:
            self.stop()
        shutil.rmtree(self._folder)
