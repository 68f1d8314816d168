"""Moving from SQLite to PostgreSQL as README.md says."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from bkjs.testing.process import run
from bkjs.testing.servers import NotHere, postgres
from tests.clean import ROOT

pytestmark = pytest.mark.process


@pytest.fixture
def url(monkeypatch):
    monkeypatch.delenv("BKJS_TEST_PGSQL", raising=False)  # the tables have to be new
    try:
        with postgres() as url:
            yield url
    except NotHere as error:
        pytest.skip(str(error))


def test_rows_come_along_with_the_commands_of_the_readme(tmp_path, url):
    (section,) = re.findall(r"## PostgreSQL\n(.*?)\n## ", (ROOT / "README.md").read_text(), re.S)
    blocks = re.findall(r"(?:^ {4}.*\n)+", section, re.M)
    config, commands = (re.sub(r"^ {4}", "", block, flags=re.M) for block in blocks[1:])
    home = tmp_path / "home"
    added = run(home, "user", "add", "-login", "me", "-secret", "0123456789abcdef", "-name", "Me")
    assert added.returncode == 0, added.stderr
    config = re.sub("postgresql://.*", url, config)
    (home / "etc" / "config").write_text(config)
    script = f'bkjs() {{ "{sys.executable}" -m bkjs "$@" -home "{home}"; }}\n{commands}'
    done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (home / "etc" / "config").write_text(config.replace("db-sqlite-pool=default\n", ""))
    for file in (home / "var").glob("backend.db*"):
        file.unlink()
    assert '"login":"me"' in run(home, "user", "list").stdout


def test_unknown_pool_is_refused(tmp_path):
    done = run(tmp_path, "db", "export", "-table", "bk_account", "-pool", "sqlite7")
    assert done.returncode == 1
    assert "no pool 'sqlite7' is configured" in done.stderr
