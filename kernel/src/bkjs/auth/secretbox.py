"""Secrets at rest: encrypted with a key of this server when the package `cryptography` is there.

A stored secret that is encrypted begins with `enc1:`; others are read as they are, so that old
tables keep working and are encrypted as they are written again.
"""

from __future__ import annotations

import base64
import binascii
import importlib.util
import os
from collections.abc import Callable

from bkjs.errors import BadRequest, BkError

AVAILABLE = importlib.util.find_spec("cryptography") is not None

PREFIX = "enc1:"
_NONCE = 12


class SecretError(BkError):
    """A stored secret cannot be decrypted; clients only learn that something failed."""

    code = "SecretError"

    def reply(self) -> dict[str, object]:
        """A general text: which secret it is stays in the log."""
        return BkError("Internal error occured, please try again later").reply()


class SecretBox:
    """Encrypts and decrypts single columns; `key` gives the 32 bytes when they are first needed."""

    def __init__(self, key: Callable[[], bytes], *, available: bool = AVAILABLE) -> None:
        self._key = key
        self._available = available

    def seal(self, column: str, secret: str) -> str:
        """The secret as it is stored in this column."""
        if not self._available:
            if secret.startswith(PREFIX):
                raise BadRequest(f"{column}: a secret cannot begin with {PREFIX!r}", field=column)
            return secret
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(_NONCE)
        data = AESGCM(self._key()).encrypt(nonce, secret.encode(), column.encode())
        return PREFIX + base64.b64encode(nonce + data).decode("ascii")

    @staticmethod
    def is_sealed(stored: str) -> bool:
        """Whether this looks like what `seal` makes."""
        return stored.startswith(PREFIX)

    def open(self, column: str, stored: str) -> str:
        """The secret that a column holds; raises SecretError when this server cannot read it."""
        if not stored.startswith(PREFIX):
            return stored
        if not self._available:
            raise SecretError(
                f"{column} is stored encrypted and the package that decrypts it is missing:"
                " pip install bkjs[auth]"
            )
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            data = base64.b64decode(stored[len(PREFIX) :], validate=True)
            return (
                AESGCM(self._key()).decrypt(data[:_NONCE], data[_NONCE:], column.encode()).decode()
            )
        except (binascii.Error, ValueError, InvalidTag) as error:
            raise SecretError(
                f"{column} cannot be decrypted: the file 'secrets' among the keys of this home"
                " is not the one that it was encrypted with; restore it, or where it is lost"
                " `bkjs user set LOGIN -password - -reset`"
            ) from error
