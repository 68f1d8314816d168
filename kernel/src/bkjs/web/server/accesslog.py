"""The access log: lines are collected and written together, twenty times a second at most."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Collection
from pathlib import Path
from urllib.parse import quote, unquote

from bkjs.lib.bounded import kept
from bkjs.lib.mask import is_secret_sent
from bkjs.log import NOTICE
from bkjs.web.request import APPLICATION, Request
from bkjs.web.websettings import WebSettings

log = logging.getLogger("bkjs.access")

LONGEST_URL, LONGEST_WORD = 8192, 1024
"""Characters of a URL, and of any other column, that are written."""
CHUNK = 64 * 1024
DELAY = 0.05
"""Seconds that a line waits for others; fewer when there are many."""
_PLAIN = "!\"#$&'()*+,/:;=?@[\\]~%{}|^`<>"


class AccessLog:
    """Writes to a file, which may be moved away at any time, or to the log at level info."""

    def __init__(self, settings: Callable[[], WebSettings], folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self._lines: list[str] = []
        self._size = 0
        self._lost = 0
        self._file = -1
        self._path = Path()
        self._inode: tuple[int, int] = (0, 0)
        self._second = 0
        self._date = ""

    def add(self, req: Request, status: int, length: int, seconds: float) -> None:
        """Note an answered request, if anybody wants the lines."""
        settings = req.settings
        if not settings.access_log_wanted and (
            settings.no_access_log or not log.isEnabledFor(logging.INFO)
        ):
            return
        if settings.terminal:
            self._show(req, status, seconds)
            if not settings.access_log_file:
                return
        elif req.note and settings.notes and status < 400:  # errors are logged where they happen
            log.info("request %s: %s %s: %s", req.id, req.method, req.path, req.note)
        second = req.mtime // 1000
        if second != self._second:
            self._second = second
            self._date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(second))
        scope, headers, account = req.scope, req.raw_headers, req.account
        url = _path(scope["raw_path"])
        if scope["query_string"]:
            query = redact(scope["query_string"].decode("latin-1"), req.settings.credential_names)
            url += "?" + _word(query, LONGEST_URL - len(url))
        agent = _agent(headers.get(settings.app_header) or headers.get(b"user-agent", b""))
        id = _word(account["id"]) if "id" in account else "-"
        protocol = "WS" if req.protocol == "ws" else "HTTP/" + scope["http_version"]
        line = (
            f"{req.ip or '-'} - [{self._date}] {req.method} {url} {protocol} {status}"
            f" {length or '-'} - {int(seconds * 1000 + 0.5)} ms - {agent} {id}"
        )
        for name in settings.access_log_fields or ():
            line += " " + _word(_field(req, name))
        self._lines.append(line)
        self._size += len(line)
        if len(self._lines) == 1:
            asyncio.get_running_loop().call_later(DELAY, self.flush)
        elif self._size > CHUNK:
            self.flush()

    @staticmethod
    def _show(req: Request, status: int, seconds: float) -> None:
        """One short line for whoever develops: `GET /todo/select 200 3 ms anna`."""
        who = _word(req.account["login"]) if "login" in req.account else ""
        line = f"{req.method} {_path(req.scope['raw_path'])} {status} {seconds * 1000:.0f} ms {who}"
        note = f" | {req.note}" if req.note else ""
        log.log(NOTICE, "%s%s", line.rstrip(), note)

    def flush(self) -> None:
        """Write what was collected."""
        lines, self._lines, self._size = self._lines, [], 0
        if not lines:
            return
        file = self._settings().access_log_file
        if not file:
            for line in lines:
                log.info("%s", line)
            return
        try:
            self._open(self._folder / file)
            os.write(self._file, ("\n".join(lines) + "\n").encode("utf-8", "replace"))
        except OSError as error:
            self.close()
            if not self._lost:  # said once, else a full disk fills with it
                log.error("access log %s: %s; its lines are lost", self._path, error.strerror)
            self._lost += len(lines)
            return
        if self._lost:
            log.warning("access log %s: %d lines were lost", self._path, self._lost)
            self._lost = 0

    def _open(self, path: Path) -> None:
        """Have this file open, also after it was moved away or renamed by a setting."""
        try:
            found = os.stat(path)
            same = path == self._path and self._inode == (found.st_dev, found.st_ino)
        except FileNotFoundError:
            same = False
        if self._file >= 0 and same:
            return
        self.close()
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        opened = os.fstat(self._file)
        self._inode = (opened.st_dev, opened.st_ino)

    def close(self) -> None:
        """Let go of the file; the next lines open it again."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def redact(query: str, credentials: Collection[str] = ()) -> str:
    """A query string without the values of secrets; `credentials` are names of more of them."""
    parts = query.split("&")
    for number, part in enumerate(parts):
        name, _, value = part.partition("=")
        if value and (_is_secret(name) or name in credentials):
            parts[number] = f"{name}=***"
    return "&".join(parts)


@kept(1024)
def _is_secret(name: str) -> bool:
    return is_secret_sent(unquote(name))


def _word(text: object, most: int = LONGEST_WORD) -> str:
    """One column: nothing in it ends the column or the line, and it is not too long for one."""
    word = str(text)[: most + 1]
    if not (word.isascii() and word.isprintable() and " " not in word):
        word = quote(word, safe=_PLAIN)
    return (word if len(word) <= most else word[: max(0, most)] + "~") or "-"


@kept(1024)
def _path(raw: bytes) -> str:
    return _word(raw.decode("latin-1"), LONGEST_URL)


@kept(1024)
def _agent(text: bytes) -> str:
    """The name and version of an application, or the whole of another User-Agent."""
    agent = text.decode("latin-1")
    named = APPLICATION.match(agent)
    return _word(f"{named[1]}/{named[2]}" if named else agent)


def _field(req: Request, name: str) -> object:
    kind, _, key = name.partition(":")
    if _is_secret(name) or key.lower() in req.settings.credential_names:
        return "***"
    match kind if key else "":
        case "q":
            value = req.query.get(key, "")
        case "h":
            value = req.header(key)
        case "a":
            value = req.account.get(key, "")
        case _:
            value = getattr(req, name, "")
    if name == "raw_query":
        return redact(value, req.settings.credential_names)
    return value if isinstance(value, (str, int, float)) else ""  # no others: secrets are in some
