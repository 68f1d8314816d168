"""README.md tells the truth."""

from __future__ import annotations

import re
import subprocess

from bkjs.core import entrypoints
from tests.clean import ROOT

README = (ROOT / "README.md").read_text()


def test_the_application_shown_is_the_one_that_is_tested():
    (shown,) = re.findall(r"```python\n(.*?)```", README, re.S)
    assert shown == (ROOT / "examples" / "todo" / "todo.py").read_text()


def test_commands_named_exist():
    commands = {entry.name for entry in entrypoints.scan() if entry.group == "bkjs.commands"}
    named = set(re.findall(r"(?:^ {4}|`)bkjs ([a-z][a-z-]*)", README, re.M))
    assert {"web", "user", "init-app"} <= named <= commands | {"help"}


def test_make_targets_named_exist():
    listed = subprocess.run(
        ["make", "-C", ROOT, "help"], capture_output=True, text=True, check=True
    )
    targets = set(re.findall(r"^ *make (\w+)", listed.stdout, re.M))
    files = [README, (ROOT / "CONTRIBUTING.md").read_text()]
    named = {name for text in files for name in re.findall(r"(?:^ {4}|`)make (\w+)", text, re.M)}
    assert {"run", "test"} <= named <= targets


def test_folders_named_exist():
    for name in re.findall(r"`((?:kernel|drivers|plugins|examples|tests)/[\w./]*)`", README):
        assert (ROOT / name).exists(), name
