"""Real servers for tests, on loopback, with their data in a temporary directory."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from . import engines

PATIENCE = 30.0
"""Seconds that a server may take to start or to stop."""


class NotHere(Exception):
    """The engine cannot be had on this machine; the text says why."""


class Postgres:
    """A throw-away cluster that can be stopped and started again on the same port."""

    def __init__(self) -> None:
        self.bin = _postgres_bin()
        self.user = _postgres_user()
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="bkjs-pgsql-"))
        self._process: subprocess.Popen[bytes] | None = None
        try:
            if self.user:
                shutil.chown(self.folder, self.user)
            self._run("initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "-N",
                      "-E", "UTF8", "--locale=C.UTF-8")  # fmt: skip
        except BaseException:
            self.remove()
            raise

    @property
    def data(self) -> Path:
        """The directory of the cluster."""
        return self.folder / "data"

    @property
    def url(self) -> str:
        """The URL of a pool of it, for its superuser."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it and wait until it answers; raises NotHere with its last words."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self.bin / "postgres"), "-D", str(self.data), "-p", str(self.port),
                 "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
                 "-c", "fsync=off", "-c", "max_connections=200"],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/",
                user=self.user, group=self.user,
            )  # fmt: skip
        deadline = time.monotonic() + PATIENCE
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                words = (self.folder / "log").read_text(errors="replace")[-500:]
                raise NotHere(f"PostgreSQL did not start: {words}")
            time.sleep(0.05)

    def stop(self, *, immediate: bool = False) -> None:
        """Stop it: connections are closed by the server, or cut without a word (`immediate`)."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGQUIT if immediate else signal.SIGINT)
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def pause(self) -> None:
        """Let it hang: connections stay, nothing is answered. Needs Linux."""
        assert self._process, "not started"
        send_signal(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        if self._process is not None:
            send_signal(self._process.pid, signal.SIGCONT)

    def remove(self) -> None:
        """Stop it and delete its data."""
        self.resume()
        self.stop(immediate=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _ready(self) -> bool:
        probe = subprocess.run(
            [str(self.bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)],
            check=False,
        )
        return probe.returncode == 0

    def _run(self, program: str, *args: str) -> None:
        done = subprocess.run(
            [str(self.bin / program), *args], capture_output=True, text=True, check=False,
            cwd="/", user=self.user, group=self.user,
        )  # fmt: skip
        if done.returncode:
            raise NotHere(f"{program} failed: {(done.stderr or done.stdout).strip()[-500:]}")


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL: `BKJS_TEST_PGSQL`, else of a throw-away one.

    Raises NotHere with the reason; what was met goes into the report of the run.
    """
    given = os.environ.get("BKJS_TEST_PGSQL")
    if given:
        engines.report("pgsql", "real", os.environ.get("BKJS_TEST_PGSQL_VERSION", "as given"))
        yield given
        return
    try:
        server = Postgres()
        try:
            server.start()
            engines.report("pgsql", "real", version(server.bin))
            yield server.url
        finally:
            server.remove()
    except NotHere as exc:
        engines.report("pgsql", "absent", str(exc))
        raise


def version(bin: Path) -> str:
    """`PostgreSQL 15.18`"""
    text = subprocess.run([str(bin / "postgres"), "--version"], capture_output=True, text=True,
                          check=True).stdout  # fmt: skip
    return text.replace("(PostgreSQL)", "PostgreSQL").replace("postgres ", "").strip()


def send_signal(pid: int, number: int) -> None:
    """Send a signal to a process and to everything that it has started. Needs Linux."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(stat.read_text().rpartition(") ")[2].split()[1])
            parents.setdefault(parent, []).append(int(stat.parent.name))
    todo = [pid]
    for one in todo:
        todo += parents.get(one, ())
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, number)


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _postgres_bin() -> Path:
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: float(path.parts[4])
    )
    on_path = shutil.which("postgres")
    if on_path:
        found.append(Path(on_path).resolve())
    if not found:
        raise NotHere("PostgreSQL is not installed: apt-get install postgresql, "
                      "or set BKJS_TEST_PGSQL to a URL")  # fmt: skip
    return found[-1].parent


def _postgres_user() -> str | None:
    """Whom to run it as, None for ourselves: it refuses root."""
    if os.geteuid() != 0:
        return None
    import pwd

    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        raise NotHere("PostgreSQL refuses root and there is no user postgres") from None
