"""Requests that depend on what the caller has seen of a row: `ETag`, `If-Match`, `If-None-Match`.

The tag of a row changes with every change of what is stored, of columns that the caller does not
see, too; it tells nothing of them. It is the same for all callers and formats.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from bkjs.db.contract import ABSENT, Row
from bkjs.db.request.emulate import same, unchanged
from bkjs.errors import Changed, NotFound
from bkjs.lib.given import Given
from bkjs.web.request import Request

_LONGEST = 4096
"""Bytes of a header that are looked at."""


def etag_of(req: Request, table: str, stored: Row) -> str:
    """The tag of a stored row, with its quotes."""
    text = repr((table, sorted((n, v) for n, v in stored.items() if v is not None)))
    key = req.app.keys.get("etag")
    mark = hashlib.blake2b(text.encode(), key=key, digest_size=16)
    return f'"{mark.hexdigest()}"'


def names(header: bytes, tag: str) -> bool:
    """Whether a tag is among those of a header, where proxies that pack answers make it weak."""
    sent = header[:_LONGEST].decode("latin-1").split(",")
    return tag in [item.strip().removeprefix("W/") for item in sent]


async def expectation(
    req: Request, table: str, key: Given, owner: Mapping[str, Any]
) -> dict[str, Any]:
    """The options of a write that takes place only to a row of this owner, and to the one that
    `If-Match` names.

    Raises Changed when there is no such row. What is found here is looked at again by the database
    in one step with the write.
    """
    header = req.raw_headers.get(b"if-match")
    if header is None:
        return {"expected": owner} if owner else {}
    found = await req.db.get_stored(table, key)
    if found is None or not belongs(found[0], owner):
        raise changed(table)
    target, stored = req.db.target(table), found[1]
    if header.strip() == b"*":
        return {"expected": unchanged(stored, (*target.table.keys, *owner))}
    if not names(header, etag_of(req, table, stored)):
        raise changed(table)
    return {"expected": same(target, stored)}


def absence(req: Request) -> dict[str, Any]:
    """The options of a put that takes place only where no row is: `If-None-Match: *`."""
    alone = req.raw_headers.get(b"if-none-match", b"").strip() == b"*"
    return {"expected": ABSENT} if alone else {}


def changed(table: str) -> Changed:
    """The error for a row that is not what the caller has seen."""
    return Changed(f"{table} is not what you have seen")


def belongs(row: Row, owner: Mapping[str, Any]) -> bool:
    """Whether a row has these values of an owner."""
    return all(row.get(name) == value for name, value in owner.items())


async def tagged(req: Request, table: str, key: Given, owner: Mapping[str, Any]) -> Row | None:
    """The row, whose tag goes with the answer; None when it is what `If-None-Match` names.

    Raises NotFound.
    """
    found = await req.db.get_stored(table, key)
    if found is None or not belongs(found[0], owner):
        raise NotFound(f"no such {table}")
    row, stored = found
    tag = etag_of(req, table, stored)
    req.response_headers.append((b"etag", tag.encode()))
    known = req.raw_headers.get(b"if-none-match")
    return None if known is not None and (known.strip() == b"*" or names(known, tag)) else row
