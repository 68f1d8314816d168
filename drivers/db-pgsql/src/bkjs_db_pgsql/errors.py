"""What PostgreSQL and its client report, in the words of the kernel."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import asyncpg

from bkjs.errors import (
    AlreadyExists,
    BadRequest,
    BkError,
    Conflict,
    DriverError,
    Timeout,
    Unavailable,
)
from bkjs.lib.places import said
from bkjs_sql import Statement

DEAD = (
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    OSError,
)
"""The connection is of no more use."""

ARGUMENT = re.compile(r"query argument \$(\d+)")
"""Where asyncpg says which bound value it cannot send."""
OF_TYPE = re.compile(r"(?:[^:]* for (?:type|enum)|invalid) \"?([\w .]+?)\"?(?: value)?: ")
"""Where the server says of which type a text is no value."""
LIMIT = re.compile(r"maximum (\d+)")
"""Where the server says how many bytes an index takes."""
KEY = re.compile(r"Key \((.*?)\)=")
"""Where the server says which columns had to be unique."""
BAD_VALUES = {
    "22001": "too long",
    "22003": "number out of range",
    "22021": "invalid text",
    "2201B": "invalid pattern",
    "22025": "invalid pattern",
}
"""What is wrong with a value, by SQLSTATE (appendix A of PostgreSQL's manual)."""
CONFLICTS = ("40001", "40P01", "55P03")
"""A row was changed since the transaction began; a deadlock; another one has had it too long."""
UNAVAILABLE = {
    "08": "the connection was lost",
    "53": "the server has no resources left",
    "57": "the server is going down or starting",
    "58": "the server has a system error",
    "25006": "the server is read-only",
    "25P02": "the transaction was rolled back by an earlier error",
}
"""Why it cannot be done now, by SQLSTATE or its class, the first two characters."""


def is_answer(exc: BaseException | None) -> bool:
    """Whether the server refused the statement, so that nothing of it was done."""
    return isinstance(exc, asyncpg.PostgresError) and not isinstance(exc, DEAD)


def translate(
    pool: str, exc: Exception, statement: Statement | None = None, values: Sequence[Any] = ()
) -> BkError:
    """One of our errors; names the column where a value is to blame, never shows a value."""
    if isinstance(exc, BkError):
        return exc
    if isinstance(exc, (TimeoutError, asyncpg.QueryCanceledError)):
        return Timeout(f"{pool}: the statement took too long")
    if isinstance(exc, asyncpg.PostgresError):
        return _answered(pool, exc, statement, values)
    if isinstance(exc, (UnicodeError, OverflowError)):
        return _bad_value("invalid value", str(exc), statement, values)
    if "the server expects" in str(exc):  # an InterfaceError, but the connection is alive
        return DriverError(f"{pool}: {exc}")
    if isinstance(exc, DEAD):
        return Unavailable(f"{pool}: the connection was lost, what was being written may be stored")
    return DriverError(f"{pool}: {said(exc)}")


def _answered(
    pool: str, exc: asyncpg.PostgresError, statement: Statement | None, values: Sequence[Any]
) -> BkError:
    state = str(exc.sqlstate or "")
    detail = str(getattr(exc, "detail", "") or "")
    if state in CONFLICTS:
        return Conflict()
    if state == "23505":
        if str(getattr(exc, "constraint_name", "") or "").endswith("_pkey"):
            return AlreadyExists()
        found = KEY.search(detail)
        columns = found[1].replace('"', "") if found else "value"
        return AlreadyExists(f"Record with the same {columns} already exists", field=columns)
    if state == "23502":
        column = exc.column_name
        return BadRequest(f"{column} cannot be empty", field=column)
    if state.startswith("23"):
        return BadRequest("value is not allowed")
    if state.startswith("22"):
        return _bad_value(BAD_VALUES.get(state, "invalid value"), str(exc), statement, values)
    if state == "42601" and statement is not None and "to_tsquery(" in statement.text:
        return BadRequest("invalid search")
    if state == "54000":
        return _too_long(exc, statement, values)
    for prefix in (state, state[:2]):
        if prefix in UNAVAILABLE:
            return Unavailable(f"{pool}: {UNAVAILABLE[prefix]}")
    if state in ("42P01", "42703"):  # no such table, no such column
        return DriverError(f"{pool}: {exc}; start once with -db-create-tables")
    return DriverError(f"{pool}: {exc}")


def _bad_value(
    problem: str, message: str, statement: Statement | None, values: Sequence[Any]
) -> BkError:
    name = ""
    if "out of" in message:
        problem = "number out of range"
    elif "surrogates not allowed" in message:
        problem = "invalid text"
    if statement is not None:
        found = ARGUMENT.search(message)
        cast = OF_TYPE.match(message)
        if not found and cast:
            found = re.search(rf"\$([0-9]+)::text(?:\[\])?::{re.escape(cast[1])}\b", statement.text)
        if found and int(found[1]) <= len(statement.names):
            name = statement.names[int(found[1]) - 1]
        else:
            pairs = zip(statement.names, values, strict=False)
            name = next((column for column, value in pairs if _unstorable(value)), "")
    return BadRequest(f"{name}: {problem}", field=name) if name else BadRequest(problem)


def _too_long(
    exc: asyncpg.PostgresError, statement: Statement | None, values: Sequence[Any]
) -> BkError:
    """An indexed text has its limit."""
    found = LIMIT.search(str(exc))
    limit = f", an index takes {found[1]} bytes" if found else ""
    texts = zip(statement.names if statement else (), values, strict=False)
    name = max(texts, key=lambda pair: len(str(pair[1])), default=("value", None))[0]
    return BadRequest(f"{name}: too long{limit}", field=name)


def _unstorable(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_unstorable, value))
    return isinstance(value, str) and ("\0" in value or not _encodes(value))


def _encodes(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
