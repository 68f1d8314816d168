"""Who is calling: `app.auth` checks signatures, access tokens, sessions and passwords."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from bkjs.errors import BkError, StartError
from bkjs.web.output.columns import ColumnRules

from . import accounts as account_store
from . import acl, audit, safety, sessions, signature
from .accounts import AUTH_TABLE, Account, AccountStore, normal_login
from .cache import Epoch
from .longlived import Ticket
from .origin import FOREIGN, trusted_origin, writes
from .passwords import Passwords
from .rules import NOT_AUTHENTICATED, OK, AccessRules, Status, check_account_type, compat
from .sessions import Sessions
from .signature import Signature
from .signed import expired, target, too_far, utf8
from .throttle import Throttle
from .tokens import decrypt_open, seal, unseal
from .used import ReplayCache

if TYPE_CHECKING:
    from bkjs.app import App
    from bkjs.db.contract import Table
    from bkjs.web.request import Request

log = logging.getLogger(__name__)

TABLES = account_store.TABLES | sessions.TABLES

INVALID: Status = {"status": 415, "message": "Invalid request"}
NO_LOGIN: Status = {"status": 417, "message": "No login provided"}
WRONG_SOURCE: Status = {"status": 416, "message": "Invalid request"}
UNKNOWN: Status = {"status": 404, "message": "No account record found"}
UNSIGNED: Status = {"status": 400, "message": "A signed form has no parameters in its URL"}
ENDED: Status = {"status": 412, "message": "This account has expired"}
REPLAYED: Status = {
    "status": 406,
    "message": "This request was already sent, sign it again",
    "code": "REPLAYED",
}
CHECKSUM: Status = {
    "status": 400,
    "message": "The checksum of the body is wrong or missing",
    "code": "CHECKSUM",
}

NOBODY = Account({}, {"secret": "nobody has this secret, but checking it takes as long"})


class AuthService(AccountStore):
    """`app.auth`: login records, and who a request comes from."""

    def __init__(self, app: App, folder: Path | None = None) -> None:
        """`folder` is where the processes of this host share what they know; None for one alone."""
        super().__init__(app, Epoch(folder and folder / "auth.epoch"), Passwords())
        self.rules = AccessRules(app.config.api)
        self.columns = ColumnRules(self._table)
        self.sessions = Sessions(app, self.epoch)
        self.replay = ReplayCache(folder and folder / "auth.used")
        self.throttle = Throttle()

    def _table(self, name: str) -> Table | None:
        return self.app.db.schema.tables.get(name.lower())

    check_account_type = staticmethod(check_account_type)

    def close(self) -> None:
        """Free threads and files; may be called twice."""
        self.passwords.close()
        self.replay.close()
        self.epoch.close()

    # -- a request ---------------------------------------------------------------------------

    async def authenticate(self, req: Request) -> Status:
        """Find out who calls: sets `account`, `signature`, `source`, `session` of the request.

        The result is a status object; anything but 200 says why the caller is nobody.
        """
        if not req.method or not req.raw_headers.get(b"host"):
            return INVALID
        if self.app.hooks.implements("authenticate"):
            row = await self.app.hooks.first("authenticate", app=self.app, req=req)
            if row:
                if req.source == "s" and writes(req) and not trusted_origin(req):
                    return FOREIGN
                return self._welcome(req, row if isinstance(row, Account) else Account(row), True)
        api = self.app.config.api
        name = api.signature_header_name
        if text := req.credentials.get(name):
            return await self._by_signature(req, signature.parse(text, "q"))
        if text := req.header(name):
            return await self._by_signature(req, signature.parse(utf8(text), "h"))
        token = req.credentials.get(api.access_token_name) or req.header(api.access_token_name)
        if token:
            return await self._by_token(req, token)
        if not api.no_session and req.header("cookie"):
            return await self._by_session(req)
        return NO_LOGIN

    async def _by_signature(self, req: Request, sig: Signature | None) -> Status:
        if sig is None:
            return NO_LOGIN
        api = self.app.config.api
        req.signature, req.source = sig, sig.source
        if sig.expires < req.mtime - api.signature_age:
            return expired(req, sig.expires)
        if sig.expires > req.mtime + api.signature_max_age:
            return too_far(api.signature_max_age)
        if sig.version in (2, 3):
            return WRONG_SOURCE
        account = self._cache.get(sig.login)
        if account is None:
            account = await self._find(sig.login)
        if sig.version == 5:
            good = await self._password_signed(req, sig, account)
        else:
            known = account or NOBODY  # the same work for an unknown login
            signed = target(req, api.signature_header_name)
            good = signature.verify(sig, signed, known.secrets, compat(api))
        status = self._judge(account, good, req.mtime)
        if status is not OK or account is None:
            return status
        for check in (acl.check(account, req), self._checksum(req, sig)):
            if check is not OK:
                return check
        if writes(req) and not await self.first_use(req):
            return REPLAYED
        if req.form and req.url_query:
            # the text of the form is signed, the query of the URL is not: it does not count
            if req.endpoint is None:  # FastAPI would read it
                return UNSIGNED
            req.url_query, req.query = {}, dict(req.fields)
        return self._accept(req, account)

    async def _password_signed(self, req: Request, sig: Signature, account: Account | None) -> bool:
        """Version 5 carries the password: only over TLS, on this machine, or by `api-compat`."""
        near = req.ip == "::1" or req.ip.startswith("127.")
        near = near and not req.header("x-forwarded-for")
        if not (req.secure or near or "v5" in compat(self.app.config.api)):
            return False
        good = await self._check_password(req, sig.login, sig.digest, account)
        if not good:
            self._note_failure(req, account)
        return good

    def _judge(self, account: Account | None, good: bool, now: int) -> Status:
        """What a caller learns of an account; only the protocol of 2018 tells what is wrong."""
        ended = account is not None and 0 < _int(account.secrets.get("expires")) < now
        if "status" in compat(self.app.config.api):
            if account is None:
                return UNKNOWN
            if ended:
                return ENDED
        if account is None or ended or not good:
            return NOT_AUTHENTICATED
        return OK

    async def _by_token(self, req: Request, token: str) -> Status:
        req.source = "t"
        payload = unseal(self._token_key(), "access_token", token)
        if payload is None:
            return await self._by_old_token(req, token)
        login, expires, mark = orjson.loads(payload)
        if expires < req.mtime:
            return expired(req, expires)
        account = await self._find(login)
        good = account is not None and mark == self.fingerprint(account, token=True)
        return self._welcome(req, account, good)

    async def _by_old_token(self, req: Request, token: str) -> Status:
        """A token of 2018: a signature of version 3, encrypted with a configured secret."""
        api = self.app.config.api
        if "tokens" not in compat(api) or not api.access_token_secret:
            return NO_LOGIN
        sig = signature.parse(decrypt_open(api.access_token_secret, token, enc="hex"), "t")
        if sig is None:
            return NO_LOGIN
        req.signature = sig
        if sig.expires < req.mtime:
            return expired(req, sig.expires)
        if sig.version != 3:
            return WRONG_SOURCE
        account = await self._find(sig.login)
        signed = target(req, api.signature_header_name)
        good = signature.verify(sig, signed, (account or NOBODY).secrets)
        return self._welcome(req, account, good)

    async def _by_session(self, req: Request) -> Status:
        session = await self.sessions.find(req)
        if session is None:
            self.sessions.clear(req)
            return NO_LOGIN
        req.source, req.session = "s", session
        account = await self._find(session.login)
        good = account is not None and session.fingerprint == self.fingerprint(account)
        if good and writes(req) and not trusted_origin(req):
            return FOREIGN
        status = self._welcome(req, account, good)
        if status["status"] == 401:
            await self.sessions.close(req)
        return status

    def _welcome(self, req: Request, account: Account | None, good: bool) -> Status:
        status = self._judge(account, good, req.mtime)
        if status is OK and account is not None:
            status = acl.check(account, req)
        return self._accept(req, account) if status is OK and account is not None else status

    def _accept(self, req: Request, account: Account) -> Status:
        req.account = account.copy()
        self.restrict_query(req)
        return OK

    def ticket(self, req: Request) -> Ticket | None:
        """What `holds` asks for; None for strangers and for accounts of other plugins."""
        account = req.account
        if not req.source or not isinstance(account, Account) or not account.secrets.get("secret"):
            return None
        token = req.source == "t"
        session = req.session.id if req.session else ""
        return Ticket(account["login"], self.fingerprint(account, token=token), token, session)

    async def holds(self, ticket: Ticket, now: int) -> bool:
        """Whether the credentials of a ticket are still good at a time in ms."""
        account = await self._find(ticket.login)
        good = account is not None and ticket.fingerprint == self.fingerprint(
            account, token=ticket.token
        )
        if self._judge(account, good, now) is not OK:
            return False
        return not ticket.session or await self.sessions.get(ticket.session, now) is not None

    @staticmethod
    def restrict_query(req: Request) -> None:
        """Take away the parameters that `query_deny` of the account closes.

        Called by `authenticate`; whoever adds parameters later, as a multipart form does, calls
        it again.
        """
        account = req.account
        if isinstance(account, Account) and account.secrets.get("query_deny"):
            req.url_query = acl.allowed_parameters(account, req.url_query)
            req.fields = acl.allowed_parameters(account, req.fields)
            req.query = acl.allowed_parameters(account, req.query)

    def _checksum(self, req: Request, sig: Signature) -> Status:
        if not sig.checksum and not req.body:
            return OK
        if req.header("content-type").lower().startswith("multipart/"):
            return OK  # streamed to files, nobody has it as a whole
        if sig.checksum:
            return OK if sig.checksum == signature.checksum(req.body or b"") else CHECKSUM
        return CHECKSUM if self.app.config.api.require_body_checksum and not req.form else OK

    async def first_use(self, req: Request) -> bool:
        """Whether the signature of this request was not used before; without one it is True.

        Endpoints that are declared `writes` ask this already.
        """
        sig = req.signature
        if sig is None or sig.version not in (1, 4):
            return True
        until = sig.expires + self.app.config.api.signature_age
        return await self.replay.first_use(f"{sig.version}|{sig.digest}", until, req.mtime)

    # -- passwords, sessions and tokens ------------------------------------------------------

    async def login(self, req: Request, login: str, password: str) -> Account:
        """The account with this login and password, also as the account of the request.

        Raises BkError with the status and text for the client: the same, after the same work,
        whatever is wrong.
        """
        account = await self._find(login)
        good = await self._check_password(req, login, password, account)
        status = self._judge(account, good, req.mtime)
        if status is not OK or account is None:
            self._note_failure(req, account)
            raise BkError(status["message"], status=status["status"])
        req.account = found = account.copy()
        audit.note(req, "login", found["login"], how="password")
        return found

    @staticmethod
    def _note_failure(req: Request, account: Account | None) -> None:
        # the name of an unknown login stays out: it may be a password in the wrong field
        audit.note(req, "login.failed", account["login"] if account is not None else "")

    async def _check_password(
        self, req: Request, login: str, password: str, account: Account | None
    ) -> bool:
        name = normal_login(login[: account_store.MAX_LOGIN])
        await req.web.limits.check("login", name)
        device = await self._device(req, account)
        hidden = account.secrets if account is not None else {}
        stored, salt = hidden.get("password"), hidden.get("salt")
        async with self.throttle.turn(name, req.ip, device=device):
            good = await self.passwords.verify(stored, password, salt=salt)
            counted = self.throttle.succeeded if good else self.throttle.failed
            counted(name, req.ip, device=device)
        if good and account is not None and self.passwords.outdated(str(hidden["password"])):
            await self.rehash(account, password)
        return good

    async def _device(self, req: Request, account: Account | None) -> str:
        """The session by which this login is already known here, "" if by none."""
        session = await self.sessions.find(req) if req.header("cookie") else None
        if session is None or account is None or session.login != account["login"]:
            return ""
        return session.id

    async def open_session(self, req: Request) -> None:
        """Give the account of this request a session of its own; the one it came with ends.

        Raises BkError (403) for a page of another site: it would sign its visitors in unasked.
        """
        if not trusted_origin(req):
            raise BkError(FOREIGN["message"], status=403, code=FOREIGN["code"])
        account = await self._find(str(req.account.get("login") or ""))
        if account is not None and not self.app.config.api.no_session:
            await self.sessions.open(req, str(account["login"]), self.fingerprint(account))

    async def access_token(self, req: Request) -> dict[str, Any]:
        """A new access token of the account of this request, as the fields of a reply."""
        account = await self._find(str(req.account.get("login") or ""))
        if account is None:
            return {}
        api = self.app.config.api
        facts = [account["login"], req.mtime + api.access_token_age]
        payload = orjson.dumps([*facts, self.fingerprint(account, token=True)])
        token = seal(self._token_key(), "access_token", payload)
        name = api.access_token_name
        return {name: token, f"{name}-age": api.access_token_age}

    def _token_key(self) -> bytes:
        return _key(self.app.config.api.access_token_secret) or self.app.keys.get("tokens")

    async def set_secret(
        self, login: str, query: Mapping[str, Any], *, req: Request | None = None
    ) -> None:
        await super().set_secret(login, query, req=req)
        await self.sessions.end_all(login)  # they hold no longer; this removes what is left

    async def delete(self, login: str, *, req: Request | None = None) -> None:
        await super().delete(login, req=req)
        await self.sessions.end_all(login)

    async def keep_session(self, req: Request) -> None:
        """A new session for a caller who has just ended its own by a change of its account."""
        ticket = self.ticket(req) if req.source == "s" else None
        if ticket is not None and not await self.holds(ticket, req.mtime):
            await self.open_session(req)


def _key(secret: str) -> bytes:
    """A configured secret as a key, so that several hosts can share it."""
    return hashlib.sha256(secret.encode()).digest() if secret else b""


def _int(value: Any) -> int:
    try:
        return int(value or 0)
    except (TypeError, ValueError):
        return 0


def tables() -> dict[str, dict[str, dict[str, Any]]]:
    """The tables of login records and sessions."""
    return TABLES


def configure(app: App) -> AuthService:
    """Create `app.auth`; called once the configuration is read."""
    if app.role == "web":
        safety.check(app)
    folder = app.home / "var"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        app.auth = AuthService(app, folder)
    except OSError as error:
        raise StartError(f"{folder}: {error.strerror}; the home must be writable") from error
    return app.auth


def configure_module(app: App) -> None:
    """Once databases are open: see every write of login records."""
    app.db.set_process_row("pre", AUTH_TABLE, app.auth.row_hook)
