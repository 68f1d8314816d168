"""List who may call what: every endpoint and route, what it writes, whose rows it gives"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bkjs import hookimpl
from bkjs.app import App
from bkjs.auth.origin import SAFE
from bkjs.auth.rules import AccessRules
from bkjs.auth.status import NO_LOGIN, OK
from bkjs.errors import ConfigurationError, NotFound
from bkjs.lib.json import stored_json
from bkjs.lib.text import near
from bkjs.web.service import Web

from .command import Action, Call, Command, Option

COLUMNS = ("path", "methods", "who", "writes", "table", "owner")


@hookimpl
def commands() -> Mapping[str, Callable[[list[str]], int]]:
    """`bkjs access`."""
    return {"access": COMMAND}


def show(call: Call) -> int:
    """Print what there is to call, for one kind of caller what that may call."""
    app = App(role="web", argv=call.rest)
    if problems := app.prepare():
        raise ConfigurationError(problems)
    types = {*(app.config.api.allow_account or {}), *(app.config.api.deny_account or {})}
    kinds = ("anyone", "account", *sorted(types - {"admin"}), "admin")
    for kind in set(call.words) - set(kinds):
        raise NotFound(f"no caller {kind!r}{near(kind, kinds)}; there are {', '.join(kinds)}")
    rows = [r for r in asyncio.run(_read(app, kinds)) if {*r["callers"]} >= {*call.words}]
    if "json" in call.options:
        print(stored_json(rows, indent=True))
        return 0
    lines = [dict(zip(COLUMNS, COLUMNS, strict=True)), *rows]
    widths = {column: max(len(line[column]) for line in lines) for column in COLUMNS}
    for line in lines:
        print("  ".join(f"{line[c]:<{widths[c]}}" for c in COLUMNS).rstrip())
    return 0


async def _read(app: App, kinds: tuple[str, ...]) -> list[dict[str, Any]]:
    accounts = {kind: {"id": "1", "type": kind} for kind in kinds} | {"anyone": {}}
    async with app:
        web, rules = app.web, AccessRules(app.config.api)
        assert isinstance(web, Web)
        rows = sorted(_listed(web), key=lambda row: str(row["path"]))
        for row in rows:
            path, method = row["path"], row["methods"].replace("any", "POST").split()[-1]
            found = rules.access(path, "", api=True, public=row.pop("public"))
            found = found or (OK if app.config.api.no_signature else None)
            admits = row.pop("admits") or (lambda rules, account: True)
            may = row["callers"] = [
                kind
                for kind, it in accounts.items()
                if (found or rules.authorization(path, it, "", OK if it else NO_LOGIN)) is OK
                # where no signature is asked for, nobody is known
                and admits(rules, {} if found else it)
            ]
            asked = web.registered.access_checks, web.registered.pre_processes
            plugin = found is None and app.hooks.implements("authorize")
            plugin = plugin or any(functions.find(method, path) for functions in asked)
            row["who"] = _words(may, kinds) + (" *" if plugin else "")
    return rows


def _words(may: list[str], kinds: tuple[str, ...]) -> str:
    if "anyone" in may or "account" not in may:
        return may[0] if "anyone" in may else ", ".join(may) or "closed"
    return " but not ".join(["any account", *(kind for kind in kinds[1:] if kind not in may)])


def _listed(web: Web) -> Iterator[dict[str, Any]]:
    """Every endpoint and every route of FastAPI, with whether it is declared as public."""
    for e in web.router.endpoints:
        row: dict[str, Any] = {
            "path": e.path,
            "methods": "any" if e.any_method else " ".join(e.methods),
        }
        row |= {"table": ", ".join(e.tables), "owner": "" if e.owner == "id" else e.owner}
        row |= {"public": e.public, "admits": e.admits}
        yield row | {"writes": str(e.writes or "").replace("True", "yes")}
    for item in web.router.fastapi.routes if web.router.fastapi else ():
        for route in getattr(item, "effective_route_contexts", lambda item=item: [item])():
            methods = sorted(getattr(route, "methods", None) or ())
            writes = "yes" if set(methods) - set(SAFE) else ""
            row = {"path": route.path or "", "methods": " ".join(methods), "owner": ""}
            yield row | {"writes": writes, "table": "(FastAPI)", "public": False, "admits": None}


TEXT = """\
Print every endpoint and route with who may call it by the rules (* where a plugin looks, too),\
 what it writes, the table of its rows and the column with their owner. WHO is anyone, account or a\
 type. The application starts for it, without a port; what a function refuses by itself, and static\
 files, are not seen."""
COMMAND = Command(Action(show, TEXT, "[WHO]", (Option("json", "print a list of JSON objects"),)))
