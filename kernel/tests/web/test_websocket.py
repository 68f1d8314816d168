"""Requests over WebSocket, with a real client over a real socket."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi import APIRouter
from fastapi import Request as FastAPIRequest
from fastapi.responses import StreamingResponse
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bkjs import AppKey
from bkjs.auth.signature import sign, sign_url
from bkjs.web.endpoints.routes import Routes
from bkjs.web.request import Request
from bkjs.web.response import Response
from bkjs.web.server.websockets import GuardedWebSocket

from ..harness import add_account

routes = Routes()

GO = AppKey[asyncio.Event]("go")


@routes.endpoint("/open", public=True, reply=dict)
async def open_(req: Request) -> Any:
    return {"query": req.query, "method": req.method, "over": req.protocol, "ip": req.ip}


@routes.endpoint("/closed", reply=dict)
async def closed(req: Request) -> Any:
    return {"login": req.account["login"]}


@routes.endpoint("/slow", public=True, reply=dict)
async def slow(req: Request) -> Any:
    await req.app[GO].wait()
    return {"slow": True}


@routes.endpoint("/nobody", public=True)
async def nobody(req: Request) -> Response:
    return Response(b"", 204)


@routes.endpoint("/ä", public=True, reply=dict)
async def umlaut(req: Request) -> Any:
    return {"path": req.path}


async def ask(socket: Any, target: str) -> Any:
    await socket.send(target)
    return json.loads(await asyncio.wait_for(socket.recv(), 5))


async def test_a_frame_is_a_target_and_the_reply_its_body(site: Any, serve: Any) -> None:
    async with site(routes) as s, serve(s) as port, connect(f"ws://127.0.0.1:{port}/") as socket:
        expected = {"query": {"a": "1"}, "method": "GET", "over": "ws", "ip": "127.0.0.1"}
        assert await ask(socket, "/open?a=1") == expected
        assert await ask(socket, "/open?a=1#part") == expected
        assert await ask(socket, "/ä") == {"path": "/ä"}
        assert (await ask(socket, "/../x"))["status"] == 400
        assert (await ask(socket, "open"))["status"] == 400
        assert (await ask(socket, "/open\r\nx: y"))["status"] == 400
        assert (await ask(socket, "/x.png"))["status"] == 404


@pytest.mark.parametrize(
    ("frame", "status", "data"),
    [
        ({"id": 1, "path": "/open"}, 200, {"method": "GET", "query": {}}),
        (
            {"id": "b", "path": "/open?a=1", "query": {"b": [2]}},
            200,
            {"query": {"a": "1", "b": [2]}},
        ),
        (
            {"id": 2, "path": "/open?a=1", "method": "POST", "query": {"b": {"c": 1}}},
            200,
            {"method": "POST", "query": {"a": "1", "b": {"c": 1}}, "over": "ws"},
        ),
        ({"path": "/open"}, 200, {"query": {}}),
        ({"id": {"n": [2**70]}, "path": "/open"}, 200, {"query": {}}),
        ({"id": 3, "path": "/closed"}, 417, {"status": 417}),
        ({"id": 4, "path": "/open", "method": "BREW"}, 405, {"status": 405}),
        ({"id": 5, "path": "/../open"}, 400, {"message": "Invalid path"}),
        ({"id": 6, "path": "open"}, 400, {"message": "Invalid request"}),
        ({"id": 7, "path": "/open", "query": [1]}, 400, {"status": 400}),
        ({"id": 8, "path": "/open", "method": "POST", "query": [1]}, 400, {"status": 400}),
    ],
)
async def test_a_frame_may_be_json(
    site: Any, serve: Any, frame: dict[str, Any], status: int, data: dict[str, Any]
) -> None:
    async with site(routes) as s, serve(s) as port, connect(f"ws://127.0.0.1:{port}/") as socket:
        reply = await ask(socket, json.dumps(frame))
    assert (reply["id"], reply["status"]) == (frame.get("id"), status)
    assert data.items() <= reply["data"].items()


async def test_what_a_handshake_says_of_a_body_counts_for_no_frame(site: Any, serve: Any) -> None:
    of_body = {"Content-Type": "text/plain", "Content-Encoding": "gzip", "Content-Length": "0"}
    frame = {"path": "/open", "method": "POST", "query": {"a": 1}}
    async with (
        site(routes) as s,
        serve(s) as port,
        connect(f"ws://127.0.0.1:{port}/", additional_headers=of_body) as socket,
    ):
        assert (await ask(socket, json.dumps(frame)))["data"]["query"] == {"a": 1}


@pytest.mark.parametrize(
    "frame",
    ["{", "{}", '{"path":1}', '{"path":"/","query":' + "[" * 9000],
)
async def test_a_malformed_json_frame_is_refused(site: Any, serve: Any, frame: str) -> None:
    async with site(routes) as s, serve(s) as port, connect(f"ws://127.0.0.1:{port}/") as socket:
        reply = await ask(socket, frame)
        assert (reply["id"], reply["status"], reply["data"]["status"]) == (None, 400, 400)
        assert (await ask(socket, "/open"))["method"] == "GET"


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        ('{"id": 1, "pth": "/open"}', "Invalid frame: no key 'pth'; did you mean 'path'?"),
        ('{"id": 1, "path": "/open", "quary": {}}', "no key 'quary'; did you mean 'query'?"),
        ('{"id": 1, "path": "/open", "zzz": {}}', "no key 'zzz'; there are path, method,"),
        ('{"id": 1}', "Invalid frame: Object missing required field `path`"),
        ('{"path": 5, "id": 1}', "Invalid frame: Expected `str`"),
        ('{"path": "/open", "method": [], "id": 1}', "Invalid frame: Expected `str`"),
        (' \n{"id": 1, "path": "open"}', "Invalid request"),
    ],
)
async def test_a_refused_frame_keeps_its_id(site: Any, serve: Any, frame: str, text: str) -> None:
    async with site(routes) as s, serve(s) as port, connect(f"ws://127.0.0.1:{port}/") as socket:
        reply = await ask(socket, frame)
    assert (reply["id"], reply["status"]) == (1, 400)
    assert text in reply["data"]["message"]


async def test_a_json_frame_gets_other_replies_as_text(site: Any, serve: Any) -> None:
    async with site(routes) as s, serve(s) as port, connect(f"ws://127.0.0.1:{port}/") as socket:
        reply = await ask(socket, '{"path":"/open?_format=csv"}')
        assert reply["data"].startswith("query,")
        reply = await ask(socket, '{"path":"/nobody"}')
        assert (reply["status"], reply["data"]) == (204, None)


@routes.endpoint("/generator", public=True, reply=dict)
def generator(req: Request) -> Any:
    return (row for row in [{}])


@routes.endpoint("/unsendable", public=True)
async def unsendable(req: Request) -> Response:
    reply = Response(b"")
    reply.body = "text"  # type: ignore[assignment]
    return reply


@pytest.mark.parametrize("path", ["/generator", "/unsendable"])
async def test_a_frame_is_answered_whatever_fails(
    site: Any, serve: Any, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Also when the reply itself is what cannot be sent."""
    async with site(routes) as s, serve(s) as port, connect(f"ws://127.0.0.1:{port}/") as socket:
        reply = await ask(socket, json.dumps({"id": 7, "path": path}))
        assert (reply["id"], reply["status"], reply["data"]["status"]) == (7, 500, 500)
        assert (await ask(socket, path))["status"] == 500
        assert (await ask(socket, "/open"))["method"] == "GET"
    assert "TypeError" in caplog.text


