"""What endpoints declare of their replies, and what leaves through the whole service."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi import Request as FastAPIRequest
from pydantic import BaseModel

from bkjs.db.tables.described import build
from bkjs.errors import StartError
from bkjs.web import Request, Response, Routes, check_readable, clean, select_page
from bkjs.web.output.columns import ColumnRules

from ...harness import add_account

TABLES: dict[str, dict[str, dict[str, Any]]] = {
    "note": {
        "id": {"primary": 1, "pub": 1},
        "text": {"pub": 1},
        "author": {"pub": 1},
        "body": {},
        "pin": {"secure": 1},
        "meta": {"type": "json", "pub": 1},
    },
    "author": {"id": {"primary": 1, "pub": 1}, "name": {"pub": 1}, "salary": {}},
    "tag": {"id": {"primary": 1, "pub": 1}},
}
NOTE = {"id": "n", "text": "t", "author": "a", "body": "PRIVATE", "pin": "PRIVATE"}
AUTHOR = {"id": "a", "name": "A", "salary": "PRIVATE"}
TAG = {"id": "t"}


async def fill(app: Any) -> None:
    await app.db.put("note", NOTE)
    await app.db.put("author", AUTHOR)
    await app.db.put("tag", TAG)


def answering(value: Any, path: str = "/x", **declared: Any) -> Routes:
    """An endpoint that answers with a value, or with what a function makes of the request."""
    routes = Routes()

    @routes.endpoint(path, public="owner" not in declared, **declared)
    async def answer(req: Request) -> Response:
        return await value(req) if callable(value) else value  # type: ignore[no-any-return]

    return routes


async def ask(site: Any, routes: Routes | None, target: str = "/x", **hooks: Any) -> Any:
    async with site(routes, tables=lambda: TABLES, **hooks) as s:
        await fill(s.app)
        return await s.ask(target)


# -- rows that lie deeper --------------------------------------------------------------------------


async def test_rows_below_a_key_have_the_columns_of_its_table(site: Any) -> None:
    async def answer(req: Request) -> Any:
        notes = await req.app.db.select("note", {})
        for note in notes:
            note["author"] = await req.app.db.get("author", {"id": note["author"]})
        return {"count": len(notes), "data": notes, "best": notes.first, "total": 9}

    routes = answering(answer, table="note", tables={"author": "author", "best": "note"})
    shown = {"id": "n", "text": "t", "author": {"id": "a", "name": "A"}}
    reply = (await ask(site, routes)).json()
    assert reply == {"count": 1, "data": [shown], "best": shown, "total": 9}


@pytest.mark.parametrize("inside", [False, True])
async def test_rows_of_another_table_are_no_value_of_a_column(site: Any, inside: bool) -> None:
    """Columns of JSON hold anything, so that only what the database gave is known for rows."""

    async def answer(req: Request) -> Any:
        found = await req.app.db.select("author", {})
        row = {"id": "n", "meta": found}
        return [row] if inside else row

    reply = await ask(site, answering(answer, table="note"))
    assert (reply.status, b"PRIVATE" in reply.body) == (500, False)


@pytest.mark.parametrize("key", ["author", "writer", "meta2"])
@pytest.mark.parametrize("inside", [False, True])
async def test_what_no_declaration_covers_does_not_leave(
    site: Any, key: str, inside: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where the own table is public as a whole, and the key a column of plain text."""

    async def answer(req: Request) -> Any:
        tag = await req.app.db.get("tag", {"id": "t"})
        author = await req.app.db.get("author", {"id": "a"})
        row = {**tag, key: [author] if inside else author}
        return {"rows": [row]} if inside else row

    for table in ("tag", "note"):
        reply = await ask(site, answering(answer, table=table))
        assert (reply.status, "PRIVATE" in str(reply.body)) == (500, False)
        for text in (reply.json()["message"], caplog.text):
            assert f'tables={{"{key}": "TABLE"}}' in text
    quiet = site(answering(answer, table="tag"), "-run-mode", "production", tables=lambda: TABLES)
    async with quiet as s:
        await fill(s.app)
        reply = await s.ask("/x")
    assert (reply.status, key in str(reply.body)) == (500, False)


