"""Configuration files: which they are, what cannot be read, and noticing changes."""

from __future__ import annotations

import asyncio
import json
import logging
import os

import pytest

from bkjs.app import App
from bkjs.config import CORE_PARAMS, Config, make_home
from bkjs.config.files import Files, watch
from bkjs.config.parse import parse_argv, read_config
from bkjs.errors import StartError


class Stopped(Exception):
    """The script of a watched directory is over."""


def script(*steps):
    """A sleep that makes the next change instead of waiting, then stops the watch."""
    rest = iter(steps)

    async def sleep(seconds):
        step = next(rest, None)
        if step is None:
            raise Stopped
        step()

    return sleep


def nothing():
    pass


def run_watch(files, steps, on_change=None):
    seen = []

    def note():
        seen.append([token.value for token in files.read()["file"]])

    with pytest.raises(Stopped):
        asyncio.run(watch(files.stamp, on_change or note, sleep=script(*steps)))
    return seen


def test_a_bare_name_lies_in_the_etc_directory(tmp_path):
    assert Files(tmp_path, "x", tmp_path / "cwd").main == tmp_path / "x"
    assert Files(tmp_path, "./x", tmp_path / "cwd").main == tmp_path / "cwd/x"
    assert Files(tmp_path, "/a/x").local.as_posix() == "/a/x.local"


def test_files_that_are_not_there_say_nothing_unless_they_were_named(tmp_path):
    assert Files(tmp_path).read() == {"file": [], "local": []}
    (token,) = Files(tmp_path, "other").read()["file"]
    assert token.error == "no such file"
    assert token.place == str(tmp_path / "other")


def test_a_file_of_windows_is_read(tmp_path):
    (tmp_path / "config").write_bytes(b"\xef\xbb\xbfport=1\r\nlog=debug\r\n")
    read = [(token.name, token.value) for token in Files(tmp_path).read()["file"]]
    assert read == [("port", "1"), ("log", "debug")]


def test_a_file_that_cannot_be_read_is_an_error(tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config.local").write_bytes(b"a=\xff")
    tokens = Files(tmp_path).read()
    assert tokens["file"][0].error == "cannot be read: Is a directory"
    assert (tokens["local"][0].error, tokens["local"][0].line) == ("not UTF-8", 1)


def test_a_new_a_changed_a_replaced_and_a_removed_file_are_noticed(tmp_path):
    files, path = Files(tmp_path), tmp_path / "config"

    def replaced():
        (tmp_path / "new").write_text("a=4")
        os.replace(tmp_path / "new", path)

    steps = [
        lambda: path.write_text("a=1"), nothing,
        lambda: path.write_text("a=33"), nothing,
        replaced, nothing,
        path.unlink, nothing,
        nothing,
    ]  # fmt: skip
    assert run_watch(files, steps) == [["1"], ["33"], ["4"], []]


def test_a_file_still_being_written_is_left_alone(tmp_path):
    path = tmp_path / "config"
    steps = [lambda: path.write_text(""), lambda: path.write_text("a=1"), nothing, nothing]
    assert run_watch(Files(tmp_path), steps) == [["1"]]


def test_a_coroutine_may_answer_a_change(tmp_path):
    called = []

    async def on_change():
        called.append(1)

    run_watch(Files(tmp_path), [(tmp_path / "config.local").touch, nothing], on_change)
    assert called == [1]


def configured(home, *argv):
    config = Config()
    config.declare("core", CORE_PARAMS)
    config.set_source("command line", parse_argv(["-home", str(home), *argv]))
    assert config.resolve() == []
    return config


def test_reload_applies_a_good_file_and_refuses_a_bad_one(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    config = configured(tmp_path)
    make_home(config)
    config.running = True
    file = tmp_path / "etc/config"
    file.write_text("timeout=5\nport=1")
    assert config.reload() == []
    assert (config.core.timeout, config.core.port) == (5, 8000)
    assert f"{file}:2: port=1: changed; counts after a restart" in caplog.text
    file.write_text("timeout=6\nconcurency=1")
    assert len(config.reload()) == 1
    assert config.core.timeout == 5
    assert f"not applied: {file}:2: concurency=1" in caplog.text


@pytest.mark.parametrize("name", ["config", "config.local"])
def test_a_file_that_is_gone_is_refused_and_its_values_stay(tmp_path, caplog, name):
    config = configured(tmp_path)
    make_home(config)
    config.running = True
    file = tmp_path / "etc" / name
    file.write_text("timeout=5\n")
    assert config.reload() == []
    file.unlink()
    assert [str(problem) for problem in config.reload()] == [f"{file}: no such file"]
    assert config.core.timeout == 5
    assert f"configuration not applied: {file}: no such file" in caplog.text
    file.write_text("")  # this is how its values end
    assert config.reload() == []
    assert config.core.timeout == 30000


def test_each_change_while_running_is_audited_without_secrets(tmp_path, caplog):
    config = configured(tmp_path)
    make_home(config)
    config.running = True
    caplog.set_level(logging.INFO, "bkjs.audit")
    file = tmp_path / "etc/config"
    file.write_text("timeout=5\nport=1\nbackend-secret=planted\n")
    config.reload()
    file.write_text("")
    config.reload()
    lines = [r.getMessage() for r in caplog.records if r.name == "bkjs.audit"]
    assert [json.loads(line.removeprefix("audit configuration ")) for line in lines] == [
        {"parameter": "timeout", "source": f"{file}:1", "from": 30000, "to": 5},
        {"parameter": "backend-secret", "source": f"{file}:3", "from": "", "to": "***"},
        {"parameter": "timeout", "source": "default", "from": 5, "to": 30000},
        {"parameter": "backend-secret", "source": "default", "from": "***", "to": ""},
    ]


def test_home_is_made_with_private_directories(tmp_path):
    config = configured(tmp_path / "a/b", "-files-dir", str(tmp_path / "outside"))
    make_home(config)
    home = tmp_path / "a/b"
    assert (home / "etc").stat().st_mode & 0o777 == 0o700
    assert (home / "var").stat().st_mode & 0o777 == 0o700
    assert (home / "web").is_dir()
    assert not (tmp_path / "outside").exists()
    make_home(config)


def test_an_impossible_home_is_a_clear_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match=r"cannot make the directory .*file/x: Not a directory"):
        make_home(configured(tmp_path / "file/x"))


def test_a_home_that_is_not_writable_is_a_clear_error(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(StartError, match="is not writable; choose another"):
        make_home(configured(tmp_path))


def test_a_home_of_nobody_is_a_clear_error():
    config = Config()
    config.declare("core", CORE_PARAMS)
    config.set_source("command line", parse_argv(["-home", "~no-such-user/x"]))
    assert "directory of that user is unknown" in config.resolve(early=True)[0].message
    with pytest.raises(StartError, match="has no home directory; choose one with -home"):
        make_home(config)


def test_a_wrong_pattern_of_modules_is_told_with_its_line(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "config").write_text("\nallow-modules=[\n")
    (problem,) = App(role="web", argv=["-home", str(tmp_path)]).prepare()
    assert (problem.line, problem.text) == (2, "allow-modules=[")
    assert "invalid regular expression" in problem.message


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "config")
    [token] = read_config(tmp_path / "config")
    assert token.error == "cannot be read: it is a pipe, not a file"