async def test_a_json_frame_is_signed_as_the_request_that_it_is(site: Any, serve: Any) -> None:
    async with site(routes) as s, serve(s) as port:
        await add_account(s.app, "u")
        host, body = f"127.0.0.1:{port}", '{"a": 1}'
        signed = sign(
            "u", "k", "POST", f"http://{host}/closed", body=body.encode(),
            content_type="application/json",
        )["bk-signature"]  # fmt: skip
        target = "/closed?bk-signature=" + quote(signed)
        async with connect(f"ws://{host}/") as socket:
            frame = '{"path": %s, "method": "POST", "query": %s}'
            assert (await ask(socket, frame % (json.dumps(target), body)))["status"] == 200
            assert (await ask(socket, frame % (json.dumps(target), '{"a":2}')))["status"] == 400


async def test_every_frame_is_authenticated(site: Any, serve: Any) -> None:
    async with site(routes) as s, serve(s) as port:
        await add_account(s.app, "u")
        host = f"127.0.0.1:{port}"
        async with connect(f"ws://{host}/") as socket:
            assert (await ask(socket, "/closed"))["status"] == 417
            signed = sign_url("u", "k", "/closed", host=host)
            assert await ask(socket, signed) == {"login": "u"}
            await s.app.auth.accounts.delete("u")
            assert (await ask(socket, signed))["status"] == 401


