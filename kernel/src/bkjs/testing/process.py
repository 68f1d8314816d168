"""Real processes for tests: a server that answers, and commands that have run."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from .client import Client
from .servers import free_port

DEADLINE = 20.0
"""Seconds that a process has to become ready, or to end."""


def command(*argv: str) -> list[str]:
    """How this interpreter runs the `bkjs` command."""
    return [sys.executable, "-m", "bkjs", *argv]


def run(
    home: Path | str, *argv: str, env: Mapping[str, str] | None = None, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end, for example `run(home, "db", "export", "-table", "city")`."""
    return subprocess.run(
        [*command(*argv), "-home", str(home)],
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


class NotStarted(AssertionError):
    """The process ended, or did not answer in time; the message holds its output."""


class Server:
    """A `bkjs` process that serves HTTP on loopback, ready when the `with` block begins.

    `argv` are parameters as on the command line. The home is a temporary directory unless given;
    what the process prints is in `output`. The block's end stops it and waits for it.
    """

    def __init__(
        self,
        *argv: str,
        home: Path | str = "",
        role: str = "web",
        port: int = 0,
        env: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        """`prefix` is put before the command, such as `("setpriv", …)`."""
        self._own = tempfile.TemporaryDirectory(prefix="bkjs-server-")
        self.home = Path(home or self._own.name) / ("" if home else "home")
        self.port = port or free_port()
        self._any_port = not port
        self._command = [*prefix, *command(role, "-home", str(self.home), "-bind", "127.0.0.1")]
        self._parameters = argv
        self._env = {**os.environ, **(env or {})}
        self._output = Path(self._own.name) / "output"
        self._printed = 0
        """Characters of the output that are of earlier runs."""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def argv(self) -> list[str]:
        """The command line."""
        return [*self._command, "-port", str(self.port), *self._parameters]

    @property
    def pid(self) -> int:
        """The number of the process; only once it was started."""
        assert self._process, "not started"
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while the process runs."""
        return self._process.poll() if self._process else None

    @property
    def output(self) -> str:
        """Everything printed so far, also by earlier runs of this object."""
        return self._output.read_text(errors="replace") if self._output.exists() else ""

    def client(self, login: str = "", secret: str = "", **options: Any) -> Client:
        """A client of this server; with a login its requests are signed."""
        return Client("127.0.0.1", self.port, login=login, secret=secret, **options)

    def spawn(self) -> None:
        """Start the process without waiting until it answers."""
        self._printed = len(self.output)
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                self.argv,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def start(self) -> Self:
        """Start the process and wait until it answers; raises NotStarted.

        Another process may take a free port before ours does, and even answer there.
        """
        self.spawn()
        give_up = time.monotonic() + DEADLINE
        while time.monotonic() < give_up:
            printed = self.output[self._printed :]
            if self.exit_code is not None:
                if not (self._any_port and "the port is in use" in printed):
                    raise NotStarted(f"ended with {self.exit_code}:\n{self.output[-4000:]}")
                self.port = free_port()
                self.spawn()
            if " is ready on " in printed and self._answers():
                return self
            time.sleep(0.02)
        self.kill()
        raise NotStarted(f"no answer on port {self.port}:\n{self.output[-4000:]}")

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status < 500
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask the process to end; the exit code. It is killed when the deadline has passed."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end, at most until the deadline."""
        assert self._process, "not started"
        try:
            return self._process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"did not end by itself:\n{self.output[-4000:]}") from None

    def kill(self) -> None:
        """End the process, and what it started, at once."""
        if self._process and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the process if it runs and remove the temporary directory."""
        try:
            self.stop()
        finally:
            self.kill()
            self._own.cleanup()
