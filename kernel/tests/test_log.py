from __future__ import annotations

import contextlib
import logging
import os
import socket
import subprocess
import sys

import pytest

from bkjs.app import App
from bkjs.errors import StartError
from bkjs.log import (
    LONGEST,
    LineFormatter,
    Syslog,
    SyslogFormatter,
    TerminalFormatter,
    on_terminal,
    parse_labels,
    setup,
    to_level,
)
from bkjs.testing.vectors import known, vectors

# the numbers of configuration files and those of the logging module
LEVELS_BY_NAME = {
    "TEST": 1, "DEV": 5, "DEBUG": 10, "INFO": 20, "NOTICE": 25, "WARN": 30, "ERROR": 40,
}  # fmt: skip
LEVELS = {5: 1, 4: 5, 3: 10, 2: 20, 1: 25, 0: 30, -1: 40}


@pytest.mark.parametrize("case", vectors("lib-logger"))
def test_logging_gives_the_golden_results(case):
    known([case["group"]], ("set_level", "set_debug_filter", "prefix"), "group")
    if case["group"] == "set_level":
        assert to_level(str(case["level"])) == LEVELS[case.wanted("value")]
    elif case["group"] == "set_debug_filter":
        labels: frozenset[str] = frozenset()
        for text in case["sequence"]:
            labels = parse_labels(text, labels)
        assert labels == set(case.wanted("filters") or ())
    else:
        level = LEVELS_BY_NAME[case["level"]]
        record = logging.LogRecord("bkjs", level, __file__, 1, "", None, None)
        record.created, record.msecs = case["time"] / 1000, case["time"] % 1000
        line = LineFormatter().format(record)
        assert line.replace(f"[{record.process}]", "[PID]") == case.wanted("text")


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("debug", 10),
        ("3", 10),
        ("1", 25),
        ("-1", 40),
        ("none", 40),
        ("nonsense", 30),
        ("9", 1),
        ("-9", 40),
    ],
)
def test_levels_have_names_and_numbers(text, level):
    assert to_level(text) == level


def test_a_line_escapes_control_characters():
    record = logging.LogRecord("x", 25, "", 1, "a\r\nb\x1b[31m", None, None)
    line = LineFormatter().format(record)
    assert line.endswith(" NOTICE: a\\x0d \\n b\\x1b[31m")


@pytest.mark.parametrize(("level", "priority"), [(25, 5), (30, 4), (40, 3), (20, 6), (5, 7)])
def test_the_syslog_gets_name_process_and_priority(level, priority):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        handler = Syslog(server.getsockname(), Syslog.LOG_LOCAL0)
        handler.setFormatter(SyslogFormatter())
        record = logging.LogRecord("bkjs", level, __file__, 1, "a\nb", None, None)
        setup("none")  # names the levels
        record.levelname = logging.getLevelName(level)
        handler.handle(record)
        handler.close()
        text = server.recv(1000).rstrip(b"\x00").decode()
    name = logging.getLevelName(level)
    assert text == f"<{128 + priority}>backend[{os.getpid()}]: {name}: a \\n b"


def test_a_log_that_cannot_be_written_is_named_at_the_start_and_kept_later(tmp_path, caplog):
    (tmp_path / "file").touch()
    bad = str(tmp_path / "file" / "log")
    with pytest.raises(StartError, match=r"log-file .*file/log: (Not a directory|File exists)"):
        App(argv=["-home", str(tmp_path / "home"), "-log-file", bad], modules=[]).prepare()
    app = App(argv=["-home", str(tmp_path / "home")], modules=[])
    assert app.prepare() == []
    (tmp_path / "home/etc/config").write_text(f"log-file={bad}\n")
    assert app.reload() == []
    assert f"log-file {bad}: " in caplog.text


