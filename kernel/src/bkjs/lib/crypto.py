"""The encryption of 2018, to read what older clients and databases still hold.

It needs the package `cryptography`, which `pip install bkjs[auth]` brings.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.modes import CBC

Text = str | bytes
"""A key or a text; a `str` stands for its UTF-8."""
Encoding = Literal["base64", "hex"]
"""How bytes are spelled as text."""

_KEY_BYTES: Final = {
    "aes128": 16, "aes192": 24, "aes256": 32,
    "aes-128-cbc": 16, "aes-192-cbc": 24, "aes-256-cbc": 32,
}  # fmt: skip


def decrypt_legacy(key: Text, text: str, *, alg: str = "aes192", enc: Encoding = "base64") -> str:
    """The text that the framework of 2018 encrypted, "" when it is none or the key is another.

    Nothing proves that it was not changed on its way. `alg` is the cipher: AES in CBC mode, with
    a key of 128, 192 or 256 bits. Raises `ImportError` without the package.
    """
    secret = key if isinstance(key, bytes) else key.encode()
    if not secret or not text:
        return ""
    try:
        decryptor = legacy_cipher(secret, alg).decryptor()
        padded = decryptor.update(decode(text, enc)) + decryptor.finalize()
        fill = padded[-1] if padded else 0
        if not 1 <= fill <= 16 or padded[-fill:] != bytes([fill]) * fill:
            return ""
        return padded[:-fill].decode()
    except (ValueError, binascii.Error):
        return ""


def legacy_cipher(secret: bytes, alg: str) -> Cipher[CBC]:
    """The cipher of 2018 for a secret; raises `ValueError` for an unknown `alg`.

    Key and start are those of OpenSSL's `EVP_BytesToKey`: one round of MD5 without salt.
    """
    try:
        from cryptography.hazmat.primitives.ciphers import Cipher
        from cryptography.hazmat.primitives.ciphers.algorithms import AES
        from cryptography.hazmat.primitives.ciphers.modes import CBC
    except ImportError as err:
        raise missing(err) from err
    size = _KEY_BYTES.get(alg.lower())
    if size is None:
        raise ValueError(f"unknown cipher {alg!r}; use one of {', '.join(_KEY_BYTES)}")
    derived = block = b""
    while len(derived) < size + 16:
        block = hashlib.md5(block + secret, usedforsecurity=False).digest()
        derived += block
    return Cipher(AES(derived[:size]), CBC(derived[size : size + 16]))


def decode(text: str, enc: str) -> bytes:
    """The bytes that a text spells, lenient with what URLs do to base64: its other alphabet, and
    no padding. Raises `ValueError` for anything else.
    """
    if enc == "hex":
        return bytes.fromhex(text)
    text = text.strip().rstrip("=").replace("-", "+").replace("_", "/")
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def missing(err: ImportError) -> ImportError:
    """The error that says what to install."""
    return ImportError(f"encryption needs the package cryptography: pip install bkjs[auth] ({err})")
