"""`bkjs access`: what it says of an endpoint is what a caller meets there."""

import asyncio
import json

import pytest

import bkjs_accounts
from bkjs.commands.access import COMMAND
from bkjs.errors import NotFound
from bkjs.testing.app import make_app
from bkjs.testing.web import call

APP = """
from fastapi import APIRouter

from bkjs import hookimpl
from bkjs.web import Params, Routes


class Key(Params):
    id: str


routes = Routes()
routes.verb("/note/select", "note", public=True)
routes.verb("/note/del", "note", params=Key, owner="owner")
routes.verb("/mine/get", "note", owner="owner")
routes.verb("/unknown/get", "note", owner="owner")


@routes.endpoint("/seen", writes="quiet", reply=dict)
async def seen(req):
    return {}


for name in "staff open closed admin guests optional looked both path/{id}".split():
    routes.endpoint(f"/{name}", reply=dict)(seen)
routes.endpoint("/public", methods=["POST"], writes=True, public=True, reply=dict)(seen)

router = APIRouter()


@router.post("/fast/post")
async def post() -> dict[str, int]:
    return {}


inner = APIRouter(prefix="/inner")


@inner.get("/get", include_in_schema=False)
async def get() -> dict[str, int]:
    return {}


router.include_router(inner, prefix="/fast")


@hookimpl
def tables():
    return {"note": {"id": {"primary": 1, "pub": 1}, "owner": {}}}


@hookimpl
def configure_web(web):
    web.add(routes)
    web.include_router(router)
    web.register_pre_process("", "/looked", lambda req, status: None)
"""
RULES = (
    "-api-allow-account-staff", "^/(staff|both)", "-api-allow-path", "^/open$",
    "-api-deny", "^/closed", "-api-allow-admin", "^/admin",
    "-api-deny-account-guest", "^/guests",
    "-api-allow-anonymous", "^/(optional|mine)", "-api-allow-path", "^/unknown",
    "-api-deny-account-staff", "^/both",
)  # fmt: skip
SECRET = "a long enough secret"


@pytest.fixture
def listed(tmp_path, capsys):
    """`listed(*argv)`: what the command prints."""
    (tmp_path / "site.py").write_text(APP)
    given = ["-home", str(tmp_path / "home"), "-app", str(tmp_path / "site.py"), *RULES]

    def listed(*argv):
        assert COMMAND(["access", *argv, *given, "-db-pool", "memory"]) == 0
        return capsys.readouterr().out

    return listed


def test_who_may_call_what_is_told_for_each(listed):
    found = {row["path"]: row for row in json.loads(listed("-json"))}
    assert {path: row["who"] for path, row in found.items() if path in KNOWN} == KNOWN
    assert (found["/note/del"]["writes"], found["/note/del"]["owner"]) == ("yes", "owner")
    assert (found["/seen"]["writes"], found["/note/select"]["table"]) == ("quiet", "note")
    assert found["/public"]["methods"] == "POST"
    assert (found["/fast/post"]["writes"], found["/fast/inner/get"]["writes"]) == ("yes", "")


KNOWN = {
    "/note/select": "anyone",
    "/note/del": "any account",
    "/seen": "any account",
    "/staff": "staff, admin",
    "/open": "anyone",
    "/closed": "closed",
    "/admin": "admin",
    "/guests": "any account but not guest",
    "/optional": "anyone",
    "/looked": "any account *",
    "/both": "admin",
    "/path/{id}": "any account",
    "/public": "anyone",
    "/fast/post": "any account",
    "/fast/inner/get": "any account",
    "/login": "anyone",
    "/openapi.json": "admin",
    "/mine/get": "any account",
    "/unknown/get": "closed",
}


def test_what_is_told_is_what_callers_meet(listed, tmp_path):
    rows = [row for row in json.loads(listed("-json")) if row["path"] in KNOWN]

    async def meet():
        argv = "-app", str(tmp_path / "site.py"), *RULES
        async with make_app([bkjs_accounts], *argv) as app:
            for kind in ("account", "guest", "staff", "admin"):
                account = {"login": kind, "secret": SECRET, "name": kind, "type": kind}
                await app.auth.accounts.add(account, admin=True)
            for row in rows:
                method = row["methods"].replace("any", "GET").split()[0]
                for kind in ("anyone", "account", "guest", "staff", "admin"):
                    who = {} if kind == "anyone" else {"login": kind, "secret": SECRET}
                    target = row["path"].replace("{id}", "1")
                    reply = await call(app, target, method=method, **who)
                    let_in = reply.status not in (401, 403, 417) or row["path"] == "/login"
                    assert let_in is (kind in row["callers"]), (row, kind, reply)

    asyncio.run(meet())


def test_one_kind_of_caller_is_shown_what_it_may_call(listed):
    assert "/staff" in listed("staff")
    assert "/staff" not in listed("account")
    assert "/note/del" not in listed("anyone")
    assert listed("anyone").splitlines()[0].split() == [
        "path", "methods", "who", "writes", "table", "owner",
    ]  # fmt: skip
    with pytest.raises(NotFound, match="no caller 'staf'; did you mean 'staff'"):
        listed("staf")


@pytest.mark.parametrize(
    ("rule", "who"),
    [
        ("allow-account-staff", "staff, admin"),
        ("allow-authenticated", "any account"),
        ("allow-path", "anyone"),
    ],
)
def test_a_rule_that_names_the_description_opens_it(listed, rule, who):
    rows = json.loads(listed("-json", f"-api-{rule}", "^/openapi"))
    assert [row["who"] for row in rows if row["path"] == "/openapi.json"] == [who]


def test_without_signatures_all_is_open_but_what_is_denied(listed):
    found = {row["path"]: row["who"] for row in json.loads(listed("-json", "-api-no-signature"))}
    assert (found["/seen"], found["/admin"], found["/closed"]) == ("anyone", "anyone", "closed")
