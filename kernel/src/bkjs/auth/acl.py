"""Rules kept in the row of an account: which URLs it may call, which parameters are taken away.

Their patterns come from a table, so they are matched in linear time by the package `google-re2`;
without it, or when a pattern is not valid, the rule denies.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

import orjson

from bkjs.lib.given import Given
from bkjs.lib.patterns import LONGEST_RULE, compile_linear

from .accounts import Account
from .caller import Caller
from .status import OK, Status

log = logging.getLogger(__name__)

DENIED: Status = {"status": 403, "message": "Access denied", "code": "ACL"}
PARAMETER: Status = {"status": 403, "message": "A parameter is not permitted", "code": "ACL"}
NOT_PERMITTED: Status = {"status": 403, "message": "Not permitted", "code": "ACL"}


def check(account: Account, req: Caller) -> Status:
    """Whether the rules of an account let the URL through, for FastAPI also the parameters.

    What counts is the path that routing sees, whatever its spelling, with the query as it was sent;
    a URL is also denied by the spelling that it was sent in.
    """
    if account.free:
        return OK
    hidden = account.secrets
    if hidden.get("query_deny") and req.endpoint is None and req.is_api and _denied(account, req):
        return PARAMETER
    if not (hidden.get("acl_deny") or hidden.get("acl_allow")):
        return OK
    query = f"?{req.raw_query}" if req.raw_query else ""
    return allows(account, req.path + query, req.raw_path + query)


def allows(account: Account, url: str, sent: str) -> Status:
    """Whether the rules of an account let a URL through, also by the spelling it was sent in."""
    hidden = account.secrets
    deny, allow = hidden.get("acl_deny"), hidden.get("acl_allow")
    if deny:
        pattern = safe_pattern(str(deny))
        if pattern is None or pattern.search(url) or pattern.search(sent):
            return DENIED
    if allow:
        pattern = safe_pattern(str(allow))
        if pattern is None or not pattern.search(url):
            return NOT_PERMITTED
    return OK


def _denied(account: Account, req: Caller) -> bool:
    """Whether FastAPI, which reads a request itself, would find a parameter that is denied.

    A body that nobody has read yet is denied whole.
    """
    names = dict(parse_qsl(req.raw_query, keep_blank_values=True))
    kind = req.header("content-type").partition(";")[0].strip().lower()
    if req.body is None:
        length = req.header("content-length")
        if length not in ("", "0") or req.header("transfer-encoding"):
            return True
    elif kind == "application/x-www-form-urlencoded":
        names |= parse_qsl(req.body.decode("latin-1"), keep_blank_values=True)
    elif req.body:
        try:
            found = orjson.loads(req.body)
        except orjson.JSONDecodeError:
            return True
        names |= found if isinstance(found, dict) else {}
    return len(allowed_parameters(account, names)) < len(names)


def allowed_parameters(account: Account, query: Mapping[str, Any]) -> Given:
    """The parameters that `query_deny` of an account leaves, whatever their case."""
    pattern = safe_pattern(f"(?i){account.secrets.get('query_deny')}")
    allowed = {n: v for n, v in query.items() if pattern is not None and not pattern.search(n)}
    return Given(allowed)


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
