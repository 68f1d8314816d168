"""The whole start-up sequence against the golden data: files, modules, packages, directories."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from bkjs.app import App
from bkjs.testing.vectors import known, vectors

HOOK = """
from bkjs import Param, hookimpl

priority = {priority}

@hookimpl
def args():
    return [{params}]
"""

APP = ('Param("str")', 'Param("num", "int")', 'Param("list", "list", array=True)')


def write(root: Path, name: str, text: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def plugin(priority: int, *params: str) -> str:
    return HOOK.format(priority=priority, params=", ".join(params))


def argv(case: dict[str, Any], home: Path, app: Path) -> list[str]:
    options = case.get("opts", {})
    known(options, ("allowModules", "denyModules"))
    given = ["-home", str(home), "-app", str(app), *case.get("argv", [])]
    for name, option in (("allow-modules", "allowModules"), ("deny-modules", "denyModules")):
        given += [f"-{name}", options[option]] if option in options else []
    return given


@pytest.mark.parametrize("case", vectors("config-init"))
def test_start_up(case, tmp_path, monkeypatch):
    monkeypatch.delenv("BKJS_ARGS", raising=False)
    home = tmp_path / "home"
    (home / "etc").mkdir(parents=True)
    for name, text in case["files"].items():
        write(home, name, text)
    for name, module in case.get("modules", {}).items():
        text = plugin(module.get("priority", 0), 'Param("val")', 'Param("num", "int")')
        write(home, name.replace(".js", ".py"), text)
    for name, files in case.get("packages", {}).items():
        write(tmp_path, f"site/{name}/__init__.py", "")
        for file, text in files.items():
            write(tmp_path, f"site/{name}/{file}", text)
    monkeypatch.syspath_prepend(tmp_path / "site")
    app_file = write(tmp_path, "application.py", plugin(1000, *APP))

    app = App(role=case["role"], argv=argv(case, home, app_file))
    problems = app.prepare()

    wanted = case.wanted()
    if "error" in wanted:
        assert [(p.source, p.line) for p in problems] == [(str(home / "etc/config"), 2)]
        return
    assert not problems
    config = app.config
    files = [p.name for p, _ in app.hooks.collect("args") if p.origin.endswith(".py")]
    assert files == wanted["modules"]
    assert given(config.app) == wanted["app"]
    for name, values in wanted["module_values"].items():
        assert given(config[name]) == values
    assert config.core.port == wanted["port"]
    assert config.core.run_mode == wanted["run_mode"]
    if "-app-name" in case.get("argv", []):
        assert (app.name, app.app_version) == (wanted["app_name"], wanted["app_version"])
    assert str(config.files.main) == wanted["conf_file"].replace("HOME", str(home))
    for key in ("web", "modules"):
        paths = [os.path.join(home, p.replace("HOME", str(home))) for p in wanted[f"path_{key}"]]
        assert config.core.path[key] == paths
    if "views" in wanted["packages"].get("pkg1", {}):
        assert str(tmp_path / "site/pkg1/views") in config.core.path["views"]
    made = sorted(str(p.relative_to(home)) for p in home.iterdir() if p.is_dir())
    assert made == wanted["created_dirs"]


def given(settings: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(settings).items() if value not in (None, [])}
