"""Every declared parameter has a reader, or the documentation says that it has none yet."""

from __future__ import annotations

import re
import sys
from fnmatch import fnmatch

from bkjs.app import App
from bkjs.config import Param
from bkjs.config.param import snake
from bkjs.config.store import locate
from tests.clean import PROJECTS, ROOT

sys.path.append(str(ROOT / "docs"))

SOURCE = "\n".join(
    file.read_text(encoding="utf-8")
    for project in PROJECTS
    for file in project.glob("src/**/*.py")
    if file.name not in ("builtin.py", "parameters.py")
)
READ_ELSEWHERE = {
    "help": r'"help"',
    "*-dir": r"core\.path\.items\(\)",
    "web-path": r'core\.path\.get\("web"',
    "locales-path": r'core\.path\.get\("locales"',
    "ssl-*": r"tls_context\(core\.ssl\)",
    "*-modules": r"core\.(allow|deny)_modules",
    "db-allow-column-*": r'"allow_column"',
    "api-platform-match": r"self\.platform_match",
    **dict.fromkeys(
        ("api-allow*", "api-deny*", "api-ignore-allow*", "api-disable-session"),
        r"getattr\(api, name\)",
    ),
}
"""Parameters that are not read as `config.owner.name`, and what reads them."""


def is_read(owner: str, name: str, param: Param) -> bool:
    """Whether the code reads the setting, or the dict that holds it."""
    *outer, last = locate(param, param.name)
    owners = owner if owner == "core" else f"{owner}|settings"
    holder = rf"(?:\b|_)(?:{owners})\.{snake(outer[0] if outer else last)}"
    if re.search(holder + (rf"""\[["']{last}["']""" if outer and param.literal else r"\b"), SOURCE):
        return True
    readers = [r for pattern, r in READ_ELSEWHERE.items() if fnmatch(name, pattern)]
    return any(re.search(reader, SOURCE) for reader in readers)


def test_parameters_without_a_reader_are_documented_and_no_others(tmp_path):
    from generate import without_effect

    app = App(role="shell", argv=["-home", str(tmp_path), "-log", "none"])
    assert app.prepare() == []
    declared = {
        owner.prefixes[0] + param.title: (owner.name, param)
        for owner in app.config.declared.owners.values()
        for param in owner.params
    }
    idle = without_effect()
    told = {name for name in declared if any(fnmatch(name, each) for each in idle)}
    unread = {name for name, (owner, param) in declared.items() if not is_read(owner, name, param)}
    assert len(unread) > 50
    assert (sorted(unread - told), sorted(told - unread)) == ([], [])
    assert [each for each in idle if not any(fnmatch(name, each) for name in declared)] == []
