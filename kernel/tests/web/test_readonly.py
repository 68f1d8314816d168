"""Endpoints that did not say that they write do not write; the same for routes of FastAPI."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi import Request as FastAPIRequest
from starlette.responses import StreamingResponse

from bkjs.readonly import READ_ONLY, ReadOnly, in_passing
from bkjs.web.endpoints.routes import Routes
from bkjs.web.input.params import Params

CURE = 'declare it with writes=True, or with writes="quiet"'


class Key(Params, extra="allow"):
    id: str


async def _add(req: Any) -> dict[str, Any]:
    await req.app.db.add("note", {"id": req.query["id"]})
    return {}


def _declared(path: str, **options: Any) -> Any:
    return routes.endpoint(path, public=True, reply=dict, **options)


routes = Routes()
_declared("/forgot")(_add)
_declared("/told", writes=True)(_add)
_declared("/noted", writes="quiet")(_add)
routes.verb("/note/add", "note", params=Key, public=True)


@_declared("/task")
async def task(req: Any) -> dict[str, Any]:
    """What it begins may write no more than it may itself."""
    with suppress(ReadOnly):
        await asyncio.create_task(_add(req))
    return {}


@_declared("/passing")
async def passing(req: Any) -> dict[str, Any]:
    with in_passing():
        await _add(req)
    with suppress(ReadOnly):
        await req.app.db.add("note", {"id": "after"})
    return {}


class Stream:
    """A reply that writes while it is sent."""

    status = 200
    headers = ()

    async def send(self, req: Any, send: Any, headers: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        with suppress(ReadOnly):
            await _add(req)
        await send({"type": "http.response.body", "body": b""})


@_declared("/stream")
def stream(req: Any) -> Any:
    return Stream()


router = APIRouter()


@router.api_route("/fa", methods=["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"])
async def fa(request: FastAPIRequest, id: str) -> dict[str, Any]:
    await request.state.bk.app.db.add("note", {"id": id})
    return {}


@router.get("/fa/stream")
async def fa_stream(request: FastAPIRequest, id: str) -> Any:
    async def rows() -> AsyncIterator[bytes]:
        with suppress(ReadOnly):
            await request.state.bk.app.db.add("note", {"id": id})
        yield b"x"

    return StreamingResponse(rows())


def configure_middleware(app: Any, web: Any) -> None:
    web.include_router(router)


def tables() -> dict[str, Any]:
    return {"note": {"id": {"primary": 1, "pub": 1}}}


@pytest.fixture
async def notes(site: Any) -> AsyncIterator[Any]:
    hooks = {"tables": tables, "configure_middleware": configure_middleware}
    async with site(routes, "-api-allow-path", "^/fa", **hooks) as s:
        yield s


async def stored(s: Any) -> list[str]:
    return [row["id"] for row in await s.app.db.select("note", {}, sort="id")]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
async def test_an_endpoint_writes_when_it_said_so(notes: Any, method: str, caplog: Any) -> None:
    for path, status in (("/forgot", 500), ("/told", 200), ("/noted", 200), ("/note/add", 200)):
        reply = await notes.ask(f"{path}?id={path[1:]}", method=method)
        assert reply.status == status
    assert await stored(notes) == ["note/add", "noted", "told"]
    [line] = [r.getMessage() for r in caplog.records if r.levelname == "ERROR"]
    assert "/forgot: this endpoint did not say that it writes" in line
    assert CURE in line


async def test_what_was_done_in_a_test_may_write_again(notes: Any) -> None:
    await notes.ask("/forgot?id=1")
    assert READ_ONLY.get() == ""


@pytest.mark.parametrize(("mode", "told"), [("development", True), ("production", False)])
async def test_the_text_is_told_in_development_only(site: Any, mode: str, told: bool) -> None:
    async with site(routes, "-run-mode", mode, tables=tables) as s:
        reply = await s.ask("/forgot?id=1")
    assert reply.status == 500
    assert (CURE in reply.json()["message"]) == told


@pytest.mark.parametrize("path", ["/task", "/stream", "/fa/stream"])
async def test_what_a_request_begins_inherits_the_rule(notes: Any, path: str) -> None:
    assert (await notes.ask(f"{path}?id=1")).status == 200
    assert await stored(notes) == []


async def test_what_is_noted_in_passing_is_said_so(notes: Any) -> None:
    assert (await notes.ask("/passing?id=1")).status == 200
    assert await stored(notes) == ["1"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE"])
async def test_routes_of_fastapi_write_by_their_method(notes: Any, method: str) -> None:
    reply = await notes.ask("/fa?id=1", method=method)
    safe = method in ("GET", "HEAD", "OPTIONS")
    assert reply.status == (500 if safe else 200)
    assert await stored(notes) == ([] if safe else ["1"])


async def test_the_next_request_of_a_connection_has_its_own_rule(notes: Any, serve: Any) -> None:
    """It begins in the task of the one before."""
    paths = [
        "/stream?id=1",
        "/told?id=2",
        "/forgot?id=3",
        "/told?id=4",
        "/fa/stream?id=5",
        "/noted?id=6",
    ]
    async with serve(notes) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"".join(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for path in paths))
        writer.write(b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
    assert answer.count(b"HTTP/1.1 ") == len(paths) + 1
    assert await stored(notes) == ["2", "4", "6"]


# -- HEAD and OPTIONS ------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
@pytest.mark.parametrize("path", ["/told", "/note/add", "/login"])
async def test_nothing_is_written_by_head_and_options(notes: Any, method: str, path: str) -> None:
    reply = await notes.ask(f"{path}?id=1", method=method)
    assert reply.status == 405
    assert reply.headers["allow"] == "DELETE, GET, PATCH, POST, PUT"
    assert await stored(notes) == []


async def test_a_preflight_is_answered(site: Any) -> None:
    headers = {"origin": "http://a.com", "access-control-request-method": "POST"}
    async with site(routes, "-api-cors-origin", "http://a.com", tables=tables) as s:
        reply = await s.ask("/told?id=1", method="OPTIONS", headers=headers)
    assert reply.status == 204
    assert reply.headers["access-control-allow-origin"] == "http://a.com"


async def test_endpoints_that_read_answer_head_and_options(notes: Any) -> None:
    for method in ("HEAD", "OPTIONS"):
        assert (await notes.ask("/noted?id=" + method, method=method)).status == 200


async def test_head_is_that_of_an_endpoint_that_reads(site: Any) -> None:
    mixed = Routes()
    mixed.endpoint("/a", methods="GET", public=True, reply=dict)(lambda req: {"a": 1})
    mixed.endpoint("/a", public=True, writes=True, reply=dict)(lambda req: {"a": 2})
    async with site(mixed) as s:
        assert (await s.ask("/a", method="HEAD")).status == 200
        assert (await s.ask("/a", method="OPTIONS")).status == 405


async def test_a_stranger_learns_of_no_method_of_a_closed_path(site: Any) -> None:
    closed = Routes()
    closed.endpoint("/a", writes=True, reply=dict)(lambda req: {})
    async with site(closed) as s:
        assert (await s.ask("/a", method="HEAD")).status == 417


# -- declarations ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"writes": "quite"}, "'quiet'"),
        ({"writes": True, "navigable": True}, "must not write"),
        ({"writes": True, "methods": ["GET", "head"]}, "HEAD"),
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(options: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Routes().endpoint("/x", **options)
