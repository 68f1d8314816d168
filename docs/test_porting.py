"""The page about porting: its application answers, and the names in its tables are there."""

import re
import types
from pathlib import Path

import pytest

import bkjs_accounts
from bkjs import hookspecs
from bkjs.app import App
from bkjs.db.database import Database
from bkjs.testing.app import make_app
from bkjs.testing.process import run
from bkjs.testing.web import call
from bkjs.web import Web

PAGE = Path(__file__).with_name("porting.md").read_text(encoding="utf-8")
CODE = re.compile(r"`([^`]+)`")
ANNA = {"login": "anna", "secret": "a long enough secret"}


def rows(section: str) -> list[list[str]]:
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


async def test_the_application_does_what_the_old_one_did():
    names = {}
    exec(re.search(r"```python\n(.*?)```", PAGE, re.S)[1], names)
    module = types.SimpleNamespace(**names | {"name": "app"})
    async with make_app([bkjs_accounts, module], "-app-max", "2") as app:
        await app.auth.accounts.add(ANNA | {"name": "Anna"})
        for name in "abc":
            assert (await call(app, "/todo/add", {"name": name}, **ANNA)).json()["name"] == name
        page = (await call(app, "/todo/select?_sort=name", **ANNA)).json()
        assert [row["name"] for row in page["data"]] == ["a", "b"]
        assert page["next_token"]
        first = page["data"][0]["id"]
        assert (await call(app, "/todo/del", {"id": first}, **ANNA)).status == 200
        assert (await call(app, "/todo/add", {}, **ANNA)).json()["field"] == "name"
        assert (await call(app, "/todo/select")).status == 417


def test_hooks_and_registrations_have_these_names():
    for _, here in rows("Hooks"):
        for code in CODE.findall(here):
            name = re.match(r"(web\.|app\.db\.)?(\w+)", code)
            if name[1] or (code.endswith(")") and not code.startswith("def ")):
                owner = {"web.": Web, "app.db.": Database}.get(name[1] or "", hookspecs)
                assert hasattr(owner, name[2]), code
    told = rows("Hooks")[6]
    for old in CODE.findall(told[0]):
        name = re.sub(r"([A-Z])", lambda m: "_" + m[1].lower(), old.removeprefix("app."))
        assert hasattr(hookspecs, name), old


def test_verbs_have_these_names():
    for _, here in rows("The database"):
        for name in re.findall(r"\bdb\.(\w+)", here):
            assert hasattr(Database, name), name


@pytest.mark.parametrize("row", rows("Configuration"), ids=lambda row: row[0][:30])
def test_parameters_are_known_or_not_as_told(row, tmp_path):
    (tmp_path / "etc").mkdir()
    named, now = row
    if "no driver" in now:
        for name in CODE.findall(named):
            done = run(tmp_path, "db", "tables", f"-{name}", "x://y")
            assert done.returncode != 0
            assert "no db driver" in done.stderr
        return
    unknown = "unknown yet" in now or named.startswith("`web-dir`")
    for name in (name for name in CODE.findall(named) if "…" not in name):
        app = App(role="shell", argv=["-home", str(tmp_path), f"-{name}", "1"])
        problems = " ".join(map(str, app.prepare()))
        assert ("unknown parameter" in problems) is unknown, name
