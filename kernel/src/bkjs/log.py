"""Logging set-up: the platform's levels, one event per line, to the console, a file or syslog.

A sink that nobody reads holds up no request: some lines wait for it, more are dropped and counted.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
import re
import select
import socket
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

LEVELS = {
    "test": 1, "dev": 5, "debug": 10, "info": 20, "notice": 25, "log": 25,
    "warn": 30, "error": 40, "none": 40,
}  # fmt: skip
"""Levels by name; an error always prints, also with `none`."""

NUMBERS = {5: 1, 4: 5, 3: 10, 2: 20, 1: 25, 0: 30, -1: 40}
"""The numeric levels of configuration files."""

NOTICE = 25
_NAMES = {1: "TEST", 5: "DEV", 10: "DEBUG", 20: "INFO", 25: "NOTICE", 30: "WARN", 40: "ERROR"}
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""What would end the line, or make it look like another one."""

LONGEST = 8192
"""Characters of a message, and of a traceback, that are written."""
WAITING = 256 * 1024
"""Bytes that wait for the reader of standard error before lines are dropped."""
PIECE = 4096
"""Bytes that a pipe which is ready to be written takes without waiting: PIPE_BUF of Linux."""
LAST = 1.0
"""Seconds that the end of the process waits for such a reader."""


def to_level(text: str) -> int:
    """`debug` or `3` -> the level of the logging module; unknown text means `warn`."""
    known = LEVELS.get(text.strip().lower())
    if known is not None:
        return known
    number = re.match(r"\s*(-?\d+)", text)
    return NUMBERS.get(max(-1, min(5, int(number[1]))), 30) if number else 30


def _event(record: logging.LogRecord) -> str:
    """`NOTICE: message`, control characters escaped."""
    level = _NAMES.get(record.levelno, record.levelname)
    message = record.getMessage()
    shown = _escape(message[:LONGEST])[:LONGEST]
    if len(message) > LONGEST:
        shown += f"… ({len(message)} characters)"
    if record.exc_info:
        trace = _escape(logging.Formatter().formatException(record.exc_info))
        if len(trace) > LONGEST:  # where it came from and what it was
            trace = f"{trace[: LONGEST // 2]} … {trace[-LONGEST // 2 :]}"
        shown += " | " + trace
    return f"{level}: {shown}"


def _escape(text: str) -> str:
    return _CONTROL.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return " \\n " if code == 10 else f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


class LineFormatter(logging.Formatter):
    """`2026-11-24 15:04:05.123 [pid] NOTICE: message`, control characters escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """One event as one line, in local time."""
        when = datetime.fromtimestamp(record.created).strftime("%Y-%m-%d %H:%M:%S")  # noqa: DTZ006 - local time by convention
        return f"{when}.{int(record.msecs):03d} [{record.process}] {_event(record)}"


class TerminalFormatter(LineFormatter):
    """For a person: tracebacks in several lines, of the access log only what it says."""

    def format(self, record: logging.LogRecord) -> str:
        """One event, control characters escaped except the ends of the lines of a traceback."""
        if record.name == "bkjs.access":
            return _escape(record.getMessage()[:LONGEST])
        if not record.exc_info:
            return super().format(record)
        bare = logging.makeLogRecord({**record.__dict__, "exc_info": None})
        trace = logging.Formatter().formatException(record.exc_info)[-LONGEST:]
        return "\n".join((super().format(bare), *map(_escape, trace.splitlines())))


class SyslogFormatter(logging.Formatter):
    """`[pid]: NOTICE: message`; the syslog adds the time, and what it begins with is the name."""

    def format(self, record: logging.LogRecord) -> str:
        """One event as one line without its time."""
        return f"[{record.process}]: {_event(record)}"


class Syslog(logging.handlers.SysLogHandler):
    """Sends each level with its own priority; what the syslog does not take at once is dropped."""

    ident = "backend"
    priority_map: ClassVar = {
        "TEST": "debug", "DEV": "debug", "DEBUG": "debug", "INFO": "info", "NOTICE": "notice",
        "WARN": "warning", "ERROR": "error", "CRITICAL": "critical",
    }  # fmt: skip
    lost = 0
    """Lines that were dropped since the last one that was not."""

    socket: socket.socket

    def createSocket(self) -> None:
        """Connect without ever waiting."""
        if not isinstance(self.address, str):
            super().createSocket()
            self.socket.setblocking(False)
            return
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            self.socket = socket.socket(socket.AF_UNIX, kind)
            self.socket.setblocking(False)
            try:
                self.socket.connect(self.address)
            except OSError:
                self.socket.close()
                if kind is socket.SOCK_STREAM:
                    raise
            else:
                self.unixsocket, self.socktype = True, kind
                return

    def emit(self, record: logging.LogRecord) -> None:
        """Send one line, after one that says how many were dropped before it."""
        try:
            if self.lost:
                text = f"{self.ident}[{record.process}]: WARN: {self.lost} lines were lost"
                self._send("warning", text)
                self.lost = 0
            level = self.mapPriority(record.levelname)
            self._send(level, self.ident + self.format(record))
        except OSError:
            self.lost += 1

    def _send(self, level: str, text: str) -> None:
        priority = self.encodePriority(self.facility, level)
        data = f"<{priority}>{text}\x00".encode("utf-8", "replace")
        if not self.unixsocket:
            self.socket.sendto(data, self.address)
            return
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            raise
        except OSError:  # the syslog was started again
            self.socket.close()
            self.createSocket()
            sent = self.socket.send(data)
        if sent < len(data):  # half a line: the next one begins on a new connection
            self.socket.close()
            raise BlockingIOError


class Console(logging.Handler):
    """Writes to standard error as much as its reader takes; the rest waits, or is dropped."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting = bytearray()
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, or keep it for the next time, or drop and count it."""
        try:
            line = (self.format(record) + "\n").encode("utf-8", "backslashreplace")
            if len(self._waiting) + len(line) <= WAITING:
                self._waiting += self._told() + line
            else:
                self._lost += 1
            self._drain(0)
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Give the reader a last chance, for at most `LAST` seconds."""
        with contextlib.suppress(OSError, ValueError):
            self._drain(LAST)

    def _drain(self, seconds: float) -> None:
        try:
            descriptor = sys.stderr.fileno()
        except (OSError, ValueError, AttributeError):  # replaced by something without one
            sys.stderr.write(self._waiting.decode())
            self._waiting.clear()
            return
        end = time.monotonic() + seconds
        while self._waiting:
            if not _ready(descriptor, max(0, end - time.monotonic())):
                return
            try:
                del self._waiting[: os.write(descriptor, self._waiting[:PIECE])]
            except BlockingIOError:
                return
            except OSError:  # the reader is gone for good
                self._waiting.clear()
                return
            if not self._waiting:
                self._waiting += self._told()

    def _told(self) -> bytes:
        """The line that stands where others were dropped, empty where none were."""
        lost, self._lost = self._lost, 0
        return b"%d lines of the log were lost: nobody read them\n" % lost if lost else b""


