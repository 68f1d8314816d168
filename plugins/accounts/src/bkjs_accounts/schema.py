"""The table of accounts; credentials live in `bk_auth`, linked by id and login."""

from __future__ import annotations

from typing import Any

TABLES: dict[str, dict[str, dict[str, Any]]] = {
    "bk_account": {
        "id": {"primary": 1, "pub": 1},
        "login": {},
        "status": {},
        "type": {"admin": 1},
        "name": {"pub": 1, "notempty": 1},
        "first_name": {"pub": 1},
        "last_name": {"pub": 1},
        "email": {"type": "email"},
        "phone": {"type": "phone"},
        "website": {},
        "company": {},
        "birthday": {"type": "string"},
        "gender": {},
        "street": {},
        "city": {},
        "county": {},
        "state": {},
        "zipcode": {},
        "country": {},
        "device_id": {},
        "age": {"type": "int", "hidden": 1},
        "ctime": {"type": "now", "readonly": 1},
        "mtime": {"type": "now"},
    }
}
"""`age` is computed from `birthday` when a row is read; it is never stored."""

PROFILE = tuple(
    name
    for name, props in TABLES["bk_account"].items()
    if name not in ("id", "login", "ctime", "mtime") and not props.get("hidden")
)
"""Columns that a client may send; those marked `admin` only when an administrator sends them."""
