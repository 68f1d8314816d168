"""Static files: found below a few folders, never outside; sent whole or in part."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import stat
from collections.abc import Mapping, Sequence
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from urllib.parse import quote

from bkjs.core.asgi import Header, Receive, Send
from bkjs.lib.bounded import LONGEST_KEY, Bounded
from bkjs.lib.numbers import to_number
from bkjs.web.request import Request
from bkjs.web.response import Response, Sendable
from bkjs.web.routing.redirects import pattern

log = logging.getLogger(__name__)

CHUNK = 256 * 1024
"""Files up to this size are read at once; larger ones in pieces, in another thread."""

KEPT = 1024
"""Files of which is kept where they lie, and their headers."""

NO_CACHE = b"max-age=0, no-cache, no-store"
TYPES = {
    "html": "text/html", "htm": "text/html", "css": "text/css", "js": "text/javascript",
    "mjs": "text/javascript", "json": "application/json", "map": "application/json",
    "webmanifest": "application/manifest+json", "wasm": "application/wasm",
    "txt": "text/plain", "md": "text/markdown", "csv": "text/csv", "xml": "application/xml",
    "ico": "image/x-icon", "gif": "image/gif", "png": "image/png", "jpg": "image/jpeg",
    "jpeg": "image/jpeg", "webp": "image/webp", "avif": "image/avif", "svg": "image/svg+xml",
    "woff": "font/woff", "woff2": "font/woff2", "ttf": "font/ttf", "otf": "font/otf",
    "mp3": "audio/mpeg", "ogg": "audio/ogg", "wav": "audio/wav", "mp4": "video/mp4",
    "webm": "video/webm", "pdf": "application/pdf", "zip": "application/zip",
    "gz": "application/gzip", "tar": "application/x-tar",
}  # fmt: skip
"""Content types by suffix: not those of the machine, which differ from one to the next."""

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.A)
_TEXT = re.compile(r"text/|application/(?:javascript|json|xml|manifest\+json)|image/svg\+xml")
_NO_FILE = re.compile(r"(?i)(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?|.*[. ]|.*[:\\\x00].*")
"""Names that mean something else than a file on some system."""


class Static:
    """The folders of `web-path`, and those that plugins mount."""

    def __init__(self) -> None:
        self._mounts: list[tuple[str, Path]] = []
        self._kept: Bounded[tuple[str, str], _File] = Bounded(KEPT)
        """Files that were found, by folder and path below it."""

    def mount(self, path: str, folder: Path) -> None:
        """Serve a folder below a path; the longest path that matches goes first."""
        if not folder.is_dir():
            log.warning("%s: no folder %s, so nothing of it is served", path, folder.absolute())
        self._mounts.append(("/" + path.strip("/"), folder))
        self._mounts.sort(key=lambda mount: -len(mount[0]))

    def find(self, req: Request) -> Response | Sendable | None:
        """The reply with the file at the path of the request, None when there is none."""
        if req.method not in ("GET", "HEAD"):
            return None
        options = req.settings.static_options
        hidden = options.get("dotfiles") not in (True, 1, "allow")
        parts = req.path[1:].split("/")
        if any(_NO_FILE.fullmatch(part) or (hidden and part.startswith(".")) for part in parts):
            return None
        index = str(options.get("index") or "index.html")
        for root, rest in self._places(req):
            way = rest if not req.path.endswith("/") else os.path.join(rest, index)
            if again := self._again(root, way):
                return self._reply(req, *again)
            real_root = os.path.realpath(root)
            found = _inside(real_root, rest)
            if found is None:
                continue
            if os.path.isdir(found):
                found = _inside(real_root, os.path.join(rest, index))
                if found is None or not os.path.isfile(found):
                    continue
                if not req.path.endswith("/"):
                    query = f"?{req.raw_query}" if req.raw_query else ""
                    where = f"{quote(req.path)}/{query}".encode("latin-1")
                    return Response(b"", 302, "text/plain", ((b"location", where),))
            elif req.path.endswith("/"):
                continue
            opened = _open(found)
            if opened is None:
                continue
            descriptor, info = opened
            file = _File(found, real_root, info)
            if len(way) <= LONGEST_KEY:
                self._kept[root, way] = file
            return self._reply(req, descriptor, file)
        return None

    def _again(self, root: str, way: str) -> tuple[int, _File] | None:
        """A file that was found below a folder before, open, if it still is what one finds there.

        The system says where an open file lies, so a folder on the way that became a link is seen.
        """
        file = self._kept.get((root, way))
        if file is None:
            return None
        opened = _open(file.path)
        if opened is None:
            return None
        path, (descriptor, info) = os.path.join(root, way), opened
        with contextlib.suppress(OSError):
            if (
                _version(info) == file.version
                and os.readlink(f"/proc/self/fd/{descriptor}") == file.path
                and (path == file.path or _version(os.stat(path)) == file.version)
                and (root == file.root or os.path.samefile(root, file.root))
            ):
                return descriptor, file
        os.close(descriptor)
        return None

    def _places(self, req: Request) -> list[tuple[str, str]]:
        """Where the file may be: folders, and its path in each."""
        path = req.path
        places = [
            (str(folder), path[len(prefix) :].lstrip("/"))
            for prefix, folder in self._mounts
            if path == prefix or path.startswith(prefix.rstrip("/") + "/")
        ]
        rest = self._host_folder(req) + path[1:]
        return places + [(root, rest) for root in req.app.config.core.path.get("web", ())]

    def _host_folder(self, req: Request) -> str:
        """`NAME/` for a virtual host, the first whose pattern matches; `!` in front negates it."""
        api = req.settings
        common = pattern(api.no_vhost_path)
        if common and common.search(req.path):
            return ""
        for name, rule in api.vhost_path.items():
            negated = rule.pattern.startswith("!")
            if negated:
                rule = re.compile(rule.pattern[1:], rule.flags)
            if bool(rule.search(req.host)) is not negated:
                return f"{name}/"
        return ""

    def _reply(self, req: Request, descriptor: int, file: _File) -> Response | Sendable:
        api = req.settings
        options = api.static_options
        fresh = pattern(api.no_cache_files)
        name = os.path.basename(file.path) if req.path.endswith("/") else ""
        if fresh and fresh.search(req.path + name):
            cache = NO_CACHE
        else:
            # what needs an account must not come out of a cache that others share
            scope = b"private" if req.account else b"public"
            age = to_number(options.get("maxAge", options.get("max-age")), min=0)
            cache = b"%b, max-age=%d" % (scope, age // 1000)
        reply = FileReply(req, descriptor, file, file.type(api.mime_map), cache)
        whole = req.method == "GET" and reply.length <= CHUNK
        return reply.whole() if whole else reply


class _File:
    """What is known of a file, and stays right while its version is the same."""

    __slots__ = ("etag", "kind", "modified", "mtime", "path", "root", "size", "suffix", "version")

    def __init__(self, path: str, root: str, info: os.stat_result) -> None:
        self.path, self.root = path, root
        """Both without links."""
        self.version = _version(info)
        self.size, self.mtime = info.st_size, info.st_mtime
        self.etag = f'W/"{info.st_size:x}-{info.st_mtime_ns:x}"'
        self.modified = formatdate(info.st_mtime, usegmt=True).encode()
        self.suffix = os.path.splitext(path)[1][1:].lower()
        self.kind = _complete(TYPES.get(self.suffix, "application/octet-stream"))

    def type(self, types: Mapping[str, str]) -> str:
        """The content type, by these before ours."""
        kind = types.get(self.suffix)
        return _complete(kind) if kind else self.kind


def _version(info: os.stat_result) -> tuple[int, ...]:
    return info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns


def _open(path: str) -> tuple[int, os.stat_result] | None:
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags)
    except OSError:
        return None
    info = os.fstat(descriptor)
    if stat.S_ISREG(info.st_mode):
        return descriptor, info
    os.close(descriptor)  # no devices, no pipes
    return None


def _inside(real_root: str, rest: str) -> str | None:
    """The real path of an existing file below a folder; None for anything elsewhere."""
    try:
        found = os.path.realpath(os.path.join(real_root, rest.rstrip("/")), strict=True)
    except (OSError, ValueError):
        return None
    return found if found == real_root or found.startswith(real_root + os.sep) else None


def _complete(kind: str) -> str:
    return f"{kind}; charset=utf-8" if _TEXT.match(kind) and "charset" not in kind else kind


class FileReply:
    """An open file as an answer: whole, a part of it, or only that it has not changed."""

    def __init__(self, req: Request, descriptor: int, file: _File, kind: str, cache: bytes) -> None:
        self._file = descriptor
        self._kind = kind
        self._start, self._end = 0, file.size
        self._own: list[Header] = [
            (b"etag", file.etag.encode()),
            (b"last-modified", file.modified),
            (b"cache-control", cache),
        ]
        self.status = 200
        if _unchanged(req, file.etag, file.mtime):
            self.status = 304
            return
        self._own.append((b"accept-ranges", b"bytes"))
        self._choose_part(req, file)

    @property
    def headers(self) -> list[Header]:
        """Its own headers."""
        if self.status == 304:
            return self._own
        last = (b"content-length", b"%d" % self.length)
        return [*self._own, (b"content-type", self._kind.encode("latin-1")), last]

    def whole(self) -> Response:
        """The same as an answer that is complete; the file is closed."""
        try:
            data = self._read(self._start) if self.length else b""
        finally:
            os.close(self._file)
        return Response(data, self.status, self._kind, self._own)

    def _choose_part(self, req: Request, file: _File) -> None:
        """Serve a single range that makes sense; others, and several, get the whole file."""
        given = req.header("range")
        wanted = _RANGE.fullmatch(given) if given and req.method == "GET" else None
        if wanted is None or not (wanted[1] or wanted[2]):
            return
        condition = req.header("if-range")
        if condition and _seconds(condition) != int(file.mtime):  # weak tags do not count
            return
        size = file.size
        if wanted[1]:
            start, end = int(wanted[1]), min(int(wanted[2] or size), size - 1) + 1
            if wanted[2] and int(wanted[2]) < start:
                return
        else:
            start, end = max(0, size - int(wanted[2])), size
        if start >= size:
            self.status, self._start, self._end = 416, 0, 0
            self._own.append((b"content-range", b"bytes */%d" % size))
            return
        self.status, self._start, self._end = 206, start, end
        self._own.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, size)))

    @property
    def length(self) -> int:
        """Bytes of the body, for the log."""
        return 0 if self.status == 304 else self._end - self._start

    async def send(self, req: Request, send: Send, headers: Sequence[Header]) -> None:
        """Send the file, or what is wanted of it, and close it."""
        try:
            every = [*headers, *self.headers]
            await send({"type": "http.response.start", "status": self.status, "headers": every})
            if req.method == "HEAD" or self._end == self._start or self.status == 304:
                await send({"type": "http.response.body", "body": b""})
            else:
                await self._send_pieces(req, send)
        finally:
            os.close(self._file)

    async def _send_pieces(self, req: Request, send: Send) -> None:
        gone = asyncio.ensure_future(_disconnected(req.receive))
        try:
            at = self._start
            while at < self._end and not gone.done():
                data = await asyncio.to_thread(self._read, at)
                at += len(data)
                more = at < self._end
                await send({"type": "http.response.body", "body": data, "more_body": more})
        finally:
            gone.cancel()

    def _read(self, at: int) -> bytes:
        """The next piece; the content-length is promised, so less is an error."""
        size = min(CHUNK, self._end - at)
        data = os.pread(self._file, size, at)
        if len(data) < size:
            raise OSError("the file became shorter while it was sent")
        return data


async def _disconnected(receive: Receive) -> None:
    """Returns when the client is gone, for whom nothing more needs to be read from the disk."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _unchanged(req: Request, etag: str, mtime: float) -> bool:
    known = req.header("if-none-match")
    if known:
        tags = [tag.strip().removeprefix("W/") for tag in known[:4096].split(",")]
        return etag.removeprefix("W/") in tags or tags == ["*"]
    since = _seconds(req.header("if-modified-since"))
    return since is not None and since >= int(mtime)


def _seconds(text: str) -> float | None:
    """A date of HTTP as a time, None when it is none."""
    if not text:
        return None
    try:
        return parsedate_to_datetime(text[:64]).timestamp()
    except (ValueError, OverflowError):
        return None
