"""Streams end with the client, the account and the process; handlers that only read end with the
client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from websockets.asyncio.client import connect

from bkjs.errors import Disconnected
from bkjs.testing.web import exchange, scope_of
from bkjs.web import Stream, stream
from bkjs.web.endpoints.routes import Routes
from bkjs.web.request import Request
from bkjs.web.response import Response, Sendable

from ..harness import add_account

routes = Routes()
router = APIRouter()
SECRET = "the-secret-of-u-"
ended: list[str] = []
"""Which handlers have run their `finally`, and why."""


opened: list[asyncio.StreamWriter] = []


@pytest.fixture(autouse=True)
async def _clean() -> AsyncIterator[None]:
    ended.clear()
    yield
    for writer in opened:
        writer.close()
    opened.clear()
    await asyncio.sleep(0)


async def ticks() -> AsyncIterator[str]:
    """An endless stream."""
    why = "end"
    try:
        while True:
            yield "data: tick\n\n"
            await asyncio.sleep(0.01)
    except (GeneratorExit, asyncio.CancelledError):
        why = "cut"
        raise
    finally:
        ended.append(why)


async def silence() -> AsyncIterator[str]:
    """A stream that never has anything to say."""
    try:
        await asyncio.Event().wait()
        yield ""
    finally:
        ended.append("cut")


class Ticks:
    """A reply that sends itself, as an application may have one of its own."""

    status = 200
    headers = ((b"content-type", b"text/plain"),)

    async def send(self, req: Any, send: Any, headers: Any) -> None:
        every = [*headers, *self.headers]
        await send({"type": "http.response.start", "status": 200, "headers": every})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"tick\n", "more_body": True})
                await asyncio.sleep(0.01)
        finally:
            ended.append("cut")


@routes.endpoint("/s/ticks")
async def tick(req: Request) -> Stream:
    return stream(req, ticks())


@routes.endpoint("/s/writes", writes=True)
async def tick_and_write(req: Request) -> Stream:
    return stream(req, ticks())


@routes.endpoint("/s/silence")
async def silent(req: Request) -> Stream:
    return stream(req, silence())


@routes.endpoint("/s/own")
async def own(req: Request) -> Sendable:
    return Ticks()


@router.get("/s/fastapi")
async def fastapi() -> Any:
    return StreamingResponse(ticks(), media_type="text/event-stream")


@router.post("/s/fastapi")
async def fastapi_post() -> Any:
    return StreamingResponse(ticks(), media_type="text/plain")


async def three() -> AsyncIterator[str | bytes]:
    yield "a\n"
    yield b"b\n"
    yield "ü\n"


@routes.endpoint("/s/three")
async def finite(req: Request) -> Stream:
    return stream(req, three(), content_type="text/plain", headers=[(b"x-own", b"1")])


@routes.endpoint("/s/breaks")
async def breaks(req: Request) -> Stream:
    async def broken() -> AsyncIterator[str]:
        yield "a"
        raise ValueError("secret detail")

    return stream(req, broken())


@routes.endpoint("/s/wrong")
async def wrong(req: Request) -> Stream:
    return stream(req, three)  # type: ignore[arg-type]


@routes.endpoint("/h/read", reply=dict)
async def read(req: Request) -> Any:
    try:
        await asyncio.sleep(0.4)
        ended.append("end")
    except asyncio.CancelledError:
        ended.append("cut")
        raise
    return {}


@routes.endpoint("/h/write", writes=True, reply=dict)
async def write(req: Request) -> Any:
    return await read(req)


@routes.endpoint("/h/note", writes="quiet", reply=dict)
async def note(req: Request) -> Any:
    return await read(req)


@router.api_route("/h/fastapi", methods=["GET", "POST"])
async def fastapi_handler() -> Any:
    return await read(None)  # type: ignore[arg-type]


STREAMS = ("GET /s/ticks", "GET /s/silence", "GET /s/own", "GET /s/fastapi", "POST /s/fastapi")


async def until(check: Callable[[], bool], seconds: float = 3) -> bool:
    for _ in range(int(seconds / 0.01)):
        if check():
            return True
        await asyncio.sleep(0.01)
    return False


def configure_web(web: Any) -> None:
    web.add(routes)
    web.include_router(router)


@pytest.fixture
async def s(site: Any) -> AsyncIterator[Any]:
    argv = ("-api-allow-path", "^/(s|h)/")
    async with site(None, *argv, configure_web=configure_web) as found:
        yield found


@pytest.fixture
async def port(s: Any, serve: Any) -> AsyncIterator[int]:
    async with serve(s) as port:
        yield port


async def begin(port: int, target: str, more: str = "") -> tuple[Any, Any]:
    """Send a request; the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    length = "Content-Length: 0\r\n" if target.startswith("POST") else ""
    opened.append(writer)
    writer.write(f"{target} HTTP/1.1\r\nHost: x\r\n{length}{more}\r\n".encode())
    return reader, writer


