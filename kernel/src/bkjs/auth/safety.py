"""What must be right before a server starts, and what its operator is told."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable

from bkjs.core.kernel import Kernel
from bkjs.errors import StartError

from . import secretbox
from .rules import AccessRules
from .status import COMPAT, compat

log = logging.getLogger(__name__)

MIN_BYTES = 32
MOST_TOLD = 5
"""Paths that one warning names."""
TRIAL_MODES = ("development", "test")
"""Run modes in which a weak secret is only a warning."""
_EXAMPLE = re.compile(
    r"change[-_ ]?me|example|placeholder|your[-_ ]|insecure|password|0123456789|abcdefgh", re.I
)
_COSTS = {
    "v1": "SHA-1 signatures",
    "v5": "passwords without TLS",
    "status": "answers that tell whether a login exists",
    "tokens": "tokens of the old encryption",
    "bad-json": "broken bodies that count as empty",
    "missing": "writes to rows that are not there, which do nothing",
    "secrets": "new secrets that can be guessed",
    "values": "values that are stored as another one or as null",
}


def weakness(secret: str) -> str:
    """What keeps a text from being a key, "" when nothing does."""
    if len(secret.encode()) < MIN_BYTES:
        return f"shorter than {MIN_BYTES} bytes"
    if len(set(secret)) < 10 or _EXAMPLE.search(secret):
        return "an example, not a random text"
    return ""


def weak_secrets(kernel: Kernel) -> dict[str, str]:
    """Configured secrets that are none, with what is wrong and what to do."""
    found = {}
    for name in ("session-secret", "access-token-secret"):
        secret = getattr(kernel.config.api, name.replace("-", "_"))
        if secret and (problem := weakness(secret)):
            found[f"api-{name}"] = (
                f"{problem}: take the output of `openssl rand -base64 33`, or leave it out and a"
                " key is generated"
            )
    return found


def faults(kernel: Kernel) -> dict[str, str]:
    """Parameters with which no server starts, with what is wrong and what to do."""
    found = {} if kernel.config.core.run_mode in TRIAL_MODES else weak_secrets(kernel)
    known = COMPAT | {"2018"}
    if unknown := sorted({str(name) for name in kernel.config.api.compat or ()} - known):
        found["api-compat"] = f"unknown {', '.join(unknown)}; known are {', '.join(sorted(known))}"
    return found


def overruled(kernel: Kernel, rules: AccessRules, paths: Iterable[tuple[str, bool]]) -> list[str]:
    """What to tell of rules that close nothing, since another one opens their paths.

    `paths` are those that something answers, with whether it needs no account by declaration.
    """
    found: dict[tuple[str, str], list[str]] = {}
    answered = dict(paths)
    for path in (*answered, *sorted(rules.closed - answered.keys())):
        public = answered.get(path, False)
        opened, closing = rules.overruled(path, api=path in answered, public=public)
        for name in closing:
            among = found.setdefault((opened, name), [])
            if not any(other.startswith(path) for other in among):
                among.append(path)
    messages = []
    for (opened, name), among in found.items():
        if opened == "api-allow" and kernel.config.is_set("api-allow-path"):
            opened = "api-allow-path"
        who = "every account" if opened == "api-allow-authenticated" else "everybody"
        cure = "" if who == "every account" else ", or name it in api-ignore-allow"
        more = f" and {len(among) - MOST_TOLD} more" if len(among) > MOST_TOLD else ""
        messages.append(
            f"{', '.join(among[:MOST_TOLD])}{more}: open to {who} by {opened}, which wins over"
            f" {name}; take the path out of one of them{cure}"
        )
    return messages


def check(kernel: Kernel) -> None:
    """Make or read the keys, judge configured secrets, warn of what is open for compatibility.

    Raises StartError for all `faults`, and for a key that cannot be read.
    """
    api = kernel.config.api
    if found := [f"{name}: {problem}" for name, problem in faults(kernel).items()]:
        raise StartError("\n  ".join(["the configuration is not safe:", *found]))
    for key in ("session", "tokens", "secrets", "used"):
        kernel.keys.get(key)
        file = kernel.keys.folder / key
        if os.name == "posix" and file.stat().st_mode & 0o077:
            log.warning("key %s may be read by other users: chmod 600", file)
    for name, problem in weak_secrets(kernel).items():
        log.warning("%s: %s; only a trial run starts with it", name, problem)
    if opened := compat(api):
        log.warning("api-compat accepts %s", ", ".join(_COSTS[name] for name in sorted(opened)))
    if api.no_signature:
        log.warning("api-no-signature lets everyone call every endpoint")
    if not secretbox.AVAILABLE:
        log.warning("secrets of accounts are stored unencrypted: pip install bkjs[auth]")
