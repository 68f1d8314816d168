"""The audit log: who did what to which account, from where; one line each, never with a secret.

Lines begin with `audit`, an event and JSON, and go wherever the log goes at its usual level.
"""

from __future__ import annotations

import getpass
import logging
from collections.abc import Mapping
from typing import Any

from bkjs.lib.json import stored_json
from bkjs.lib.mask import is_secret
from bkjs.log import NOTICE

from .caller import Caller

log = logging.getLogger("bkjs.audit")

RIGHTS = frozenset({"type", "flags", "expires", "rlimits_max", "rlimits_rate"})
RULES = frozenset({"acl_allow", "acl_deny", "query_deny"})


def note(req: Caller | None, event: str, account: str, **facts: object) -> None:
    """Write down an event of an account; without a request it is a process that acts."""
    if not log.isEnabledFor(NOTICE):
        return
    who: dict[str, object] = {"account": account.encode("utf-8", "replace").decode()}
    if req is None:
        who["by"] = f"process of {_user()}"
    else:
        who |= {"by": req.account.get("login") or "", "ip": req.ip, "request": req.id}
    text = stored_json(who | facts)
    log.log(NOTICE, "audit %s %s", event, text)


def note_change(req: Caller | None, before: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    """Write down what a change means for secrets and rights; nothing when it means nothing.

    Rights are given as they were and are, secrets and rules only by name.
    """
    facts: dict[str, object] = {
        name: [before.get(name), value]
        for name, value in changes.items()
        if name in RIGHTS and value != before.get(name)
    }
    if named := sorted(name for name in changes if name in RULES or is_secret(name)):
        facts["changed"] = named
    if facts:
        note(req, "change", str(before.get("login") or ""), **facts)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user that the system has no name for
        return "?"
