"""The servers that the scripts beside this file start, for tests: one of each for a whole run.

A run is a folder. Who begins it, `tests/run.py` or else pytest, starts a keeper: a process that
waits until its owner has ended, however that came, stops what runs in the folder and deletes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bkjs.testing import engines
from bkjs.testing.servers import NotHere, free_port, send_signal

SCRIPTS = Path(__file__).parent
RUN = "BKJS_TEST_SERVERS"
"""The environment variable with the folder of a run that somebody else has begun."""
FETCH = "BKJS_TEST_FETCH"
"""The environment variable with the seconds that all fetching of a run may take; 0 for none."""
FETCHING, LOOK = 600.0, 5.0
"""How many those are by default; and how long it may take to see that everything is there."""
STARTING, STOPPING, PATIENCE = 240.0, 90.0, 40.0
"""Seconds that a script may take, and those it has to stop what it began when we give up."""
ENDED = "the run has ended"
TRIES = 3
"""Somebody may take a port between the look for a free one and its use."""


def born(pid: int) -> str:
    """When a process began, "" when there is none: tells it from a later one of the same number."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    state, *rest = stat.rpartition(") ")[2].split()
    return "" if state == "Z" else rest[18]


def call(script: str, *argv: str, limit: float, mark: Path | None = None) -> str:
    """What a script prints; raises NotHere with its last words, or when its time is over.

    It and what it fetches with are ended when we are interrupted. `mark` tells the keeper of it.
    """
    with tempfile.TemporaryFile("w+") as words:
        process = subprocess.Popen(
            [str(SCRIPTS / script), *argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=words, text=True, start_new_session=True,
        )  # fmt: skip
        if mark:
            mark.write_text(f"{process.pid} {born(process.pid)}")
        try:
            printed, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            raise NotHere(f"`{script} {argv[0]}` took longer than {limit:.0f} s") from None
        finally:
            if process.poll() is None:
                end_group(process.pid)
                process.communicate()
            if mark:
                mark.unlink(missing_ok=True)
        words.seek(0)
        said = words.read().strip().splitlines()
    if process.returncode:
        what = said[-1] if said else f"{script}: status {process.returncode}"
        log = f" ({said[-2]})" if len(said) > 1 and process.returncode == 1 else ""
        raise NotHere(what.removeprefix(f"{script}: ").removeprefix("not to be had here: ") + log)
    return printed.strip()


def end_group(leader: int) -> None:
    """End a script and its helpers; servers are in groups of their own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGTERM)
        give_up = time.monotonic() + PATIENCE
        while born(leader) and time.monotonic() < give_up:
            time.sleep(0.05)
        os.killpg(leader, signal.SIGKILL)


def listening(port: int) -> bool:
    """Whether somebody listens on this port of loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Scripted:
    """A server in a folder, which can be stopped and started again on the same port."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.port = 0
        self.url = ""

    def start(self) -> None:
        """Start it and wait until it answers; raises NotHere with the reason."""
        mark = self.folder / f"{self.name}.starting"
        for left in reversed(range(TRIES)):
            port = self.port or free_port()
            try:
                self.url = call(
                    self.name, "start", str(self.folder), str(port), limit=STARTING, mark=mark
                )
                self.port = port
                return
            except NotHere:
                if not left or self.port or not listening(port):
                    raise

    def stop(self) -> None:
        """End it, also while it hangs; its data stay for the next start."""
        self.resume()
        call(self.name, "stop", str(self.folder), limit=STOPPING)

    def pause(self) -> None:
        """Let it hang: connections stay, nothing is answered."""
        for pid in self.pids():
            send_signal(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        for pid in self.pids():
            send_signal(pid, signal.SIGCONT)

    def pids(self) -> list[int]:
        """Its processes that run."""
        with contextlib.suppress(OSError):
            lines = (self.folder / f"{self.name}.born").read_text().splitlines()
            known = [line.split() for line in lines]
            return [int(pid) for pid, *time in known if time and born(int(pid)) == time[0]]
        return []

    def last_words(self) -> str:
        """The end of its log."""
        with contextlib.suppress(OSError):
            lines = (self.folder / f"{self.name}.log").read_text(errors="replace").split("\n")
            return "; ".join(line.strip() for line in lines[-6:] if line.strip())[-400:]
        return ""


class Run:
    """The servers of a run. Its processes find each other by the folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def url(self, name: str) -> str:
        """Where a server answers that all share; it is started when it is first asked for.

        Raises NotHere with the reason, and AssertionError when it has died meanwhile.
        `BKJS_TEST_NAME` is the URL of one that somebody else started.
        """
        variable = f"BKJS_TEST_{name.upper().replace('-', '_')}"
        if given := os.environ.get(variable):
            engines.report(name, "real", os.environ.get(f"{variable}_VERSION", "as given"))
            return given
        with self._alone(f"{name}.met") as known:
            if not known:
                known |= self._start(name)
        engines.report(name, known["kind"], known["detail"])
        if known["kind"] == "absent":
            raise NotHere(known["detail"])
        if died := self.died(name):
            raise AssertionError(f"{name}: {died}")
        return str(known["url"])

    @contextlib.contextmanager
    def own(self, name: str) -> Iterator[Scripted]:
        """A server of one's own, to stop and start; raises NotHere with the reason."""
        if not self.folder.is_dir():
            raise NotHere(ENDED)
        server = Scripted(name, passable(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder)))
        try:
            try:
                self._have(name)
                server.start()
                engines.report(name, *version(name))
            except NotHere as reason:
                engines.report(name, "absent", str(reason))
                raise
            yield server
        finally:
            server.stop()
            shutil.rmtree(server.folder, ignore_errors=True)

    def shared(self, name: str) -> Scripted:
        """The server that all share."""
        return Scripted(name, self.folder / "shared")

    def died(self, name: str) -> str:
        """What became of a server that was started and does not run any more; "" while it does."""
        server = self.shared(name)
        if server.pids():
            return ""
        text = f"died during the run: {server.last_words() or 'its log is empty'}"
        engines.report(name, "dead", text)
        return text

    def look(self) -> None:
        """Report every server that was asked for, also by the other processes of the run."""
        for file in self.folder.glob("*.met"):
            try:
                known = json.loads(file.read_text())
            except ValueError:
                continue  # another process is at it
            if known:
                engines.report(file.stem, known["kind"], known["detail"])
                if known["kind"] != "absent":
                    self.died(file.stem)

    def _start(self, name: str) -> dict[str, str]:
        try:
            self._have(name)
            server = self.shared(name)
            server.start()
            kind, detail = version(name)
        except NotHere as reason:
            return {"kind": "absent", "detail": str(reason), "url": ""}
        return {"kind": kind, "detail": detail, "url": server.url}

    def _have(self, name: str) -> None:
        """Fetch what a server needs, as long as this run may still spend time on that."""
        with self._alone(f"{name}.fetched") as done:
            if not done:
                done["problem"] = self._fetch(name)
        if done["problem"]:
            raise NotHere(done["problem"])

    def _fetch(self, name: str) -> str:
        """Why it could not be fetched, "" when it is there."""
        if not born(os.getpid()):
            return "the scripts for servers need Linux"
        spent = self.folder / "fetching"
        before = sum(map(float, spent.read_text().split())) if spent.exists() else 0.0
        left = max(float(os.environ.get(FETCH, FETCHING)) - before, LOOK)
        began = time.monotonic()
        mark = self.folder / "shared" / f"fetch-{name}.starting"
        try:
            call(name, "install", limit=left, mark=mark)
        except NotHere as reason:
            took = time.monotonic() - began
            return f"{reason}: run tests/servers/{name} install" if took >= left else str(reason)
        finally:
            with spent.open("a") as file:
                file.write(f"{time.monotonic() - began:.1f}\n")
        return ""

    @contextlib.contextmanager
    def _alone(self, name: str) -> Iterator[dict[str, str]]:
        """What the run knows in a file, which no other process of it changes meanwhile."""
        if not self.folder.is_dir():
            raise NotHere(ENDED)
        with (self.folder / name).open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            known = json.loads(file.read() or "{}")
            yield known
            file.truncate(0)
            json.dump(known, file)


