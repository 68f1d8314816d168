"""Keys that a server needs, generated on first use into the home, readable by its user only."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from bkjs.errors import StartError

SIZE = 32


class Keys:
    """`keys.get("session")` gives 32 secret bytes that stay the same for this home."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._keys: dict[str, bytes] = {}

    def get(self, name: str) -> bytes:
        """The key of this name; raises StartError when it can neither be read nor made."""
        if name not in self._keys:
            self._keys[name] = self._read(self.folder / name)
        return self._keys[name]

    def _read(self, path: Path) -> bytes:
        try:
            if not path.exists():  # a key that is there needs no room on the disk
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                with contextlib.suppress(FileExistsError):
                    self._create(path)
            key = bytes.fromhex(path.read_text(encoding="ascii").strip())
        except OSError as error:
            raise StartError(f"key {path}: {error.strerror}") from error
        except ValueError as error:
            raise StartError(
                f"key {path}: not hexadecimal; restore it or delete the file"
            ) from error
        if len(key) < SIZE:
            raise StartError(
                f"key {path}: shorter than {SIZE} bytes; restore it or delete the file"
            )
        return key

    @staticmethod
    def _create(path: Path) -> None:
        """Write a new key under another name and link it: two starters never see half a key."""
        fresh = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(SIZE))
            os.link(fresh, path)
        finally:
            fresh.unlink()
