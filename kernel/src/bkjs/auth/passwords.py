"""Password hashes: argon2id in threads of their own; hashes of the 2018 protocol are only read.

Every check costs exactly one argon2 computation, whether the account exists, has a password, or
has one of the old kind: the time of an answer tells nothing.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property
from importlib import resources
from typing import TYPE_CHECKING, Any, TypeVar

from bkjs.errors import BadRequest, BkError

if TYPE_CHECKING:
    from argon2 import PasswordHasher

T = TypeVar("T")

MIN_LENGTH = 8
"""Characters; a configured policy may ask for more."""
MAX_BYTES = 1024
"""Longer passwords are refused, not cut: nobody types them, and hashing them costs."""

_PREFIX = "$argon2id$"


class Busy(BkError):
    """Too many passwords wait to be checked."""

    status = 429
    code = "Busy"
    retry_after = 1


class Passwords:
    """Hashes and checks passwords a few at a time; beyond `queue` waiting ones it raises `Busy`."""

    def __init__(self, *, threads: int = 0, queue: int = 500) -> None:
        self.threads = threads or min(os.cpu_count() or 1, 4)
        self.queue = queue
        self._pending = 0
        self._pool: ThreadPoolExecutor | None = None

    @cached_property
    def _argon2(self) -> PasswordHasher:
        from argon2 import PasswordHasher

        return PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)

    @cached_property
    def _dummy(self) -> str:
        return self._argon2.hash(os.urandom(16).hex())

    async def hash(self, password: str) -> str:
        """The argon2id hash to store; raises BadRequest when it is too long."""
        check_length(password)
        return await self._run(lambda: self._argon2.hash(_normal(password)))

    async def verify(self, stored: str | None, password: str, *, salt: str | None = None) -> bool:
        """Whether this is the password of a stored hash; False when nothing is stored."""
        if len(password.encode("utf-8", "surrogatepass")) > MAX_BYTES:
            password, stored = "", None
        if stored and stored.startswith(_PREFIX):
            return await self._run(lambda: self._check(stored, password))
        await self._run(lambda: self._check(self._dummy, password))
        return bool(stored and salt) and hmac.compare_digest(
            legacy_hash(str(salt), password).encode(), str(stored).encode()
        )

    def outdated(self, stored: str) -> bool:
        """Whether a hash should be made anew when its password is known: old kind or parameters."""
        return not stored.startswith(_PREFIX) or self._argon2.check_needs_rehash(stored)

    def _check(self, stored: str, password: str) -> bool:
        from argon2.exceptions import InvalidHashError, VerificationError

        try:
            return self._argon2.verify(stored, _normal(password))
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self._pending >= self.threads + self.queue:
            raise Busy("Too many logins at once, please try again later")
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="passwords")
        self._pending += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._pending -= 1

    def close(self) -> None:
        """Let the threads end."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def _normal(password: str) -> str:
    """One form for the same characters however a keyboard composes them."""
    return unicodedata.normalize("NFKC", password)


def legacy_hash(salt: str, password: str) -> str:
    """The hash of the 2018 protocol: HMAC-SHA256 in base64."""
    digest = hmac.digest(salt.encode(), password.encode("utf-8", "surrogatepass"), "sha256")
    return base64.b64encode(digest).decode("ascii")


@cache
def common_passwords() -> frozenset[str]:
    """The passwords that everybody tries first, in lower case."""
    text = resources.files("bkjs.auth").joinpath("common_passwords.txt").read_text("utf-8")
    return frozenset(text.split())


def check_length(password: str) -> None:
    """Refuse a password that no one can mean; raises BadRequest."""
    if len(password.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise BadRequest(f"password is longer than {MAX_BYTES} bytes", field="password")


Policy = Iterable[Mapping[str, Any]]
"""Rules as the type regexpmap keeps them: `rx` must be found, else `value` says what is missing."""


def check_account_secret(password: str, policy: Policy) -> dict[str, Any] | None:
    """The first rule that a password breaks as `{status, message, policy}`, None if none."""
    rules = [(rule["rx"], str(rule["value"])) for rule in policy if rule["rx"]]
    for pattern, message in rules:
        if not re.search(pattern, password):
            described = ", ".join(text for _, text in rules)
            return {"status": 400, "message": message, "policy": described}
    return None


def check_password(password: str, policy: Policy = (), *, login: str = "") -> None:
    """Refuse a password that is too short or long, breaks the policy, or is easily guessed.

    Raises BadRequest that says which.
    """
    check_length(password)
    if len(password) < MIN_LENGTH:
        raise BadRequest(f"requires at least {MIN_LENGTH} characters", field="password")
    broken = check_account_secret(password, policy)
    if broken:
        raise BadRequest(broken["message"], field="password", policy=broken["policy"])
    if password.casefold() in common_passwords():
        raise BadRequest("this password is too common", field="password")
    if login and password.casefold() == login.casefold():
        raise BadRequest("the password must not be the login", field="password")
