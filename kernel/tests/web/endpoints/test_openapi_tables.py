"""What the OpenAPI document says of tables, and to whom."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn

import pytest
from fastapi import APIRouter, Security
from fastapi.security import OAuth2PasswordBearer
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from pydantic import BaseModel, ConfigDict

from bkjs.errors import BadRequest
from bkjs.web.endpoints.routes import Routes
from bkjs.web.input.params import Params
from bkjs.web.request import Request
from bkjs.web.response import Response

from ...harness import add_account

TABLES = {
    "book": {
        "id": {"type": "uuid", "primary": 1, "pub": 1},
        "title": {"pub": 1, "maxlength": 60},
        "year": {"type": "int", "pub": 1, "index": 1},
        "kind": {"pub": 1, "values": "novel,poems"},
        "tags": {"type": "list", "pub": 1},
        "due": {"type": "date", "pub": 1},
        "price": {"type": "decimal", "pub": 1},
        "account": {"index": 1},
        "note": {},
        "rank": {"type": "int", "admin": 1},
        "shelfmark": {"secure": 1},
        "mtime": {"type": "now", "pub": 1},
    },
    "author": {"id": {"primary": 1, "pub": 1}, "name": {"pub": 1}, "diary": {}},
    "page": {"book": {"primary": 1, "pub": 1}, "number": {"type": "int", "primary": 1, "pub": 1}},
}


class Any_(Params):
    model_config = ConfigDict(extra="allow")


class Key(Params):
    id: str


class Secrets(Params):
    name: str
    password: str | None = None
    api_key: str = ""
    key: str = ""


routes = Routes()
routes.verb("/book/select", "book", public=True)
routes.verb("/book/get", "book")
routes.verb("/page/get", "page")
routes.verb("/mine/select", "book", owner="account")
routes.verb("/mine/add", "book", params=Any_, owner="account")
routes.verb("/mine/update", "book", params=Any_, owner="account")
routes.verb("/mine/incr", "book", params=Any_, owner="account")
routes.verb("/mine/del", "book", params=Key, owner="account")


@routes.endpoint("/book/full", table="book", tables={"author": "author", "extra": dict})
async def full(req: Request) -> dict[str, Any]: ...  # type: ignore[empty-body]


@routes.endpoint("/book/some", table="book", methods="GET")
async def some(req: Request) -> list[Any]: ...  # type: ignore[empty-body]


@routes.endpoint("/book/any", table="book")
async def anything(req: Request) -> Any: ...


@routes.endpoint("/secrets", params=Secrets, reply=dict)
async def secrets(req: Request, params: Secrets) -> Any: ...


@routes.endpoint("/file")
async def file(req: Request) -> Response: ...  # type: ignore[empty-body]


@routes.endpoint("/book/{rest:path}")
async def unknown(req: Request) -> NoReturn:
    raise BadRequest("no")


OPEN = ("-api-allow-path", "^/openapi.json$")


class Docs:
    """The document as one caller gets it."""

    def __init__(self, document: Any) -> None:
        self.document = document
        self.paths = document["paths"]
        self.models = document["components"]["schemas"]

    def follow(self, schema: Any) -> Any:
        while "$ref" in schema:
            node = self.document
            for part in schema["$ref"][2:].split("/"):
                node = node[part]
            schema = node
        return schema

    def query(self, path: str, method: str = "get") -> dict[str, Any]:
        found = map(self.follow, self.paths[path][method].get("parameters", ()))
        return {parameter["name"]: parameter for parameter in found}

    def body(self, path: str, method: str = "post") -> dict[str, Any]:
        schema = self.paths[path][method]["requestBody"]["content"]["application/json"]["schema"]
        schema = self.follow(schema)
        parts = [self.follow(part) for part in schema.get("allOf", [schema])]
        return {name: item for part in parts for name, item in part["properties"].items()}

    def reply(self, path: str, method: str = "get") -> Any:
        content = self.paths[path][method]["responses"]["200"]["content"]
        return self.follow(content["application/json"]["schema"])

    def rows(self, path: str) -> dict[str, Any]:
        found = self.reply(path)
        if "anyOf" in found:
            found = self.follow(found["anyOf"][0])
        if "data" in found.get("properties", {}):
            found = self.follow(found["properties"]["data"]["items"])
        properties: dict[str, Any] = found["properties"]
        return properties


async def views(site: Any, logins: Sequence[str], *argv: str, **hooks: Any) -> list[Docs]:
    """The documents of several callers of one application."""
    async with site(routes, *argv, tables=lambda: TABLES, **hooks) as s:
        for login in filter(None, logins):
            await add_account(s.app, login, **ACCOUNTS[login])
        replies = [await s.ask("/openapi.json", login=login) for login in logins]
        assert {reply.status for reply in replies} == {200}
        return [Docs(reply.json()) for reply in replies]


ACCOUNTS: dict[str, dict[str, str]] = {
    "u": {},
    "shut": {"acl_allow": "^/openapi.json|^/book/"},
    "root": {"type": "admin"},
}


async def described(site: Any, login: str, *argv: str, **hooks: Any) -> Docs:
    """The document of one caller."""
    (found,) = await views(site, [login], *argv, **hooks)
    return found


async def test_every_caller_gets_a_valid_document(site: Any) -> None:
    for docs in await views(site, ["", "u", "root"], *OPEN):
        validate(docs.document)


async def test_a_page_is_asked_for_by_columns_and_controls(site: Any) -> None:
    docs = await described(site, "root")

    query = docs.query("/book/select")
    controls = {"_sort", "_desc", "_count", "_start", "_select", "_ops", "_total", "_format"}
    assert controls <= query.keys()
    assert query["year"]["schema"] == {"type": "integer"}
    assert query["kind"]["schema"]["enum"] == ["novel", "poems"]
    assert docs.follow(query["_count"]["schema"])["maximum"] == 999
    assert "begins_with" in query["_ops"]["description"]
    assert docs.follow(query["_format"]["schema"])["enum"] == ["xml", "csv", "json"]
    assert not any(parameter.get("required") for parameter in query.values())
    assert docs.body("/book/select").keys() == query.keys()


async def test_what_one_may_search_by_depends_on_who_asks(site: Any) -> None:
    stranger, owner, admin = await views(site, ["", "u", "root"], *OPEN)

    public = {"id", "title", "year", "kind", "tags", "due", "price", "mtime"}
    names = {
        who: {name for name in docs.query("/book/select") if not name.startswith("_")}
        for who, docs in (("stranger", stranger), ("owner", owner), ("admin", admin))
    }
    assert names == {"stranger": public, "owner": public, "admin": public | {"rank"}}
    mine = {name for name in owner.query("/mine/select") if not name.startswith("_")}
    assert mine == public | {"account", "note"}


async def test_a_reply_has_the_columns_that_the_caller_sees(site: Any) -> None:
    stranger, owner, admin = await views(site, ["", "u", "root"], *OPEN)

    assert not {"note", "rank", "shelfmark"} & stranger.rows("/book/select").keys()
    assert {"note", "account"} <= owner.rows("/mine/select").keys()
    assert owner.rows("/mine/select")["note"]["description"] == "only in rows of the caller"
    assert not {"note", "rank", "shelfmark"} & owner.rows("/book/select").keys()
    assert not {"rank", "shelfmark"} & owner.rows("/mine/select").keys()
    assert "rank" in admin.rows("/book/select")
    for docs in (stranger, owner, admin):
        assert "shelfmark" not in str(docs.document)
    assert "note" not in str(stranger.document["components"]["schemas"])
    assert "diary" not in str(owner.document)


async def test_values_of_columns_have_their_types(site: Any) -> None:
    rows = (await described(site, "root")).rows("/book/select")

    assert rows["id"] == {"type": "string", "format": "uuid"}
    assert rows["title"] == {"type": "string", "maxLength": 60}
    assert rows["due"] == {"type": "string", "format": "date"}
    assert rows["price"] == {"type": "number"}
    assert rows["tags"] == {"type": "array", "items": {}}
    assert rows["mtime"]["type"] == "integer"


async def test_replies_have_the_shape_that_the_verb_gives_them(site: Any) -> None:
    docs = await described(site, "root")

    assert docs.reply("/book/select")["properties"].keys() == {"count", "data", "next_token"}
    assert "title" in docs.reply("/book/get")["properties"]
    assert "properties" not in docs.reply("/mine/del", "post")
    assert docs.reply("/book/some")["type"] == "array"
    assert len(docs.reply("/book/full")["anyOf"]) == 2  # a row or a page
    assert len(docs.reply("/book/any")["anyOf"]) == 3  # or a list
    nested = docs.rows("/book/full")["author"]["anyOf"]
    assert nested[0]["properties"].keys() == {"id", "name"}
    assert docs.rows("/book/full")["extra"] == {}
    assert "content" not in docs.paths["/file"]["get"]["responses"]["200"]


async def test_replies_are_as_they_are_described(site: Any) -> None:
    async with site(routes, tables=lambda: TABLES) as s:
        await add_account(s.app, "root", type="admin")
        document = (await s.ask("/openapi.json", login="root")).json()
        me = (await s.ask("/auth", login="root")).json()["id"]
        due = datetime(2026, 1, 31, tzinfo=UTC)
        whole = {"tags": ["a"], "due": due, "price": "1.5", "kind": "novel", "note": "n", "year": 7}
        for values in ({}, whole):
            await s.app.db.add("book", {"title": "t", "account": me, **values})
        first = (await s.ask("/mine/select", login="root")).json()["data"][0]
        asked = {
            "/mine/select": "/mine/select",
            "/book/select": "/book/select?_count=1",
            "/book/get": f"/book/get?id={first['id']}",
            "/auth": "/auth",
        }
        for path, target in asked.items():
            content = document["paths"][path]["get"]["responses"]["200"]["content"]
            schema = content["application/json"]["schema"]
            strict = {"components": document["components"], **schema}
            reply = (await s.ask(target, login="root")).json()
            Draft202012Validator(strict).validate(reply)
            for row in reply.get("data", [reply]):
                assert row.keys() <= Docs(document).rows(path).keys(), path


async def test_keys_are_required(site: Any) -> None:
    docs = await described(site, "root")

    assert docs.query("/book/get")["id"]["required"]
    assert {n for n, p in docs.query("/page/get").items() if p.get("required")} == {
        "book",
        "number",
    }
    for verb in ("update", "incr"):
        content = docs.paths[f"/mine/{verb}"]["post"]["requestBody"]["content"]
        assert content["application/json"]["schema"]["allOf"][1]["required"] == ["id"]


async def test_a_model_that_takes_everything_takes_the_columns_that_one_may_set(site: Any) -> None:
    docs = await described(site, "u", *OPEN)

    assert {"title", "year", "note"} <= docs.body("/mine/add").keys()
    # made by the server, set to the caller, or never seen
    assert not {"id", "mtime", "account", "shelfmark"} & docs.body("/mine/add").keys()
    assert docs.body("/mine/del").keys() == {"id"}


async def test_secrets_have_the_format_of_passwords(site: Any) -> None:
    docs = await described(site, "root")

    for fields in (
        docs.body("/secrets"),
        {n: p["schema"] for n, p in docs.query("/secrets").items()},
    ):
        text = {"type": "string", "format": "password"}
        assert text in fields["password"]["anyOf"]
        assert fields["api_key"]["format"] == "password"
        assert "format" not in fields["name"]
        assert "format" not in fields["key"]


async def test_what_writes_is_a_post_first(site: Any) -> None:
    paths = (await described(site, "root")).paths

    assert list(paths["/mine/del"]) == list(paths["/login"]) == list(paths["/logout"])
    assert list(paths["/logout"]) == ["post", "get"]
    assert list(paths["/book/select"]) == ["get", "post"]


async def test_what_only_refuses_is_not_described(site: Any) -> None:
    assert "/book/{rest}" not in (await described(site, "root")).paths


async def test_every_failure_has_our_shape(site: Any) -> None:
    docs = await described(site, "root")

    may = {"404": {"get", "update", "incr", "del"}, "409": {"add", "update", "incr", "del"}}
    paths = {f"/mine/{verb}": verb for verb in ("add", "update", "incr", "del", "select")}
    for path, verb in (paths | {"/book/get": "get"}).items():
        for operation in docs.paths[path].values():
            for code, verbs in may.items():
                assert (code in operation["responses"]) is (verb in verbs), (path, code)

    responses = docs.paths["/mine/update"]["post"]["responses"]
    assert {"400", "401", "403", "404", "406", "409", "417", "429", "503"} < responses.keys()
    for code, reply in responses.items():
        if code != "200":
            schema = docs.follow(docs.follow(reply)["content"]["application/json"]["schema"])
            assert schema["properties"].keys() == {"status", "message", "code", "field", "errors"}


async def test_each_way_to_sign_in_is_described(site: Any) -> None:
    docs = await described(site, "root")
    found = docs.document["components"]["securitySchemes"]

    assert {n: (s["in"], s["name"]) for n, s in found.items()} == {
        "signature": ("header", "bk-signature"),
        "session": ("cookie", "bk-session"),
        "token": ("header", "bk-access-token"),
    }
    assert "HMAC-SHA256" in found["signature"]["description"]
    assert docs.paths["/book/get"]["get"]["security"] == [{name: []} for name in found]
    assert "security" not in docs.paths["/book/select"]["get"]

    async with site(routes, *OPEN, tables=lambda: TABLES) as s:
        reply = (await s.ask("/openapi.json", scheme="https")).json()
        cookie = reply["components"]["securitySchemes"]["session"]["name"]
        assert cookie == "__Host-bk-session"

    without = await described(site, "root", "-api-no-session")
    assert without.document["components"]["securitySchemes"].keys() == {"signature", "token"}


async def test_the_document_is_of_the_application(site: Any) -> None:
    docs = await described(site, "root", "-app-name", "library-1.4.2")
    assert (docs.document["info"]["title"], docs.document["info"]["version"]) == (
        "library",
        "1.4.2",
    )


async def test_each_caller_gets_what_he_may_call(site: Any) -> None:
    argv = (*OPEN, "-api-allow-admin", "^/mine/del", "-api-deny-path", "^/file")
    found = await views(site, ["", "u", "shut", "root"], *argv)
    stranger, account, shut, admin = (set(docs.paths) for docs in found)

    assert stranger == {"/book/select", "/login", "/logout", "/ping", "/ready"}
    assert {"/mine/add", "/book/get", "/auth", "/secrets"} <= account
    assert admin - account == {"/mine/del"}
    assert "/file" not in admin
    assert shut == {"/book/get", "/book/full", "/book/some", "/book/any"} | stranger


async def test_a_rule_that_names_the_document_opens_it_to_accounts(site: Any) -> None:
    rule = ("-api-allow-account-clerk", "^/openapi.json")
    async with site(routes, *rule, tables=lambda: TABLES) as s:
        await add_account(s.app, "u")
        await add_account(s.app, "clerk", type="clerk")
        assert (await s.ask("/openapi.json")).status == 401
        assert (await s.ask("/openapi.json", login="u")).status in (401, 403)
        assert "/mine/add" in (await s.ask("/openapi.json", login="clerk")).json()["paths"]
    async with site(
        routes, "-api-allow-authenticated", "^/openapi.json$", tables=lambda: TABLES
    ) as s:
        await add_account(s.app, "u")
        assert (await s.ask("/openapi.json")).status == 417
        assert (await s.ask("/openapi.json", login="u")).status == 200


async def test_wrong_credentials_are_no_stranger(site: Any) -> None:
    async with site(routes, *OPEN, tables=lambda: TABLES) as s:
        await add_account(s.app, "u")
        assert (await s.ask("/openapi.json", login="u", secret="wrong")).status == 401


class Order(BaseModel):
    what: str


@pytest.mark.parametrize("login", ["", "root"])
async def test_routes_of_fastapi_are_shown_to_those_who_may_call_them(
    site: Any, login: str
) -> None:
    router = APIRouter()

    @router.post("/shop/order")
    def order(body: Order) -> dict[str, Any]:
        return {}

    @router.get("/shop/open")
    def shown() -> dict[str, Any]:
        return {}

    @router.get("/shop/own")
    def own(token: Annotated[str, Security(OAuth2PasswordBearer("/token"))]) -> dict[str, Any]:
        return {}

    argv = ("-api-allow-path", "^/openapi.json$|^/shop/open$")
    docs = await described(
        site, login, *argv, configure_middleware=lambda web: web.include_router(router)
    )

    assert "security" not in docs.paths["/shop/open"]["get"]
    if login:
        (name,) = docs.paths["/shop/own"]["get"]["security"][0]
        assert name in docs.document["components"]["securitySchemes"]
    assert ("/shop/order" in docs.paths) is ("Order" in docs.models) is (login == "root")
    validate(docs.document)
