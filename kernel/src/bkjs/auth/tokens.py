"""Text that leaves the server and must come back unchanged: sealed with a key of the server."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Any, Literal

import orjson

_MAC = 24


def seal(key: bytes, purpose: str, payload: bytes) -> str:
    """The payload and its proof as text for URLs; it is readable, but not changeable.

    What was sealed for one purpose does not open for another.
    """
    return f"{_text(payload)}.{_text(_mac(key, purpose, payload))}"


def unseal(key: bytes, purpose: str, text: str) -> bytes | None:
    """The payload of a text that `seal` made with this key and purpose, else None."""
    front, dot, back = text.partition(".")
    payload, proof = _bytes(front), _bytes(back)
    if not dot or payload is None or proof is None:
        return None
    return payload if hmac.compare_digest(proof, _mac(key, purpose, payload)) else None


def _mac(key: bytes, purpose: str, payload: bytes) -> bytes:
    return hmac.digest(key, f"{purpose}\0".encode() + payload, hashlib.sha256)[:_MAC]


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


def _bytes(text: str) -> bytes | None:
    """Only the one spelling of these bytes: no padding, no foreign characters, no spare bits."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if _text(data) == text else None


def encode_token(key: bytes, value: Any) -> str:
    """The place where the next page begins, as clients get it."""
    return seal(key, "next_token", orjson.dumps(value))


def decode_token(key: bytes, text: object, *, compat: bool = False, secret: str = "") -> Any:
    """What `encode_token` was given; digits are an offset, and "" is anything not from here.

    With `compat` the open tokens of 2018 are read too: base64 of JSON, encrypted when there is a
    `secret`.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        return text if text >= 0 else ""
    if not isinstance(text, str):
        return ""
    if text.isascii() and text.isdigit():
        return int(text) if len(text) <= 16 else ""
    payload = unseal(key, "next_token", text)
    if payload is not None:
        return orjson.loads(payload)
    return _decode_open(text, secret) if compat else ""


def _decode_open(text: str, secret: str) -> Any:
    if secret:
        data: str | bytes = decrypt_open(secret, text)
    else:
        try:
            data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError):
            return ""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return ""


def decrypt_open(secret: str, text: str, *, enc: Literal["base64", "hex"] = "base64") -> str:
    """The content of an old encrypted token, "" for anything else.

    The format of today is never tried: opening it costs, and no token of a client has it.
    """
    if text.startswith("v1."):
        return ""
    from bkjs.lib.crypto import decrypt_legacy

    return decrypt_legacy(secret, text, enc=enc)