async def test_columns_that_hold_others_leave_as_they_are(site: Any) -> None:
    value = {"id": "n", "meta": {"a": [{"b": 1}]}, "tags": ["x", ["y"]], "extra": 5}
    assert (await ask(site, answering(value, table="note"))).json() == value
    hidden = {"id": "n", "meta": {"a": [{"pin": 1}], "pin": 1}}
    found = (await ask(site, answering(hidden, table="note"))).json()
    assert found == {"id": "n", "meta": {"a": [{}]}}


async def test_plain_values_below_a_key_are_declared_as_dict(site: Any) -> None:
    value = {"count": 1, "data": [NOTE], "by_kind": {"a": {"b": 1}}}
    refused = await ask(site, answering(value, table="note"))
    assert (refused.status, "or dict for TABLE" in refused.json()["message"]) == (500, True)
    routes = answering(value, table="note", tables={"by_kind": dict})
    assert (await ask(site, routes)).json()["by_kind"] == {"a": {"b": 1}}


async def test_a_reply_may_be_nothing_but_rows_of_several_tables(site: Any) -> None:
    value = {"total": 2, "notes": [NOTE], "authors": {"count": 1, "data": [AUTHOR]}}
    declared: dict[str, Any] = {"notes": "note", "authors": "author"}
    reply = await ask(site, answering(value, reply=dict, tables=declared))
    assert reply.json() == {
        "total": 2,
        "notes": [{"id": "n", "text": "t", "author": "a"}],
        "authors": {"count": 1, "data": [{"id": "a", "name": "A"}]},
    }
    del declared["authors"]
    assert (await ask(site, answering(value, reply=dict, tables=declared))).status == 500


@pytest.mark.parametrize("wrap", [lambda rows: rows, lambda rows: {"a": {"b": [rows]}}])
async def test_rows_are_no_plain_values(site: Any, wrap: Any) -> None:
    async def answer(req: Request) -> Any:
        return wrap(await req.app.db.select("author", {}))

    for declared in (dict, dict[str, Any], Any):
        reply = await ask(site, answering(answer, reply=declared))
        assert (reply.status, "PRIVATE" in str(reply.body)) == (500, False)
        assert "name a table" in reply.json()["message"]


class Shown(BaseModel):
    name: str


@pytest.mark.parametrize("declared", [Shown, list[Shown], Shown | None, dict[str, Shown]])
async def test_of_models_their_fields_leave(site: Any, declared: Any) -> None:
    """Also of lists of models, which left whole before."""
    value = {list[Shown]: [AUTHOR], dict[str, Shown]: {"a": AUTHOR}}.get(declared, AUTHOR)
    reply = await ask(site, answering(value, reply=declared))
    assert (reply.status, b"name" in reply.body, b"PRIVATE" in reply.body) == (200, True, False)


async def test_owners_see_private_columns_of_what_an_endpoint_calls_theirs(site: Any) -> None:
    row = {"text": "t", "body": "b", "pin": "p"}
    rows = {"mine": [{**row, "author": "me"}, {**row, "author": "x"}, {"body": "b", "id": "me"}]}
    routes = Routes()

    @routes.endpoint("/x", table="note", owner="author", tables={"mine": "note"})
    def answer(req: Request) -> Any:
        req.account = {**req.account, "id": "me"}
        return rows

    async with site(routes, tables=lambda: TABLES) as s:
        await add_account(s.app, "u")
        reply = (await s.ask("/x", login="u")).json()
    own = {"text": "t", "body": "b", "author": "me"}
    assert reply == {"mine": [own, {"text": "t", "author": "x"}, {"id": "me"}]}


def test_what_administrators_see_is_not_remembered_for_others() -> None:
    columns = {"id": {"pub": 1}, "grade": {"admin": 1}}
    for order in ((False, True, False), (True, False, True)):
        rules = ColumnRules(lambda: {"t": build("t", columns)})
        for admin in order:
            seen = rules.get("t", admin=admin)
            assert seen is not None
            assert seen.public == ({"id", "grade"} if admin else {"id"})


async def test_rows_of_other_tables_have_no_such_owner(site: Any) -> None:
    rows = [{"author": "me", "writer": AUTHOR | {"author": "me"}}]
    routes = Routes()

    @routes.endpoint("/x", table="note", owner="author", tables={"writer": "author"})
    def answer(req: Request) -> Any:
        req.account = {**req.account, "id": "me"}
        return rows

    async with site(routes, tables=lambda: TABLES) as s:
        await add_account(s.app, "u")
        reply = (await s.ask("/x", login="u")).json()
    assert reply == [{"author": "me", "writer": {"id": "a", "name": "A", "author": "me"}}]


