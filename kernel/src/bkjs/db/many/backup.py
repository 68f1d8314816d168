"""A whole database as a folder of files, and back: for engines that do not copy themselves.

Each table is a file of JSON lines with every described column; `backup.json` names the files, with
the number of their rows and the SHA-256 of each, so that what was cut or changed is noticed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import orjson

from bkjs.db.contract import Row
from bkjs.db.pools.pools import Pool
from bkjs.db.request.matching import del_all
from bkjs.db.tables.codec import RESTORE
from bkjs.db.verbs import Verbs
from bkjs.errors import BadRequest, Unsupported
from bkjs.lib.json import stored_json
from bkjs.version import __version__

from .files import export_rows, import_rows, read_jsonl

INDEX = "backup.json"
Begin = Callable[[], AbstractAsyncContextManager[Verbs]]
"""Begins a transaction."""
Progress = Callable[[str], object]
"""Hears how far it is, as a text for people."""


@dataclass(frozen=True, slots=True)
class Saved:
    """One table of a backup."""

    rows: int
    sha256: str


async def save(
    begin: Begin, pool: Pool, tables: Sequence[str], path: Path, progress: Progress
) -> None:
    """Write all rows of some tables to a new folder, as they are at one moment.

    Others write meanwhile. The folder is there whole or not at all, for its owner only. Raises
    BadRequest when it is there or cannot be made, Unsupported without transactions to read in.
    """
    if not pool.can.transactions:
        raise Unsupported(
            f"{pool.name}: backups are made with the tools of the database; `bkjs db export` writes"
            " a table, but while others write not as it is at one moment"
        )
    part = _new_folder(path)
    try:
        saved: dict[str, Saved] = {}
        async with begin() as tx:
            for name in tables:
                saved[name] = await _save_table(tx, name, part / f"{name}.jsonl", progress)
        index = {
            "bkjs": __version__,
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "pool": pool.type,
            "tables": {name: {"rows": t.rows, "sha256": t.sha256} for name, t in saved.items()},
        }
        with (part / INDEX).open("w", encoding="utf-8") as file:
            file.write(stored_json(index, indent=True))
            _sync(file)
        os.rename(part, path)
    except OSError as error:
        raise BadRequest(f"{path}: {error.strerror}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _new_folder(path: Path) -> Path:
    """A folder beside the one that it becomes."""
    try:
        if os.path.lexists(path):
            raise BadRequest(f"{path}: is there already; a backup needs a new folder")
        return Path(tempfile.mkdtemp(".part", ".backup-", path.parent))
    except OSError as error:
        raise BadRequest(f"{path}: {error.strerror}") from error


async def _save_table(tx: Verbs, name: str, path: Path, progress: Progress) -> Saved:
    digest = hashlib.sha256()
    with path.open("wb") as file:

        def write(row: Row) -> int:
            line = stored_json(row).encode() + b"\n"
            digest.update(line)
            return file.write(line)

        def tell(done: int) -> None:
            progress(f"{name}: {done:,} rows")

        rows = await export_rows(tx, name, write, pool=None, progress=tell)
        _sync(file)
    return Saved(rows, digest.hexdigest())


async def load(
    db: Verbs, begin: Begin, path: Path, *, overwrite: Sequence[str], progress: Progress
) -> None:
    """Store the rows of a folder that `save` has made, all of them or none.

    All rows of the tables `overwrite` are deleted in the same transaction. Raises BadRequest for a
    folder that is no whole backup, for tables that nobody describes, and for rows that do not fit.
    """
    tables = _read_index(path)
    for name in tables:
        if name not in db.schema.tables:
            raise BadRequest(
                f"{path}: holds a table {name!r} that no module describes; enable its module"
            )
        if not (file := path / f"{name}.jsonl").is_file():
            raise BadRequest(f"{file}: is missing, the backup is not whole")
    async with begin() as tx:
        for name in overwrite:
            await del_all(tx, name, {}, {})
        for name, saved in tables.items():
            await _load_table(tx, name, path / f"{name}.jsonl", saved, progress)


async def _load_table(tx: Verbs, name: str, path: Path, saved: Saved, progress: Progress) -> None:
    def refuse(line: int, reason: str) -> None:
        raise BadRequest(f"{path}:{line}: {reason}")

    def tell(done: int) -> None:
        progress(f"{name}: {done:,} of {saved.rows:,} rows")

    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != saved.sha256:
        raise BadRequest(f"{path}: is not what was saved, its SHA-256 differs")
    with path.open(encoding="utf-8") as lines:
        rows = read_jsonl(lines)
        done = await import_rows(tx, name, rows, pool=None, bad=refuse, progress=tell, verb=RESTORE)
    if done != saved.rows:
        raise BadRequest(f"{path}: has {done} rows, and {INDEX} says {saved.rows}")


def _read_index(path: Path) -> dict[str, Saved]:
    try:
        index: Any = orjson.loads((path / INDEX).read_bytes())
        return {
            name: Saved(int(table["rows"]), str(table["sha256"]))
            for name, table in index["tables"].items()
        }
    except OSError as error:
        raise BadRequest(f"{path / INDEX}: {error.strerror}; is this a backup?") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadRequest(f"{path / INDEX}: not the list of a backup: {error}") from error


def _sync(file: IO[Any]) -> None:
    """Wait until what was written is on the disk."""
    file.flush()
    os.fsync(file.fileno())
