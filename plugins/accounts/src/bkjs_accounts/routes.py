"""Endpoints under /account: any method, parameters from the query, a form or a JSON body."""

from __future__ import annotations

from typing import Any, NoReturn

from bkjs.auth.accounts import is_admin
from bkjs.errors import BadRequest, NotFound
from bkjs.lib.convert import str_split
from bkjs.web import Request, Routes, select_page

from . import service
from .params import Ids, NewSecrets, Profile, Search, SignUp

routes = Routes()
TABLE = "bk_account"
OWN = ("bk_auth", TABLE)
"""The tables that the own account is made of: what its owner may see is told by both."""
MOST = 1000
"""Accounts that one request may ask for by their ids."""


def _own(req: Request) -> str:
    account_id = str(req.account.get("id") or "")
    if not account_id:
        raise BadRequest("invalid account")
    return account_id


def _ids(wanted: Any) -> list[str]:
    ids = str_split(wanted) if isinstance(wanted, str) else wanted
    ids = ids if isinstance(ids, list) else [ids]
    if any(isinstance(id, (dict, list)) for id in ids):
        raise BadRequest("id: must be text, or a list of texts", field="id")
    if len(ids) > MOST:
        raise BadRequest(f"id: more than {MOST} at once", field="id")
    return [str(id) for id in ids]


@routes.endpoint("/account/get", accepts=Ids, table=OWN)
async def get(req: Request) -> Any:
    """The own account, or with `id=a,b` a list with the public columns of others."""
    if wanted := req.query.get("id"):
        return await req.app.db.list("bk_account", _ids(wanted))
    account = await service.get(req.app, _own(req))
    if account is None:
        raise NotFound("account not found")
    return account


@routes.endpoint("/account/add", accepts=SignUp, writes=True, public=True, table=TABLE)
async def add(req: Request) -> Any:
    """Create an account: `name`, `login` and `secret` or `password`, and any column of the profile.

    The reply is the record as created. A generated secret is in it, this once.
    """
    account = await service.add(req.app, req.query, req=req, admin=is_admin(req.account))
    req.account = {"id": account["id"], "login": account["login"]}  # who made it sees it whole
    return {**account, "_added": True}


@routes.endpoint("/account/update", accepts=Profile, writes=True, table=TABLE)
async def update(req: Request) -> Any:
    """Change columns of the own account; the reply is what was written."""
    account = {"id": _own(req), "login": req.account.get("login")}
    admin = is_admin(req.account)
    written = await service.update(req.app, account, req.query, req=req, admin=admin)
    await req.app.auth.keep_session(req)
    return written


@routes.endpoint("/account/put/secret", accepts=NewSecrets, writes=True, table=TABLE)
async def put_secret(req: Request) -> Any:
    """New `secret`, `password` or `token_secret`; other sessions and tokens of the account end.

    A caller with a session gets a new one.
    """
    _own(req)
    await req.app.auth.accounts.set_secret(str(req.account["login"]), req.query, req=req)
    await req.app.auth.keep_session(req)
    return []


@routes.endpoint("/account/select", accepts=Search, table=TABLE)
async def select(req: Request) -> Any:
    """Search by columns that the caller may see; `_ops`, `_select`, `_sort`, `_count`, `_start`."""
    return await select_page(req, "bk_account", noscan=True, strict=True)


@routes.endpoint("/account/del", writes=True, table=TABLE)
async def delete(req: Request) -> Any:
    """Delete the own account and everything that belongs to it."""
    if not req.account.get("id"):
        raise BadRequest("no id provided")
    await service.delete(req.app, str(req.account["id"]), req=req)
    req.app.auth.sessions.clear(req)
    return []


@routes.endpoint("/account/{command:path}")
async def unknown(req: Request) -> NoReturn:
    """Any other command is refused."""
    raise BadRequest("Invalid command")