def _ready(descriptor: int, seconds: float) -> bool:
    """Whether a write of `PIECE` bytes does not wait; where that cannot be asked it may."""
    if not hasattr(select, "poll"):
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(seconds * 1000))


class _File(logging.handlers.WatchedFileHandler):
    """A file that may be moved away, even with its folder; while it cannot be written, stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            super().emit(record)
        except OSError:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Say on standard error what could not be written, and why."""
        text = f"{sys.exc_info()[1]}: {self.format(record)}"
        self._console.emit(logging.makeLogRecord({"msg": "%s", "args": (text,)}))

    _console = Console()

    def _open(self) -> Any:
        os.makedirs(os.path.dirname(self.baseFilename), exist_ok=True)
        return super()._open()


class _Labels(logging.Filter):
    """Let debug records of chosen loggers or first words through, whatever the level is."""

    def __init__(self, level: int, labels: frozenset[str]) -> None:
        super().__init__()
        self.level, self.labels = level, labels

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= self.level:
            return True
        text = str(record.msg).partition(" ")[0]
        return text in self.labels or record.name.rpartition(".")[2] in self.labels


def on_terminal() -> bool:
    """Whether the log is read by who develops, at a terminal."""
    return any(getattr(h, "terminal", False) for h in logging.getLogger().handlers)


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def parse_labels(text: str, current: frozenset[str] = frozenset()) -> frozenset[str]:
    """Apply `+label,-label` to a set of labels; `-` alone clears it, the rest is ignored."""
    labels = set(current)
    for part in filter(None, (item.strip() for item in text.split(","))):
        if part == "-":
            labels.clear()
        elif part.startswith("-"):
            labels.discard(part[1:])
        elif part.startswith("+"):
            labels.add(part[1:])
    return frozenset(labels)


def setup(
    level: str = "notice",
    *,
    file: Path | None = None,
    syslog: bool = False,
    labels: str = "",
    developing: bool = False,
) -> None:
    """Send the root logger to the console, a file or syslog; may be called again at any time.

    To who is `developing` at a terminal it is written for a person, else one event is one line.
    """
    for number, name in _NAMES.items():
        logging.addLevelName(number, name)
    if syslog:
        address = "/dev/log" if os.path.exists("/dev/log") else ("127.0.0.1", 514)
        handler: logging.Handler = Syslog(address, Syslog.LOG_LOCAL0)
    elif file:
        handler = _File(file, encoding="utf-8")
    else:
        handler = Console()
    console = isinstance(handler, Console)
    handler.terminal = console and developing and _is_terminal()  # type: ignore[attr-defined]
    lines = handler.terminal or (console and os.environ.get("BKJS_DEBUG"))  # type: ignore[attr-defined]
    formatter = SyslogFormatter if syslog else TerminalFormatter if lines else LineFormatter
    handler.setFormatter(formatter())
    wanted, chosen = to_level(level), parse_labels(labels)
    handler.addFilter(_Labels(wanted, chosen))
    root = logging.getLogger()
    for old in [h for h in root.handlers if getattr(h, "bkjs", False)]:
        root.removeHandler(old)
        old.close()
    handler.bkjs = True  # type: ignore[attr-defined]
    root.addHandler(handler)
    root.setLevel(min(wanted, 10) if chosen else wanted)
    for noisy in ("asyncio", "uvicorn", "watchfiles", "websockets"):
        # below that they print requests and frames, with the secrets in them
        logging.getLogger(noisy).setLevel(max(wanted, 30))
