"""Manage accounts: add, list, set, del"""

from __future__ import annotations

import asyncio
import getpass
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from bkjs import App, hookimpl
from bkjs.auth.accounts import ADMIN
from bkjs.commands.command import Action, Call, Command, Option
from bkjs.errors import BadRequest, NotFound, UsageError
from bkjs.lib.json import stored_json
from bkjs.lib.mask import masked

from . import service
from .schema import PROFILE


@hookimpl
def commands() -> Mapping[str, Callable[[list[str]], int]]:
    """`bkjs user`."""
    return {"user": COMMAND}


def _in_app(action: Callable[[App, Call], Awaitable[None]]) -> Callable[[Call], int]:
    """The action with databases open."""
    return lambda call: asyncio.run(_run(action, call))


async def _run(action: Callable[[App, Call], Awaitable[None]], call: Call) -> int:
    if {"password", "secret"} <= call.options.keys():
        raise UsageError(
            "-secret would be lost: a password comes with a new secret; give the password first,"
            " then `bkjs user set LOGIN -secret …`"
        )
    for name in ("password", "secret"):
        if call.options.get(name) == "-":
            call = replace(call, options={**call.options, name: _ask(name)})
    async with App(role="shell", argv=["-db-create-tables", *call.rest]) as app:
        await action(app, call)
    return 0


def _ask(name: str) -> str:
    """A secret that does not stand in the command line, where others could read it."""
    prompt = f"{name.title()}: "
    value = getpass.getpass(prompt) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if not value:
        raise BadRequest(f"the {name} is empty")
    return value


async def _add(app: App, call: Call) -> None:
    record: dict[str, Any] = {**call.options, "login": _login(call)}
    record.setdefault("name", record["login"])
    if not (record.get("secret") or record.get("password")):
        record["secret"] = app.auth.accounts.new_secret()
        _print({**await service.add(app, record, admin=True), "secret": record["secret"]})
    else:
        _print(await service.add(app, record, admin=True))


async def _list(app: App, call: Call) -> None:
    rows: list[dict[str, Any]] = []

    async def show(row: dict[str, Any]) -> None:
        if call.options.get("type") in (None, *str(row.get("type") or "").split(",")):
            row = {k: v for k, v in row.items() if v is not None}
            rows.append(row) if "json" in call.options else _print(row)

    await app.db.scan("bk_account", {}, show)
    if "json" in call.options:
        print(stored_json(rows, indent=True))


async def _set(app: App, call: Call) -> None:
    given = {k: v for k, v in call.options.items() if k not in ("login", "reset")}
    changes = dict(given)
    if "reset" in call.options:
        secrets: dict[str, Any] = {
            name: changes.pop(name) for name in ("password", "secret") if name in changes
        }
        if not secrets:
            raise UsageError("-reset needs -password or -secret: the new one")
        account = await app.auth.accounts.reset(_login(call), secrets)
    else:
        account = await _find(app, call)
    if changes.get("name") == "":
        raise BadRequest("a name cannot be empty")
    if not given:
        raise UsageError("nothing to set; give -COLUMN VALUE")
    if changes:
        await service.update(app, account, changes, admin=True)
    _print({**account, **{name: masked(name, value) for name, value in given.items()}})


async def _del(app: App, call: Call) -> None:
    account = await _find(app, call)
    await service.delete(app, account["id"])
    _print({"id": account["id"], "login": account["login"], "deleted": True})


def _login(call: Call) -> str:
    login = call.options.get("login") or (call.words[0] if call.words else "")
    if not login:
        raise UsageError(f"user {call.action} LOGIN: which one?")
    return login


async def _find(app: App, call: Call) -> dict[str, Any]:
    login = _login(call)
    found: Mapping[str, Any] | None = await app.auth.accounts.fetch(login)
    if found is None:  # deleted half way: only the profile is left
        found = (await app.db.select("bk_account", {"login": login}, first=True)).first
    if found is None:
        raise NotFound(f"no account with login {login!r}")
    return {"id": found["id"], "login": found["login"]}


def _print(record: Mapping[str, Any]) -> None:
    print(stored_json(record))


_LOGIN = Option("login", "the same as the word", "LOGIN")
_SECRETS = (
    Option("password", "what is typed into a form; - asks for it", "TEXT"),
    Option("secret", "what signs requests; - asks for it", "TEXT"),
)
_RESET = Option("reset", "the old secrets cannot be read, their key is lost: remove them")
_COLUMNS = tuple(
    Option(name, "a column that only administrators set" if name in ADMIN else "a column", "VALUE")
    for name in sorted({*PROFILE, *ADMIN} - {"login", "secret", "password"})
)

COMMAND = Command(
    {
        "add": Action(
            _in_app(_add),
            "Make an account; without a password or a secret one is made and printed once.",
            "[LOGIN]",
            (_LOGIN, *_SECRETS, *_COLUMNS),
        ),
        "list": Action(
            _in_app(_list),
            "Print all accounts.",
            options=(
                Option("type", "only those of a type, such as admin", "TYPE"),
                Option("json", "print one JSON list, not an object a line"),
            ),
        ),
        "set": Action(
            _in_app(_set),
            "Change an account.",
            "[LOGIN]",
            (_LOGIN, *_SECRETS, _RESET, *_COLUMNS),
        ),
        "del": Action(_in_app(_del), "Delete an account.", "[LOGIN]", (_LOGIN,)),
    },
    notes="Accounts are printed as one JSON object a line. -expires MS disables a login from that"
    " time on.",
)
