"""Answers are the same, byte for byte, written whole or in the messages of ASGI."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest

from bkjs.auth import signature
from bkjs.web.endpoints.routes import Routes
from bkjs.web.request import Request
from bkjs.web.response import NO_STORE, Response

from ..harness import add_account

whole = Routes()


@whole.endpoint("/plain", reply=dict)
def plain_reply(req: Request) -> Any:
    return {"a": 1}


@whole.endpoint("/cookies", reply=dict)
def cookies_reply(req: Request) -> Any:
    req.set_cookie("a", "1")
    req.set_cookie("b", "2", secure=True)
    req.response_headers.append((b"X-Upper", b"caf\xe9"))
    return {"a": 1}


@whole.endpoint("/keeps", reply=dict)
def keeps_reply(req: Request) -> Any:
    req.response_headers.append((b"cache-control", b"max-age=5"))
    return {"a": 1}


REPLIES: dict[str, Callable[[], Response]] = {
    "html": lambda: Response(b"<p>", 200, "text/html; charset=utf-8"),
    "etag": lambda: Response(b"{}", 200, headers=[(b"ETag", b'"x"')]),
    "frames": lambda: Response(b"x", headers=[(b"content-security-policy", b"default-src *")]),
    "moved": lambda: Response(b"", 302, "text/plain", [(b"location", b"/a?b=c")]),
    "same": lambda: Response(b"", 304, headers=NO_STORE),
    "nothing": lambda: Response(b"", 204),
    "empty": lambda: Response(),
    "large": lambda: Response(b"x" * 300_000, 200, "text/plain"),
    "private": lambda: Response(b"x", headers=[(b"cache-control", b"private")]),
    "bytearray": lambda: Response(bytearray(b"xy")),
    "odd": lambda: Response(b"x", 599),
    "last": lambda: Response(b"x", headers=[(b"connection", b"close")]),
    "split": lambda: Response(b"x", headers=[(b"x", b"a\r\nset-cookie: b=c")]),
    "name": lambda: Response(b"x", headers=[(b"x y", b"a")]),
    "type": lambda: Response(b"x", 200, "text/html\r\nset-cookie: b=c"),
    "body": lambda: Response(b"x", 204),
}


@whole.endpoint("/reply/{name}")
def other_reply(req: Request) -> Response:
    return REPLIES[req.path_args["name"]]()


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("-api-trusted-proxies", "127.0.0.0/8"),
        ("-api-cors-origin", "https://a.com,*"),
    ],
    ids=" ".join,
)
async def test_answers_are_the_same_whole_and_in_two_messages(
    site: Any, serve: Any, argv: tuple[str, ...]
) -> None:
    asked = ["/plain", "/cookies", "/keeps", "/missing", *(f"/reply/{name}" for name in REPLIES)]
    heads = [
        "GET {} HTTP/1.1",
        "GET {} HTTP/1.1\r\nx-forwarded-proto: https\r\nx-forwarded-for: 9.9.9.9",
        "GET {} HTTP/1.1\r\norigin: https://a.com",
        "OPTIONS {} HTTP/1.1\r\norigin: https://b.com\r\naccess-control-request-method: PUT",
        "GET {} HTTP/1.1\r\naccept: text/html",
        "HEAD {} HTTP/1.1",
        "GET {} HTTP/1.1\r\nconnection: close",
        "GET {} HTTP/1.0\r\nconnection: keep-alive",
    ]
    signed = signature.sign("u", "k", "GET", "http://h.com/plain", expires=9_000_000)
    requests = [head.format(path) + "\r\nhost: h.com" for path in asked for head in heads]
    requests.append(f"{heads[0].format('/plain')}\r\nbk-signature: {signed['bk-signature']}")
    requests[-1] += "\r\nhost: h.com"
    signed = signature.sign("u", "k", "GET", "http://h.com/reply/html", expires=9_000_000)
    requests.append(f"{heads[0].format('/reply/html')}\r\nbk-signature: {signed['bk-signature']}")
    requests[-1] += "\r\nhost: h.com"

    async def ask(port: int, request: str) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{request}\r\n\r\nGET /cookies HTTP/1.1\r\nhost: h\r\n".encode())
        writer.write(b"connection: close\r\n\r\n")
        got = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        return re.sub(rb"date: [^\r]*", b"", got)

    open_ = ("-api-allow-path", "^/(cookies|keeps|missing|reply/(?!html))")
    async with site(whole, *open_, *argv) as s, serve(s) as port:
        await add_account(s.app, "u")
        gateway, count = s.web.handle, 0
        write = gateway.write_whole

        def counted(*args: Any) -> bool:
            nonlocal count
            count += (done := write(*args))
            return bool(done)

        for request in requests:
            gateway.write_whole = counted
            at_once = await ask(port, request)
            gateway.write_whole = lambda *args: False
            assert at_once == await ask(port, request), request
            assert b"\r\nset-cookie: b=c" not in at_once
    assert count > len(requests) * 0.4