async def test_replies_come_as_they_are_done(site: Any, serve: Any) -> None:
    async with site(routes) as s, serve(s) as port, connect(f"ws://127.0.0.1:{port}/") as socket:
        s.app[GO] = asyncio.Event()
        await socket.send("/slow")
        assert (await ask(socket, "/open"))["method"] == "GET"
        s.app[GO].set()
        assert json.loads(await socket.recv()) == {"slow": True}


async def test_only_so_many_requests_run_at_once(site: Any, serve: Any) -> None:
    async with (
        site(routes, "-api-ws-max-requests", "2") as s,
        serve(s) as port,
        connect(f"ws://127.0.0.1:{port}/") as socket,
    ):
        s.app[GO] = asyncio.Event()
        for frame in ("/slow", "/slow", "/slow", '{"id":7,"path":"/slow"}', "{"):
            await socket.send(frame)
        refused = [json.loads(await socket.recv()) for _ in range(3)]
        assert [reply["status"] for reply in refused] == [429] * 3
        assert [reply.get("id") for reply in refused] == [None, 7, None]
        s.app[GO].set()
        assert [json.loads(await socket.recv()) for _ in range(2)] == [{"slow": True}] * 2


@pytest.mark.parametrize(("rate", "answered"), [("1", 2), ("3", 6)])
async def test_only_so_many_frames_come_at_once(
    site: Any, serve: Any, rate: str, answered: int
) -> None:
    async with (
        site(routes, "-api-ws-max-rate", rate) as s,
        serve(s) as port,
        connect(f"ws://127.0.0.1:{port}/") as socket,
    ):
        for number in range(50):
            await socket.send(f'{{"id":{number},"path":"/open"}}')
        replies = [json.loads(await socket.recv()) for _ in range(50)]
    statuses = [reply["status"] for reply in replies]
    assert statuses[:answered] == [200] * answered
    assert statuses.count(429) >= 50 - answered - 2 * int(rate)  # a moment may bring some more


async def test_what_runs_ends_with_the_connection(site: Any, serve: Any) -> None:
    async with site(routes) as s, serve(s) as port:
        s.app[GO] = asyncio.Event()
        async with connect(f"ws://127.0.0.1:{port}/") as socket:
            await socket.send("/slow")
            await ask(socket, "/open")
            assert s.web.traffic.running == 1
        for _ in range(100):
            if not s.web.traffic.running:
                break
            await asyncio.sleep(0.01)
        assert s.web.traffic.running == 0


@pytest.mark.parametrize(
    ("headers", "accepted"),
    [
        ({"Origin": "https://evil.com", "Cookie": "bk-session=x"}, False),
        ({"Origin": "null", "Cookie": "bk-session=x"}, False),
        ({"Origin": "https://a.com", "Cookie": "bk-session=x"}, True),
        ({"Origin": "http://127.0.0.1:PORT", "Cookie": "bk-session=x"}, True),
        ({"Origin": "https://evil.com"}, False),  # an address may be what lets in
        ({"Origin": "https://a.com"}, True),
        ({"Cookie": "bk-session=x"}, True),
    ],
)
async def test_a_page_of_another_site_cannot_use_our_cookies(
    site: Any, serve: Any, headers: dict[str, str], accepted: bool
) -> None:
    async with site(routes, "-api-cors-origin", "https://a.com") as s, serve(s) as port:
        sent = {name: value.replace("PORT", str(port)) for name, value in headers.items()}
        connection = connect(f"ws://127.0.0.1:{port}/", additional_headers=sent)
        if accepted:
            async with connection:
                return
        with pytest.raises(InvalidStatus, match="403"):
            await connection


