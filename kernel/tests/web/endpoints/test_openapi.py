"""The OpenAPI document and the page that shows it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from openapi_spec_validator import validate

from bkjs.web.endpoints import openapi
from bkjs.web.endpoints.docs import PAGES, PARTS
from bkjs.web.endpoints.routes import Routes
from bkjs.web.input.params import Params
from bkjs.web.request import Request
from bkjs.web.response import Response

from ...harness import add_account


class Todo(Params):
    name: str
    count: int = 1
    tags: list[str] | None = None


class Named(Params):
    id: int
    q: str = ""


class Kept(Params):
    id: str


routes = Routes()
TODO = "bk_auth"


@routes.endpoint("/todo/add", params=Todo, writes=True, table=TODO, reply=Kept)
async def add(req: Request, params: Todo) -> Any:
    """Adds something to do.

    More about it.
    """


@routes.endpoint("/todo/get/{id}", params=Named, methods=("GET", "DELETE"), public=True, table=TODO)
@routes.endpoint("/todo/also/{id}", params=Named, methods="GET", table=TODO)
async def get(req: Request, params: Named) -> Any: ...


@routes.endpoint("/files/{rest:path}")
async def files(req: Request) -> Response: ...


class Error(Params):
    reason: str


clashing = Routes()


@clashing.endpoint("/clash/{id}", reply=Error, methods="GET")
@clashing.endpoint("/clash/id", methods="GET", reply=dict)
@clashing.endpoint("/clash_id", methods="GET", reply=dict)
async def clash(req: Request) -> Any: ...


OPEN = ("-api-allow-path", "^/openapi.json$")
WAYS: list[dict[str, list[str]]] = [{"signature": []}, {"session": []}, {"token": []}]


async def document(site: Any, **hooks: Any) -> Any:
    async with site(routes, **hooks) as s:
        await add_account(s.app, "root", type="admin")
        reply = await s.ask("/openapi.json", login="root")
        assert reply.status == 200
        return reply.json()


async def test_the_document_is_valid(site: Any) -> None:
    validate(await document(site))


async def test_an_endpoint_is_described(site: Any) -> None:
    paths = (await document(site))["paths"]

    post = paths["/todo/add"]["post"]
    assert post["summary"] == "Adds something to do."
    assert post["tags"] == ["todo"]
    assert post["security"] == WAYS
    failures = {"400", "401", "403", "406", "409", "417", "429", "503"}
    assert post["responses"].keys() == {"200"} | failures
    content = post["requestBody"]["content"]
    assert content["application/x-www-form-urlencoded"] == content["application/json"]
    query = {p["name"]: p for p in paths["/todo/add"]["get"]["parameters"]}
    assert query["name"]["required"]
    assert not query["count"]["required"]


async def test_a_path_parameter_is_described_once(site: Any) -> None:
    operation = (await document(site))["paths"]["/todo/get/{id}"]["get"]

    assert [(p["name"], p["in"]) for p in operation["parameters"]] == [
        ("id", "path"),
        ("q", "query"),
    ]
    assert "security" not in operation


async def test_one_function_on_two_paths_has_two_names(site: Any) -> None:
    paths = (await document(site))["paths"]
    names = [operation["operationId"] for path in paths.values() for operation in path.values()]
    assert len(names) == len(set(names))


async def test_paths_and_models_that_look_alike_stay_apart(site: Any) -> None:
    async with site(clashing) as s:
        await add_account(s.app, "root", type="admin")
        found = (await s.ask("/openapi.json", login="root")).json()
    validate(found)
    assert found["components"]["schemas"]["Error"]["required"] == ["reason"]
    operations = [found["paths"][p]["get"] for p in ("/clash/{id}", "/clash/id", "/clash_id")]
    assert len({operation["operationId"] for operation in operations}) == 3


async def test_fastapi_routes_are_described_as_fastapi_answers_them(site: Any) -> None:
    from fastapi import APIRouter

    router = APIRouter()

    @router.post("/api/x")
    def post(body: Named) -> dict[str, Any]:
        return {}

    include = {"configure_middleware": lambda web: web.include_router(router)}
    operation = (await document(site, **include))["paths"]["/api/x"]["post"]
    assert {"200", "401", "422"} <= operation["responses"].keys()
    assert operation["responses"]["422"] == {"$ref": "#/components/responses/400"}
    assert operation["requestBody"]["content"].keys() == {"application/json"}
    assert operation["security"] == WAYS


async def test_what_nothing_answers_with_is_not_in_it(site: Any) -> None:
    schemas = (await document(site))["components"]["schemas"]
    own = {"Credentials", "Wanted", "bkjs.Error", "row.bk_auth"}
    assert schemas.keys() <= own | {"Todo", "Named", "Kept"}
    assert not {"/docs", "/docs.js", "/openapi.json"} & (await document(site))["paths"].keys()


async def test_the_rest_of_a_docstring_describes_an_endpoint(site: Any) -> None:
    paths = (await document(site))["paths"]
    assert paths["/todo/add"]["post"]["description"] == "More about it."
    assert "description" not in paths["/files/{rest}"]["get"]


@pytest.mark.parametrize("mode", ["development", "production"])
async def test_only_administrators_see_the_document(site: Any, mode: str) -> None:
    async with site(routes, "-run-mode", mode) as s:
        await add_account(s.app, "u")
        await add_account(s.app, "root", type="admin")
        assert (await s.ask("/openapi.json")).status == 417
        assert (await s.ask("/openapi.json", login="u")).status == 403
        reply = await s.ask("/openapi.json", login="root")
        assert reply.status == 200
        assert "no-store" in reply.headers["cache-control"]
        assert (await s.ask("/openapi.json", login="u", secret="wrong")).status == 401


async def test_a_document_that_could_not_be_made_is_made_again(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one that could be is kept for all who may call the same."""
    made: list[Any] = []
    build = openapi.build

    def failing_at_first(app: Any, view: Any, others: Any) -> bytes:
        made.append(view.level)
        if len(made) == 1:
            raise RuntimeError("a model that cannot be described")
        return build(app, view, others)

    monkeypatch.setattr(openapi, "build", failing_at_first)
    async with site(routes, *OPEN) as s:
        await add_account(s.app, "u")
        await add_account(s.app, "v")
        await add_account(s.app, "root", type="admin")
        assert (await s.ask("/openapi.json", login="u")).status == 500
        for login in ("u", "v", "u", "root", "", "root", ""):
            reply = await s.ask("/openapi.json", login=login)
            assert reply.status == 200
            assert "no-store" in reply.headers["cache-control"]
    assert made == ["account", "account", "admin", "stranger"]