# -- told at the start -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "text"),
    [
        ({}, "nothing says whose columns its reply has"),
        ({"tables": {"a": "note"}}, "tables= needs table="),
        ({"reply": list, "tables": {"a": "note"}}, "tables= needs table="),
        ({"table": "note", "tables": ("note", "author")}, r"table=\(…, …\)"),
        ({"reply": dict, "owner": "author"}, "owner="),
    ],
)
def test_what_is_not_declared_is_refused_where_it_is_written(declared: Any, text: str) -> None:
    for path in ("/x", "/account/notes", "/note/x"):
        with pytest.raises(ValueError, match=text):
            Routes().endpoint(path, writes=True, **declared)(lambda req: {})


def test_whoever_answers_with_a_response_says_so() -> None:
    def whole(req: Request) -> Response: ...  # type: ignore[empty-body]
    def nothing(req: Request) -> None: ...
    def maybe(req: Request) -> Response | None: ...
    def anything(req: Request) -> Any: ...
    def other(req: Request) -> Response | dict[str, Any]: ...  # type: ignore[empty-body]

    for fn in (whole, nothing, maybe):
        Routes().endpoint("/x")(fn)
        fn.__annotations__["return"] = {whole: Response, nothing: None}.get(fn, Response | None)
        Routes().endpoint("/x")(fn)
    for fn in (anything, other):
        with pytest.raises(ValueError, match="-> Response"):
            Routes().endpoint("/x")(fn)


async def test_a_wrong_annotation_opens_nothing(site: Any) -> None:
    for path in ("/x", "/auth/x", "/note/x"):
        reply = await ask(site, answering(NOTE, path), path)
        assert (reply.status, b"PRIVATE" in reply.body) == (500, False)
    assert (await ask(site, answering(Response(b"x")))).body == b"x"


@pytest.mark.parametrize(
    ("declared", "text"),
    [
        ({"table": "notes"}, "/x .*: no table 'notes'; did you mean 'note'"),
        ({"table": ("note", "autor")}, "no table 'autor'; did you mean 'author'"),
        ({"table": "note", "tables": {"a": "autor"}}, "no table 'autor'; did you mean 'author'"),
        ({"table": "note", "tables": {"a": ("note", "zzz")}}, "no table 'zzz'"),
        ({"table": "note", "owner": "autho"}, "no column 'autho'; did you mean 'author'"),
    ],
)
async def test_unknown_tables_stop_the_start(site: Any, declared: Any, text: str) -> None:
    with pytest.raises(StartError, match=text):
        await ask(site, answering({}, **declared))
    async with site(tables=lambda: TABLES) as s:
        with pytest.raises(StartError, match=text):
            s.web.add(answering({}, **declared))
        s.web.add(answering({}, table="note"))


# -- formats ---------------------------------------------------------------------------------------


async def test_every_format_has_the_token_of_the_next_page(site: Any) -> None:
    async def answer(req: Request) -> Any:
        return await select_page(req, "note")

    ids = [f"n:{number}" for number in range(5)]  # no token has a colon in it
    routes = answering(answer, table="note")
    async with site(routes, tables=lambda: TABLES) as s:
        for id in ids:
            await s.app.db.put("note", NOTE | {"id": id})
        token = (await s.ask("/x?_count=2")).json()["next_token"]
        for format in ("csv", "json", "xml"):
            found: list[str] = []
            start = ""
            while True:
                reply = await s.ask(f"/x?_count=2&_format={format}&_start={start}")
                found += [id for id in ids if id.encode() in reply.body]
                start = reply.headers.get("bk-next-token", "")
                if not start:
                    break
            assert found == ids
        assert (await s.ask("/x?_count=2&_format=csv")).headers["content-type"] == (
            "text/csv; charset=utf-8"
        )
        assert token


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize("name", ["xls", "CSV", "json ", "%00", "a" * 999])
async def test_an_unknown_format_is_refused_before_anything_happens(site: Any, name: str) -> None:
    called = []

    async def answer(req: Request) -> Any:
        called.append(req.path)
        return [NOTE]

    async with site(answering(answer, table="note"), tables=lambda: TABLES) as s:
        for reply in (
            await s.ask(f"/x?_format={name}"),
            await s.ask("/x", b"{}", method="PUT", headers=JSON),
        ):
            if "_format" in reply.body.decode():
                assert reply.status == 400
                assert reply.json()["message"].endswith("is none of xml, csv, json")
        assert called == ["/x"]
        for target in ("/x?_format=", "/x"):
            assert (await s.ask(target)).headers["content-type"] == "application/json"
        assert (await s.ask("/x", b'{"_format": ["csv"]}', headers=JSON)).status == 400


