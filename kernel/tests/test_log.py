from __future__ import annotations

import logging
import os
import socket

import pytest

from bkjs.app import App
from bkjs.errors import StartError
from bkjs.log import LineFormatter, Syslog, SyslogFormatter, parse_labels, setup, to_level
from bkjs.testing.vectors import vectors

# the numbers of configuration files and those of the logging module
LEVELS = {5: 1, 4: 5, 3: 10, 2: 20, 1: 25, 0: 30, -1: 40}


@pytest.mark.parametrize("case", vectors("lib-logger"))
def test_logging_gives_the_golden_results(case):
    if case["group"] == "set_level":
        assert to_level(str(case["level"])) == LEVELS[case["value"]]
    elif case["group"] == "set_debug_filter":
        labels: frozenset[str] = frozenset()
        for text in case["sequence"]:
            labels = parse_labels(text, labels)
        assert labels == set(case["filters"] or ())
    else:
        level = {"ERROR": logging.ERROR, "NOTICE": 25}[case["level"]]
        record = logging.LogRecord("bkjs", level, __file__, 1, "", None, None)
        record.created, record.msecs = case["time"] / 1000, case["time"] % 1000
        line = LineFormatter().format(record)
        assert line.replace(f"[{record.process}]", "[PID]") == case["preferred"]


@pytest.mark.parametrize(
    ("text", "level"),
    [("debug", 10), ("3", 10), ("1", 25), ("-1", 40), ("none", 40), ("nonsense", 30), ("9", 1)],
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


def test_labels_are_added_removed_and_cleared():
    assert parse_labels("+a,b") == {"a", "b"}
    assert parse_labels("-a", frozenset({"a", "b"})) == {"b"}
    assert parse_labels("-", frozenset({"a"})) == frozenset()