async def test_a_stream_is_sent_piece_by_piece(s: Any) -> None:
    reply = await s.ask("/s/three")
    assert (reply.status, reply.body) == (200, "a\nb\nü\n".encode())
    assert reply.headers["content-type"] == "text/plain"
    assert (reply.headers["x-own"], reply.headers["x-accel-buffering"]) == ("1", "no")
    assert "no-store" in reply.headers["cache-control"]
    assert (await s.ask("/s/ticks", method="HEAD")).body == b""
    assert not s.web.deadlines._due
    assert not s.web.deadlines._reading


@pytest.mark.parametrize("target", STREAMS)
async def test_no_stream_outlives_its_client(s: Any, port: int, target: str) -> None:
    connections = [await begin(port, target) for _ in range(50)]
    for reader, _ in connections:
        assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
    await until(lambda: len(s.web.deadlines._reading) == 50)
    for _, writer in connections:
        writer.close()
    await until(lambda: ended == ["cut"] * 50)
    assert ended == ["cut"] * 50
    assert await until(lambda: s.web.traffic.running == 0)
    assert not s.web.deadlines._reading
    assert not s.web.deadlines._ended


async def test_who_sends_to_a_client_that_has_left_is_told(site: Any, serve: Any) -> None:
    told = []

    class Polite(Ticks):
        async def send(self, req: Any, send: Any, headers: Any) -> None:
            try:
                await send({"type": "http.response.start", "status": 200, "headers": [*headers]})
                await send({"type": "http.response.body", "body": b""})
            except Disconnected:
                told.append(True)
                raise

    again = Routes()

    @again.endpoint("/h/polite", writes=True)
    async def polite(req: Request) -> Sendable:
        await asyncio.sleep(0.1)
        return Polite()

    async with site(again, "-api-allow-path", "^/h/") as s, serve(s) as port:
        _, writer = await begin(port, "GET /h/polite")
        await until(lambda: s.web.traffic.running == 1)
        writer.close()
        assert await until(lambda: told == [True])


@pytest.mark.parametrize("target", STREAMS)
@pytest.mark.parametrize("change", ["delete", "update"])
async def test_no_stream_outlives_its_account(
    site: Any, serve: Any, target: str, change: str
) -> None:
    method, _, path = target.partition(" ")
    async with (
        site(configure_web=configure_web) as s,
        serve(s) as port,
    ):
        accounts = s.app.auth.accounts
        await accounts.add({"login": "u", "secret": SECRET, "name": "N"})
        from bkjs.auth.signature import sign

        sent = sign("u", SECRET, method, f"http://x{path}", host="x")
        more = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        reader, writer = await begin(port, target, more)
        assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
        assert await until(lambda: len(s.web.long_lived) == 1)
        if change == "delete":
            await accounts.delete("u")
        else:
            await accounts.update("u", {"expires": 1}, admin=True)
        received = await asyncio.wait_for(reader.read(), 2)  # no need to ask it to look
        assert not received.endswith(b"0\r\n\r\n")  # cut off, not complete
        assert ended == ["cut"]
        assert not len(s.web.long_lived)
        writer.close()


async def test_a_stream_ends_with_its_session(site: Any, serve: Any) -> None:
    async with site(routes) as s, serve(s) as port:
        await add_account(s.app, "u")
        opened = await s.ask("/auth?_session=1", login="u")
        cookie = opened.headers["set-cookie"].partition(";")[0]
        reader, writer = await begin(port, "GET /s/ticks", f"Cookie: {cookie}\r\n")
        assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
        assert (await s.ask("/logout", headers={"cookie": cookie})).status == 200
        await asyncio.wait_for(reader.read(), 2)
        assert ended == ["cut"]
        writer.close()


async def test_a_stream_that_fails_is_logged_and_cut(s: Any, port: int, caplog: Any) -> None:
    reader, writer = await begin(port, "GET /s/breaks")
    received = await asyncio.wait_for(reader.read(), 2)
    assert received.endswith(b"1\r\na\r\n")
    assert "secret detail" in caplog.text
    assert "ASGI" not in caplog.text
    assert (await s.ask("/s/wrong")).status == 500
    assert "takes an async generator" in caplog.text
    writer.close()