# -- searches --------------------------------------------------------------------------------------


async def test_a_search_of_ones_own_tells_nothing_of_private_columns(site: Any) -> None:
    """`db.select` with what a client sent takes any column; these two ways do not."""

    async def checked(req: Request) -> Any:
        check_readable(req, "note", req.query)
        return await req.app.db.select("note", req.query, ops=req.controls["ops"])

    async def page(req: Request) -> Any:
        return await select_page(req, "note")

    for answer in (checked, page):
        async with site(answering(answer, table="note"), tables=lambda: TABLES) as s:
            await fill(s.app)
            for query in (
                "pin=PRIVATE", "body=PRIVATE", "_ops=pin,begins_with&pin=P", "$or[pin]=P",
                "_sort=body", "_select=body",
            ):  # fmt: skip
                reply = await s.ask(f"/x?{query}")
                assert (reply.status, reply.json()["field"] in ("pin", "body")) == (400, True)
            assert b'"t"' in (await s.ask("/x?text=t")).body


JOINED: dict[str, dict[str, dict[str, Any]]] = {
    "link": {
        "id": {"primary": 1, "pub": 1},
        "tok": {"secure": 1, "join": ["part"], "unjoin": ["half"]},
        "mark": {"secure": 1, "join": ["name", "mate"], "join_all": 1},
        "name": {"pub": 1},
        "mate": {},
        "code": {"pub": 1, "join": ["a", "b"]},
        "key": {"join": ["name"]},
        "words": {"type": "search", "pub": 1, "projection": ["name", "mate"]},
    },
    "pair": {
        "id": {"primary": 1, "join": ["kind", "peer"], "secure": 1},
        "kind": {"pub": 1},
        "text": {"pub": 1},
    },
}


async def test_no_name_stands_for_a_column_that_may_not_be_searched(site: Any) -> None:
    """Parts of joined columns, full text and aliases are conditions on another column."""
    aliases = {"who": "mate"}

    async def checked(req: Request) -> Any:
        check_readable(req, "link", req.query, aliases=aliases)
        return await req.app.db.select("link", req.query, ops=req.controls["ops"], aliases=aliases)

    async def page(req: Request) -> Any:
        return (await select_page(req, "link", aliases=aliases))["data"]

    for answer in (checked, page):
        async with site(answering(answer, table="link"), tables=lambda: JOINED) as s:
            link = {"id": "l", "part": "R|x", "name": "n", "mate": "m", "a": "1", "b": "2"}
            await s.app.db.put("link", link)
            # what was joined of others then, its parts now
            await s.app.db.update("link", {"id": "l", "key": "other", "mark": "k|l"})
            for query, field in (
                ("part=R|x", "part"), ("part=W", "part"), ("$or[part]=W", "part"), ("who=m", "who"),
                ("_ops=part,null", "part"), ("_ops=who,null", "who"), ("words=m", "words"),
                ("tok=R|x", "tok"), ("mate=m", "mate"), ("_sort=tok", "tok"), ("$or[who]=m", "who"),
            ):  # fmt: skip
                reply = await s.ask(f"/x?{query}")
                message = f"{field}: this column cannot be used here"
                assert (reply.status, reply.json()["message"]) == (400, message), query
            shown = {"id": "l", "name": "n", "code": "1|2"}
            # `name` alone, not `key` and `mark`, which are joined of it and others now
            for query in ("name=n", "a=1&b=2", "code=1|2"):
                assert (await s.ask(f"/x?{query}")).json() == [shown], query
            for query in ("name=o", "a=1&b=3"):
                assert (await s.ask(f"/x?{query}")).json() == [], query


