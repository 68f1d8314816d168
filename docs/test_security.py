"""The page about security: its tables of callers and columns are what the server does."""

import re
import types
from pathlib import Path

import pytest

import bkjs_accounts
from bkjs import hookimpl
from bkjs.testing.app import make_app
from bkjs.testing.web import call
from bkjs.web import Routes

PAGE = Path(__file__).with_name("security.md").read_text(encoding="utf-8")
CODE = re.compile(r"`([^`]+)`")
SECRET = "a long enough secret"


def table(head: str) -> list[list[str]]:
    lines = PAGE[PAGE.index(f"| {head} |") :].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip()[1:-1].split("|")] for line in lines]


COLUMNS = table("a column that is")
routes = Routes()


@routes.endpoint("/path", reply=dict)
async def path(req):
    return {}


async def rows(req):
    return await req.app.db.select("thing", {}, sort="id")


routes.endpoint("/owned", table="thing", owner="holder")(rows)
routes.endpoint("/itself", table="thing")(rows)


def properties(cell: str) -> dict[str, int]:
    return dict.fromkeys(CODE.findall(cell), 1)


def module():
    columns = {f"c{n}": properties(row[0]) for n, row in enumerate(COLUMNS)}
    things = {"thing": {"id": {"primary": 1}, "holder": {}} | columns}
    return types.SimpleNamespace(
        name="page",
        tables=hookimpl(lambda: things),
        configure_web=hookimpl(lambda web: web.add(routes)),
    )


async def signed(app, *, name, **more):
    account = {"login": name, "secret": SECRET, "name": name, **more}
    return (await app.auth.accounts.add(account, admin=True))["id"]


def as_(name: str) -> dict[str, str]:
    return {"login": name, "secret": SECRET} if name else {}


@pytest.mark.parametrize("row", table("rules on the path"), ids=lambda row: row[0])
async def test_who_may_come_in(row):
    argv = []
    for rule in CODE.findall(row[0]):
        argv += [f"-{rule}"] if rule == "api-no-signature" else [f"-{rule}", "^/path$"]
    async with make_app([bkjs_accounts, module()], *argv) as app:
        await signed(app, name="anna")
        await signed(app, name="staff", type="staff")
        await signed(app, name="admin", type="admin")
        for name, told in zip(("", "anna", "staff", "admin"), row[1:], strict=True):
            status = (await call(app, "/path", **as_(name))).status
            assert ("in" if status == 200 else str(status)) == told, name


async def test_which_columns_leave():
    async with make_app([bkjs_accounts, module()]) as app:
        ids = {name: await signed(app, name=name) for name in ("anna", "bert")}
        await signed(app, name="admin", type="admin")
        values = {f"c{n}": "x" for n in range(len(COLUMNS))}
        await app.db.add("thing", {"id": ids["anna"], "holder": ids["bert"], **values})
        callers = (("/owned", ""), ("/owned", "bert"), ("/itself", "anna"), ("/owned", "admin"))
        for number, (path, name) in enumerate(callers, 1):
            argv = as_(name) or as_("anna")  # the other account
            (seen,) = (await call(app, path, **argv)).json()
            for n, row in enumerate(COLUMNS):
                assert (f"c{n}" in seen) is (row[number] == "sees"), (row, path, name)


def test_every_rule_about_callers_is_in_the_picture():
    picture = PAGE.partition("```text\n")[2].partition("```")[0]
    from bkjs.auth.rules import SETTINGS

    for name in {*SETTINGS} - {"disable_session"}:
        assert f"api-{name.replace('_', '-')}" in picture, name
