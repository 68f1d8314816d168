"""The `bkjs` command as a user types it."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys

import pytest

import bkjs
from bkjs.testing.process import command, run
from tests.strangers import install

pytestmark = pytest.mark.process


def bare(*argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run with nothing in the environment but what is given."""
    return subprocess.run(
        command(*argv), env=env, capture_output=True, text=True, timeout=60, check=False
    )


def test_help_lists_every_command_with_what_it_does():
    done = bare("--help")
    lines = [line for line in done.stdout.splitlines() if line.startswith("  ")]
    listed = {line.split()[0]: line.split()[1:] for line in lines}
    ours = {"web", "plugins", "config", "db", "init-app", "init-plugin", "init-driver", "user"}
    assert done.returncode == 0
    assert ours <= set(listed)
    assert all(listed.values()), "a command without a help line"


def test_version():
    assert bare("--version").stdout == f"bkjs {bkjs.__version__}\n"


@pytest.mark.parametrize("word", ["web", "config", "db", "init-app", "plugins", "user"])
def test_help_of_a_command_tells_its_arguments_and_runs_nothing(word, tmp_path):
    done = bare(word, "--help", "-port", "nonsense", HOME=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"bkjs {word}" in done.stdout or "bkjs init-" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    listing = " ".join(command("config", "list", "-home", str(tmp_path)))
    shell = ["sh", "-c", f"{listing} | head -1"]
    done = subprocess.run(shell, capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout.count("\n"), done.stderr) == (1, "")


def test_unknown_command_names_the_nearest_one(tmp_path):
    done = run(tmp_path, "plugin")
    assert done.returncode == 2
    assert "unknown command 'plugin'; did you mean 'plugins'?" in done.stderr
    assert done.stdout == ""


def test_unknown_parameter_names_the_nearest_one(tmp_path):
    done = run(tmp_path, "web", "-prot", "8001")
    assert done.returncode == 2
    assert "prot" in done.stderr
    assert "'port'" in done.stderr
    assert "Traceback" not in done.stderr


def test_plugins_are_listed_whatever_is_wrong_with_the_configuration(tmp_path):
    done = run(tmp_path, "plugins", "-prot", "8001")
    assert "bk_accounts" in done.stdout
    assert "prot=8001: unknown parameter" in done.stderr


def test_plugins_as_json_shows_who_brought_what_and_its_state(tmp_path):
    rows = json.loads(run(tmp_path, "plugins", "-json").stdout)
    accounts = next(row for row in rows if row["name"] == "bk_accounts")
    assert accounts["package"] == "bkjs-accounts"
    assert accounts["version"] == bkjs.__version__
    assert accounts["state"] == "loaded"
    assert accounts["reason"] == ""
    assert {"tables", "configure_web"} <= set(accounts["hooks"])
    sqlite = next(row for row in rows if row["name"] == "sqlite")
    assert sqlite["group"] == "bkjs.db"
    assert sqlite["state"] == "installed"
    assert sqlite["reason"] == "loaded when a pool or URL names it"


def test_denied_module_is_never_imported(tmp_path):
    code = "raise SystemExit('imported')"
    env = install(tmp_path / "site", "acme-quiet", code, entry="acme_quiet")
    done = run(
        tmp_path, "plugins", "-json", "-deny-modules", "acme", "-allow-modules", ".", env=env
    )
    row = next(row for row in json.loads(done.stdout) if row["name"] == "acme_quiet")
    assert row["state"] == "denied"
    assert row["reason"] == "deny-modules is acme"
    assert "imported" not in done.stderr
    listed = run(tmp_path, "plugins", "-allow-modules", "^bk_", env=env).stdout
    assert "denied     allow-modules is ^bk_" in listed


@pytest.mark.parametrize(
    "words", [("web", "8000"), ("plugins", "list", "x"), ("user", "add", "a", "b")]
)
def test_word_too_many_is_not_forgotten(tmp_path, words):
    done = run(tmp_path, *words)
    assert done.returncode == 2
    assert f"{words[-1]!r} is one word too many" in done.stderr


def test_driver_that_cannot_be_made_is_blamed(tmp_path):
    code = (
        "from bkjs import hookimpl\n"
        "from bkjs.db.pools.memory import MemoryDriver\n"
        "class Driver(MemoryDriver):\n"
        "    def __init__(self, name, url, options):\n"
        "        raise ValueError('out of order')\n"
        "@hookimpl\n"
        "def driver():\n"
        "    return Driver\n"
    )
    env = install(tmp_path / "site", "acme-bkjs-db-odd", code, entry="odd", group="bkjs.db")
    text = "plugin 'odd' (acme-bkjs-db-odd 1.2.0) failed in driver: ValueError: out of order"
    assert text in run(tmp_path, "config", "check", "-db-pool", "odd", env=env).stdout
    assert text in run(tmp_path, "db", "tables", "-db-pool", "odd", env=env).stderr


@pytest.mark.parametrize(
    ("name", "url", "text"),
    [
        ("pgsql", "mysql://u@h/d", "begins with postgresql://, not mysql://"),
        ("sqlite1", "postgresql://u@h/d", "begins with sqlite://, not postgresql://"),
        ("pgsql", "'postgresql://u@h/d'", "the URL is in quotes"),
    ],
)
def test_check_names_a_url_of_another_database_or_in_quotes(tmp_path, name, url, text):
    done = run(tmp_path, "config", "check", f"-db-{name}-pool", url)
    assert done.returncode == 2  # typed so
    assert text in done.stdout


def test_an_application_may_be_of_several_files(tmp_path):
    (tmp_path / "app.py").write_text("import neighbour\n")
    (tmp_path / "neighbour.py").write_text("print('neighbour is here')\n")
    assert "neighbour is here" in run(tmp_path, "plugins", "-app", str(tmp_path / "app.py")).stdout
    (tmp_path / "neighbour.py").write_text("import nowhere\n")
    done = run(tmp_path, "plugins", "-app", str(tmp_path / "app.py"))
    assert "no file beside" in done.stderr
    assert "app.py and no installed package is called 'nowhere'" in done.stderr


def test_check_names_a_pool_whose_driver_is_missing(tmp_path):
    done = run(tmp_path, "config", "check", "-db-frobsql1-pool", "frobsql://x")
    assert done.returncode == 2  # typed so
    assert "db-frobsql1-pool=frobsql://x: no db driver 'frobsql'" in done.stdout
    done = run(tmp_path, "config", "check", "-db-pool", "frobsql")
    assert "db-pool=frobsql: no db driver 'frobsql'" in done.stdout


def test_module_of_a_stranger_works_by_being_installed(tmp_path):
    code = (
        "from bkjs import hookimpl\n"
        "@hookimpl\n"
        "def commands():\n"
        "    return {'hello': lambda argv: print('hello', *argv)}\n"
    )
    env = install(tmp_path / "site", "acme-hello", code, entry="acme_hello")
    done = run(tmp_path, "hello", "-allow-modules", "^acme_hello$", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("hello hello")


def test_command_of_a_stranger_is_in_the_help_without_being_imported(tmp_path):
    code = '"""Greet somebody"""\nraise SystemExit("imported")\n'
    env = install(tmp_path, "acme-greet", code, entry="greet", group="bkjs.commands")
    done = bare("--help", **env)
    assert any(line.split() == ["greet", "Greet", "somebody"] for line in done.stdout.splitlines())


@pytest.mark.parametrize("env", [{}, {"HOME": ""}], ids=["no HOME", "empty HOME"])
def test_home_of_the_user_counts_without_one_in_the_environment(env):
    code = "import os; from bkjs.cli import main; main(['--version']); "
    code += "print(os.path.expanduser('~/.bkjs'))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == f"{pwd.getpwuid(os.getuid()).pw_dir}/.bkjs"
