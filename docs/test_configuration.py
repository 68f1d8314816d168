"""The page about configuration: parameters that there are, with their defaults, all with effect."""

import re
from fnmatch import fnmatch
from pathlib import Path

from generate import without_effect

from bkjs.app import App

PAGE = Path(__file__).with_name("configuration.md").read_text(encoding="utf-8")
CODE = re.compile(r"`([^`]+)`")
ROWS = [
    [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    for line in PAGE.splitlines()
    if line.startswith("| `")
]


def test_parameters_are_there_with_their_defaults_and_have_an_effect(tmp_path):
    app = App(role="shell", argv=["-home", str(tmp_path), "-log", "none"])
    app.prepare()
    declared = {
        owner.prefixes[0] + param.title: param
        for owner in app.config.declared.owners.values()
        for param in owner.params
    }
    named = [name for row in ROWS for name in CODE.findall(row[0])]
    assert len(named) == len(set(named)) >= 25
    for row in ROWS:
        for name in CODE.findall(row[0]):
            param = declared[name]
            assert not any(fnmatch(name, pattern) for pattern in without_effect()), name
            if name in ("home", "api-allow-path"):
                continue  # worked out of others
            default = {True: "true", False: "false"}.get(param.default, param.default)
            default = getattr(default, "pattern", default)
            told = "".join(CODE.findall(row[1])).replace("\\|", "|")
            assert str(default or "") == told, name


def test_lines_of_the_page_are_valid(tmp_path):
    (tmp_path / "etc").mkdir()
    text = re.search(r"```ini\n(.*?)```", PAGE, re.S)[1]
    (tmp_path / "etc/config").write_text(text)
    app = App(role="shell", argv=["-home", str(tmp_path), "-log", "none"])
    assert app.prepare() == []
    assert app.config.core.port == 8080
    assert list(app.config.api.hosts) == ["todo.example.com", "127.0.0.1"]