async def test_sessions_are_a_way_to_sign_in_where_there_are_any(site: Any) -> None:
    for argv, ways in (((), WAYS), (("-api-no-session",), [WAYS[0], WAYS[2]])):
        async with site(routes, *OPEN, *argv) as s:
            await add_account(s.app, "root", type="admin")
            found = (await s.ask("/openapi.json", login="root")).json()
        assert found["paths"]["/todo/add"]["post"]["security"] == ways
        assert len(found["components"]["securitySchemes"]) == len(ways)


async def test_everybody_gets_the_page_where_one_signs_in(site: Any) -> None:
    async with site(routes, "-run-mode", "production") as s:
        for path in PAGES:
            assert (await s.ask(path)).status == 200


async def test_the_page_needs_nothing_from_elsewhere(site: Any) -> None:
    async with site(routes) as s:
        page = await s.ask("/docs")
        parts = [await s.ask(path) for path in PAGES]

    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    html = page.body.decode()
    assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|style=", html)
    for part in parts:
        assert part.status == 200
        text = part.body.decode().replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert not re.search(r"https?://|innerHTML|insertAdjacentHTML|eval\(", text)


async def test_parts_of_the_page_are_kept_until_they_change(site: Any) -> None:
    async with site(routes) as s:
        page = await s.ask("/docs")
        script = await s.ask("/docs.js")
        names = re.findall(r'"(?:\./)?(docs[\w.-]+\?\w+)"', (page.body + script.body).decode())
        assert {name.partition("?")[0] for name in names} == set(PARTS) - {"docs.html"}
        assert page.headers["cache-control"] == "no-cache"
        for name in names:
            assert "immutable" in (await s.ask("/" + name)).headers["cache-control"]
            plain = await s.ask("/" + name.partition("?")[0])
            assert plain.headers["cache-control"] == "no-cache"


async def test_endpoints_that_are_added_later_are_described_too(site: Any) -> None:
    async with site(routes) as s:
        await add_account(s.app, "root", type="admin")
        paths = (await s.ask("/openapi.json", login="root")).json()["paths"]
        assert "/clash/id" not in paths
        s.web.add(clashing)
        paths = (await s.ask("/openapi.json", login="root")).json()["paths"]
        assert "/clash/id" in paths


async def test_the_document_is_built_once(site: Any, monkeypatch: Any) -> None:
    from bkjs.web.endpoints import openapi

    built = []
    original = openapi.build

    def build(*parts: Any) -> bytes:
        built.append(parts)
        return original(*parts)

    monkeypatch.setattr(openapi, "build", build)
    async with site(routes, *OPEN) as s:
        for name in ("ann", "bob"):
            await add_account(s.app, name)
        first, second = [await s.ask("/openapi.json") for _ in range(2)]
        assert json.loads(first.body) == json.loads(second.body)
        assert len(built) == 1
        own = [(await s.ask("/openapi.json", login=name)).body for name in ("ann", "bob", "ann")]
    assert own[0] == own[1] == own[2] != first.body
    assert len(built) == 2
