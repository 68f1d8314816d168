"""Login records: read, made, changed and deleted. Everything that does so is here."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson

from bkjs.core.kernel import Kernel
from bkjs.db.database import Database
from bkjs.errors import AlreadyExists, BadRequest, NotFound
from bkjs.lib.ids import uuid
from bkjs.readonly import in_passing

from . import audit
from .accounts import (
    ADMIN,
    AUTH_TABLE,
    COLUMNS,
    MAX_LOGIN,
    MAX_SECRET,
    NUMBERS,
    SEALED,
    SERVER,
    Account,
    Hidden,
    check_login,
    check_secret,
    normal_login,
    number_of,
    text_of,
)
from .cache import Cache, Epoch
from .caller import Caller
from .passwords import Passwords, check_password
from .secretbox import SecretBox, SecretError
from .status import compat

CACHE_TTL = 5.0
"""Seconds after which a change made on another host is seen."""
CACHE_SIZE = 10_000
MISSING_TTL = 2.0
"""Unknown logins are remembered too, so that an answer about them takes no longer."""
MISSING_SIZE = 1000


class AccountStore:
    """`app.auth.accounts` reads and writes login records."""

    def __init__(
        self,
        kernel: Kernel,
        db: Database,
        epoch: Epoch,
        passwords: Passwords,
        *,
        end_sessions: Callable[[str], Awaitable[None]],
    ) -> None:
        """`epoch` tells all processes of the host of a change; `end_sessions` gets the login of an
        account whose sessions hold no longer.
        """
        self.epoch = epoch
        self._kernel = kernel
        self._db = db
        self._passwords = passwords
        self._end_sessions = end_sessions
        self._box = SecretBox(lambda: kernel.keys.get("secrets"))
        self._cache: Cache[Account] = Cache(epoch, ttl=CACHE_TTL, size=CACHE_SIZE)
        self._missing: Cache[bool] = Cache(epoch, ttl=MISSING_TTL, size=MISSING_SIZE)

    @staticmethod
    def new_secret() -> str:
        """A random secret of 256 bits."""
        return secrets.token_urlsafe(32)

    # -- reading -----------------------------------------------------------------------------

    async def fetch(self, login: str) -> Account | None:
        """The account with this login, or with its normal form; the caller may change it."""
        found = await self.find(login)
        return found.copy() if found is not None else None

    async def secret_of(self, login: str) -> str | None:
        """The secret that an account signs with; for signing on its behalf on this machine."""
        found = await self.find(login)
        return found.secrets.get("secret") if found is not None else None

    async def find(self, login: str) -> Account | None:
        """As `fetch`, but the one that all share: it must not be changed."""
        if not login or len(login) > MAX_LOGIN:
            return None
        found = self._cache.get(login)
        if found is not None or self._missing.get(login):
            return found
        epoch = self.epoch.now()
        row = await self._db.get(AUTH_TABLE, {"login": login})
        if row is None and (normal := normal_login(login)) != login and normal:
            row = await self._db.get(AUTH_TABLE, {"login": normal})
        if row is None:
            self._missing.put(login, True, epoch)
            return None
        account = Account(row, Hidden(row, self._box.open))
        account.kept = {}
        self._cache.put(login, account, epoch)
        return account

    def fingerprint(self, account: Account, *, token: bool = False) -> str:
        """A text that changes with the secrets, the password and the type of an account.

        Sessions and, with `token`, access tokens hold only while it stays the same.
        """
        key = self._kernel.keys.get("session")
        if configured := self._kernel.config.api.session_secret:
            key = configured.encode()
        kept = account.kept
        if kept is not None and (key, token) in kept:
            return kept[key, token]
        hidden = account.secrets
        facts = [account.get(name) for name in ("id", "login", "type")]
        facts += [hidden.get(name) for name in ("secret", "auth_secret", "password")]
        facts += [hidden.get("token_secret")] if token else []
        made = hmac.digest(key, orjson.dumps(facts), "sha256").hex()[:32]
        if kept is not None:
            kept[key, token] = made
        return made

    # -- writing -----------------------------------------------------------------------------

    async def add(
        self, query: Mapping[str, Any], *, admin: bool = False, req: Caller | None = None
    ) -> dict[str, Any]:
        """Create a login record with a new `id`; `admin` allows columns for administrators.

        `req`, here and below, is who asks for it: the audit log names the caller.

        The result has no secrets, except a `secret` that was made here, this once. Raises
        BadRequest `name|login|secret is required`, AlreadyExists for a login that is taken.
        """
        login = check_login(query)
        if not text_of(query, "name", MAX_SECRET).strip():
            raise BadRequest("name is required", field="name")
        if not login:
            raise BadRequest("login is required", field="login")
        await self._refuse_taken(login)
        given = await self.prepare_account_secret(query, new=True)
        if not given.get("secret"):
            raise BadRequest("secret is required", field="secret")
        row = self._allowed(query, admin) | given | {"id": uuid(), "login": login}
        row["token_secret"] = self.new_secret()
        try:
            written = await self._db.add(
                AUTH_TABLE, _each_secret(row, self._box.seal), info_obj=True
            )
        except AlreadyExists:
            raise AlreadyExists("login already exists", field="login") from None
        finally:
            self.epoch.change()
        audit.note(req, "add", login, type=row.get("type"))
        reply = dict(Account({**row, **(written.obj or {})}))
        return reply | ({"secret": given["secret"]} if query.get("password") else {})

    async def update(
        self,
        login: str,
        query: Mapping[str, Any],
        *,
        admin: bool = False,
        req: Caller | None = None,
    ) -> dict[str, Any]:
        """Change a login record; the columns written, without secrets.

        Raises NotFound for an unknown login. Nothing is written when nothing is left to write.
        """
        given = await self.prepare_account_secret({**query, "login": login})
        changes = self._allowed(query, admin) | given
        if not changes.get("name", "x"):
            del changes["name"]
        if changes:
            audit.note_change(req, await self._write(login, changes), changes)
        return dict(Account(changes))

    async def set_secret(
        self, login: str, query: Mapping[str, Any], *, req: Caller | None = None
    ) -> None:
        """Give an account another `secret`, `password` or `token_secret`.

        All sessions and tokens that depend on it end. Raises BadRequest when none is given.
        """
        given = await self.prepare_account_secret({**query, "login": login})
        if not given:
            raise BadRequest("secret or token_secret is required", field="secret")
        audit.note_change(req, await self._write(login, given), given)
        await self._end_sessions(login)  # they hold no longer; this removes what is left

    async def reset(self, login: str, query: Mapping[str, Any]) -> dict[str, Any]:
        """Give an account another `secret` or `password` although its old ones cannot be read.

        For who has the keys of this home and the database, such as a command: nothing else is
        asked. What cannot be read is removed, all sessions and tokens end. The id and login.
        Raises NotFound, and BadRequest without a secret or a password.
        """
        given = await self.prepare_account_secret({**query, "login": login})
        if not given.get("secret"):
            raise BadRequest("secret or password is required", field="secret")
        row = await self._db.get(AUTH_TABLE, {"login": login})
        row = row or await self._db.get(AUTH_TABLE, {"login": normal_login(login)})
        if row is None:
            raise NotFound("No account record found")
        lost: dict[str, Any] = {name: None for name in SEALED if row.get(name)}
        for name in [*lost]:
            with contextlib.suppress(SecretError):
                self._box.open(name, str(row[name]))
                del lost[name]
        changes = lost | {"token_secret": self.new_secret()} | given
        found = {"id": row["id"], "login": row["login"]}
        try:
            sealed = _each_secret(changes, self._box.seal)
            await self._db.update(AUTH_TABLE, {**sealed, "login": row["login"]})
        finally:
            self.epoch.change()
        audit.note_change(None, found, changes)
        await self._end_sessions(str(row["login"]))
        return found

    async def delete(self, login: str, *, req: Caller | None = None) -> None:
        """Delete a login record; a missing one is no error."""
        found = await self.find(login)
        try:
            await self._db.del_(AUTH_TABLE, {"login": found["login"] if found else login})
        finally:
            self.epoch.change()
        if found is not None:
            audit.note(req, "delete", found["login"])
        await self._end_sessions(login)

    async def rename(self, login: str, new_login: str, *, req: Caller | None = None) -> str:
        """Give an account another login and return its normal form; its sessions end.

        Raises NotFound, AlreadyExists, BadRequest.
        """
        found = await self.find(login)
        if found is None:
            raise NotFound("No account record found")
        new = check_login({"login": new_login})
        if not new:
            raise BadRequest("login is required", field="login")
        if new == found["login"]:
            return new
        await self._refuse_taken(new)
        row = _each_secret({**found, **found.secrets, "login": new}, self._box.seal)
        try:
            await self._db.add(AUTH_TABLE, row)
            await self._db.del_(AUTH_TABLE, {"login": found["login"]})
        except AlreadyExists:
            raise AlreadyExists("login already exists", field="login") from None
        finally:
            self.epoch.change()
        audit.note(req, "rename", found["login"], login=new)
        return new

    async def prepare_account_secret(
        self, query: Mapping[str, Any], *, new: bool = False
    ) -> dict[str, Any]:
        """The columns to store for the `secret`, `password` and `token_secret` of a query.

        A password is checked and hashed and brings a new secret, which ends all sessions. Raises
        BadRequest that names what is too short or long, can be guessed or is no text.
        """
        secret = text_of(query, "secret", MAX_SECRET)
        password = text_of(query, "password", MAX_SECRET)
        columns: dict[str, Any] = {}
        api = self._kernel.config.api
        if secret:
            columns["secret"] = secret
            if "secrets" not in compat(api):
                check_secret(secret)
        if password:
            login = normal_login(str(query.get("login") or ""))
            check_password(password, api.secret_policy or (), login=login)
            hashed = await self._passwords.hash(password)
            columns |= {"password": hashed, "salt": "", "secret": self.new_secret()}
        if query.get("token_secret") and not new:
            columns["token_secret"] = self.new_secret()
        return columns

    async def rehash(self, account: Account, password: str) -> None:
        """Store a password whose hash is outdated as the kind of hash that we make today."""
        hashed = await self._passwords.hash(password)
        with in_passing():
            await self._write(str(account["login"]), {"password": hashed, "salt": ""})

    async def _write(self, login: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Write columns of a login record; the record as it was, with its secrets."""
        found = await self.find(login)
        if found is None:
            raise NotFound("No account record found")
        before = {**found, **found.secrets}
        try:
            row = {**_each_secret(changes, self._box.seal), "login": found["login"]}
            written = await self._db.update(AUTH_TABLE, row)
        finally:
            self.epoch.change()
        if not written.affected:
            raise NotFound("No account record found")
        return before

    async def _refuse_taken(self, login: str) -> None:
        """Raise AlreadyExists before anything is written, which empties the caches of all."""
        if await self.find(login) is not None:
            raise AlreadyExists("login already exists", field="login")

    @staticmethod
    def _allowed(query: Mapping[str, Any], admin: bool) -> dict[str, Any]:
        closed = SERVER if admin else SERVER | ADMIN
        columns = {n: v for n, v in query.items() if n in COLUMNS and n not in closed}
        for name in NUMBERS & columns.keys():
            columns[name] = number_of(name, columns[name])
        return columns

    def row_hook(self, req: Any, row: dict[str, Any], options: Mapping[str, Any]) -> None:
        """What every write of bk_auth by others goes through: ids, sealed secrets, caches."""
        if req.op in ("add", "put") and not row.get("id"):
            row["id"] = uuid()
        for name in SEALED:
            value = row.get(name)
            if isinstance(value, str) and value and not self._box.is_sealed(value):
                row[name] = self._box.seal(name, value)
        self.epoch.change()
        # the write follows; what is read while it runs may be cached once more, but not for long
        asyncio.get_running_loop().call_later(1.0, self.epoch.change)


def _each_secret(row: Mapping[str, Any], change: Callable[[str, str], str]) -> dict[str, Any]:
    return {n: change(n, str(v)) if n in SEALED and v else v for n, v in row.items()}
