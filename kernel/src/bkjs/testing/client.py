"""An HTTP client for tests: sends exactly the bytes it is told to, signs, keeps cookies."""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Iterable, Mapping
from http.client import HTTPResponse
from typing import Any, NamedTuple, Self

from bkjs.auth.signature import FORM, sign

Body = bytes | str | Mapping[str, Any] | list[Any] | None


class Reply(NamedTuple):
    """A response as it came; header names are lower case, in the order received."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    def json(self) -> Any:
        """What the body says; raises ValueError when it is no JSON."""
        return json.loads(self.body)

    def header(self, name: str) -> str:
        """The first header of that name, empty when there is none."""
        return next((value for key, value in self.headers if key == name.lower()), "")

    @property
    def type(self) -> str:
        """The media type without its parameters."""
        return self.header("content-type").partition(";")[0].strip().lower()

    @property
    def cookies(self) -> dict[str, str]:
        """What the reply sets, by name; a cookie that it removes is empty text."""
        found = {}
        for text in (value for key, value in self.headers if key == "set-cookie"):
            pair, *attributes = (part.strip() for part in text.split(";"))
            name, _, value = pair.partition("=")
            gone = any(a.lower() == "max-age=0" or "1970" in a for a in attributes)
            found[name] = "" if gone else value
        return found


class Client:
    """Talks to one server over one connection, opened anew whenever the server has closed it.

    With `login` and `secret` every request is signed, each with a later expiry than the one before
    so that no two signatures are equal. Cookies of replies are kept when `cookies` is a dict.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        login: str = "",
        secret: str = "",
        cookies: dict[str, str] | None = None,
        timeout: float = 20,
    ) -> None:
        self.host, self.port, self.timeout = host, port, timeout
        self.login, self.secret = login, secret
        self.cookies = cookies
        self._expires = 0
        self._socket: socket.socket | None = None

    # -- requests ----------------------------------------------------------------------------

    def get(self, target: str, **options: Any) -> Reply:
        """A GET; `options` are those of `request`."""
        return self.request("GET", target, **options)

    def post(self, target: str, body: Body = None, **options: Any) -> Reply:
        """A POST; `options` are those of `request`."""
        return self.request("POST", target, body=body, **options)

    def request(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Body = None,
    ) -> Reply:
        """Send one request and read its reply.

        `target` goes out as it is. A dict or list as `body` is sent as JSON, text as a form; give
        a `content-type` for anything else. Headers given here replace those made here.
        """
        data, sent = self.compose(method, target, headers=headers, body=body)
        head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        raw = f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("utf-8", "surrogateescape")
        return self.exchange([raw + data], method=method)

    def compose(
        self, method: str, target: str, *, headers: Mapping[str, str] | None, body: Body
    ) -> tuple[bytes, dict[str, str]]:
        """The body and the headers that `request` sends."""
        given = {name.lower(): value for name, value in (headers or {}).items()}
        sent = {"host": f"{self.host}:{self.port}"}
        match body:
            case None:
                data = b""
            case bytes():
                data = body
            case str():
                data, sent["content-type"] = body.encode(), FORM
            case _:
                data, sent["content-type"] = json.dumps(body).encode(), "application/json"
        sent |= {"content-length": str(len(data))} if body is not None else {}
        sent |= given
        if self.cookies:
            pairs = (f"{name}={value}" for name, value in self.cookies.items() if value)
            sent.setdefault("cookie", "; ".join(pairs))
        if self.login and "bk-signature" not in sent:
            sent |= self.sign(method, target, data, sent)
        return data, sent

    def sign(
        self, method: str, target: str, data: bytes, headers: Mapping[str, str]
    ) -> dict[str, str]:
        """The headers that sign such a request."""
        self._expires = max(int(time.time() * 1000) + 60_000, self._expires + 1)
        content_type = headers.get("content-type", "")
        return sign(
            self.login, self.secret, method, target,
            body=data or None, content_type=content_type, host=headers["host"],
            expires=self._expires,
        )  # fmt: skip

    # -- the connection ----------------------------------------------------------------------

    def exchange(self, chunks: Iterable[bytes], *, method: str = "GET") -> Reply:
        """Send raw bytes, one write for each chunk, and read one reply to `method`.

        The reply is also read when the server refuses to take everything. Raises `EOFError` when
        it closes without a reply.
        """
        connection = self._connected()
        try:
            for chunk in chunks:
                connection.sendall(chunk)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the reply may have been sent before the server closed
        return self._read(connection, method)

    def _read(self, connection: socket.socket, method: str) -> Reply:
        response = HTTPResponse(connection, method=method)
        try:
            response.begin()
            headers = [(name.lower(), value) for name, value in response.getheaders()]
            reply = Reply(response.status, headers, response.read())
        except OSError as error:
            self.close()
            raise EOFError(f"no reply: {error}") from error
        if response.will_close:
            self.close()
        if self.cookies is not None:
            self.cookies |= reply.cookies
        return reply

    def connect(self) -> socket.socket:
        """A new connection of its own, for a peer that misbehaves; the caller closes it."""
        return socket.create_connection((self.host, self.port), self.timeout)

    def _connected(self) -> socket.socket:
        if self._socket and select.select([self._socket], [], [], 0)[0]:
            self.close()  # readable before anything was asked: closed by the server
        if self._socket is None:
            self._socket = self.connect()
        return self._socket

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._socket:
            self._socket.close()
            self._socket = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
