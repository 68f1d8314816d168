"""Rules kept in the row of an account: which URLs it may call, which parameters are taken away.

Their patterns come from a table, so they are matched in linear time by the package `google-re2`;
without it, or when a pattern is not valid, the rule denies.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from bkjs.lib.patterns import LONGEST_RULE, compile_linear

from .status import OK, Status

if TYPE_CHECKING:
    import re

    from .accounts import Account
    from .caller import Caller

log = logging.getLogger(__name__)

DENIED: Status = {"status": 403, "message": "Access denied", "code": "ACL"}
NOT_PERMITTED: Status = {"status": 403, "message": "Not permitted", "code": "ACL"}


def check(account: Account, req: Caller) -> Status:
    """Whether `acl_deny` and `acl_allow` of an account let the URL through.

    What counts is the path that routing sees, whatever its spelling, with the query as it was sent;
    a URL is also denied by the spelling that it was sent in.
    """
    deny, allow = account.secrets.get("acl_deny"), account.secrets.get("acl_allow")
    if not deny and not allow:
        return OK
    query = f"?{req.raw_query}" if req.raw_query else ""
    url, sent = req.path + query, req.raw_path + query
    if deny:
        pattern = safe_pattern(str(deny))
        if pattern is None or pattern.search(url) or pattern.search(sent):
            return DENIED
    if allow:
        pattern = safe_pattern(str(allow))
        if pattern is None or not pattern.search(url):
            return NOT_PERMITTED
    return OK


def allowed_parameters(account: Account, query: dict[str, Any]) -> dict[str, Any]:
    """The parameters that `query_deny` of an account leaves, whatever their case."""
    pattern = safe_pattern(f"(?i){account.secrets.get('query_deny')}")
    left = query.copy()
    for name in query:
        if pattern is None or pattern.search(name):
            del left[name]
    return left


@lru_cache(1024)
def safe_pattern(source: str) -> re.Pattern[str] | None:
    """A pattern out of an account's row, matched in linear time; None when there can be none."""
    try:
        return compile_linear(source, longest=LONGEST_RULE, strict=True)
    except ImportError as error:
        log.error("rules of accounts (acl_allow, acl_deny, query_deny) are refused: %s", error)
    except ValueError as error:
        log.error("the rule %.200r of an account is no valid pattern: %s", source, error)
    return None