async def test_a_row_is_got_by_the_parts_of_its_key(site: Any) -> None:
    routes = Routes()
    routes.verb("/pair/get", "pair", public=True)
    routes.verb("/pair/select", "pair", public=True)
    async with site(routes, tables=lambda: JOINED) as s:
        await s.app.db.put("pair", {"kind": "k", "peer": "p", "text": "t"})
        reply = await s.ask("/pair/get?kind=k&peer=p")
        assert reply.json() == {"kind": "k", "text": "t"}
        assert (await s.ask("/pair/get?kind=k&peer=q")).status == 404
        assert (await s.ask("/pair/select?kind=k")).json()["count"] == 1
        assert (await s.ask("/pair/select?kind=k&peer=p")).status == 400


async def test_what_a_row_holds_makes_no_token_long(site: Any) -> None:
    async def page(req: Request) -> Any:
        return await select_page(req, "note")

    async with site(answering(page, table="note"), tables=lambda: TABLES) as s:
        rows = [{"id": f"{n}", "text": "\1" * 9000, "author": "x"} for n in range(2)]
        rows += [{"id": f"{n}" + "\1" * 1023, "text": "x", "author": "中" * 190} for n in range(3)]
        for row in rows:
            await s.app.db.put("note", row)
        for sort in ("text", "author", "id"):
            seen, query = [], f"/x?_count=1&_sort={sort}"
            while query:
                reply = await s.ask(query)
                seen += [row["id"] for row in reply.json()["data"]]
                token = reply.json().get("next_token", "")
                assert len(token) <= 4000
                query = token and f"/x?_count=1&_sort={sort}&_start={token}"
            assert sorted(seen) == sorted(row["id"] for row in rows)
        token = (await s.ask("/x?_count=1&_sort=text")).json()["next_token"]
        await s.app.db.del_("note", {"id": "0"})
        reply = await s.ask(f"/x?_count=1&_sort=text&_start={token}")
        assert (reply.status, "begin again" in reply.json()["message"]) == (400, True)


# -- FastAPI ---------------------------------------------------------------------------------------


async def test_routes_of_fastapi_clean_rows_by_one_call(site: Any) -> None:
    router = APIRouter()

    @router.get("/fa/notes")
    async def notes(request: FastAPIRequest) -> Any:
        rows = await request.state.bk.app.db.select("note", {})
        for row in rows:
            row["author"] = AUTHOR
        return {"rows": clean(request, rows, "note", {"author": "author"})}

    @router.get("/fa/own")
    async def own(request: FastAPIRequest) -> Any:
        me = request.state.bk.account["id"]
        return clean(request, [{**NOTE, "author": me}, NOTE], table="note", owner="author")

    @router.get("/fa/forgotten")
    async def forgotten(request: FastAPIRequest) -> Any:
        return clean(request, {"note": NOTE}, table="note")

    def configure_web(web: Any) -> None:
        web.include_router(router)

    public = ("-api-allow-path", "^/fa/(notes|forgotten)")
    async with site(None, *public, tables=lambda: TABLES, configure_web=configure_web) as s:
        await fill(s.app)
        shown = {"id": "n", "text": "t", "author": {"id": "a", "name": "A"}}
        assert (await s.ask("/fa/notes")).json() == {"rows": [shown]}
        reply = await s.ask("/fa/forgotten")
        assert (reply.status, b"PRIVATE" in reply.body) == (500, False)
        await add_account(s.app, "u")
        own, other = (await s.ask("/fa/own", login="u")).json()
        assert (own["body"], "pin" in own, "body" in other) == ("PRIVATE", False, False)


async def test_a_websocket_of_fastapi_is_refused_at_the_start(site: Any) -> None:
    router, outer = APIRouter(), APIRouter()

    @router.websocket("/ws")
    async def socket(websocket: Any) -> None: ...

    outer.include_router(router, prefix="/live")
    whole = FastAPI()
    whole.mount("/sub", router)
    for one, path in ((router, "/ws"), (outer, "/live/ws"), (whole.router, "/sub/ws")):
        with pytest.raises(StartError, match=f"{path}: a WebSocket of FastAPI is never reached"):
            await ask(site, None, configure_web=lambda web, one=one: web.include_router(one))
