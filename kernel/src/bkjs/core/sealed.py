"""Text that leaves the server and must come back unchanged: encrypted and signed with a key."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

_MAC = 24


def seal(key: bytes, purpose: str, payload: bytes) -> str:
    """The payload as text for URLs that only `unseal` with the same key and purpose reads."""
    mac = _mac(key, purpose, payload)
    return _text(mac + _cipher(key, mac, payload))


def unseal(key: bytes, purpose: str, text: str) -> bytes | None:
    """The payload of a text that `seal` made with this key and purpose, else None."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    mac = raw[:_MAC]
    payload = _cipher(key, mac, raw[_MAC:])
    whole = hmac.compare_digest(mac, _mac(key, purpose, payload))
    return payload if whole and _text(raw) == text else None  # no other spelling of the same bytes


def _mac(key: bytes, purpose: str, payload: bytes) -> bytes:
    return hmac.digest(key, purpose.encode() + b"\0" + payload, "sha256")[:_MAC]


def _cipher(key: bytes, mac: bytes, data: bytes) -> bytes:
    """The data with a key stream made of its proof (a synthetic IV), the same both ways."""
    stream = hashlib.shake_256(hmac.digest(key, b"\0stream" + mac, "sha256")).digest(len(data))
    return (int.from_bytes(data) ^ int.from_bytes(stream)).to_bytes(len(data))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")
