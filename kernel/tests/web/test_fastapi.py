"""Routes of FastAPI: bodies have the limits of ours, errors have the same shape."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Body, Form, HTTPException, Query, Request, UploadFile
from fastapi.responses import JSONResponse

from bkjs import web
from bkjs.auth.signature import sign
from bkjs.errors import NotFound, StartError

JSON = {"content-type": "application/json"}
API = {"content-type": "application/vnd.api+json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
MULTI = {"content-type": "multipart/form-data; boundary=XX"}
SECRET = "the-secret-of-u-"
router = APIRouter()
called: list[str] = []


@router.api_route("/f/json", methods=["GET", "POST", "PUT"])
async def read_json(value: Annotated[Any, Body()]) -> Any:
    called.append("json")
    return {"size": len(str(value))}


@router.post("/f/form")
async def read_form(a: Annotated[list[str], Form()]) -> Any:
    return {"a": a}


@router.post("/f/file")
async def read_file(up: UploadFile) -> Any:
    called.append("file")
    return {"size": up.size}


@router.post("/f/raw")
async def read_raw(request: Request) -> Any:
    return {"size": len(await request.body())}


@router.post("/f/stream")
async def read_stream(request: Request) -> Any:
    return {"size": sum([len(chunk) async for chunk in request.stream()])}


@router.post("/f/brave")
async def read_whatever_comes(request: Request) -> Any:
    try:
        return {"size": len(await request.body())}
    except Exception:
        return {"size": -1}


@router.post("/f/parsed")
async def read_parsed(request: Request) -> Any:
    called.append("parsed")
    value = await request.json()
    called.append("done")
    assert await request.json() is value
    return value


async def plain_route(request: Request) -> Any:
    return JSONResponse(await request.json())


router.add_route("/f/plain", plain_route, methods=["POST"])
lax = APIRouter(strict_content_type=False)


@lax.post("/f/lax")
async def read_lax(value: Annotated[Any, Body()]) -> Any:
    return value


@lax.post("/f/tolerant")
async def read_json_or_text(request: Request) -> Any:
    try:
        return await request.json()
    except ValueError:
        return (await request.body()).decode()


router.include_router(lax)


@router.get("/f/page/{name}")
@web.navigable
async def page(name: str, request: Request) -> Any:
    return dict(request.state.bk.account)


@web.navigable
@router.api_route("/f/both", methods=["GET", "POST"])
async def both(request: Request) -> Any:
    return dict(request.state.bk.account)


@router.get("/f/own")
@router.get("/f/page/{name}/own")
async def own(request: Request) -> Any:
    return dict(request.state.bk.account)


@router.get("/f/two")
async def two(a: int, b: int) -> int:
    return a + b


@router.get("/f/n")
async def number(n: int, m: Annotated[int, Query(gt=5)] = 6) -> Any:
    return n


@router.get("/f/raise/{what}")
async def fail(what: str) -> Any:
    match what:
        case "text":
            raise HTTPException(410, "gone for good", headers={"X-Why": "age"})
        case "object":
            raise HTTPException(409, {"reason": "taken"})
        case "odd":
            raise HTTPException(499, {"reason": "odd"})
        case "empty":
            raise HTTPException(304)
        case "ours":
            raise NotFound("no such thing", field="what")
    raise ValueError("secret detail")


@pytest.fixture
async def s(site: Any) -> AsyncIterator[Any]:
    called.clear()
    argv = (
        "-api-allow-path",
        "^/f/",
        "-api-upload-limit",
        "1048576",
        "-api-json-limit",
        "4096",
        "-api-json-keys",
        "50",
    )
    async with site(None, *argv, configure_web=lambda web: web.include_router(router)) as found:
        yield found


DEEP = b"[" * 100 + b"]" * 100


@pytest.mark.parametrize("kind", [JSON, API])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b'{"a":"' + b"x" * 5000 + b'"}', 413, "too large"),
        (DEEP, 400, "more than 64 levels"),
        (b"[NaN]", 400, "Invalid JSON"),
        (b"[1e400]", 400, "out of range"),
        (b'["\\ud800"]', 400, "Invalid JSON"),
        (b'["\xff"]', 400, "not UTF-8"),
        (b"{", 400, "Invalid JSON"),
    ],
)
async def test_json_has_the_limits_of_ours_whatever_its_type(
    s: Any, kind: Any, method: str, body: bytes, status: int, text: str
) -> None:
    headers = kind | {"content-length": str(len(body))}
    reply = await s.ask("/f/json", body, method=method, headers=headers)
    assert (reply.status, reply.json()["status"]) == (status, status)
    assert text in reply.json()["message"]
    assert not called


async def test_a_body_without_a_length_has_the_limits_too(s: Any) -> None:
    for method in ("GET", "POST"):
        headers = JSON | {"transfer-encoding": "chunked"}
        reply = await s.ask("/f/json", [DEEP[:90], DEEP[90:]], method=method, headers=headers)
        assert (reply.status, called) == (400, [])


async def test_lists_are_json_and_keys_of_all_levels_are_counted(s: Any) -> None:
    assert (await s.ask("/f/json", b"[1, 2.5, null]", headers=API)).status == 200
    many = b"[" + b",".join(b'{"a":1}' for _ in range(100)) + b"]"
    assert (await s.ask("/f/json", many, headers=API)).status == 413


KINDS = ["", "text/json", "text/plain", "application/x", "a/zip", "a/b+json"]
OVER = [
    (b"{" + b",".join(b'"k%d":1' % n for n in range(51)) + b"}", 413, "more than 50 keys"),
    (DEEP, 400, "more than 64 levels"),
    (b'"' + b"x" * 5000 + b'"', 413, "too large"),
]


READ = [
    *(
        (path, kind)
        for path in ("/f/parsed", "/f/plain")
        for kind in (*KINDS, "application/ignored")
    ),
    *(("/f/lax", kind) for kind in ("", "text/json", "a/b+json")),
]


@pytest.mark.parametrize(("path", "kind"), READ)
@pytest.mark.parametrize(("body", "status", "text"), OVER)
async def test_json_has_our_limits_whoever_reads_it(
    site: Any, path: str, kind: str, body: bytes, status: int, text: str
) -> None:
    argv = ("-api-allow-path", "^/f/", "-api-json-limit", "4096", "-api-json-keys", "50")
    argv += ("-api-mime-body", "application/x", "-api-mime-ignore", "application/ignored")
    headers = {"content-type": kind} if kind else {}
    called.clear()
    async with site(None, *argv, configure_web=lambda web: web.include_router(router)) as s:
        for pieces in (body, [body[:9], body[9:]]):
            reply = await s.ask(path, pieces, method="POST", headers=headers)
            assert (reply.status, reply.json()["status"]) == (status, status)
            assert text in reply.json()["message"]
    assert "done" not in called


@pytest.mark.parametrize("kind", [*KINDS, "application/json"])
async def test_json_within_our_limits_is_read_whatever_its_type(s: Any, kind: str) -> None:
    headers = {"content-type": kind} if kind else {}
    for value in ({"a": 10**30, "b": [1.5, None]}, [], "x" * 4000):
        for path in ("/f/parsed", "/f/plain"):
            reply = await s.ask(path, json.dumps(value).encode(), headers=headers)
            assert (reply.status, json.loads(reply.body)) == (200, value)


async def test_what_is_no_json_raises_what_fastapi_users_know(s: Any) -> None:
    headers = {"content-type": "text/plain"}
    assert (await s.ask("/f/tolerant", b"{hello", headers=headers)).json() == "{hello"
    assert (await s.ask("/f/tolerant", b"[1]", headers=headers)).json() == [1]
    assert (await s.ask("/f/tolerant", DEEP, headers=headers)).status == 400


async def test_a_body_that_no_header_announces_has_our_limits_too(s: Any) -> None:
    """Other servers need none, as over HTTP/2."""
    assert (await s.ask("/f/json", DEEP, method="GET", headers=JSON)).status == 400


async def test_json_of_other_applications_is_read_as_ever(s: Any) -> None:
    from fastapi import FastAPI

    from bkjs.testing.web import exchange, scope_of

    other = FastAPI()
    other.include_router(router)
    reply = await exchange(other, scope_of("/f/plain", "POST", {"content-type": "text/json"}), DEEP)
    assert reply.status == 200


async def test_a_query_of_the_wrong_type_names_the_parameter(s: Any) -> None:
    reply = await s.ask("/f/n?n=x")
    assert reply.status == 422
    text = "Input should be a valid integer, unable to parse string as an integer"
    assert reply.json() == {
        "status": 422, "field": "n", "message": f"n: {text}",
        "errors": [{"field": "n", "message": text, "code": "int_parsing"}],
    }  # fmt: skip
    assert (await s.ask("/f/n")).json() == {
        "status": 422, "message": "n is required", "field": "n",
        "errors": [{"field": "n", "message": "is required", "code": "missing"}],
    }  # fmt: skip


async def test_all_wrong_parameters_are_named_at_once(s: Any) -> None:
    refused = (await s.ask("/f/two?a=x&b=y")).json()
    assert (refused["status"], refused["field"]) == (422, "a")
    assert [(e["field"], e["code"]) for e in refused["errors"]] == [
        ("a", "int_parsing"), ("b", "int_parsing"),
    ]  # fmt: skip


async def test_a_route_is_found_by_the_form_that_the_rules_know(s: Any) -> None:
    for target in ("/f/n?n=5", "//f///n?n=5", "/%66/n?n=5"):
        assert (await s.ask(target)).json() == 5


async def test_forms_have_the_limit_of_fields(s: Any) -> None:
    assert (await s.ask("/f/form", b"a=1&a=2", headers=FORM)).json() == {"a": ["1", "2"]}
    assert (await s.ask("/f/form", b"&a" * 1500, headers=FORM)).status == 413


def file(size: int) -> bytes:
    head = b'--XX\r\nContent-Disposition: form-data; name="up"; filename="a"\r\n\r\n'
    return head + b"x" * size + b"\r\n--XX--\r\n"


@pytest.mark.parametrize("announced", [False, True])
async def test_uploads_have_their_limit(s: Any, announced: bool) -> None:
    assert (await s.ask("/f/file", file(9), headers=MULTI)).json() == {"size": 9}
    called.clear()
    large = file(2_000_000)
    headers = MULTI | ({"content-length": str(len(large))} if announced else {})
    pieces = [large[at : at + 65536] for at in range(0, len(large), 65536)]
    reply = await s.ask("/f/file", pieces, headers=headers)
    assert reply.json() == {"status": 413, "message": "cannot process the request, it is too large"}
    assert not called


@pytest.mark.parametrize("path", ["/f/raw", "/f/stream", "/f/brave"])
async def test_other_types_have_the_limit_of_uploads(s: Any, path: str) -> None:
    headers = {"content-type": "application/octet-stream"}
    assert (await s.ask(path, b"x" * 9, headers=headers)).json() == {"size": 9}
    pieces = [b"x" * 65536] * 32
    assert (await s.ask(path, pieces, headers=headers)).status == 413


async def test_of_two_types_none_counts(s: Any) -> None:
    """FastAPI would look at the first of two headers, and read JSON without our limits."""
    from bkjs.testing.web import exchange, scope_of

    scope = scope_of("/f/json", "POST", {"host": "h.com", "content-type": "application/json"})
    scope["headers"] += [(b"content-type", b"text/plain")]
    assert (await exchange(s.web, scope, DEEP)).status == 415


@pytest.mark.parametrize("path", ["/f/raw", "/f/stream"])
@pytest.mark.parametrize(("body", "status"), [(b"as signed", 200), (b"not so", 400), (b"", 400)])
async def test_a_signed_body_of_any_type_is_verified(
    site: Any, path: str, body: bytes, status: int
) -> None:
    async with site(configure_web=lambda web: web.include_router(router)) as s:
        await s.app.auth.accounts.add({"login": "u", "secret": SECRET, "name": "N"})
        kind = "application/octet-stream"
        url = f"http://h.com{path}"
        sent = sign("u", SECRET, "POST", url, body=b"as signed", content_type=kind)
        pieces = [body[:2], body[2:]] if body else b""
        reply = await s.ask(path, pieces, method="POST", headers=sent | {"content-type": kind})
    assert reply.status == status
    assert status == 200 or reply.json()["code"] == "CHECKSUM"


@pytest.mark.parametrize(
    ("what", "status", "obj"),
    [
        ("text", 410, {"status": 410, "message": "gone for good"}),
        ("object", 409, {"status": 409, "message": "Conflict", "detail": {"reason": "taken"}}),
        ("odd", 499, {"status": 499, "message": "Refused", "detail": {"reason": "odd"}}),
        ("ours", 404, {"status": 404, "message": "no such thing", "field": "what"}),
        ("bug", 500, {"status": 500, "message": "Internal error occured, please try again later"}),
    ],
)
async def test_errors_have_the_shape_of_ours(
    s: Any, what: str, status: int, obj: Any, caplog: Any
) -> None:
    reply = await s.ask(f"/f/raise/{what}")
    assert reply.status == status
    assert {n: v for n, v in reply.json().items() if n != "code"} == obj
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers.get("x-why") == ("age" if what == "text" else None)
    assert ("secret detail" in caplog.text) == (what == "bug")


async def test_an_answer_without_a_body_has_none(s: Any) -> None:
    reply = await s.ask("/f/raise/empty")
    assert (reply.status, reply.body) == (304, b"")


async def test_a_method_that_a_route_has_not(s: Any) -> None:
    reply = await s.ask("/f/n", method="DELETE")
    assert (reply.status, reply.json()["status"], reply.headers["allow"]) == (405, 405, "GET")


LINK = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


@pytest.mark.parametrize(
    ("method", "target", "headers", "status"),
    [
        ("GET", "/f/page/1", LINK, 200),
        ("GET", "/f/both", LINK, 200),
        ("GET", "/f/page/1", {"referer": "http://evil.com/x"}, 200),
        ("GET", "/f/page/1", {"sec-fetch-site": "none"}, 200),
        ("GET", "/f/own", LINK, 417),
        ("GET", "/f/page/1/own", LINK, 417),
        ("POST", "/f/both", LINK, 417),
        ("HEAD", "/f/page/1", LINK, 417),  # no such method
        ("GET", "/f/page/1", LINK | {"sec-fetch-dest": "iframe"}, 417),
        ("GET", "/f/page/1", {"origin": "http://evil.com"}, 417),
        ("GET", "/f/nowhere", LINK, 417),
        ("GET", "/auth", LINK, 417),
    ],
)
async def test_a_link_to_a_page_brings_the_session(
    site: Any, method: str, target: str, headers: dict[str, str], status: int
) -> None:
    async with site(configure_web=lambda web: web.include_router(router)) as s:
        await s.app.auth.accounts.add({"login": "u", "secret": SECRET, "name": "N"})
        reply = await s.ask("/auth?_session=1", login="u", secret=SECRET)
        cookie = reply.headers["set-cookie"].partition(";")[0]
        reply = await s.ask(target, method=method, headers={"cookie": cookie, **headers})
    assert reply.status == status
    assert status != 200 or reply.json()["login"] == "u"


async def test_pages_of_nested_routers_may_be_linked_to(site: Any) -> None:
    outer = APIRouter(prefix="/outer")
    outer.include_router(router, prefix="/inner")
    outer.add_route("/plain", web.navigable(plain_route), methods=["GET"])
    async with site(configure_web=lambda web: web.include_router(outer, prefix="/top")) as s:
        found = s.web.router.is_navigable
        for path in ("/top/outer/inner/f/page/1", "/top/outer/inner/f/both", "/top/plain"):
            assert found(path, "GET")
            assert not found(path, "DELETE")
        for path in ("/top/outer/inner/f/own", "/f/page/1", "/top/outer/inner/f/page/1/own"):
            assert not found(path, "GET")
    async with site() as s:
        assert not s.web.router.is_navigable("/f/page/1", "GET")


async def test_an_endpoint_that_is_marked_like_a_route_stops_the_start(site: Any) -> None:
    routes = web.Routes()
    routes.endpoint("/marked", reply=dict)(web.navigable(lambda req: {}))
    with pytest.raises(StartError, match=r"/marked: web\.navigable is for FastAPI"):
        async with site(routes):
            pass


async def test_many_keys_cost_no_time(s: Any) -> None:
    body = b'{"a":' * 20_000
    started = time.perf_counter()
    assert (await s.ask("/f/json", body, headers=API)).status == 413
    assert time.perf_counter() - started < 0.5
