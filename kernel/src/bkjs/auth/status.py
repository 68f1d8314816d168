"""Outcomes as they are sent: who may not do something, and why."""

from __future__ import annotations

from typing import Any

Status = dict[str, Any]
"""An outcome as it is sent: status, message and perhaps code."""

OK: Status = {"status": 200, "message": "Ok"}
DENIED: Status = {"status": 403, "message": "Access denied"}
FOREIGN: Status = {"status": 403, "message": "Access denied", "code": "CSRF"}
NOT_AUTHENTICATED: Status = {"status": 401, "message": "Not authenticated"}
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

COMPAT = frozenset({"v1", "v5", "status", "tokens", "bad-json", "values", "missing", "secrets"})
"""What `api-compat` may open for clients of the 2018 protocol."""


def compat(api: Any) -> frozenset[str]:
    """The names in `api-compat`, all of them for `2018`."""
    if not api.compat:
        return frozenset()
    names = frozenset(map(str, api.compat))
    return COMPAT if "2018" in names else names
