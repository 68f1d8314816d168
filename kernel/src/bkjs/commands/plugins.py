"""List installed plugins: name, package, version, hooks, state and why"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

import orjson

from bkjs import hookimpl
from bkjs.commands.args import split
from bkjs.core.app import App
from bkjs.core.errors import BkError


@hookimpl
def commands() -> Mapping[str, Callable[[list[str]], int]]:
    return {"plugins": main}


def main(argv: list[str]) -> int:
    """`bkjs plugins [-json] [-role ROLE]`"""
    options, _, rest = split(argv[1:], values=("role",), flags=("json",))
    app = App(role=options.get("role", "web"), argv=rest)
    problem = ""
    try:
        app.prepare()
    except BkError as error:  # a plugin that must load did not: show the list all the same
        problem = error.message
    rows = [
        {
            "name": p.name,
            "group": p.group,
            "package": p.package,
            "version": p.version,
            "state": p.state,
            "hooks": list(p.hooks),
            "reason": p.reason,
        }
        for p in sorted(app.plugins.plugins.values(), key=lambda p: (p.group, p.name))
    ]
    if "json" in options:
        print(orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode())
    else:
        print(
            f"{'name':<16}{'group':<16}{'package':<22}{'version':<10}{'state':<11}hooks or reason"
        )
        for row in rows:
            last = row["reason"] or " ".join(row["hooks"])
            print(
                f"{row['name']:<16}{row['group']:<16}{row['package']:<22}"
                f"{row['version']:<10}{row['state']:<11}{last}"
            )
    if problem:
        print(f"bkjs: {problem}", file=sys.stderr)
    return 1 if problem else 0
