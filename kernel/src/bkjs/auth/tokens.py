"""Tokens that clients send back: where the next page begins, and those of the 2018 protocol."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Literal

import orjson

from bkjs.db.request.paging import PURPOSE, Token, opened
from bkjs.lib.sealed import seal, unseal


def encode_token(key: bytes, value: Any) -> str:
    """The place where the next page begins, as clients get it.

    A token that the database has sealed with this key stays as it is.
    """
    if type(value) is Token and value.key == key:
        return str(value)
    return seal(key, PURPOSE, orjson.dumps(value))


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
    payload = unseal(key, PURPOSE, text)
    if payload is not None:
        page = opened(key, text, payload)
        return orjson.loads(payload) if page is None else page
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
    """The content of an old encrypted token, "" for anything else."""
    from bkjs.lib.crypto import decrypt_legacy

    return decrypt_legacy(secret, text, enc=enc)
