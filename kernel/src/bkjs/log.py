"""Logging set-up: the platform's levels, one event per line, to the console, a file or syslog."""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
import re
import sys
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

LEVELS = {
    "test": 1, "dev": 5, "debug": 10, "info": 20, "notice": 25, "log": 25,
    "warn": 30, "error": 40, "none": 40,
}  # fmt: skip
"""Levels by name; an error always prints, also with `none`."""

_NUMBERS = {5: 1, 4: 5, 3: 10, 2: 20, 1: 25, 0: 30, -1: 40}
"""The numeric levels of configuration files."""

NOTICE = 25
_NAMES = {1: "TEST", 5: "DEV", 10: "DEBUG", 20: "INFO", 25: "NOTICE", 30: "WARN", 40: "ERROR"}
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


def to_level(text: str) -> int:
    """`debug` or `3` -> the level of the logging module; unknown text means `warn`."""
    known = LEVELS.get(text.strip().lower())
    if known is not None:
        return known
    number = re.match(r"\s*(-?\d+)", text)
    return _NUMBERS.get(max(-1, min(5, int(number[1]))), 30) if number else 30


def _event(record: logging.LogRecord) -> str:
    """`NOTICE: message`, control characters escaped."""
    level = _NAMES.get(record.levelno, record.levelname)
    message = record.getMessage()
    if record.exc_info:
        message += " | " + logging.Formatter().formatException(record.exc_info)
    message = _CONTROL.sub(lambda m: f"\\x{ord(m[0]):02x}" if m[0] != "\n" else " \\n ", message)
    return f"{level}: {message}"


class LineFormatter(logging.Formatter):
    """`2026-11-24 15:04:05.123 [pid] NOTICE: message`, control characters escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """One event as one line, in local time."""
        when = datetime.fromtimestamp(record.created).strftime("%Y-%m-%d %H:%M:%S")  # noqa: DTZ006 - local time by convention
        return f"{when}.{int(record.msecs):03d} [{record.process}] {_event(record)}"


class SyslogFormatter(logging.Formatter):
    """`[pid]: NOTICE: message`; the syslog adds the time, and what it begins with is the name."""

    def format(self, record: logging.LogRecord) -> str:
        """One event as one line without its time."""
        return f"[{record.process}]: {_event(record)}"


class Syslog(logging.handlers.SysLogHandler):
    """Sends each level with its own priority."""

    ident = "backend"
    priority_map: ClassVar = {
        "TEST": "debug", "DEV": "debug", "DEBUG": "debug", "INFO": "info", "NOTICE": "notice",
        "WARN": "warning", "ERROR": "error", "CRITICAL": "critical",
    }  # fmt: skip


class _File(logging.handlers.WatchedFileHandler):
    """A file that may be moved away, even with its folder; while it cannot be written, stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            super().emit(record)
        except OSError:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError):
            print(f"{sys.exc_info()[1]}: {self.format(record)}", file=sys.stderr, flush=True)

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


def parse_labels(text: str, current: frozenset[str] = frozenset()) -> frozenset[str]:
    """Apply `+label,-label` to a set of labels; `-` alone clears it."""
    labels = set(current)
    for part in filter(None, (item.strip() for item in text.split(","))):
        if part == "-":
            labels.clear()
        elif part.startswith("-"):
            labels.discard(part[1:])
        else:
            labels.add(part.removeprefix("+"))
    return frozenset(labels)


def setup(
    level: str = "notice", *, file: Path | None = None, syslog: bool = False, labels: str = ""
) -> None:
    """Send the root logger to the console, a file or syslog; may be called again at any time."""
    for number, name in _NAMES.items():
        logging.addLevelName(number, name)
    if syslog:
        address = "/dev/log" if os.path.exists("/dev/log") else ("127.0.0.1", 514)
        handler: logging.Handler = Syslog(address, Syslog.LOG_LOCAL0)
    elif file:
        handler = _File(file, encoding="utf-8")
    else:
        handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(SyslogFormatter() if syslog else LineFormatter())
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
        # never below info: there they print requests and frames, with the secrets in them
        logging.getLogger(noisy).setLevel(max(wanted, 30 if wanted > 10 else 20))
