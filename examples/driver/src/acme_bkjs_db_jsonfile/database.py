"""Tables as files of JSON lines in one directory, for one process at a time."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, ClassVar

from bkjs.db.conditions.match import as_expected
from bkjs.db.contract import Capabilities, DbDriver, Page, Request, Row, Shape, Written
from bkjs.errors import Unavailable

from acme_bkjs_db_jsonfile.journal import Journal


class JsonFileDriver(DbDriver):
    """The pool's URL names the directory; without one it is the database's name.

    Nothing between looking and writing awaits, so that a write with an expectation is atomic: all
    else (adding, counters, filters, sorting, paging) the kernel builds upon that.
    """

    can = Capabilities(conditional=True, behind=True)
    shape = Shape(json=True, lists=True, binary=False, ints=None)
    accepts: ClassVar[Mapping[str, str]] = {}

    def __init__(self, name: str, url: str, options: Mapping[str, Any]) -> None:
        super().__init__(name, url, options)
        place = url.removeprefix("jsonfile://")
        if place in ("", "default"):
            place = f"{options.get('database') or 'backend'}.jsonfile"
        self._folder = Path(str(options.get("dir") or "."), place)
        self._lock: IO[str] | None = None
        self._journals: dict[str, Journal] = {}

    async def open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = (self._folder / "lock").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise Unavailable(
                f"{self.name}: {self._folder} is in use by another process"
            ) from error
        self._lock = lock

    async def close(self) -> None:
        for journal in self._journals.values():
            journal.close()
        self._journals.clear()
        if self._lock:
            self._lock.close()
            self._lock = None

    async def get(self, req: Request) -> Row | None:
        text = self._journal(req).records.get(_key(req))
        return None if text is None else req.pick(json.loads(text))

    async def put(self, req: Request) -> Written:
        return self._write(req, json.dumps(req.values))

    async def delete(self, req: Request) -> Written:
        return self._write(req, None)

    async def select(self, req: Request) -> Page:
        """Rows in the order of their keys, so that a page continues after the last key seen."""
        records = self._journal(req).records
        keys = sorted(key for key in records if req.resume is None or key > req.resume)
        page = keys if req.count is None else keys[: req.count]
        rows = [req.pick(json.loads(records[key])) for key in page]
        return Page(rows, page[-1] if page and len(page) < len(keys) else None)

    def behind(self, req: Request, row: Row) -> str:
        return _key_of(req, row)

    async def drop(self, table: str) -> None:
        if table in self._journals:
            self._journals.pop(table).close()
        self._file(table).unlink(missing_ok=True)

    def _write(self, req: Request, text: str | None) -> Written:
        journal, key = self._journal(req), _key(req)
        stored = journal.records.get(key)
        row = None if stored is None else json.loads(stored)
        if not as_expected(req, row) or (text is None and row is None):
            return Written(0)
        journal.write(key, text)
        return Written(1)

    def _journal(self, req: Request) -> Journal:
        name = req.table.name
        if name not in self._journals:
            self._journals[name] = Journal(self._file(name))
        return self._journals[name]

    def _file(self, table: str) -> Path:
        return self._folder / f"{table}.jsonl"


def _key(req: Request) -> str:
    return _key_of(req, req.key)


def _key_of(req: Request, row: Row) -> str:
    return json.dumps([row[name] for name in req.table.keys])
