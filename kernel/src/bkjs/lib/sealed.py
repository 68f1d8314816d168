"""Text that leaves the server and must come back unchanged: encrypted and signed with a key."""

from __future__ import annotations

import base64
import hashlib
import hmac
from functools import lru_cache
from typing import Any


def seal(key: bytes, purpose: str, payload: bytes) -> str:
    """The payload as text for URLs that only `unseal` with the same key and purpose reads."""
    proofs, streams = _begun(key, purpose)
    mac = _after(proofs, payload).digest()  # a synthetic IV
    return _text(mac + _crossed(payload, _after(streams, mac)))


def unseal(key: bytes, purpose: str, text: str) -> bytes | None:
    """The payload of a text that `seal` made with this key and purpose, else None."""
    try:
        raw = base64.b64decode(text + "==", altchars=b"-_")
    except ValueError:
        return None
    proofs, streams = _begun(key, purpose)
    mac = raw[: proofs.digest_size]
    payload = _crossed(raw[proofs.digest_size :], _after(streams, mac))
    whole = hmac.compare_digest(mac, _after(proofs, payload).digest())
    return payload if whole and _text(raw) == text else None  # no other spelling of the same bytes


@lru_cache(64)
def _begun(key: bytes, purpose: str) -> tuple[Any, Any]:
    """What all proofs and key streams begin with: to copy it costs less than to begin anew."""
    stem = hashlib.blake2b(purpose.encode(), key=hashlib.sha512(key).digest()).digest()
    return hashlib.blake2b(key=stem, digest_size=24), hashlib.shake_256(b"\0stream" + stem)


def _after(state: Any, data: bytes) -> Any:
    state = state.copy()
    state.update(data)
    return state


def _crossed(data: bytes, stream: Any) -> bytes:
    size = len(data)
    return (int.from_bytes(data) ^ int.from_bytes(stream.digest(size))).to_bytes(size)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")
