"""Every declared parameter has a reader, or the documentation says that it has none yet."""

from __future__ import annotations

import re
from fnmatch import fnmatch

from bkjs.app import App
from bkjs.config import Param
from bkjs.config.param import snake
from bkjs.config.store import locate
from tests.clean import PROJECTS, ROOT

SOURCE = "\n".join(
    file.read_text(encoding="utf-8") for project in PROJECTS for file in project.glob("src/**/*.py")
)


def is_read(param: Param) -> bool:
    """Whether the name of its attribute, or of the dict that holds it, is anywhere in the code."""
    *outer, name = locate(param, param.name)
    named = outer[0] if outer and not param.literal else name
    words = {named, snake(named)}
    return any(re.search(rf"""(\.|["'])(no_)?{re.escape(word)}\b""", SOURCE) for word in words)


def test_parameters_without_a_reader_are_documented(tmp_path):
    text = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
    waiting = {
        name
        for part in re.findall(r"^- Accepted (?:without|for) .*?(?=^-|^$)", text, re.M | re.S)
        for name in re.findall(r"`([a-z0-9-]+\*?)`", part)
    }
    app = App(role="shell", argv=["-home", str(tmp_path), "-log", "none"])
    assert app.prepare() == []
    unread = [
        owner.prefixes[0] + param.title
        for owner in app.config.declared.owners.values()
        for param in owner.params
        if not is_read(param)
    ]
    assert len(unread) > 10
    assert [name for name in unread if not any(fnmatch(name, each) for each in waiting)] == []