def test_a_log_goes_on_when_its_folder_is_moved_away_or_cannot_be_made(tmp_path, capsys):
    folder, log_of_test = tmp_path / "log", logging.getLogger("test")
    setup(file=folder / "message.log")
    try:
        log_of_test.error("one")
        folder.rename(tmp_path / "old")
        log_of_test.error("two")
        assert (tmp_path / "old/message.log").read_text().endswith(" one\n")
        assert (folder / "message.log").read_text().endswith(" two\n")
        folder.rename(tmp_path / "older")
        folder.touch()
        log_of_test.error("three")
        said = capsys.readouterr().err
        assert str(folder) in said
        assert said.endswith("ERROR: three\n")
    finally:
        setup()


UNREAD = """
import logging, sys
from bkjs.log import setup
setup("info")
for number in range(2000):
    logging.getLogger("bkjs").info("%d %s", number, "x" * 1000)
print("done", flush=True)
sys.stdin.read()
logging.getLogger("bkjs").info("the last")
"""


def test_a_console_that_nobody_reads_holds_nothing_up():
    child = subprocess.Popen(
        [sys.executable, "-c", UNREAD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout.readline() == "done\n"  # 2 MB were logged, a pipe holds 64 kB
        child.stdin.close()
        lines = child.stderr.read().splitlines()
    lost = [int(line.split()[0]) for line in lines if line.endswith(" lost: nobody read them")]
    written = [line for line in lines if line.endswith("xxx")]
    assert [int(line.split()[4]) for line in written] == list(range(len(written)))
    assert len(lost) == 1
    assert lines[-1].endswith("the last") or lines[-1].startswith(str(lost[0]))
    assert lost[0] + len(lines) - 1 == 2001


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_a_syslog_that_does_not_read_holds_nothing_up(tmp_path, kind):
    address = str(tmp_path / "log")
    with socket.socket(socket.AF_UNIX, kind) as server:
        server.bind(address)
        if kind is socket.SOCK_STREAM:
            server.listen()
        handler = Syslog(address, Syslog.LOG_LOCAL0)
        handler.setFormatter(SyslogFormatter())
        record = logging.LogRecord("bkjs", 20, __file__, 1, "x" * 1000, None, None)
        for _ in range(2000):
            handler.handle(record)
        assert 0 < handler.lost < 2000
        reader = server.accept()[0] if kind is socket.SOCK_STREAM else server
        reader.setblocking(False)
        read = b""
        with contextlib.suppress(BlockingIOError):
            while data := reader.recv(1 << 20):
                read += data
        lost = handler.lost
        if kind is socket.SOCK_DGRAM:
            handler.handle(record)
            assert f"WARN: {lost} lines were lost".encode() in reader.recv(2000)
            assert handler.lost == 0
        handler.close()
        assert read.count(b"INFO: xxx") >= 10
        reader.close()


def test_a_message_has_a_length_and_a_direction():
    record = logging.LogRecord("x", 25, "", 1, "a" * 100_000 + "\u202e", None, None)
    line = LineFormatter().format(record)
    assert len(line) < 9000
    assert line.endswith("a… (100001 characters)")
    record = logging.LogRecord("x", 25, "", 1, "a\u202eb", None, None)
    assert LineFormatter().format(record).endswith("a\\u202eb")
    record = logging.LogRecord("x", 25, "", 1, "\u202e\u200f\u061c" * 9000, None, None)
    assert len(LineFormatter().format(record)) < 9000


# -- for a person at a terminal --------------------------------------------------------------------


def record_of(text, error=None, name="x", level=40):
    info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord(name, level, "", 1, text, None, info)


def error_of(text):
    try:
        raise ValueError(text)
    except ValueError as error:
        return error


def test_a_traceback_at_a_terminal_has_its_lines_and_nothing_moves_the_cursor():
    text = TerminalFormatter().format(
        record_of("failed\x1b[2J\n", error_of("a\x1b[31mb\x08c\u202e"))
    )
    first, *trace, last = text.split("\n")
    assert first.endswith("ERROR: failed\\x1b[2J \\n ")
    assert trace[0] == "Traceback (most recent call last):"
    assert last == "ValueError: a\\x1b[31mb\\x08c\\u202e"
    assert text.isascii()
    assert text.replace("\n", "").isprintable()


def test_of_a_long_traceback_its_end_is_shown():
    record = record_of("failed", error_of("x" * 2 * LONGEST + " the end"))
    shown = TerminalFormatter().format(record)
    assert shown.endswith("x the end")
    assert len(shown) < LONGEST + 200
    assert "Traceback" not in shown
    line = LineFormatter().format(record)
    assert "Traceback" in line
    assert line.endswith("x the end")
    assert len(line) < LONGEST + 200


def test_a_request_at_a_terminal_is_what_it_says():
    record = record_of("GET /\x1b[2J 200 3 ms\n", name="bkjs.access", level=25)
    assert TerminalFormatter().format(record) == "GET /\\x1b[2J 200 3 ms \\n "
    assert len(TerminalFormatter().format(record_of("x" * 9999, name="bkjs.access"))) == LONGEST


def test_a_message_that_is_all_escapes_has_a_length():
    text = LineFormatter().format(record_of("\x1b" * 9999))
    assert LONGEST < len(text) < LONGEST + 200
    assert text.endswith("(9999 characters)")


@pytest.fixture
def root():
    """The root logger, whose handlers and level are as before afterwards."""
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield logger
    for handler in logger.handlers[:]:
        if handler not in handlers:
            logger.removeHandler(handler)
            handler.close()
    for handler in handlers:
        if handler not in logger.handlers:
            logger.addHandler(handler)
    logger.setLevel(level)


@pytest.mark.parametrize(
    ("developing", "tty", "file", "debug", "person", "formatter"),
    [
        (True, True, False, "", True, TerminalFormatter),
        (False, True, False, "", False, LineFormatter),
        (True, False, False, "", False, LineFormatter),
        (True, True, True, "", False, LineFormatter),
        (False, False, False, "1", False, TerminalFormatter),
        (False, False, True, "1", False, LineFormatter),
    ],
)
def test_who_the_log_is_written_for(
    root, tmp_path, monkeypatch, developing, tty, file, debug, person, formatter
):
    monkeypatch.setattr("sys.stderr.isatty", lambda: tty, raising=False)
    monkeypatch.setenv("BKJS_DEBUG", debug)
    setup("info", file=tmp_path / "log" if file else None, developing=developing)
    (ours,) = (h for h in root.handlers if getattr(h, "bkjs", False))
    assert on_terminal() is person
    assert type(ours.formatter) is formatter


def test_a_log_that_is_set_up_again_closes_what_it_had(root, tmp_path):
    setup("info", file=tmp_path / "one")
    (first,) = (h for h in root.handlers if getattr(h, "bkjs", False))
    logging.getLogger("x").info("hello")
    stream = first.stream
    setup("info", file=tmp_path / "two", labels="+x")
    (second,) = (h for h in root.handlers if getattr(h, "bkjs", False))
    assert second is not first
    assert stream.closed
    logging.getLogger("x").debug("shown by its label")
    logging.getLogger("y").debug("not shown")
    assert "hello" in (tmp_path / "one").read_text()
    assert "shown by its label" in (tmp_path / "two").read_text()
    assert "not shown" not in (tmp_path / "two").read_text()


def test_uvicorn_says_nothing_of_requests_at_any_level():
    root, level = logging.getLogger(), logging.getLogger().level
    try:
        for name in ("test", "debug", "info", "notice"):
            setup(name)
            assert not logging.getLogger("uvicorn.error").isEnabledFor(logging.INFO)
    finally:
        setup("warn")
        root.setLevel(level)


def test_a_label_without_its_sign_is_refused(tmp_path):
    app = App(role="shell", argv=["-home", str(tmp_path), "-log-filter", "+a,b"], modules=[])
    assert [problem.message for problem in app.prepare()] == [
        "a label begins with + or -; write +b"
    ]


def test_labels_are_added_removed_and_cleared():
    assert parse_labels("+a,+b") == {"a", "b"}
    assert parse_labels("a", frozenset("b")) == {"b"}  # neither added nor removed
    assert parse_labels("-a", frozenset({"a", "b"})) == {"b"}
    assert parse_labels("-", frozenset({"a"})) == frozenset()
