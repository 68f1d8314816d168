"""The examples, and what `bkjs init-*` makes of them, live outside of this repository."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bkjs.commands.init import JUNK
from tests.clean import ROOT, Clean

pytestmark = pytest.mark.slow


def check(clean: Clean, folder: Path) -> None:
    """Tests, lint and types, as the README of each says."""
    tested = clean.run("python", "-m", "pytest", "-q", cwd=folder)
    assert " passed" in tested
    assert "failed" not in tested
    clean.run("ruff", "check", cwd=folder)
    clean.run("ruff", "format", "--check", cwd=folder)
    clean.run("mypy", cwd=folder)


@pytest.mark.parametrize("name", ["plugin", "driver"])
def test_example_passes_its_own_tests_lint_and_types(name, clean, tmp_path):
    folder = tmp_path / name
    shutil.copytree(ROOT / "examples" / name, folder, ignore=shutil.ignore_patterns(*JUNK))
    clean.install(f"{folder}[test]")
    check(clean, folder)


@pytest.mark.parametrize(
    ("kind", "name", "folder", "listed"),
    [
        ("plugin", "weather", "bkjs-weather", {"weather", "weather-load"}),
        ("driver", "my-bkjs-db-foo", "my-bkjs-db-foo", {"foo"}),
    ],
)
def test_new_package_passes_untouched_and_is_found_by_being_installed(
    kind, name, folder, listed, clean, tmp_path
):
    clean.install("bkjs")
    clean.run("bkjs", f"init-{kind}", name, cwd=tmp_path)
    clean.install(f"{tmp_path / folder}[test]")
    check(clean, tmp_path / folder)
    rows = json.loads(clean.run("bkjs", "plugins", "-json", "-home", tmp_path / "home"))
    assert {row["name"] for row in rows if row["package"] == folder} == listed


def test_new_application_passes_untouched(clean, tmp_path):
    clean.install("bkjs[standard,pgsql,testing]", "ruff", "mypy")
    clean.run("bkjs", "init-app", "my-shop", cwd=tmp_path)
    check(clean, tmp_path / "my-shop")


def test_todo_is_at_most_40_lines_of_code():
    lines = (ROOT / "examples" / "todo" / "todo.py").read_text().splitlines()
    assert len([line for line in lines if line.strip()]) <= 40
