"""Sessions of browsers: random ids in a cookie, of which the server keeps a hash.

A session holds while its account's secrets and type stay the same, at most `api-session-age`, and
not longer than `api-session-idle` without a request.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from typing import Any

from bkjs.config import Config
from bkjs.db.database import Database
from bkjs.errors import BkError
from bkjs.readonly import in_passing

from .cache import Cache, Epoch
from .caller import Caller, Session
from .origin import trusted_origin

log = logging.getLogger(__name__)

SESSION_TABLE = "bk_session"
COOKIE = "bk-session"
SECURE_COOKIE = "__Host-bk-session"

TABLES: dict[str, dict[str, dict[str, Any]]] = {
    SESSION_TABLE: {
        "id": {"primary": 1, "secure": True},
        "login": {"index": 1},
        "fingerprint": {"secure": True},
        "ip": {},
        "agent": {},
        "ctime": {"type": "bigint"},
        "atime": {"type": "bigint"},
        "expires": {"type": "bigint"},
    }
}

MINUTE, HOUR = 60_000, 3_600_000
CACHE_TTL = 5.0
CACHE_SIZE = 10_000


def session_cookie(req: Caller) -> str:
    """The name of the cookie: browsers bind that of https to this host and to TLS."""
    return SECURE_COOKIE if req.secure else COOKIE


def hashed(token: str) -> str:
    """What the server keeps of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


class Sessions:
    """Opens, finds and ends sessions."""

    def __init__(self, config: Config, db: Database, epoch: Epoch) -> None:
        self._config = config
        self._db = db
        self._epoch = epoch
        self._cache: Cache[Session] = Cache(epoch, ttl=CACHE_TTL, size=CACHE_SIZE)
        self._purged = 0

    async def open(self, req: Caller, login: str, fingerprint: str) -> Session:
        """Start a session and send its cookie; one that the request came with ends."""
        await self.close(req, clear=False)
        await self._purge(req.mtime)
        age = self._config.api.session_age
        token = secrets.token_urlsafe(32)
        session = Session(hashed(token), login, fingerprint, req.mtime, req.mtime, req.mtime + age)
        row = {
            **{name: getattr(session, name) for name in Session.__slots__},
            "ip": req.ip,
            "agent": req.header("user-agent")[:256],
        }
        with in_passing():
            await self._db.add(SESSION_TABLE, row)
        req.set_cookie(session_cookie(req), token, max_age=age // 1000, secure=req.secure)
        req.session = session
        return session

    def token(self, req: Caller) -> str:
        """What the cookie of the request holds, "" without one and where no cookie counts: for
        requests that another site makes a browser send."""
        token = req.cookies.get(session_cookie(req), "")
        return token if token and trusted_origin(req, self._config.api.cors_origin or ()) else ""

    async def find(self, req: Caller) -> Session | None:
        """The session of the request's cookie, None without one or when it has ended."""
        token = self.token(req)
        if not token:
            return None
        session = await self.get(hashed(token), req.mtime)
        if session is None:
            return None
        if req.mtime - session.atime > min(MINUTE, self._config.api.session_idle // 4):
            session.atime = req.mtime
            changes = {"id": session.id, "atime": req.mtime}
            with in_passing():
                written = await self._db.update(SESSION_TABLE, changes)
            if not written.affected:
                return None
        return session

    async def get(self, id: str, now: int) -> Session | None:
        """A session by its id, None when it has ended by a time in ms."""
        session = self._cache.get(id)
        if session is None:
            epoch = self._epoch.now()
            row = await self._db.get(SESSION_TABLE, {"id": id})
            if row is None:
                return None
            session = Session(**{name: row[name] for name in Session.__slots__})
            self._cache.put(id, session, epoch)
        if session.expires < now or session.atime + self._config.api.session_idle < now:
            await self._delete(session.id)
            return None
        return session

    async def close(self, req: Caller, *, clear: bool = True) -> None:
        """End the session of the request's cookie and, with `clear`, remove the cookie."""
        if token := self.token(req):
            await self._delete(hashed(token))
        if clear:
            self.clear(req)
        req.session = None

    def clear(self, req: Caller) -> None:
        """Remove the cookie, if the request has one that counts."""
        if self.token(req):
            req.set_cookie(session_cookie(req), "", max_age=0, secure=req.secure)

    async def end_all(self, login: str) -> None:
        """End all sessions of an account."""
        with in_passing():
            await self._db.del_all(SESSION_TABLE, {"login": login})
        self._epoch.change()

    async def _delete(self, id: str) -> None:
        try:
            with in_passing():
                await self._db.del_(SESSION_TABLE, {"id": id})
        finally:
            self._epoch.change()

    async def _purge(self, now: int) -> None:
        """Once an hour, remove the rows of sessions that are over."""
        if now - self._purged < HOUR:
            return
        self._purged = now
        try:
            with in_passing():
                await self._db.del_all(SESSION_TABLE, {"expires": now}, ops={"expires": "lt"})
        except BkError as error:  # the next hour will do
            log.warning("sessions that are over could not be removed: %s", error)
