"""List installed plugins: name, package, version, hooks, state and why"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence

from bkjs import hookimpl
from bkjs.app import App
from bkjs.core.plugin import Plugin
from bkjs.errors import BkError
from bkjs.lib.json import stored_json

from .args import no_more, split

WAITS = {
    "bkjs.commands": "loaded when it is called",
    "bkjs.modules": "this role loads no modules",
}
"""Why a plugin is installed and no more; drivers wait for a pool or URL that names them."""
COLUMNS = ("name", "group", "package", "version", "state")


@hookimpl
def commands() -> Mapping[str, Callable[[list[str]], int]]:
    """`bkjs plugins`."""
    return {"plugins": main}


def main(argv: list[str]) -> int:
    """`bkjs plugins [-json] [-role ROLE]`: the plugins and what each role makes of them.

    1 when one that must load does not.
    """
    options, words, rest = split(argv[1:], values=("role",), flags=("json",))
    no_more(words)
    app = App(role=options.get("role", "web"), argv=rest)
    problem = ""
    try:
        for wrong in app.prepare():
            print(f"bkjs: {wrong}", file=sys.stderr)
    except BkError as error:  # a plugin that must load did not: show the list all the same
        problem = error.message
        for plugin in app.plugins.plugins.values():
            if plugin.name == error.extra.get("plugin"):
                plugin.state, plugin.reason = "failed", problem
    found = sorted(app.plugins.plugins.values(), key=lambda p: (p.group, p.name))
    rows = [_row(plugin, app.plugins.mismatch(plugin)) for plugin in found]
    print(stored_json(rows, indent=True) if "json" in options else _table(rows))
    if problem:
        print(f"bkjs: {problem}", file=sys.stderr)
    return 1 if problem else 0


def _row(plugin: Plugin, mismatch: str) -> dict[str, object]:
    row: dict[str, object] = {column: getattr(plugin, column) for column in COLUMNS}
    reason = plugin.reason or mismatch
    if plugin.state == "installed" and not reason:
        reason = WAITS.get(plugin.group, "loaded when a pool or URL names it")
    return row | {"hooks": list(plugin.hooks), "reason": reason}


def _table(rows: Sequence[Mapping[str, object]]) -> str:
    head = dict.fromkeys(COLUMNS, "") | {column: column for column in COLUMNS}
    widths = {c: max(len(str(row[c])) for row in (head, *rows)) + 2 for c in COLUMNS}
    lines = ["".join(f"{column:<{widths[column]}}" for column in COLUMNS) + "hooks or reason"]
    for row in rows:
        hooks = row["hooks"]
        last = row["reason"] or " ".join(hooks if isinstance(hooks, list) else ())
        lines.append("".join(f"{row[c]:<{widths[c]}}" for c in COLUMNS) + str(last))
    return "\n".join(line.rstrip() for line in lines)
