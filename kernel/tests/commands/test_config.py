"""`bkjs config`: listing, explaining and checking."""

from __future__ import annotations

import json

import pytest

from bkjs.commands.config import COMMAND as main
from bkjs.errors import BadRequest, NotFound


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    """Run the command with a configuration file; its exit code and what it printed."""
    monkeypatch.delenv("BKJS_ARGS", raising=False)
    (tmp_path / "etc").mkdir()

    def run(text, *argv):
        (tmp_path / "etc/config").write_text(text)
        code = main(["config", *argv, "-home", str(tmp_path), "-no-modules"])
        return code, capsys.readouterr()

    run.file = tmp_path / "etc/config"
    return run


def test_check_accepts_a_valid_configuration(run):
    code, printed = run("port=80", "check")
    assert (code, printed.out) == (0, "configuration is valid\n")
    code, printed = run("port=80", "check", "-json")
    assert (code, json.loads(printed.out)) == (0, [])


def test_check_lists_every_problem(run):
    code, printed = run("prot=1\nport=x", "check")
    assert code == 3
    first, second = printed.out.splitlines()
    assert first == f"{run.file}:1: prot=1: unknown parameter; did you mean 'port'?"
    assert second.startswith(f"{run.file}:2: port=x: not a number")


def test_check_as_json_has_the_parts_of_a_problem(run):
    code, printed = run("prot=1", "check", "-json")
    assert code == 3
    assert json.loads(printed.out) == [
        {
            "source": str(run.file),
            "line": 1,
            "text": "prot=1",
            "message": "unknown parameter",
            "near": "port",
        }
    ]


@pytest.mark.parametrize("action", [("check",), ("check", "-json"), ("list",), ("explain", "port")])
def test_what_was_typed_wrong_is_a_wrong_call(run, action):
    assert run("port=80", *action, "-prot", "1")[0] == 2
    assert run("prot=1", *action, "-prot", "1")[0] == 3
    assert run("prot=1", *action)[0] == 3


def test_list_shows_values_and_sources_and_masks_secrets(run):
    code, printed = run(
        "backend-secret=hunter2\nbackend-host=http://u:hunter2@h", "list", "backend"
    )
    assert code == 0
    assert [line.split() for line in printed.out.splitlines()] == [
        ["backend-host", "http://u:***@h", f"{run.file}:2"],
        ["backend-login", '""', "default"],
        ["backend-secret", "***", f"{run.file}:1"],
    ]


def test_list_as_json_has_members_and_families(run):
    code, printed = run("tmp-watcher-var=5", "list", "tmp-watcher", "-json")
    rows = {row["name"]: row for row in json.loads(printed.out)}
    assert code == 0
    assert rows["tmp-watcher-var"]["value"] == 5
    assert rows["tmp-watcher-tmp"]["source"] == "default"


def test_explain_shows_what_is_overridden(run):
    code, printed = run("port=80", "explain", "port", "-port", "90")
    assert code == 0
    lines = [line.split(None, 1) for line in printed.out.splitlines()]
    assert ["value", "90  from command line"] in lines
    assert ["overrides", f"80  from {run.file}:1"] in lines
    assert ["default", "8000"] in lines


def test_explain_knows_members_and_names_of_families(run):
    assert "Console port" in run("", "explain", "repl-port-web")[1].out
    assert "Console port" in run("", "explain", "repl-port-NAME")[1].out


def test_explain_tells_once_what_a_family_is(run):
    printed = run("", "explain", "api-rlimits-rate-NAME")[1].out
    assert printed.count("api-rlimits-rate-NAME") == 1
    assert "api-vhost-path-NAME" in run("", "explain", "api-vhost-path-NAME")[1].out


def test_explain_tells_whether_values_add_up(run):
    _, printed = run("api-deny-path=^/a\napi-deny-path=^/b", "explain", "api-deny-path")
    assert f"also       ^/a  from {run.file}:1" in printed.out
    _, printed = run("api-deny=^/a\napi-deny=^/b", "explain", "api-deny")
    assert f"overrides  ^/a  from {run.file}:1" in printed.out


def test_explain_of_an_unknown_name_suggests_one(run):
    with pytest.raises(NotFound, match=r"unknown parameter 'prot'; did you mean 'port'\?"):
        run("", "explain", "prot")


def test_a_name_that_is_like_none_gets_no_suggestion(run):
    with pytest.raises(NotFound, match=r"unknown parameter 'api-disable'$"):
        run("", "explain", "api-disable")


def test_defaults_are_shown_though_their_names_sound_secret(run):
    _, printed = run("", "explain", "api-access-token-age")
    assert "***" not in printed.out
    _, printed = run("api-access-token-secret=planted", "list", "access-token")
    assert "planted" not in printed.out
    assert "***" in printed.out


def test_list_says_what_is_wrong_as_well(run):
    code, printed = run("prot=1", "list", "home")
    assert code == 3
    assert "prot=1: unknown parameter" in printed.err


@pytest.mark.parametrize("words", [[], ["explain"], ["show"], ["check", "x"], ["list", "a", "b"]])
def test_wrong_words_are_answered_with_the_usage(words):
    with pytest.raises(BadRequest, match=r"bkjs (help )?config"):
        main(["config", *words])
