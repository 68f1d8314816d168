"""List installed plugins: name, package, version, hooks, state and why"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence

from bkjs import hookimpl
from bkjs.app import App
from bkjs.config.edit import set_line
from bkjs.core.entrypoints import GROUPS, scan
from bkjs.core.plugin import Plugin
from bkjs.errors import BadRequest, BkError, NotFound
from bkjs.lib.json import stored_json
from bkjs.lib.text import near

from .command import Action, Call, Command, Option

WAITS = {
    "bkjs.commands": "loaded when it is called",
    "bkjs.modules": "this role loads no modules",
}
"""Why a plugin is installed and no more; drivers wait for a pool or URL that names them."""
COLUMNS = ("name", "group", "package", "version", "state")


@hookimpl
def commands() -> Mapping[str, Callable[[list[str]], int]]:
    """`bkjs plugins`."""
    return {"plugins": COMMAND}


def show(call: Call) -> int:
    """Print the plugins and what a role makes of them; 1 when one that must load does not."""
    app = App(role=call.options.get("role", "web"), argv=call.rest)
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
    print(stored_json(rows, indent=True) if "json" in call.options else _table(rows))
    if problem:
        print(f"bkjs: {problem}", file=sys.stderr)
    return 1 if problem else 0


def change(call: Call) -> int:
    """Add modules to `allow-modules` in the configuration file, or take them out."""
    app = App(role="web", argv=call.rest)
    for wrong in app.prepare():
        print(f"bkjs: {wrong}", file=sys.stderr)
    choice, files = app.choice(), app.config.files
    installed = {p.name for p in app.plugins.plugins.values() if p.group == "bkjs.modules"}
    names = [part for part in choice.parts() if part in installed]
    if not choice.default and set(names) != set(filter(None, choice.parts())):
        raise BadRequest(
            f"allow-modules is a pattern of your own, {choice.allow}: edit it yourself"
        )
    for name in call.words:
        if call.action == "enable" and name not in installed:
            raise NotFound(f"no module {name!r} is installed{near(name, installed)}")
        if call.action == "disable" and name not in names:
            raise NotFound(f"{name!r} is not enabled{near(name, names)}")
    names = [name for name in names if name not in call.words]
    names += dict.fromkeys(call.words) if call.action == "enable" else ()
    local = any(token.name == "allow-modules" for token in files.read()["local"])
    file = files.local if local else files.main
    set_line(file, "allow-modules", f"^({'|'.join(names)})$")
    print(
        f"allow-modules is {', '.join(names) or 'empty'} in {file}; it counts from the next start"
    )
    return 0


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


def _modules() -> list[str]:
    return [entry.name for entry in scan() if entry.group == GROUPS[0]]


COMMAND = Command(
    {
        "list": Action(
            show,
            "Print what is installed and what a role makes of it; 1 when what must load does not.",
            options=(
                Option("json", "print a list of JSON objects"),
                Option("role", "of which process, by default web", "ROLE"),
            ),
        ),
        "enable": Action(
            change,
            "Add modules to allow-modules in the configuration file.",
            "NAME ...",
            choices=_modules,
        ),
        "disable": Action(
            change, "Take modules out of allow-modules.", "NAME ...", choices=_modules
        ),
    },
    default="list",
)
