"""Values for people: secrets never print."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import SplitResult

MASK = "***"

_NAMES = "secret|passw|passphrase|token|credential"
_SECRET = re.compile(f"{_NAMES}|key", re.I)
_SENT = re.compile(
    f"{_NAMES}|(?:api|access|auth|client|master|private|session|shared|signing).?key|signature|cookie"
    "|authorization|assertion|saml|bearer|pwd|sess(?:ion)?.?id|pass(?![a-z])"
    "|(?<![a-z])(?:auth|hmac|jwt|mfa|otp|pin|pw|sid|sig|totp)(?![a-z])"
    # codes that sign in; others are of countries and goods
    "|^code$|code.?verifier|(?:access|activation|auth|device|invite|login|mfa|otp|recovery|reset"
    "|sms|verif[a-z]{1,7}).?code",
    re.I,
)
_USER = re.compile(r"(://[^:@/?#\s]*):\S*@")
_NO_USER = re.compile(r"://[^:@/?#\s]+@")
_QUERY = re.compile(rf"([?&;][^=&;\s]*(?:{_NAMES}|key|pw)[^=&;\s]*=)[^&;\s]+", re.I)


def is_secret(name: str) -> bool:
    """Whether a setting, property or column of that name is kept out of logs and listings."""
    return _SECRET.search(name) is not None


def is_secret_sent(name: str) -> bool:
    """The same for the name of what a client sends: a parameter, header or column asked for.

    There a `key` is usually that of a row, and cookies and signatures are what opens accounts.
    """
    return _SENT.search(name) is not None


def mask_text(text: str) -> str:
    """The text without the credentials of URLs in it."""
    text = _USER.sub(rf"\1:{MASK}@", text)
    return _QUERY.sub(rf"\1{MASK}", _NO_USER.sub(f"://{MASK}@", text))


def masked(name: str, value: Any, secret: bool = False) -> Any:
    """A value as JSON may show it: patterns and URLs as text, secrets as `***`.

    What has a secret name is masked whole, also inside dicts; switches and nothing are no secrets.
    """
    if value is None or isinstance(value, bool) or value in ("", [], {}):
        return value
    if secret or is_secret(name):
        return MASK
    if isinstance(value, SplitResult):
        return mask_text(value.geturl())
    if isinstance(value, dict):
        return {str(key): masked(str(key), item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked("", item) for item in value]
    if isinstance(value, re.Pattern):
        return value.pattern.replace(r"\Z", "$")
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    return mask_text(value) if isinstance(value, str) else value
