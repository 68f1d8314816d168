"""How requests end when their server does, or the client leaves, in real processes."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from bkjs.testing.process import Server

APP = """
import asyncio
from bkjs import hookimpl
from bkjs.web import Params, Response, Routes, stream

routes = Routes()

TABLES = {"done": {"id": {"primary": 1, "pub": 1}}}


@hookimpl
def tables():
    return TABLES


@routes.endpoint("/open/write", writes=True, public=True, reply=dict)
async def write(req):
    print("began", req.query["id"], flush=True)
    await asyncio.sleep(float(req.query.get("s", 1)))
    await req.app.db.add("done", {"id": req.query["id"]})
    print("wrote", req.query["id"], flush=True)
    return {"wrote": True}


@routes.endpoint("/open/rows", public=True, table="done")
async def rows(req):
    return await req.app.db.select("done", {})


@routes.endpoint("/open/nap", public=True, reply=dict)
async def nap(req):
    print("began", flush=True)
    await req.app.db.query("SELECT pg_sleep(20)")
    return {}


@routes.endpoint("/open/quick", public=True, reply=dict)
async def quick(req):
    await req.app.db.query("SELECT 1")
    return {}


@routes.endpoint("/open/large", public=True)
async def large(req) -> Response:
    await asyncio.sleep(0.2)
    return Response(b"x" * 10_000_000, content_type="text/plain")


@hookimpl
def configure_web(web):
    web.add(routes)
"""


@pytest.fixture
def app(tmp_path: Path) -> str:
    file = tmp_path / "app.py"
    file.write_text(APP)
    return str(file)


def until(check: Callable[[], bool], seconds: float = 10) -> bool:
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        if check():
            return True
        time.sleep(0.02)
    return False


async def frames(server: Server, frames: list[str], then: Callable[[], Any]) -> tuple[Any, int]:
    """What a WebSocket gets for frames when something happens while they run, and its end."""
    replies = []
    async with connect(f"ws://127.0.0.1:{server.port}/") as connection:
        for frame in frames:
            await connection.send(frame)
        await asyncio.to_thread(until, lambda: "began" in server.output)
        await asyncio.to_thread(then)
        try:
            while True:
                replies.append(json.loads(await asyncio.wait_for(connection.recv(), 15)))
        except ConnectionClosed as error:
            return replies, error.rcvd.code if error.rcvd else 0


def terminate(server: Server) -> None:
    import os
    import signal

    os.kill(server.pid, signal.SIGTERM)


@pytest.mark.process
def test_a_websocket_request_in_progress_is_answered_before_the_end(app: str) -> None:
    with Server("-app", app, "-db-create-tables") as server:
        frame = '{"id":1,"path":"/open/write?id=a"}'
        replies, code = asyncio.run(frames(server, [frame], lambda: terminate(server)))
        assert replies == [{"id": 1, "status": 200, "data": {"wrote": True}}]
        assert code == 1012
        assert server.wait() == 0
        assert "wrote a" in server.output
        assert "Traceback" not in server.output


@pytest.mark.process
def test_what_takes_longer_than_the_server_has_is_answered_503(app: str) -> None:
    replies: list[Any] = []
    argv = ("-app", app, "-db-create-tables", "-api-shutdown-timeout", "1000")
    with Server(*argv) as server:

        def ask() -> None:
            with server.client() as client:
                replies.append(client.post("/open/write", {"id": "b", "s": 15}))

        asking = threading.Thread(target=ask)
        asking.start()
        frame = '{"id":1,"path":"/open/write?id=a&s=15"}'
        started = time.monotonic()
        answers, code = asyncio.run(frames(server, [frame], lambda: terminate(server)))
        asking.join(10)
        assert server.wait() == 0
        assert time.monotonic() - started < 8
        assert [(answer["id"], answer["status"]) for answer in answers] == [(1, 503)]
        assert code == 1012
        assert replies[0].status == 503
        assert replies[0].header("retry-after") == "1"
        assert replies[0].json()["message"] == "The server is shutting down"
        assert "Traceback" not in server.output
        assert "wrote" not in server.output


@pytest.mark.process
def test_a_write_goes_on_when_its_client_hangs_up(app: str) -> None:
    async def hang_up(server: Server) -> None:
        async with connect(f"ws://127.0.0.1:{server.port}/") as connection:
            await connection.send("/open/write?id=a&s=0.5")
            await asyncio.to_thread(until, lambda: "began a" in server.output)

    with Server("-app", app, "-db-create-tables") as server, server.client() as client:
        asyncio.run(hang_up(server))
        with client.connect() as connection:
            connection.sendall(b"GET /open/write?id=b&s=0.5 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert until(lambda: "began b" in server.output)
        assert until(lambda: "wrote a" in server.output and "wrote b" in server.output)
        rows = client.get("/open/rows").json()
        assert sorted(row["id"] for row in rows) == ["a", "b"]
        assert "Traceback" not in server.output


@pytest.mark.process
def test_reads_of_clients_that_left_give_their_connections_back(app: str, empty: Any) -> None:
    """60 clients that ask for a slow query and go: nobody else waits for what they asked."""
    with (
        empty("pgsql") as database,
        Server("-app", app, *database, "-db-create-tables", "-api-allow-path", "^/open") as server,
        server.client() as client,
    ):
        assert client.get("/open/quick").status == 200
        connections = [client.connect() for _ in range(60)]
        for connection in connections:
            connection.sendall(b"GET /open/nap HTTP/1.1\r\nHost: x\r\n\r\n")
        assert until(lambda: server.output.count("began") == 60)
        for connection in connections:
            connection.close()
        started = time.monotonic()
        assert client.get("/open/quick").status == 200
        assert time.monotonic() - started < 4
        time.sleep(1)
        assert server.stop() == 0
        assert "never retrieved" not in server.output
        assert "Traceback" not in server.output


@pytest.mark.process
def test_a_reader_that_is_cut_leaves_no_traceback(app: str) -> None:
    with Server("-app", app, "-api-read-timeout", "1000") as server, server.client() as client:
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(b"GET /open/large HTTP/1.1\r\nHost: x\r\n\r\n" * 4)
        time.sleep(4)
        connection.close()
        assert client.get("/ping").status == 200
        assert server.stop() == 0
        assert "Traceback" not in server.output


@pytest.mark.process
def test_without_descriptors_a_write_is_answered_and_nothing_is_logged(app: str) -> None:
    """Nothing is imported at the first request of a kind: then there may be no descriptor left."""
    with Server("-app", app, "-db-create-tables") as server, server.client() as client:
        assert client.get("/ping").status == 200  # the connection is there
        open_now = len(list(Path(f"/proc/{server.pid}/fd").iterdir()))
        _, most = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (open_now, most))
        reply = client.post("/open/write", {"id": "a", "s": 0})
        assert reply.status == 200
        assert client.post("/no/such", b"x", headers={"content-type": "a/b"}).status == 417
        form = b'--X\r\nContent-Disposition: form-data; name="id"\r\n\r\nb\r\n--X--\r\n'
        kind = {"content-type": "multipart/form-data; boundary=X"}
        assert client.post("/open/write?s=0", form, headers=kind).status == 200
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (1024, most))
        assert server.stop() == 0
        assert "Traceback" not in server.output
