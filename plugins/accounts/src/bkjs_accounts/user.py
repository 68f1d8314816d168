"""Manage accounts: add, list, set, del"""

from __future__ import annotations

import asyncio
import getpass
import sys
from collections.abc import Callable, Mapping
from typing import Any

from bkjs import App, hookimpl
from bkjs.auth.accounts import ADMIN
from bkjs.commands.args import no_more, split
from bkjs.errors import BadRequest, NotFound
from bkjs.lib.json import stored_json
from bkjs.lib.mask import masked

from . import service
from .schema import PROFILE

OPTIONS = tuple(dict.fromkeys(("login", "secret", "password", *PROFILE, *sorted(ADMIN))))
"""Columns that the command takes as options."""


@hookimpl
def commands() -> Mapping[str, Callable[[list[str]], int]]:
    """`bkjs user`."""
    return {"user": main}


def main(argv: list[str]) -> int:
    """`bkjs user add -login L [-password P|-secret S] [-name N] [-type admin] [-COLUMN VALUE …]`

    `bkjs user list [-type T]`, `bkjs user set LOGIN -COLUMN VALUE …`, `bkjs user del LOGIN`.
    Columns are those of the profile and those that only administrators set: `-expires MS` disables
    a login from that time on, `-acl_allow`, `-acl_deny`, `-query_deny`, `-rlimits_rate`, `-flags`.
    `-password -` and `-secret -` read it from standard input; without `-secret`, add makes one and
    prints it once. Everything is printed as one JSON object a line.
    """
    options, words, rest = split(argv[1:], values=OPTIONS)
    actions = {"add": _add, "list": _list, "set": _set, "del": _del}
    action = actions.get(words[0] if words else "")
    if action is None:
        raise BadRequest(f"user {'|'.join(actions)}: which of them?")
    no_more(words, 1 if words[0] == "list" else 2)
    for name in ("password", "secret"):
        if options.get(name) == "-":
            asks = sys.stdin.isatty()
            prompt = f"{name.title()}: "
            options[name] = getpass.getpass(prompt) if asks else sys.stdin.readline().rstrip("\n")
            if not options[name]:
                raise BadRequest(f"the {name} is empty")
    return asyncio.run(_run(action, options, words[1:], rest))


async def _run(
    action: Callable[[App, dict[str, str], list[str]], Any],
    options: dict[str, str],
    words: list[str],
    rest: list[str],
) -> int:
    async with App(role="shell", argv=["-db-create-tables", *rest]) as app:
        await action(app, options, words)
    return 0


async def _add(app: App, options: dict[str, str], words: list[str]) -> None:
    record: dict[str, Any] = dict(options)
    record.setdefault("login", words[0] if words else "")
    if not record["login"]:
        raise BadRequest("user add LOGIN: which one?")
    record.setdefault("name", record["login"])
    if not (record.get("secret") or record.get("password")):
        record["secret"] = app.auth.accounts.new_secret()
        _print({**await service.add(app, record, admin=True), "secret": record["secret"]})
    else:
        _print(await service.add(app, record, admin=True))


async def _list(app: App, options: dict[str, str], words: list[str]) -> None:
    async def show(row: dict[str, Any]) -> None:
        if options.get("type") in (None, *str(row.get("type") or "").split(",")):
            _print({k: v for k, v in row.items() if v is not None})

    await app.db.scan("bk_account", {}, show)


async def _set(app: App, options: dict[str, str], words: list[str]) -> None:
    account = await _find(app, options, words)
    changes = {k: v for k, v in options.items() if k != "login"}
    if changes.get("name") == "":
        raise BadRequest("a name cannot be empty")
    if not changes:
        raise BadRequest("nothing to set; give -COLUMN VALUE")
    await service.update(app, account, changes, admin=True)
    _print({**account, **{name: masked(name, value) for name, value in changes.items()}})


async def _del(app: App, options: dict[str, str], words: list[str]) -> None:
    account = await _find(app, options, words)
    await service.delete(app, account["id"])
    _print({"id": account["id"], "login": account["login"], "deleted": True})


async def _find(app: App, options: dict[str, str], words: list[str]) -> dict[str, Any]:
    login = options.get("login") or (words[0] if words else "")
    if not login:
        raise BadRequest("user set|del LOGIN: which one?")
    found: Mapping[str, Any] | None = await app.auth.accounts.fetch(login)
    if found is None:  # deleted half way: only the profile is left
        found = (await app.db.select("bk_account", {"login": login}, first=True)).first
    if found is None:
        raise NotFound(f"no account with login {login!r}")
    return {"id": found["id"], "login": found["login"]}


def _print(record: Mapping[str, Any]) -> None:
    print(stored_json(record))