def passable(folder: str) -> Path:
    """The folder, through which servers get that refuse root and run as somebody else."""
    path = Path(folder)
    path.chmod(0o711)
    return path


def version(name: str) -> tuple[engines.Kind, str]:
    """How real a server is, and its name with the version."""
    kind, _, detail = call(name, "version", limit=STOPPING).partition(" ")
    return ("real" if kind == "real" else "compatible" if kind == "compatible" else "fake"), detail


@contextlib.contextmanager
def run() -> Iterator[Run]:
    """The run that we are part of, else a new one that ends with the block."""
    if folder := os.environ.get(RUN):
        yield Run(Path(folder))
        return
    path = passable(tempfile.mkdtemp(prefix="bkjs-servers-"))
    (path / "shared").mkdir()
    argv = [sys.executable, __file__, str(SCRIPTS), str(path)]
    keeper = subprocess.Popen(argv, stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield Run(path)
    finally:
        assert keeper.stdin
        keeper.stdin.close()
        keeper.wait()


def clear(scripts: Path, folder: Path) -> None:
    """Stop whatever was started in the folder of a run, and delete it."""
    for mark in folder.glob("*/*.starting"):
        pid, _, since = mark.read_text().partition(" ")
        if since and born(int(pid)) == since:
            end_group(int(pid))
    stops = []
    for server in (
        running := [Scripted(file.stem, file.parent) for file in folder.glob("*/*.pid")]
    ):
        server.resume()
        argv = [str(scripts / server.name), "stop", str(server.folder)]
        with contextlib.suppress(OSError):
            stops.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL))
    for stop in stops:
        with contextlib.suppress(subprocess.TimeoutExpired):
            stop.wait(STOPPING)
    for server in running:
        for pid in server.pids():
            send_signal(pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.stdin.read()  # until nobody holds the other end any more
    clear(*map(Path, sys.argv[1:]))
