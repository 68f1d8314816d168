"""What can be done with an account, for endpoints, commands and other plugins alike."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bkjs.auth.accounts import ADMIN as LOGIN_ADMIN
from bkjs.errors import BadRequest, BkError, NotFound
from bkjs.lib.dates import parse_date

from .schema import PROFILE, TABLES

if TYPE_CHECKING:
    from bkjs import App
    from bkjs.web.request import Request

Account = dict[str, Any]
"""A row of `bk_account`, or what a request or reply has of one."""
ADMIN = frozenset(name for name, props in TABLES["bk_account"].items() if props.get("admin"))
"""Columns that only administrators set."""


def profile(query: Mapping[str, Any], *, admin: bool = False, also: Iterable[str] = ()) -> Account:
    """The columns of `bk_account` in a request that its sender may set.

    `admin` allows the columns marked so, `also` names single ones of them. Raises BadRequest that
    names a column whose value is no single one.
    """
    allowed = set(PROFILE) - (set() if admin else ADMIN - set(also))
    columns = {name: value for name, value in query.items() if name in allowed}
    for name, value in columns.items():
        if isinstance(value, (dict, list)):
            raise BadRequest(f"{name}: must be text", field=name)
    return columns


async def get(app: App, account_id: str) -> Account | None:
    """The account with its login record merged under it, without secrets; None when missing."""
    account = await app.db.get("bk_account", {"id": account_id})
    if account is None:
        return None
    auth = await app.auth.accounts.fetch(str(account.get("login") or ""))
    return {**(auth or {}), **account}


async def add(
    app: App,
    query: Mapping[str, Any],
    *,
    req: Request | None = None,
    admin: bool = False,
    admin_values: Sequence[str] = (),
) -> Account:
    """Create the login record and the account; the record as created, with its new `id`.

    A `secret` that the server generated is in the result, this once; one that was sent is not.
    Raises BadRequest `name|login|secret is required`, AlreadyExists for a login that is taken.
    """
    for field in ("name", "login"):
        if not str(query.get(field) or "").strip():
            raise BadRequest(f"{field} is required", field=field)
    if not (query.get("secret") or query.get("password")):
        raise BadRequest("secret is required", field="secret")
    columns = profile(query, admin=admin, also=admin_values)
    auth = await app.auth.accounts.add(
        {**columns, **_login_columns(query, admin), "login": query["login"]},
        admin=admin or "type" in admin_values,
        req=req,
    )
    try:
        written = await app.db.add(
            "bk_account", {**columns, "id": auth["id"], "login": auth["login"]}, info_obj=True
        )
    except BaseException:
        with contextlib.suppress(BkError):
            await app.auth.accounts.delete(auth["login"], req=req)
        raise
    account = {k: v for k, v in {**columns, **(written.obj or {})}.items() if v is not None}
    await app.hooks.notify("account_added", app=app, req=req, account=dict(account))
    if auth.get("secret") and not query.get("secret"):
        account["secret"] = auth["secret"]
    return account


async def update(
    app: App,
    account: Mapping[str, Any],
    query: Mapping[str, Any],
    *,
    req: Request | None = None,
    admin: bool = False,
) -> Account:
    """Change an account and what its login record shares with it; the columns written.

    An empty name is left as it was. Raises NotFound when the account is gone.
    """
    columns = profile(query, admin=admin)
    if not columns.get("name", "x"):
        del columns["name"]
    shared = {k: v for k, v in columns.items() if k in ("name", "status", "type")}
    if shared := shared | _login_columns(query, admin):
        await app.auth.accounts.update(str(account["login"]), shared, admin=admin, req=req)
    if columns:
        written = await app.db.update("bk_account", {"id": account["id"], **columns})
        if not written.affected:
            raise NotFound("account not found")
    changed = {"id": account["id"], "login": account["login"], **columns}
    await app.hooks.notify("account_updated", app=app, req=req, account=changed)
    return columns


def _login_columns(query: Mapping[str, Any], admin: bool) -> Account:
    """What of a request belongs to the login record alone."""
    names = {"secret", "password"} | (LOGIN_ADMIN if admin else set())
    return {name: query[name] for name in names if name in query}


async def delete(app: App, account_id: str, *, req: Request | None = None) -> None:
    """Delete the login record, what other plugins keep for the account, and the account itself.

    The account is marked as deleted first: when something fails half way it can be deleted again.
    Raises NotFound.
    """
    account = await app.db.get("bk_account", {"id": account_id})
    if account is None:
        raise NotFound("No account found")
    if account.get("login"):
        await app.auth.accounts.delete(str(account["login"]), req=req)
    types = [t for t in str(account.get("type") or "").split(",") if t and t != "deleted"]
    await app.db.update("bk_account", {"id": account_id, "type": ",".join([*types, "deleted"])})
    await app.hooks.notify("account_deleted", app=app, req=req, account=dict(account))
    await app.db.del_("bk_account", {"id": account_id})


async def rename(app: App, account_id: str, name: str, *, req: Request | None = None) -> Account:
    """Give the account another name and tell the plugins that keep copies of it; the account.

    Raises BadRequest without an id or a name, NotFound for an account that is not there.
    """
    if not account_id or not name:
        raise BadRequest("no id and name provided")
    account = await app.db.get("bk_account", {"id": account_id})
    if account is None:
        raise NotFound("No account found")
    if account.get("name") != name:
        await update(app, account, {"name": name}, req=req, admin=True)
        await app.hooks.notify(
            "account_renamed", app=app, req=req, account={**account, "name": name}
        )
    return {**account, "name": name}


async def attach(
    app: App, rows: list[Account], *, key: str = "id", existing: bool = False
) -> list[Account]:
    """Merge public account columns into rows that hold an account's id under `key`.

    What a row has already stays; `existing` drops rows whose account is gone.
    """
    public = [name for name, props in TABLES["bk_account"].items() if props.get("pub")]
    return await app.db.join(
        "bk_account", rows, keys_map={"id": key}, select=public, existing=existing
    )


def complete(app: App) -> Callable[[Any, Account, Any], None]:
    """A row hook that adds `age`, and first and last name when `accounts-split-names` is on."""

    def hook(req: Any, row: Account, options: Any) -> None:
        born = parse_date(str(row["birthday"])) if row.get("birthday") else None
        if born is not None:
            row["age"] = (datetime.now(UTC) - born).days // 365
        if app.config.accounts.split_names and row.get("name") and not row.get("first_name"):
            first, _, last = str(row["name"]).rpartition(" ")
            row["first_name"] = first or last
            if first:
                row["last_name"] = last

    return hook
