"""The endpoints that every server has: /auth, /login and /logout."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from bkjs.auth import audit
from bkjs.auth.accounts import AUTH_TABLE
from bkjs.auth.status import NO_LOGIN, REPLAYED, Status
from bkjs.errors import BkError
from bkjs.web.input.params import Params
from bkjs.web.request import Request

from .routes import Routes

routes = Routes()

_HOW = {"": "plugin", "h": "signature", "q": "signature", "s": "session", "t": "token"}


class Wanted(Params):
    """What comes with the account besides."""

    session: bool | None = Field(None, alias="_session", description="open or end a session")
    accesstoken: bool | None = Field(None, alias="_accesstoken", description="give an access token")


class Credentials(Wanted):
    """Who signs in."""

    login: str
    password: str


def refuse(status: Status) -> BkError:
    """The error that answers with this status object."""
    extra = {n: v for n, v in status.items() if n not in ("status", "message", "code")}
    return BkError(status["message"], status=status["status"], code=status.get("code", ""), **extra)


@routes.endpoint("/auth", accepts=Wanted, table=AUTH_TABLE)
async def auth(req: Request) -> dict[str, Any]:
    """The account of the caller. `_session=1` opens a session, `_accesstoken=1` gives a token."""
    asks = req.controls.get("session") or req.controls.get("accesstoken")
    _check_session(req)
    if asks and not await req.app.auth.first_use(req):
        raise refuse(REPLAYED)  # else who has seen one request could open sessions with it
    reply = await _reply(req)
    if asks:
        audit.note(req, "login", req.account.get("login") or "", how=_HOW[req.source])
    return reply


@routes.endpoint("/login", accepts=Credentials, table=AUTH_TABLE, writes=True, public=True)
async def login(req: Request) -> dict[str, Any]:
    """The account with this `login` and `password`; `_session` and `_accesstoken` as in /auth."""
    name, password = req.query.get("login"), req.query.get("password")
    if not isinstance(name, str) or not isinstance(password, str) or not name or not password:
        raise refuse(NO_LOGIN)
    _check_session(req)
    await req.app.auth.login(req, name, password)
    return await _reply(req)


@routes.endpoint("/logout", writes=True, public=True, reply=dict)
async def logout(req: Request) -> dict[str, Any]:
    """End the session of the caller's cookie; one that has ended already is no error."""
    status = await req.app.auth.authenticate(req)
    if status["status"] == 200:
        await req.app.auth.sessions.close(req)
    elif not any(name == b"set-cookie" for name, _ in req.response_headers):
        raise refuse(status)  # otherwise the cookie of a session that is over was removed
    return {}


def _check_session(req: Request) -> None:
    """Refuse a session before anything is done for it."""
    if req.controls.get("session"):
        req.app.auth.check_may_sign_in(req)


async def _reply(req: Request) -> dict[str, Any]:
    """The caller's account, with the session and token that the controls ask for."""
    service, controls = req.app.auth, req.controls
    account = dict(req.account)
    if controls.get("session"):
        await service.open_session(req)
    elif "session" in controls:
        await service.sessions.close(req)
    if controls.get("accesstoken"):
        account |= await service.access_token(req)
    return account