@pytest.mark.parametrize(("host", "status"), [("evil.com", 417), ("127.0.0.1", 404)])
async def test_no_frame_comes_in_by_its_address_under_a_name_of_somebody_else(
    site: Any, serve: Any, host: str, status: int
) -> None:
    async with site(routes, "-api-allow-ip", "^127[.]") as s, serve(s) as port:
        origin = {"Origin": f"http://{host}:{port}"}
        to = {"host": "127.0.0.1", "port": port, "additional_headers": origin}
        async with connect(f"ws://{host}:{port}/", **to) as ws:
            await ws.send('{"path": "/nowhere", "id": 1}')
            assert json.loads(await ws.recv())["status"] == status


async def test_denied_paths_accept_no_connection(site: Any, serve: Any) -> None:
    async with site(routes, "-api-deny-path", "^/ws$") as s, serve(s) as port:
        with pytest.raises(InvalidStatus):
            async with connect(f"ws://127.0.0.1:{port}/ws"):
                pass


@pytest.mark.parametrize(("frame", "code"), [(b"\x00", 1003), ("/" + "x" * 2000, 1009)])
async def test_other_frames_end_the_connection(
    site: Any, serve: Any, frame: Any, code: int
) -> None:
    argv = ["-api-ws-max-frame", "1024"]
    async with (
        site(routes, *argv) as s,
        serve(s) as port,
        connect(f"ws://127.0.0.1:{port}/") as socket,
    ):
        await socket.send(frame)
        with pytest.raises(ConnectionClosed) as error:
            await asyncio.wait_for(socket.recv(), 5)
        assert error.value.rcvd is not None
        assert error.value.rcvd.code == code


async def test_a_flood_of_frames_is_refused(site: Any, serve: Any) -> None:
    async with site(routes) as s, serve(s) as port, connect(f"ws://127.0.0.1:{port}/") as socket:
        for _ in range(260):
            await socket.send("/open")
        replies = [json.loads(await asyncio.wait_for(socket.recv(), 5)) for _ in range(260)]
        assert any(reply.get("status") == 429 for reply in replies)


