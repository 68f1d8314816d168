"""What SQLite reports, in the words of the kernel."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from bkjs.errors import AlreadyExists, BadRequest, BkError, DriverError, Timeout, Unavailable
from bkjs_sql import Statement

UNAVAILABLE = {
    sqlite3.SQLITE_BUSY: "is locked by another process",
    sqlite3.SQLITE_LOCKED: "is locked by another process",
    sqlite3.SQLITE_FULL: "cannot grow, the disk is full",
    sqlite3.SQLITE_READONLY: "is read-only",
    sqlite3.SQLITE_PERM: "may not be accessed",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened",
    sqlite3.SQLITE_IOERR: "cannot be read or written",
    sqlite3.SQLITE_CORRUPT: "is corrupt, restore a backup",
    sqlite3.SQLITE_NOTADB: "is not a SQLite database",
}
"""Why a file cannot be used now, by primary result code (sqlite.org/rescode.html)."""


def translate(
    pool: str, path: str, exc: Exception, statement: Statement | None, values: Sequence[Any]
) -> BkError:
    """One of our errors for what was raised while this statement ran.

    AlreadyExists, BadRequest that names the column where a value is to blame, Timeout, Unavailable
    with what is wrong with the file at `path`, or else DriverError.
    """
    if isinstance(exc, BkError):
        return exc
    odd = (TypeError, ValueError) if statement else ()  # else it is a fault of the program
    if isinstance(exc, (OverflowError, UnicodeError, *odd)):
        return _bad_value(pool, exc, statement, values)
    code = getattr(exc, "sqlite_errorcode", None)
    if code is None:
        if isinstance(exc, (sqlite3.InterfaceError, sqlite3.ProgrammingError)):
            return _bad_value(pool, exc, statement, values)
        return DriverError(f"{pool}: {exc}")
    primary = code & 0xFF
    if primary == sqlite3.SQLITE_CONSTRAINT:
        return _constraint(code, str(exc))
    if primary in UNAVAILABLE:
        return Unavailable(f"{pool}: database file {path} {UNAVAILABLE[primary]}")
    if primary == sqlite3.SQLITE_INTERRUPT:
        return Timeout(f"{pool}: the statement took too long")
    if primary in (sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH):
        return _bad_value(pool, exc, statement, values)
    if "user-defined function" in str(exc):  # the sum of a counter, or a pattern
        return BadRequest("number out of range" if "bk_add" in _text(statement) else "bad pattern")
    if str(exc).startswith(("no such table", "no such column")):
        return DriverError(f"{pool}: {exc}; start once with -db-create-tables")
    return DriverError(f"{pool}: {exc}")


def _constraint(code: int, message: str) -> BkError:
    columns = ", ".join(part.rpartition(".")[2] for part in message.partition(": ")[2].split(", "))
    if code == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY or code == sqlite3.SQLITE_CONSTRAINT_ROWID:
        return AlreadyExists()
    if code == sqlite3.SQLITE_CONSTRAINT_UNIQUE:
        return AlreadyExists(f"Record with the same {columns} already exists", field=columns)
    if code == sqlite3.SQLITE_CONSTRAINT_NOTNULL:
        return BadRequest(f"{columns} cannot be empty", field=columns)
    return BadRequest(f"{columns or 'value'} is not allowed")


def _bad_value(
    pool: str, exc: Exception, statement: Statement | None, values: Sequence[Any]
) -> BkError:
    names = statement.names if statement else ()
    for name, value in zip(names, values, strict=False):
        problem = _problem(value)
        if problem:
            return BadRequest(f"{name}: {problem}", field=name)
    if isinstance(exc, sqlite3.Error) and getattr(exc, "sqlite_errorcode", None) is None:
        return DriverError(f"{pool}: {exc}")
    return BadRequest("value out of range")


def _problem(value: Any) -> str:
    if isinstance(value, int):
        return "" if -(2**63) <= value < 2**63 else "number out of range"
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return "invalid text"
        return ""
    allowed = value is None or isinstance(value, (float, bytes, bytearray, memoryview))
    return "" if allowed else f"a {type(value).__name__} cannot be stored"


def _text(statement: Statement | None) -> str:
    return statement.text if statement else ""
