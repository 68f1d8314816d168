"""One table in one file: every write appends a line, the last line of a key counts."""

from __future__ import annotations

import json
import os
from pathlib import Path


class Journal:
    """Records by key, both JSON text; loaded once, then kept in memory and on disk."""

    def __init__(self, path: Path) -> None:
        self.records: dict[str, str] = {}
        if path.exists():
            self._load(path)
        self._file = path.open("a", encoding="utf-8")

    def _load(self, path: Path) -> None:
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.endswith("\n"):  # else the last write was cut off and never acknowledged
                self._apply(*json.loads(line))
        # the file holds only what is current when it grows again
        compact = path.with_suffix(".new")
        lines = [f"{json.dumps([key, text])}\n" for key, text in self.records.items()]
        compact.write_text("".join(lines), encoding="utf-8")
        os.replace(compact, path)

    def _apply(self, key: str, text: str | None) -> None:
        if text is None:
            self.records.pop(key, None)
        else:
            self.records[key] = text

    def write(self, key: str, text: str | None) -> None:
        """Store a record, or delete it with None; on disk before it counts."""
        self._file.write(f"{json.dumps([key, text])}\n")
        self._file.flush()
        self._apply(key, text)

    def close(self) -> None:
        self._file.close()