CHANGES = {
    "password": lambda accounts: accounts.set_secret("u", {"password": "correct horse"}),
    "type": lambda accounts: accounts.update("u", {"type": "staff"}, admin=True),
    "expired": lambda accounts: accounts.update("u", {"expires": 1}, admin=True),
    "deleted": lambda accounts: accounts.delete("u"),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_connection_ends_with_what_let_it_in(site: Any, serve: Any, change: str) -> None:
    async with site(routes) as s, serve(s) as port:
        host = f"127.0.0.1:{port}"
        for login in ("u", "other"):
            await add_account(s.app, login)
        async with connect(f"ws://{host}/") as mine, connect(f"ws://{host}/") as others:
            await ask(mine, sign_url("u", "k", "/closed", host=host))
            await ask(others, sign_url("other", "k", "/closed", host=host))
            await CHANGES[change](s.app.auth.accounts)
            await s.web.long_lived.check()
            with pytest.raises(ConnectionClosed) as error:
                await asyncio.wait_for(mine.recv(), 5)
            assert error.value.rcvd is not None
            assert error.value.rcvd.code == 1008
            assert "query" in await ask(others, "/open")
            assert len(s.web.long_lived) == 1


async def test_a_connection_ends_with_its_session(site: Any, serve: Any) -> None:
    async with site(routes) as s, serve(s) as port:
        await add_account(s.app, "u")
        opened = await s.ask("/auth?_session=1", login="u")
        cookie = {"Cookie": opened.headers["set-cookie"].partition(";")[0]}
        async with connect(f"ws://127.0.0.1:{port}/", additional_headers=cookie) as socket:
            assert await ask(socket, "/closed") == {"login": "u"}
            await s.web.long_lived.check()
            assert await ask(socket, "/closed") == {"login": "u"}
            assert (await s.ask("/logout", headers=cookie)).status == 200
            await s.web.long_lived.check()
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(socket.recv(), 5)


async def test_closed_connections_are_forgotten(site: Any, serve: Any) -> None:
    async with site(routes) as s, serve(s) as port:
        await add_account(s.app, "u")
        host = f"127.0.0.1:{port}"
        async with connect(f"ws://{host}/") as socket:
            await ask(socket, sign_url("u", "k", "/closed", host=host))
            assert len(s.web.long_lived) == 1
        for _ in range(100):
            if not len(s.web.long_lived):
                break
            await asyncio.sleep(0.01)
        assert len(s.web.long_lived) == 0


async def test_routes_of_fastapi_answer_frames(site: Any, serve: Any) -> None:
    router = APIRouter()

    @router.get("/fa/{name}")
    async def named(name: str, request: FastAPIRequest, n: int = 0) -> Any:
        return {"name": name, "n": n, "url": str(request.url)[:7], "bk": request.state.bk.protocol}

    @router.post("/fa/{name}")
    async def posted(name: str, given: dict[str, int]) -> Any:
        return {"name": name, "given": given}

    @router.get("/pieces")
    async def pieces() -> StreamingResponse:
        return StreamingResponse(iter([b"a", b"b"]))

    def configure_web(web: Any) -> None:
        web.add(routes)
        web.include_router(router)

    start = site(None, "-api-allow-path", "^/(fa|pieces)", configure_web=configure_web)
    async with start as s, serve(s) as port, connect(f"ws://127.0.0.1:{port}/") as socket:
        expected = {"name": "x", "n": 5, "url": "http://", "bk": "ws"}
        assert await ask(socket, "/fa/x?n=5") == expected
        reply = await ask(socket, '{"id": 1, "path": "/fa/x?n=5"}')
        assert (reply["id"], reply["status"], reply["data"]) == (1, 200, expected)
        reply = await ask(socket, '{"path": "/fa/y", "method": "POST", "query": {"a": 1}}')
        assert (reply["status"], reply["data"]) == (200, {"name": "y", "given": {"a": 1}})
        assert (await ask(socket, '{"path": "/fa/x?n=z"}'))["status"] == 422
        assert (await ask(socket, '{"path": "/pieces"}'))["data"] == "ab"
        assert await ask(socket, "/open") is not None


async def test_files_are_not_sent_in_frames(site: Any, serve: Any, tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("b{}")
    async with site(routes, "-web-path", str(tmp_path)) as s:
        assert (await s.ask("/a.css")).body == b"b{}"
        async with serve(s) as port, connect(f"ws://127.0.0.1:{port}/") as socket:
            assert (await ask(socket, "/a.css"))["status"] == 404


async def test_a_frame_is_as_secure_as_its_connection(site: Any, serve: Any) -> None:
    router = APIRouter()

    @router.get("/fa")
    async def where(request: FastAPIRequest) -> Any:
        return {"url": str(request.url)[:8]}

    start = site(
        None, "-api-allow-path", "^/fa", "-api-trusted-proxies", "127.0.0.1",
        configure_web=lambda web: web.include_router(router),
    )  # fmt: skip
    proxied = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "9.9.9.9"}
    async with (
        start as s,
        serve(s) as port,
        connect(f"ws://127.0.0.1:{port}/", additional_headers=proxied) as socket,
    ):
        assert await ask(socket, "/fa") == {"url": "https://"}


async def test_a_closed_connection_gives_its_place_back(site: Any, serve: Any) -> None:
    async with site(routes, "-api-max-connections-ip", "2") as s, serve(s) as port:
        for _ in range(4):
            async with connect(f"ws://127.0.0.1:{port}/") as socket:
                assert (await ask(socket, "/open"))["method"] == "GET"


async def test_a_message_in_very_many_small_parts_is_cut_off(site: Any, serve: Any) -> None:
    """Each part is as much work as a message, of which there is a rate."""

    async def say(socket: Any, times: int) -> None:
        for _ in range(times):
            await socket.send(["/open", *["?"] * 100])
            await socket.recv()

    async with site(routes) as s, serve(s) as port, connect(f"ws://127.0.0.1:{port}/") as socket:
        await say(socket, 1)
        with pytest.raises(ConnectionClosed):
            await say(socket, 100)


def test_the_end_is_announced_once() -> None:
    """Every port that ends says so to the connections of all."""
    socket: Any = object.__new__(GuardedWebSocket)
    socket.ending, socket.handshake_complete, socket.close_sent = False, True, False
    socket.queue, socket.stop_keepalive = asyncio.Queue(), lambda: None
    socket.shutdown()
    socket.shutdown()
    assert socket.queue.qsize() == 1
    assert socket.queue.get_nowait()["code"] == 1012
