"""Static files: found below a few folders, never outside; sent whole or in part."""

from __future__ import annotations

import asyncio
import mimetypes
import os
import re
import stat
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bkjs.web.redirects import pattern
from bkjs.web.request import Header, Request, Response, Send, Sendable

if TYPE_CHECKING:
    from bkjs.core.app import App

CHUNK = 64 * 1024
INLINE = 256 * 1024
"""Files up to this size are read at once; larger ones in another thread."""

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.A)
_TEXT = re.compile(r"text/|application/(?:javascript|json|xml|manifest\+json)|image/svg\+xml")
NO_CACHE = b"max-age=0, no-cache, no-store"


class Static:
    """The folders of `web-path`, and those that plugins mount."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._mounts: list[tuple[str, Path]] = []

    def mount(self, path: str, folder: Path) -> None:
        """Serve a folder below a path; the longest path that matches goes first."""
        self._mounts.append(("/" + path.strip("/"), folder))
        self._mounts.sort(key=lambda mount: -len(mount[0]))

    def find(self, req: Request) -> Response | Sendable | None:
        """The reply with the file at the path of the request, None when there is none."""
        if req.method not in ("GET", "HEAD"):
            return None
        path = self._for_host(req)
        options = self._app.config.api.static_options
        parts = path.split("/")[1:]
        if not options.get("dotfiles") and any(part.startswith(".") for part in parts):
            return None
        for root, rest in self._places(path):
            found = _inside(root, rest)
            if found is None:
                continue
            if os.path.isdir(found):
                index = os.path.join(rest, options.get("index") or "index.html")
                found = _inside(root, index)
                if found is None or not os.path.isfile(found):
                    continue
                if not path.endswith("/"):
                    where = quote(req.path + "/").encode("ascii")
                    return Response(b"", 302, "text/plain", ((b"location", where),))
            elif path.endswith("/"):
                continue
            reply = self._open(req, found)
            if reply is not None:
                return reply
        return None

    def _for_host(self, req: Request) -> str:
        """The path, below the folder of a virtual host when the host is one."""
        api = self._app.config.api
        common = pattern(api.no_vhost_path)
        if api.vhost_path and not (common and common.search(req.path)):
            for name, rule in api.vhost_path.items():
                negated = rule.pattern.startswith("!")
                matches = re.search(rule.pattern[1:], req.host, re.I) if negated else None
                if not matches if negated else rule.search(req.host):
                    return f"/{name}{req.path}"
        return req.path

    def _places(self, path: str) -> list[tuple[str, str]]:
        places = [
            (str(folder), path[len(prefix) :].lstrip("/") if prefix != "/" else path[1:])
            for prefix, folder in self._mounts
            if prefix == "/" or path == prefix or path.startswith(prefix + "/")
        ]
        return places + [(root, path[1:]) for root in self._app.config.core.path.get("web", ())]

    def _open(self, req: Request, file: str) -> Sendable | None:
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            descriptor = os.open(file, flags)
        except OSError:
            return None
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):  # no devices, no pipes
            os.close(descriptor)
            return None
        api = self._app.config.api
        fresh = pattern(api.no_cache_files)
        if fresh and fresh.search(req.path):
            cache = NO_CACHE
        else:
            cache = b"public, max-age=%d" % (api.static_options.get("max-age", 0) // 1000)
        return FileReply(req, descriptor, info, _content_type(file, api.mime_map), cache)


def _inside(root: str, rest: str) -> str | None:
    """The real path of an existing file below a folder; None for anything elsewhere."""
    real_root = os.path.realpath(root)
    try:
        found = os.path.realpath(os.path.join(real_root, rest.rstrip("/")), strict=True)
    except (OSError, ValueError):
        return None
    return found if found == real_root or found.startswith(real_root + os.sep) else None


def _content_type(file: str, types: dict[str, str]) -> str:
    suffix = os.path.splitext(file)[1].lower()
    kind = types.get(suffix[1:]) or mimetypes.types_map.get(suffix, "application/octet-stream")
    return f"{kind}; charset=utf-8" if _TEXT.match(kind) and "charset" not in kind else kind


class FileReply:
    """An open file as an answer: whole, a part of it, or only that it has not changed."""

    def __init__(
        self, req: Request, descriptor: int, info: os.stat_result, kind: str, cache: bytes
    ) -> None:
        self._file = descriptor
        self._start, self._end = 0, info.st_size
        etag = f'"{info.st_size:x}-{info.st_mtime_ns:x}"'
        self._headers: list[Header] = [
            (b"etag", etag.encode()),
            (b"last-modified", formatdate(info.st_mtime, usegmt=True).encode()),
            (b"cache-control", cache),
        ]
        self.status = 200
        if _unchanged(req, etag, info.st_mtime):
            self.status = 304
            return
        self._headers.append((b"accept-ranges", b"bytes"))
        self._headers.append((b"content-type", kind.encode("latin-1")))
        self._choose_part(req, etag, info)
        self._headers.append((b"content-length", b"%d" % (self._end - self._start)))

    def _choose_part(self, req: Request, etag: str, info: os.stat_result) -> None:
        """Serve a single range that makes sense; others, and several, get the whole file."""
        given = req.header("range")
        wanted = _RANGE.fullmatch(given) if given and req.method == "GET" else None
        if wanted is None or not (wanted[1] or wanted[2]):
            return
        condition = req.header("if-range")
        if condition and condition != etag and not _same_time(condition, info.st_mtime):
            return
        size = info.st_size
        if wanted[1]:
            start, end = int(wanted[1]), min(int(wanted[2] or size), size - 1) + 1
            if wanted[2] and int(wanted[2]) < start:
                return
        else:
            start, end = max(0, size - int(wanted[2])), size
        if start >= size:
            self.status, self._start, self._end = 416, 0, 0
            self._headers.append((b"content-range", b"bytes */%d" % size))
            return
        self.status, self._start, self._end = 206, start, end
        self._headers.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, size)))

    async def send(self, req: Request, send: Send) -> None:
        try:
            headers = req.web.handle.headers(req) + self._headers
            await send({"type": "http.response.start", "status": self.status, "headers": headers})
            at, end = self._start, self._end
            if req.method == "HEAD" or self.status == 304:
                at = end
            inline = end - at <= INLINE
            while at < end:
                size = min(CHUNK if inline else INLINE, end - at)
                if inline:
                    data = os.pread(self._file, size, at)
                else:
                    data = await asyncio.to_thread(os.pread, self._file, size, at)
                if not data:
                    raise OSError("the file became shorter while it was sent")
                at += len(data)
                await send({"type": "http.response.body", "body": data, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            os.close(self._file)


def _unchanged(req: Request, etag: str, mtime: float) -> bool:
    known = req.header("if-none-match")
    if known:
        tags = [tag.strip().removeprefix("W/") for tag in known[:4096].split(",")]
        return etag in tags or tags == ["*"]
    since = req.header("if-modified-since")
    return bool(since) and _same_time(since, mtime, or_later=True)


def _same_time(text: str, mtime: float, *, or_later: bool = False) -> bool:
    try:
        seconds: Any = parsedate_to_datetime(text[:64]).timestamp()
    except (ValueError, OverflowError):
        return False
    return bool(seconds >= int(mtime)) if or_later else bool(seconds == int(mtime))
