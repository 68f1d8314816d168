import logging
import os
import socket

import pytest

from bkjs import log
from bkjs.app import App
from bkjs.commands.args import split
from bkjs.core.keys import Keys
from bkjs.errors import BadRequest, StartError
from bkjs.log import Syslog, SyslogFormatter, setup


def test_a_key_is_made_once_and_only_its_user_may_read_it(tmp_path):
    first = Keys(tmp_path / "keys").get("session")
    assert len(first) == 32
    assert Keys(tmp_path / "keys").get("session") == first
    assert (tmp_path / "keys" / "session").stat().st_mode & 0o777 == 0o600
    assert [p.name for p in (tmp_path / "keys").iterdir()] == ["session"]


@pytest.mark.parametrize("text", ["00", "not hexadecimal"])
def test_a_short_or_broken_key_is_refused_by_name(tmp_path, text):
    (tmp_path / "session").write_text(text)
    with pytest.raises(StartError, match="session"):
        Keys(tmp_path).get("session")


@pytest.mark.parametrize(
    ("text", "level"),
    [("debug", 10), ("3", 10), ("1", 25), ("-1", 40), ("none", 40), ("nonsense", 30), ("9", 1)],
)
def test_levels_have_names_and_numbers(text, level):
    assert log.to_level(text) == level


def test_a_line_escapes_control_characters():
    record = logging.LogRecord("x", 25, "", 1, "a\r\nb\x1b[31m", None, None)
    line = log.LineFormatter().format(record)
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
    assert log.parse_labels("+a,b") == {"a", "b"}
    assert log.parse_labels("-a", frozenset({"a", "b"})) == {"b"}
    assert log.parse_labels("-", frozenset({"a"})) == frozenset()


def test_command_options_words_and_parameters_are_told_apart():
    options, words, rest = split(
        ["import", "-table", "city", "-db-pool", "pgsql", "file.csv", "--json", "-x=1", "--", "-y"],
        values=("table",),
        flags=("json",),
    )
    assert options == {"table": "city", "json": "1"}
    assert words == ["import", "file.csv", "-y"]
    assert rest == ["-db-pool", "pgsql", "-x=1"]


def test_an_option_without_its_value_is_refused():
    with pytest.raises(BadRequest, match="-table needs a value"):
        split(["-table"], values=("table",))
