"""A login record: its table, what of it is secret, which types of accounts there are."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from bkjs.errors import BadRequest
from bkjs.lib.convert import str_split

AUTH_TABLE = "bk_auth"
"""The table of login records."""
_ADMIN_SECRET = {"admin": True, "secure": True}

TABLES: dict[str, dict[str, dict[str, Any]]] = {
    AUTH_TABLE: {
        "login": {"primary": 1},
        "id": {},  # not of the type uuid, which replaces ids of another form
        "name": {},
        "status": {},
        "type": {"admin": True},
        "flags": {"type": "list", "list": True, "admin": True},
        "secret": {"secure": True},
        "auth_secret": _ADMIN_SECRET,
        "token_secret": _ADMIN_SECRET,
        "salt": {"secure": True},
        "password": {"secure": True},
        "acl_deny": _ADMIN_SECRET,
        "acl_allow": _ADMIN_SECRET,
        "query_deny": _ADMIN_SECRET,
        "rlimits_max": {"type": "int", "admin": True},
        "rlimits_rate": {"type": "int", "admin": True},
        "expires": {"type": "bigint", **_ADMIN_SECRET},
        "ctime": {"type": "now", "readonly": True},
        "mtime": {"type": "now"},
    }
}
COLUMNS = TABLES[AUTH_TABLE]
SECURE = frozenset(name for name, props in COLUMNS.items() if props.get("secure"))
"""Columns that never leave the server."""
ADMIN = frozenset(name for name, props in COLUMNS.items() if props.get("admin"))
"""Columns that only administrators see and set, as far as they are not secure."""
NUMBERS = frozenset({"expires", "rlimits_max", "rlimits_rate"})
"""Columns that hold whole numbers: ms for `expires`, requests for the others."""
SEALED = ("secret", "auth_secret", "token_secret")
"""Columns that are encrypted at rest; passwords are hashed instead."""
LIMITS = ("expires", "acl_deny", "acl_allow", "query_deny")
"""Secure columns that take something away from an account."""
CREDENTIALS = ("secret", "password", "token_secret")
"""What an account may change of its own secrets."""
SERVER = frozenset({"login", "id", "salt", "ctime", "mtime", *CREDENTIALS})
"""What no list of columns to write may name: the server sets it, or checks it by itself."""

MIN_SECRET = 16
"""Characters of a new secret: who sees one signed URL can try shorter ones at home."""
DIFFERENT = 6
"""Different visible characters of a new secret."""
MAX_LOGIN, MAX_SECRET = 256, 1024
"""Characters that a login, and any other text of a login record, may have."""
_REFUSED_IN_LOGIN = re.compile(r"[\x00-\x1f\x7f|]")
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Letters, marks and symbols that show nothing; Python takes them for printable."""


class Account(dict[str, Any]):
    """A row of bk_auth without its secrets, which are in the attribute `secrets`."""

    __slots__ = ("free", "kept", "secrets")

    free: bool
    """Nothing in the row limits it: it has no expiry and no rules of its own."""
    kept: dict[Any, str] | None
    """What was worked out of one that nobody changes; None for those that may be changed."""

    def __init__(self, row: Mapping[str, Any], hidden: Mapping[str, Any] | None = None) -> None:
        super().__init__({name: row[name] for name in row if name not in SECURE})
        if hidden is None:
            hidden = {name: row[name] for name in SECURE if row.get(name)}
        self.secrets = hidden
        self.free = not any(map(hidden.get, LIMITS))
        self.kept = None

    def copy(self) -> Account:
        """Another one that may be changed."""
        twin = Account.__new__(Account)
        twin.update(self)
        twin.secrets, twin.free, twin.kept = self.secrets, self.free, None
        return twin


class Hidden(Mapping[str, Any]):
    """The columns of a row that never leave the server, decrypted.

    `open` gets the name and the text of a column that is sealed; a token secret is opened when it
    is first asked for, which few requests do. What `open` raises is raised here, or then.
    """

    __slots__ = ("_open", "_opened", "_sealed")

    def __init__(self, row: Mapping[str, Any], open: Callable[[str, str], str]) -> None:
        self._open = open
        self._opened = {name: row[name] for name in SECURE if row.get(name)}
        self._sealed = {n: str(self._opened.pop(n)) for n in ("token_secret",) if row.get(n)}
        for name in self._opened.keys() & set(SEALED):
            self._opened[name] = open(name, str(row[name]))

    def __getitem__(self, name: str) -> Any:
        if name in self._sealed:
            self._opened[name] = self._open(name, self._sealed[name])
            del self._sealed[name]
        return self._opened[name]

    def get(self, name: str, default: Any = None) -> Any:
        """As in a dict; that of Mapping takes an exception for each that is not there."""
        return self[name] if name in self._sealed else self._opened.get(name, default)

    def __iter__(self) -> Iterator[str]:
        return iter([*self._opened, *self._sealed])

    def __len__(self) -> int:
        return len(self._opened) + len(self._sealed)


def normal_login(login: str) -> str:
    """The one form of a login whatever the case and kind of its characters."""
    return unicodedata.normalize("NFKC", login).casefold().strip()


def text_of(query: Mapping[str, Any], name: str, limit: int) -> str:
    """A value of a query that must be text of so many characters, "" when absent.

    Raises BadRequest that names it.
    """
    value = query.get(name)
    if value is None or value == "":
        return ""
    if not isinstance(value, str):
        raise BadRequest(f"{name}: must be text", field=name)
    if len(value) > limit:
        raise BadRequest(f"{name}: longer than {limit} characters", field=name)
    return value


def number_of(name: str, value: object) -> int:
    """A value of a query as a whole number, 0 for none; raises BadRequest that names it."""
    try:
        return int(str(value or 0))
    except ValueError:
        raise BadRequest(f"{name}: must be a whole number", field=name) from None


def check_login(query: Mapping[str, Any]) -> str:
    """The login in a query in its normal form, "" when there is none; raises BadRequest."""
    login = normal_login(text_of(query, "login", MAX_LOGIN))
    if _REFUSED_IN_LOGIN.search(login):
        raise BadRequest("login: '|' and control characters are not allowed", field="login")
    return login


def check_secret(secret: str) -> None:
    """Refuse a new secret that can be guessed, or that nobody can read; raises BadRequest."""
    if len(secret.strip()) < MIN_SECRET:
        wrong = f"{MIN_SECRET} characters at least"
    elif not secret.isprintable() or _UNSEEN.search(secret):
        wrong = "control and invisible characters are not allowed"
    elif len(set(secret) - {" "}) < DIFFERENT:
        wrong = f"{DIFFERENT} different characters at least"
    else:
        return
    raise BadRequest(f"secret: {wrong}", field="secret")


def account_types(account: Mapping[str, Any]) -> frozenset[str]:
    """The types of an account: its `type` split at commas and bars."""
    return _types(account.get("type") or "")


@lru_cache(1024)
def _types(text: str) -> frozenset[str]:
    return frozenset(str_split(text))


def is_admin(account: Mapping[str, Any]) -> bool:
    """Whether this is an administrator's account."""
    types = account.get("type")
    return bool(types) and "admin" in _types(types)
