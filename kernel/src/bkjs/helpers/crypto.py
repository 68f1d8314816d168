"""Digests, and encryption with a secret.

Encryption needs the package `cryptography`, which `pip install bkjs[auth]` brings.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from typing import TYPE_CHECKING, Any, Final, Literal, overload

from bkjs.lib.convert import to_value
from bkjs.lib.crypto import Encoding, Text, decode, decrypt_legacy, legacy_cipher, missing
from bkjs.lib.json import json_parse
from bkjs.lib.numbers import to_number
from bkjs.lib.wire import to_text

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION: Final = "v1."
_SALT: Final = 16
_NONCE: Final = 12


@overload
def hash_(data: object, alg: str = "sha1", enc: Encoding = "base64") -> str: ...
@overload
def hash_(data: object, alg: str, enc: Literal["binary"]) -> bytes: ...
def hash_(data: object, alg: str = "sha1", enc: str = "base64") -> str | bytes:
    """The digest of a text or bytes as `base64`, `hex` or, for `binary`, bytes.

    Raises `ValueError` for an unknown algorithm.
    """
    digest = hashlib.new(_known(alg), _bytes(data)).digest()
    return digest if enc == "binary" else _encode(digest, enc)


@overload
def sign(key: Text, data: object, alg: str = "sha1", enc: Encoding = "base64") -> str: ...
@overload
def sign(key: Text, data: object, alg: str, enc: Literal["binary"]) -> bytes: ...
def sign(key: Text, data: object, alg: str = "sha1", enc: str = "base64") -> str | bytes:
    """The HMAC of a text or bytes, encoded as by `hash_`.

    Raises `ValueError` for an unknown algorithm.
    """
    digest = hmac.digest(_bytes(key), _bytes(data), _known(alg))
    return digest if enc == "binary" else _encode(digest, enc)


def _known(alg: str) -> str:
    """The algorithm; OpenSSL's own words for an unknown one depend on what was used before."""
    if alg not in hashlib.algorithms_available:
        raise ValueError(f"unknown digest algorithm {alg!r}")
    return alg


def _encode(data: bytes, enc: str) -> str:
    if enc not in ("base64", "hex"):
        raise ValueError(f"unknown encoding {enc!r}; use base64 or hex")
    return data.hex() if enc == "hex" else base64.b64encode(data).decode("ascii")


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else to_text(value).encode()


def encrypt(
    key: Text, data: object, *, legacy: bool = False, alg: str = "aes192", enc: Encoding = "base64"
) -> str:
    """A text that only `decrypt` with the same secret reads, "" for an empty one.

    It is authenticated and different each time. `legacy` gives the format of 2018 instead, which
    is neither: for tokens of that protocol only; `alg` matters there alone. `enc` is `base64` or
    `hex`. Raises `ValueError` without a key.
    """
    secret, plain = _bytes(key or ""), _bytes("" if data is None else data)
    if not secret:
        raise ValueError("encryption needs a key; an empty one was given")
    if not plain:
        return ""
    if legacy:
        return _encode(_legacy_encrypt(secret, plain, alg), enc)
    salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
    sealed = _aead(secret, salt).encrypt(nonce, plain, None)
    return _VERSION + _encode(salt + nonce + sealed, enc)


def decrypt(
    key: Text,
    text: object,
    *,
    legacy: bool = True,
    alg: str = "aes192",
    enc: Encoding = "base64",
) -> str:
    """What `encrypt` was given, "" when the text is not whole or the key is another.

    The format of 2018, which anyone can have tampered with, is read unless `legacy` is false.
    """
    secret = _bytes(key or "")
    if not secret or not isinstance(text, str) or not text:
        return ""
    try:
        if text.startswith(_VERSION):
            data = decode(text.removeprefix(_VERSION), enc)
            return _open(secret, data).decode()
    except (ValueError, binascii.Error):
        return ""
    return decrypt_legacy(secret, text, alg=alg, enc=enc) if legacy else ""


def json_to_base64(value: object, secret: Text = "", *, legacy: bool = False) -> str:
    """A value as a token for clients: base64 of its JSON, encrypted when there is a secret.

    What JSON cannot hold is "".
    """
    text = to_value(value, "json")
    if secret:
        return encrypt(secret, text, legacy=legacy)
    return base64.b64encode(text.encode()).decode("ascii")


def base64_to_json(token: object, secret: Text = "", *, legacy: bool = True) -> Any:
    """What `json_to_base64` was given, "" for anything else.

    With a secret nothing counts that was not encrypted with it; without one digits are a number.
    """
    if secret:
        text = decrypt(secret, token, legacy=legacy)
    elif isinstance(token, (int, float)) and not isinstance(token, bool):
        return token
    elif not isinstance(token, str):
        return ""
    elif token.isascii() and token.isdigit():
        return to_number(token)
    else:
        try:
            text = decode(token, "base64").decode()
        except (ValueError, binascii.Error):
            return ""
    value = json_parse(text)
    return "" if value is None else value


def _aead(secret: bytes, salt: bytes) -> AESGCM:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF
    except ImportError as err:
        raise missing(err) from err
    return AESGCM(HKDF(SHA256(), 32, salt, b"bkjs encrypt").derive(secret))


def _open(secret: bytes, data: bytes) -> bytes:
    salt, nonce, sealed = data[:_SALT], data[_SALT : _SALT + _NONCE], data[_SALT + _NONCE :]
    aead = _aead(secret, salt)
    from cryptography.exceptions import InvalidTag

    try:
        return aead.decrypt(nonce, sealed, None)
    except InvalidTag as err:
        raise ValueError("the text was changed or the key is another") from err


def _legacy_encrypt(secret: bytes, plain: bytes, alg: str) -> bytes:
    encryptor = legacy_cipher(secret, alg).encryptor()
    fill = 16 - len(plain) % 16
    return encryptor.update(plain + bytes([fill]) * fill) + encryptor.finalize()
