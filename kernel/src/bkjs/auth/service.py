"""Who is calling: `app.auth` checks signatures, access tokens, sessions and passwords."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

import orjson

from bkjs.config.derived import Derived
from bkjs.core.kernel import Kernel
from bkjs.db.database import Database
from bkjs.errors import BkError, StartError
from bkjs.lib.bounded import LONGEST_KEY, Bounded
from bkjs.lib.given import Given
from bkjs.lib.sealed import seal, unseal

from . import accounts, acl, audit, safety, sessions, signature
from .accounts import MAX_LOGIN, Account, normal_login
from .cache import Epoch
from .caller import Caller, Signature
from .longlived import Ticket
from .origin import trusted_host, trusted_origin, writes
from .passwords import Passwords
from .rules import AccessRules
from .sessions import Sessions
from .status import (
    CHECKSUM,
    ENDED,
    FOREIGN,
    INVALID,
    NO_LOGIN,
    NOT_AUTHENTICATED,
    OK,
    REPLAYED,
    UNKNOWN,
    UNSIGNED,
    WRONG_SOURCE,
    Status,
    compat,
)
from .store import AccountStore
from .throttle import Throttle, attempt
from .tokens import decrypt_open
from .used import ReplayCache

log = logging.getLogger(__name__)

TABLES = accounts.TABLES | sessions.TABLES

CheckLimit = Callable[[str, str], Awaitable[None]]
"""Counts one use of a key of a kind (`login`); raises Limited when there were too many."""

NOBODY = Account({}, {"secret": "nobody has this secret, but checking it takes as long"})


async def _no_limit(kind: str, key: str) -> None:
    pass


class AuthService:
    """`app.auth`: who a request comes from, and what that account may do."""

    def __init__(self, kernel: Kernel, db: Database, folder: Path | None = None) -> None:
        """`folder` is where the processes of this host share what they know; None for one alone."""
        self._kernel = kernel
        self._config = kernel.config
        self.epoch = Epoch(folder and folder / "auth.epoch")
        self.passwords = Passwords()
        self.sessions = Sessions(kernel.config, db, self.epoch)
        self.accounts = AccountStore(
            kernel, db, self.epoch, self.passwords, end_sessions=self.sessions.end_all
        )
        self.replay = (
            ReplayCache(folder / "auth.signed", key=kernel.keys.get("used"))
            if folder
            else ReplayCache()
        )
        self.throttle = Throttle()
        self.rules = Derived(kernel.config.api, lambda: AccessRules(kernel.config.api))
        """The access rules as they are now: `rules()`."""
        self.check_limit: CheckLimit = _no_limit
        """Asked before a password is tried; the Web service has limits and puts its own here."""
        self._unnamed: Bounded[str, None] = Bounded(64)
        """Hosts of which the log says already that they have no name here."""

    def close(self) -> None:
        """Free threads and files; may be called twice."""
        self.passwords.close()
        self.replay.close()
        self.epoch.close()

    # -- a request ---------------------------------------------------------------------------

    def access(self, req: Caller) -> Status | None:
        """The decision before the signature: None = go on, `OK` = no account needed.

        An address lets in for requests of our own origin only, under a name that is surely ours:
        any page that somebody there opens could make its browser send others.
        """
        endpoint = req.endpoint
        public = endpoint is not None and endpoint.public
        return self._access(req, req.path, api=req.is_api, public=public)

    def _access(self, req: Caller, path: str, *, api: bool, public: bool) -> Status | None:
        rules = self.rules()
        status = rules.access(path, req.ip, api=api, public=public)
        if status is OK and rules.by_address:
            others = rules.access(path, req.ip, api=api, public=public, by_address=False)
            if others is not OK and not self._trusts_address(req):
                return others
        return status

    def _trusts_address(self, req: Caller) -> bool:
        if not self.trusts_origin(req):
            return False
        api = self._config.api
        if api.hosts or trusted_host(req, api.cors_origin or ()):  # no other hosts are served
            return True
        host = req.host[:LONGEST_KEY]
        if host not in self._unnamed:
            self._unnamed[host] = None
            log.warning(
                "api-allow-ip lets no browser in that calls this server %r, a name which anybody"
                " could lead here; if it is ours, name it in api-hosts", host,
            )  # fmt: skip
        return False

    def may_call(self, req: Caller, path: str, *, public: bool) -> Literal["open", "account", ""]:
        """Whether the caller of this request may call another path of the API, and what with.

        What the settings and the rules of the account say; checks of plugins are not asked, they
        need the request itself.
        """
        status = self._access(req, path, api=True, public=public)
        if status is OK or (status is None and self._config.api.no_signature):
            return "open"
        if status is not None:
            return ""
        account = req.account
        status = self.rules().authorization(path, account, "", OK if account else NO_LOGIN)
        if status is OK and isinstance(account, Account):
            status = acl.allows(account, path, path)
        return ("account" if account else "open") if status is OK else ""

    def authorization(self, req: Caller, status: Status | None) -> Status:
        """The decision after the signature, from its status and the types of the account."""
        return self.rules().authorization(req.path, req.account, req.source, status)

    def trusts_origin(self, req: Caller) -> bool:
        """Whether a cookie, or the address, counts: not for what another site has a browser send.

        Pages of `api-cors-origin` count as our own.
        """
        return trusted_origin(req, self._config.api.cors_origin or ())

    async def authenticate(self, req: Caller) -> Status:
        """Find out who calls: sets `account`, `signature`, `source`, `session` of the request.

        The result is a status object; anything but 200 says why the caller is nobody.
        """
        if not req.method or not req.raw_headers.get(b"host"):
            return INVALID
        if self._kernel.hooks.implements("authenticate"):
            row = await self._kernel.hooks.first("authenticate", app=self._kernel, req=req)
            if row:
                if req.source != "s" or self.trusts_origin(req):
                    account = row if isinstance(row, Account) else Account(row)
                    return self._welcome(req, account, True)
                req.source = ""
        api = self._config.api
        name = api.signature_header_name
        if text := req.credentials.get(name):
            return await self._by_signature(req, signature.parse(text, "q"))
        if text := req.header(name):
            return await self._by_signature(req, signature.parse(signature.utf8(text), "h"))
        token = req.credentials.get(api.access_token_name) or req.header(api.access_token_name)
        if token:
            return await self._by_token(req, token)
        if not api.no_session and req.header("cookie"):
            return await self._by_session(req)
        return NO_LOGIN

    async def _by_signature(self, req: Caller, sig: Signature | None) -> Status:
        if sig is None:
            return self._refused(req, NO_LOGIN, "the signature has no seven fields")
        api = self._config.api
        req.signature, req.source = sig, sig.source
        if sig.expires < req.mtime - api.signature_age:
            return signature.expired(req, sig.expires)
        if sig.expires > req.mtime + api.signature_max_age:
            return signature.too_far(api.signature_max_age)
        if sig.version in (2, 3):
            return self._refused(req, WRONG_SOURCE, "versions 2 and 3 sign no requests; use 4")
        account = await self.accounts.find(sig.login)
        if sig.version == 5:
            good = await self._password_signed(req, sig, account)
        else:
            known = account or NOBODY  # the same work for an unknown login
            signed = signature.target(req, api.signature_header_name)
            good = signature.verify(sig, signed, known.secrets, compat(api))
        status = self._judge(account, good, req.mtime)
        if status is not OK or account is None:
            return self._refused(req, status, signature.reason(sig, account, good, compat(api)))
        if not account.free and (refused := acl.check(account, req)) is not OK:
            return refused
        if (refused := self._checksum(req, sig)) is not OK:
            return refused
        if writes(req) and not await self.first_use(req):
            return REPLAYED
        if req.form and req.url_query:
            # the text of the form is signed, the query of the URL is not: it does not count
            if req.endpoint is None:  # FastAPI would read it
                return UNSIGNED
            req.url_query, req.query = {}, Given(req.fields)
        return self._accept(req, account)

    @staticmethod
    def _refused(req: Caller, status: Status, reason: str) -> Status:
        """Say to who develops a client what it is not told, without any of what was compared."""
        req.note = reason
        log.info("request %s: %s %s: %s", req.id, req.method, req.raw_path, reason)
        return status

    async def _password_signed(self, req: Caller, sig: Signature, account: Account | None) -> bool:
        """Version 5 carries the password: only over TLS, on this machine, or by `api-compat`."""
        near = req.ip == "::1" or req.ip.startswith("127.")
        near = near and not req.header("x-forwarded-for")
        if not (req.secure or near or "v5" in compat(self._config.api)):
            return False
        good = await self._check_password(req, sig.login, sig.digest, account)
        if not good:
            self._note_failure(req, account)
        return good

    def _judge(self, account: Account | None, good: bool, now: int) -> Status:
        """What a caller learns of an account; only the protocol of 2018 tells what is wrong."""
        if good and account is not None and account.free:
            return OK
        ended = account is not None and 0 < _int(account.secrets.get("expires")) < now
        if "status" in compat(self._config.api):
            if account is None:
                return UNKNOWN
            if ended:
                return ENDED
        if account is None or ended or not good:
            return NOT_AUTHENTICATED
        return OK

    async def _by_token(self, req: Caller, token: str) -> Status:
        req.source = "t"
        payload = unseal(self._token_key(), "access_token", token)
        if payload is None:
            status = await self._by_old_token(req, token)
            if status is not OK:
                return self._refused(req, status, "the access token is none of ours")
            return status
        login, expires, mark = orjson.loads(payload)
        if expires < req.mtime:
            return signature.expired(req, expires)
        account = await self.accounts.find(login)
        good = account is not None and mark == self.accounts.fingerprint(account, token=True)
        return self._welcome(req, account, good)

    async def _by_old_token(self, req: Caller, token: str) -> Status:
        """A token of 2018: a signature of version 3, encrypted with a configured secret."""
        api = self._config.api
        if "tokens" not in compat(api) or not api.access_token_secret:
            return NO_LOGIN
        sig = signature.parse(decrypt_open(api.access_token_secret, token, enc="hex"), "t")
        if sig is None:
            return NO_LOGIN
        req.signature = sig
        if sig.expires < req.mtime:
            return signature.expired(req, sig.expires)
        if sig.version != 3:
            return WRONG_SOURCE
        account = await self.accounts.find(sig.login)
        signed = signature.target(req, api.signature_header_name)
        good = signature.verify(sig, signed, (account or NOBODY).secrets)
        return self._welcome(req, account, good)

    async def _by_session(self, req: Caller) -> Status:
        session = await self.sessions.find(req)
        if session is None:
            self.sessions.clear(req)
            return NO_LOGIN
        req.source, req.session = "s", session
        account = await self.accounts.find(session.login)
        good = account is not None and session.fingerprint == self.accounts.fingerprint(account)
        status = self._welcome(req, account, good)
        if status["status"] == 401:
            await self.sessions.close(req)
        return status

    def _welcome(self, req: Caller, account: Account | None, good: bool) -> Status:
        status = self._judge(account, good, req.mtime)
        if status is OK and account is not None:
            status = acl.check(account, req)
        return self._accept(req, account) if status is OK and account is not None else status

    def _accept(self, req: Caller, account: Account) -> Status:
        req.account = account.copy()
        self.restrict_query(req)
        return OK

    def known(self, req: Caller) -> Status:
        """The status for another path of a caller whose account was found already."""
        account = req.account
        if not isinstance(account, Account):
            return OK if account else NO_LOGIN
        self.restrict_query(req)
        return acl.check(account, req)

    def ticket(self, req: Caller) -> Ticket | None:
        """What `holds` asks for; None for strangers and for accounts of other plugins."""
        account = req.account
        if not req.source or not isinstance(account, Account) or not account.secrets.get("secret"):
            return None
        token = req.source == "t"
        session = req.session.id if req.session else ""
        return Ticket(
            account["login"], self.accounts.fingerprint(account, token=token), token, session
        )

    async def holds(self, ticket: Ticket, now: int) -> bool:
        """Whether the credentials of a ticket are still good at a time in ms."""
        account = await self.accounts.find(ticket.login)
        good = account is not None and ticket.fingerprint == self.accounts.fingerprint(
            account, token=ticket.token
        )
        if self._judge(account, good, now) is not OK:
            return False
        return not ticket.session or await self.sessions.get(ticket.session, now) is not None

    @staticmethod
    def restrict_query(req: Caller) -> None:
        """Take away the parameters that `query_deny` of the account closes.

        Called by `authenticate`; whoever adds parameters later, as a multipart form does, calls
        it again.
        """
        account = req.account
        if not isinstance(account, Account) or account.free:
            return
        if account.secrets.get("query_deny"):
            req.url_query = acl.allowed_parameters(account, req.url_query)
            req.fields = acl.allowed_parameters(account, req.fields)
            req.query = acl.allowed_parameters(account, req.query)

    def _checksum(self, req: Caller, sig: Signature) -> Status:
        if not sig.checksum and not req.body and not req.unread:
            return OK
        if req.header("content-type").lower().startswith("multipart/"):
            return OK  # streamed to files, nobody has it as a whole
        if req.unread and sig.checksum:
            return OK  # compared when it is read
        if sig.checksum:
            return OK if sig.checksum == signature.checksum(req.body or b"") else CHECKSUM
        return CHECKSUM if self._config.api.require_body_checksum and not req.form else OK

    async def first_use(self, req: Caller) -> bool:
        """Whether the signature of this request was not used before; without one it is True.

        Endpoints that are declared `writes` ask this already.
        """
        sig = req.signature
        if sig is None or sig.version not in (1, 4):
            return True
        until = sig.expires + self._config.api.signature_age
        return await self.replay.first_use(
            f"{sig.version}|{sig.digest}", until, req.mtime, normal_login(sig.login)
        )

    # -- passwords, sessions and tokens ------------------------------------------------------

    async def login(self, req: Caller, login: str, password: str) -> Account:
        """The account with this login and password, also as the account of the request.

        Raises BkError with the status and text for the client: the same, after the same work,
        whatever is wrong.
        """
        account = await self.accounts.find(login)
        good = await self._check_password(req, login, password, account)
        status = self._judge(account, good, req.mtime)
        if status is not OK or account is None:
            self._note_failure(req, account)
            raise BkError(status["message"], status=status["status"])
        req.account = found = account.copy()
        audit.note(req, "login", found["login"], how="password")
        return found

    @staticmethod
    def _note_failure(req: Caller, account: Account | None) -> None:
        # the name of an unknown login stays out: it may be a password in the wrong field
        audit.note(req, "login.failed", account["login"] if account is not None else "")

    async def _check_password(
        self, req: Caller, login: str, password: str, account: Account | None
    ) -> bool:
        name = normal_login(login[:MAX_LOGIN])
        await self.check_limit("login", attempt(login, req.ip))
        device = await self._device(req, account)
        hidden = account.secrets if account is not None else {}
        stored, salt = hidden.get("password"), hidden.get("salt")
        async with self.throttle.turn(name, req.ip, device=device):
            good = await self.passwords.verify(stored, password, salt=salt)
            counted = self.throttle.succeeded if good else self.throttle.failed
            counted(name, req.ip, device=device)
        if good and account is not None and self.passwords.outdated(str(hidden["password"])):
            await self.accounts.rehash(account, password)
        return good

    async def _device(self, req: Caller, account: Account | None) -> str:
        """The session by which this login is already known here, "" if by none."""
        session = await self.sessions.find(req) if req.header("cookie") else None
        if session is None or account is None or session.login != account["login"]:
            return ""
        return session.id

    def check_may_sign_in(self, req: Caller) -> None:
        """Raises BkError (403) for what another site or a link asks: it would sign its visitors in
        unasked."""
        if not self.trusts_origin(req):
            raise BkError(FOREIGN["message"], status=403, code=FOREIGN["code"])

    async def open_session(self, req: Caller) -> None:
        """Give the account of this request a session of its own; the one it came with ends.

        Raises BkError as `check_may_sign_in`.
        """
        self.check_may_sign_in(req)
        account = await self.accounts.find(str(req.account.get("login") or ""))
        if account is not None and not self._config.api.no_session:
            await self.sessions.open(req, str(account["login"]), self.accounts.fingerprint(account))

    async def access_token(self, req: Caller) -> dict[str, Any]:
        """A new access token of the account of this request, as the fields of a reply."""
        account = await self.accounts.find(str(req.account.get("login") or ""))
        if account is None:
            return {}
        api = self._config.api
        facts = [account["login"], req.mtime + api.access_token_age]
        payload = orjson.dumps([*facts, self.accounts.fingerprint(account, token=True)])
        token = seal(self._token_key(), "access_token", payload)
        name = api.access_token_name
        return {name: token, f"{name}-age": api.access_token_age}

    def _token_key(self) -> bytes:
        if secret := self._config.api.access_token_secret:  # several hosts can share it
            return hashlib.sha256(secret.encode()).digest()
        return self._kernel.keys.get("tokens")

    async def keep_session(self, req: Caller) -> None:
        """A new session for a caller who has just ended its own by a change of its account."""
        ticket = self.ticket(req) if req.source == "s" else None
        if ticket is not None and not await self.holds(ticket, req.mtime):
            await self.open_session(req)


def _int(value: Any) -> int:
    try:
        return int(value or 0)
    except (TypeError, ValueError):
        return 0


def open_auth(kernel: Kernel, db: Database) -> AuthService:
    """The service of a process, once its configuration is read.

    Raises StartError for settings with which no server is safe, and a home that is not writable.
    """
    if kernel.role == "web":
        safety.check(kernel)
    folder = kernel.home / "var"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        return AuthService(kernel, db, folder)
    except OSError as error:
        raise StartError(f"{folder}: {error.strerror}; the home must be writable") from error
