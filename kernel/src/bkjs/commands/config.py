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
from bkjs.errors import BadRequest, BkError
from bkjs.lib.mask import masked
from bkjs.lib.numbers import MISSING

from .args import split

USAGE = "bkjs config list [WORD] | explain NAME | check [-json] [-role ROLE] [-parameter value ...]"

Row = dict[str, Any]


@hookimpl
def commands() -> Mapping[str, Callable[[list[str]], int]]:
    """`bkjs config`."""
    return {"config": main}


def main(argv: list[str]) -> int:
    """Run `bkjs config`; 1 when the configuration has problems or the name is unknown."""
    options, words, rest = split(argv[1:], values=("role",), flags=("json",))
    as_json = "json" in options
    match words:
        case ["check" | "list"] | ["list" | "explain", _]:
            app = App(role=options.get("role", "shell"), argv=rest)
            problems = app.prepare()
        case _:
            raise BadRequest(f"usage: {USAGE}")
    if words[0] == "check":
        return _check(problems or _unsafe(app) + _unusable(app), as_json)
    for problem in problems:
        print(f"bkjs: {problem}", file=sys.stderr)
    if words[0] == "list":
        wanted = words[1] if len(words) > 1 else ""
        _print([row for row in list_rows(app.config) if wanted in row["name"]], as_json, _table)
    else:
        found = explain(app.config, words[1])
        if not found:
            near = app.config.declared.nearest(words[1])
            hint = f"; did you mean {near!r}?" if near else ""
            print(f"bkjs: unknown parameter {words[1]!r}{hint}", file=sys.stderr)
            return 1
        _print(found, as_json, _details)
    return 1 if problems else 0


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
        "default": masked(name, param.default, param.secret),
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
    return 1 if problems else 0


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
