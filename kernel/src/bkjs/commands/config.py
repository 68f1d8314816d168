"""List, explain and check parameters: values, sources, what overrides what"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bkjs import hookimpl
from bkjs.app import App
from bkjs.config import Config, Param, Problem, shown
from bkjs.config.resolve import Origin, Place
from bkjs.config.store import locate
from bkjs.errors import BkError, ConfigurationError, NotFound
from bkjs.lib.mask import masked
from bkjs.lib.numbers import MISSING

from .command import Action, Call, Command, Option
from .parameters import names

Row = dict[str, Any]


@hookimpl
def commands() -> Mapping[str, Callable[[list[str]], int]]:
    """`bkjs config`."""
    return {"config": COMMAND}


def check(call: Call) -> int:
    """Print what is wrong with the configuration, if anything is."""
    app, problems = _prepared(call)
    return _check(problems or _unsafe(app) + _unusable(app), "json" in call.options)


def show_list(call: Call) -> int:
    """Print every parameter, or those with a word in their names."""
    app, problems = _prepared(call)
    for problem in problems:
        print(f"bkjs: {problem}", file=sys.stderr)
    wanted = call.words[0] if call.words else ""
    rows = [row for row in list_rows(app.config) if wanted in row["name"]]
    _print(rows, "json" in call.options, _table)
    return _code(problems)


def show_one(call: Call) -> int:
    """Print all that is known of a parameter."""
    app, problems = _prepared(call)
    for problem in problems:
        print(f"bkjs: {problem}", file=sys.stderr)
    (name,) = call.words
    found = explain(app.config, name)
    if not found:
        nearest = app.config.declared.nearest(name)
        hint = f"; did you mean {nearest!r}?" if nearest else ""
        raise NotFound(f"unknown parameter {name!r}{hint}")
    _print(found, "json" in call.options, _details)
    return _code(problems)


def _prepared(call: Call) -> tuple[App, list[Problem]]:
    app = App(role=call.options.get("role", "shell"), argv=call.rest)
    return app, app.prepare()


def list_rows(config: Config) -> list[Row]:
    """All parameters with their values, families with the members that are set; secrets masked."""
    rows = [
        _row(config, place, origins)
        for place, origins in config.result.origins.items()
        if origins[-1][0].kind != "none"
    ]
    used = {id(param) for origins in config.result.origins.values() for param, _ in origins}
    rows += [
        _unset(owner.name, owner.prefixes[0] + param.title, param)
        for owner in config.declared.owners.values()
        for param in owner.params
        if id(param) not in used
    ]
    return sorted(rows, key=lambda row: (row["owner"] != "core", row["owner"], row["name"]))


def explain(config: Config, name: str) -> list[Row]:
    """All that a name means, a family's own name too; nothing when it is unknown."""
    rows = []
    for owner, param, rest, captures in config.declared.matching(name):
        place = (owner.name, locate(param, rest, captures))
        origins = config.result.origins.get(place)
        rows.append(_row(config, place, origins) if origins else _unset(owner.name, name, param))
    return rows or [
        _unset(owner.name, name, param)
        for owner in config.declared.owners.values()
        for param in owner.params
        if not param.literal and owner.prefixes[0] + param.title == name
    ]


def _row(config: Config, place: Place, origins: Sequence[Origin]) -> Row:
    param, token = origins[-1]
    value = config.result.get(place)
    row = _unset(place[0], token.name, param)
    if token.source == "default":
        row["value"] = row["default"]
    else:
        row["value"] = None if value is MISSING else masked(token.name, value, param.secret)
    row["source"] = token.place
    row["others"] = [
        {"source": other.place, "value": shown(other, of.secret)}
        for of, other in reversed(origins[:-1])
        if other.source != "default"
    ]
    return row


def _unset(owner: str, name: str, param: Param) -> Row:
    return {
        "name": name,
        "value": None,
        "source": "",
        "owner": owner,
        "type": param.kind or "str",
        "default": masked("", param.default, param.secret),
        "description": param.descr,
        "live": param.live,
        "array": (param.array or param.kind in ("regexpobj", "regexpmap")) and not param.set,
        "others": [],
    }


def _unsafe(app: App) -> list[Problem]:
    """What is no error of configuration, but stops a server."""
    from bkjs.auth.safety import faults

    return [
        Problem(explain(app.config, name)[0]["source"], 0, name, message)
        for name, message in faults(app).items()
    ]


def _unusable(app: App) -> list[Problem]:
    """Pools whose driver is not installed, or refuses its settings; nothing is opened."""
    from bkjs.db.setup.open import make_driver, wanted

    problems = []
    for name, settings in wanted(app):
        try:
            make_driver(app, name, settings)
        except BkError as error:
            rows = explain(app.config, f"db-{name}-pool") + explain(app.config, "db-pool")
            row = next(row for row in rows if row["source"])
            text = f"{row['name']}={row['value']}"
            problems.append(Problem(row["source"], 0, text, error.message))
    return problems


def _check(problems: Sequence[Problem], as_json: bool) -> int:
    rows = [asdict(p) | {"line": p.line or None, "near": p.near or None} for p in problems]
    text = "\n".join(map(str, problems)) or "configuration is valid"
    _print(rows, as_json, lambda _: text)
    return _code(problems)


def _code(problems: Sequence[Problem]) -> int:
    """The exit code, as of a command that cannot start for these problems."""
    return ConfigurationError(problems).exit_code if problems else 0


def _print(rows: list[Row], as_json: bool, text: Callable[[list[Row]], str]) -> None:
    print(json.dumps(rows, indent=2, ensure_ascii=False) if as_json else text(rows))


def _table(rows: list[Row]) -> str:
    width = max((len(row["name"]) for row in rows), default=0)
    return "\n".join(
        f"{row['name']:<{width}}  {_text(row['value']):<32}  {row['source']}".rstrip()
        for row in rows
    )


def _details(rows: list[Row]) -> str:
    lines = []
    for row in rows:
        lines += [f"{row['name']}  {row['description']}".rstrip(), f"  type       {row['type']}"]
        lines.append(f"  default    {_text(row['default'])}")
        lines.append(f"  owner      {row['owner']}")
        lines.append(f"  applies    {'live' if row['live'] else 'after a restart'}")
        if row["source"]:
            lines.append(f"  value      {_text(row['value'])}  from {row['source']}")
        verb = "also" if row["array"] else "overrides"
        lines += [f"  {verb:<9}  {_text(o['value'])}  from {o['source']}" for o in row["others"]]
    return "\n".join(lines)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


COMMAND = Command(
    {
        "list": Action(
            show_list,
            "Print every parameter, or those with WORD in their names, with value and source.",
            "[WORD]",
        ),
        "explain": Action(
            show_one,
            "Print what a parameter means, its value, where that comes from and what it overrides.",
            "NAME",
            choices=names,
        ),
        "check": Action(
            check,
            "Print what is wrong with the configuration; 3 when anything is, 2 when it is only what"
            " was typed.",
        ),
    },
    options=(
        Option("json", "print a list of JSON objects"),
        Option("role", "of which process, by default shell", "ROLE"),
    ),
)
