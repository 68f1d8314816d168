"""A table without any rule of its own is closed: to strangers, to other accounts, to searches."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import APIRouter

from bkjs.web.endpoints.listing import select_page
from bkjs.web.endpoints.routes import Routes
from bkjs.web.request import Request

from ..harness import add_account

TABLES = {"diary": {"id": {"primary": 1}, "text": {}, "password": {}, "mood": {"type": "int"}}}
routes = Routes()


@routes.endpoint("/diary/get", table="diary")
async def get(req: Request) -> Any:
    return await req.app.db.get("diary", req.query)


@routes.endpoint("/diary/select", table="diary")
async def select(req: Request) -> Any:
    return await select_page(req, "diary")


@pytest.fixture
async def diary(site: Any) -> AsyncIterator[Any]:
    """A site where the account `ann` has one row and `bob` none; `root` is an administrator."""
    async with site(routes, tables=lambda: TABLES) as s:
        for login, kind in (("ann", ""), ("bob", ""), ("root", "admin")):
            await add_account(s.app, login, type=kind)
        id = (await s.app.auth.accounts.fetch("ann"))["id"]
        row = {"id": id, "text": "planted", "password": "planted", "mood": 3}
        await s.app.db.add("diary", row)
        s.id = id
        yield s


@pytest.mark.parametrize("path", ["/diary/get?id=ID", "/diary/select?id=ID", "/diary/zzz"])
async def test_strangers_do_not_even_learn_what_there_is(diary: Any, path: str) -> None:
    assert (await diary.ask(path.replace("ID", diary.id))).status == 417


async def test_the_owner_sees_all(diary: Any) -> None:
    reply = await diary.ask(f"/diary/get?id={diary.id}", login="ann")
    assert reply.json()["text"] == "planted"


@pytest.mark.parametrize("login", ["bob", "root"])
async def test_other_accounts_see_nothing_of_a_row(diary: Any, login: str) -> None:
    assert (await diary.ask(f"/diary/get?id={diary.id}", login=login)).json() == {}


@pytest.mark.parametrize(
    "query",
    ["text=planted", "text=p&_ops=text,begins_with", "mood=2&_ops=mood,gt", "password=planted",
     "id=ID", "_sort=text", "_select=id,text", "text[$ne]=x", "text_$ne=x", "$or[0][text]=planted",
     "TEXT=planted"],
)  # fmt: skip
@pytest.mark.parametrize("login", ["bob", "root"])
async def test_no_search_tells_a_value(diary: Any, login: str, query: str) -> None:
    reply = await diary.ask(f"/diary/select?{query.replace('ID', diary.id)}", login=login)
    assert b"planted" not in reply.body
    assert reply.status == 400 or reply.json()["data"] in ([], [{}]), reply
    wrong = query.replace("planted", "wrong").replace("ID", "nobody")
    other = await diary.ask(f"/diary/select?{wrong}", login=login)
    assert (reply.status, reply.json()) == (other.status, other.json()), "a value can be guessed"


async def seen(req: Request) -> Any:
    return {}


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        (
            ("-api-allow-path", "^/staff", "-api-allow-admin", "^/staff"),
            "/staff/list, /staff/fast: open to everybody by api-allow-path, which wins over"
            " api-allow-admin",
        ),
        (
            ("-api-allow", "^/staff", "-api-allow-account-boss", "^/staff/list"),
            "/staff/list: open to everybody by api-allow, which wins over api-allow-account-boss",
        ),
        (
            ("-api-allow", "^/staff", "-api-deny-account-guest", "^/staff/list"),
            "by api-allow, which wins over api-deny-account-guest",
        ),
        (
            ("-api-allow-admin", "^/open/"),
            "/open/door: open to everybody by public=True, which wins over api-allow-admin",
        ),
        (
            ("-api-allow-authenticated", "list$", "-api-allow-account-boss", "^/staff/list"),
            "/staff/list: open to every account by api-allow-authenticated, which wins over"
            " api-allow-account-boss",
        ),
        (
            ("-api-allow-admin", "^/public/reports/"),
            "/public/reports/: open to everybody by api-allow, which wins over api-allow-admin",
        ),
        (("-api-allow-admin", "^/staff"), ""),
        (("-api-allow-admin", "^/", "-api-deny", "^/open|^/$"), ""),
        (("-api-allow", "^/staff", "-api-allow-admin", "^/staff", "-api-ignore-allow", "^/s"), ""),
        (("-api-allow-authenticated", "^/staff", "-api-allow-admin", "^/staff"), ""),
        (("-api-allow", "^/staff/li", "-api-deny", "^/staff"), ""),
    ],
)
async def test_a_rule_that_closes_nothing_is_told_with_the_one_that_opens(
    site: Any, caplog: pytest.LogCaptureFixture, rules: tuple[str, ...], told: str
) -> None:
    made, router = Routes(), APIRouter()
    made.endpoint("/staff/list", reply=dict)(seen)
    made.endpoint("/open/door", public=True, reply=dict)(seen)
    router.get("/staff/fast")(lambda: {})
    async with site(made, *rules, configure_middleware=lambda web: web.include_router(router)):
        warnings = [r.message for r in caplog.records if "which wins over" in r.message]
    assert len(warnings) == bool(told)
    assert told in "".join(warnings)