async def test_the_end_of_the_process_cuts_streams_of_events_at_once(
    s: Any, serve: Any, caplog: Any
) -> None:
    async with asyncio.timeout(5), serve(s) as port:
        events, _ = await begin(port, "GET /s/ticks")
        await events.readline()
        finite, _ = await begin(port, "GET /s/three")
        assert (await finite.readline()) == b"HTTP/1.1 200 OK\r\n"
        started = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - started < 2
    assert ended == ["cut"]
    assert "Traceback" not in caplog.text


async def test_streams_take_no_place_of_requests(site: Any, serve: Any) -> None:
    argv = ("-api-allow-path", "^/", "-api-max-request-queue", "2", "-api-max-connections-ip", "4")
    async with site(routes, *argv) as s, serve(s) as port:
        connections = [await begin(port, "GET /s/ticks") for _ in range(4)]
        for reader, _ in connections:
            assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
        assert await until(lambda: s.web.traffic.running == 0)
        assert (await s.ask("/ping")).status == 200
        reader, _ = await begin(port, "GET /s/ticks")  # as many as connections
        assert b" 503 " in await reader.readline()
        for _, writer in connections:
            writer.close()
        assert await until(lambda: len(ended) == 4)
        assert s.web.traffic.running == 0


async def test_a_stream_is_not_answered_over_websocket(s: Any, port: int) -> None:
    async with connect(f"ws://127.0.0.1:{port}/") as socket:
        await socket.send('{"id":1,"path":"/s/ticks"}')
        assert json.loads(await socket.recv())["status"] == 501


# -- handlers whose client has left -----------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("GET /h/read", "cut"),
        ("POST /h/read", "cut"),
        ("GET /h/write", "end"),
        ("POST /h/write", "end"),
        ("GET /h/note", "end"),
        ("GET /h/fastapi", "cut"),
        ("POST /h/fastapi", "end"),
    ],
)
async def test_only_what_writes_outlives_its_client(
    s: Any, port: int, target: str, why: str, caplog: Any
) -> None:
    _, writer = await begin(port, target)
    assert await until(lambda: s.web.traffic.running == 1)
    await asyncio.sleep(0.05)
    writer.close()
    started = asyncio.get_running_loop().time()
    assert await until(lambda: s.web.traffic.running == 0)
    if why == "cut":
        assert asyncio.get_running_loop().time() - started < 0.3
    assert ended == [why]
    assert "Traceback" not in caplog.text
    assert await until(lambda: not s.web.deadlines._gone)


@pytest.mark.parametrize(("path", "why"), [("/h/read", "cut"), ("/h/write", "end")])
async def test_the_same_over_websocket(s: Any, port: int, path: str, why: str) -> None:
    async with connect(f"ws://127.0.0.1:{port}/") as socket:
        await socket.send(path)
        assert await until(lambda: s.web.traffic.running == 1)
    assert await until(lambda: s.web.traffic.running == 0)
    assert ended == [why]


async def test_a_client_that_left_during_the_checks_is_not_read_for(site: Any, serve: Any) -> None:
    go, asked = asyncio.Event(), asyncio.Event()

    async def check(req: Request) -> None:
        asked.set()
        await go.wait()

    def configure(web: Any) -> None:
        web.add(routes)
        web.register_access_check("", "/h/read", check)

    async with site(None, "-api-allow-path", "^/h", configure_web=configure) as s, serve(s) as port:
        _, writer = await begin(port, "GET /h/read")
        await asked.wait()
        writer.close()
        await until(lambda: bool(s.web.deadlines._gone))
        go.set()
        assert await until(lambda: s.web.traffic.running == 0)
        assert ended == []


async def test_a_generator_that_somebody_keeps_is_closed_too(s: Any) -> None:
    async def gone(message: Any) -> None:
        if message.get("body"):
            raise Disconnected

    req = s.web.handle.request(scope_of("/s/ticks", "GET", {}), None)
    kept = ticks()
    with pytest.raises(Disconnected):
        await stream(req, kept).send(req, gone, [])
    assert ended == ["cut"]


async def test_other_servers_need_nothing_of_this(s: Any) -> None:
    """Called without our server, a stream of three pieces is four messages and an end."""
    scope = scope_of("/s/three", "GET", {"host": "h.com"})
    assert (await exchange(s.web, scope)).status == 200


async def test_an_ordinary_reply_is_no_stream(s: Any) -> None:
    again = Routes()

    @again.endpoint("/s/bytes")
    async def own_bytes(req: Request) -> Response:
        return Response(b"x", content_type="text/plain")

    s.web.add(again)
    assert (await s.ask("/s/bytes")).body == b"x"
