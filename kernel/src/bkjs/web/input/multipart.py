"""Multipart forms, streamed to temporary files within limits."""

from __future__ import annotations

import logging
import os
import re
import tempfile
from pathlib import Path
from typing import IO, Any

from bkjs.errors import BadRequest, BkError, Unsupported
from bkjs.web import forms
from bkjs.web.request import Upload

try:
    import python_multipart.multipart as parsing
    from python_multipart.exceptions import FormParserError
except ImportError:
    parsing = None  # type: ignore[assignment]

from bkjs.web.request import Request

from .body import TOO_LARGE, piece, set_fields

log = logging.getLogger(__name__)

MAX_PART_HEADERS = 8 * 1024
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,16}")
_NO_NAME = re.compile(r".*[/\\]|[\x00-\x1f\x7f]", re.S)
"""Folders and control characters."""


async def read(req: Request) -> None:
    """Read the form: fields join the parameters, files are in `files` and `uploads`.

    Raises BadRequest for a malformed form and (413) over a limit, BkError (507) when the disk takes
    no more, Unsupported when the package that reads such forms is not installed.
    """
    try:
        await _read(req)
    except OSError as error:
        folder = req.app.config.core.path["tmp"]
        log.error("request %s: no upload can be kept in %s: %s", req.id, folder, error.strerror)
        raise BkError("Files cannot be kept now", status=507) from error


async def _read(req: Request) -> None:
    if parsing is None:
        raise Unsupported("Multipart forms need a package: pip install bkjs[upload]")
    _, options = parsing.parse_options_header(req.header("content-type"))
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= 70:
        raise BadRequest("The multipart form has no valid boundary")
    api = req.settings
    reader = _Reader(req, int(api.max_parts), int(api.json_limit))
    parser = parsing.MultipartParser(boundary, reader.callbacks())
    parser.logger.disabled = True  # what is wrong with a form goes to who sent it
    try:
        more = True
        while more:
            chunk, more = piece(await req.receive())
            parser.write(chunk)
        parser.finalize()
    except FormParserError:
        raise BadRequest("The multipart form is malformed") from None
    finally:
        reader.close()
    if not reader.complete:
        raise BadRequest("The multipart form is malformed")
    set_fields(req, forms.nest(reader.fields))


class _Reader:
    """Takes what the parser finds, one part after the other."""

    def __init__(self, req: Request, max_parts: int, max_text: int) -> None:
        self.req = req
        self.fields: list[tuple[str, str]] = []
        self.complete = False
        self._max_parts, self._max_text = max_parts, max_text
        self._parts = self._text = self._head = 0
        self._name = self._file_name = self._type = ""
        self._header: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._headers: dict[bytes, bytes] = {}
        self._data = bytearray()
        self._file: IO[bytes] | None = None
        self._path = Path()

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._take_header(0, data[start:end]),
            "on_header_value": lambda data, start, end: self._take_header(1, data[start:end]),
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_end,
            "on_part_data": lambda data, start, end: self._take_data(data[start:end]),
            "on_part_end": self._end,
            "on_end": self._all_read,
        }

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > self._max_parts:
            raise BadRequest(f"More than {self._max_parts} parts in the form", status=413)
        self._headers, self._head = {}, 0
        self._data = bytearray()

    def _take_header(self, which: int, data: bytes) -> None:
        self._head += len(data)
        if self._head > MAX_PART_HEADERS:
            raise BadRequest("The headers of a part of the form are too large", status=413)
        self._header[which].extend(data)

    def _header_end(self) -> None:
        self._headers[bytes(self._header[0]).lower()] = bytes(self._header[1])
        self._header = (bytearray(), bytearray())

    def _headers_end(self) -> None:
        kind, options = parsing.parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = _text(options.get(b"name", b""))
        if kind != b"form-data" or not self._name:
            raise BadRequest("A part of the form has no name")
        if b"filename" not in options:
            return
        self._file_name = _file_name(_text(options[b"filename"]))
        self._type = _text(self._headers.get(b"content-type", b"application/octet-stream"))
        folder = Path(self.req.app.config.core.path["tmp"])
        folder.mkdir(parents=True, exist_ok=True)
        found = _SUFFIX.fullmatch(Path(self._file_name).suffix)
        descriptor, path = tempfile.mkstemp(found[0] if found else "", "upload-", folder)
        self._path = Path(path)
        self._file = os.fdopen(descriptor, "wb")
        self._add_upload(0)

    def _add_upload(self, size: int) -> None:
        upload = Upload(self._name, self._file_name, self._type, size, self._path, self.req.mtime)
        if self.req.uploads and self.req.uploads[-1].path == self._path:
            self.req.uploads.pop()
        self.req.uploads.append(upload)

    def _take_data(self, data: bytes) -> None:
        if self._file:
            self._file.write(data)
            return
        self._text += len(data)
        if self._text > self._max_text:
            raise BadRequest(TOO_LARGE, status=413)
        self._data += data

    def _end(self) -> None:
        if not self._file:
            self.fields.append((self._name, _text(bytes(self._data))))
            return
        size = self._file.tell()
        self.close()
        self._add_upload(size)
        self.req.files.setdefault(self._name, self.req.uploads[-1])

    def _all_read(self) -> None:
        self.complete = True

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None


def _file_name(text: str) -> str:
    name = _NO_NAME.sub("", text)
    return "" if name in (".", "..") else name


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest("The form is not UTF-8") from None
