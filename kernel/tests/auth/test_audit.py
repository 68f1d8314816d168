"""The audit log: logins and rights, by whom and from where, and no secrets."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from bkjs.auth import audit
from bkjs.errors import BkError
from bkjs.web.endpoints import login

PASSWORD = "correct horse"
ENDPOINTS = {endpoint.path: endpoint for endpoint in login.routes.endpoints}


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Any:
    """`lines()` are the events so far, as `(name, facts)`."""
    caplog.set_level(logging.INFO, logger="bkjs.audit")

    def read() -> list[tuple[str, dict[str, Any]]]:
        found = []
        for record in caplog.records:
            if record.name == "bkjs.audit":
                word, event, facts = record.getMessage().split(" ", 2)
                assert word == "audit"
                found.append((event, json.loads(facts)))
        caplog.clear()
        return found

    return read


async def member(auth: Any) -> None:
    await auth.auth.accounts.add({"login": "m", "name": "M", "password": PASSWORD})


async def test_logins_by_password(auth: Any, lines: Any):
    await member(auth)
    lines()
    req = auth.request("/login")
    await auth.auth.login(req, "m", PASSWORD)
    facts = {"account": "m", "by": "m", "ip": "9.9.9.9", "request": req.id, "how": "password"}
    assert lines() == [("login", facts)]


@pytest.mark.parametrize(("login", "named"), [("m", "m"), ("correct horse", "")])
async def test_failed_logins_name_only_accounts_that_exist(
    auth: Any, lines: Any, login: str, named: str
):
    await member(auth)
    lines()
    req = auth.request("/login")
    with pytest.raises(BkError):
        await auth.auth.login(req, login, "battery staple")
    facts = {"account": named, "by": "", "ip": "9.9.9.9", "request": req.id}
    assert lines() == [("login.failed", facts)]


async def test_a_failed_password_signature(auth: Any, lines: Any):
    await member(auth)
    lines()
    req = auth.signed("m", "battery staple", sign={"version": 5}, scheme="https")
    assert await auth.status(req) == 401
    [(event, facts)] = lines()
    assert (event, facts["account"]) == ("login.failed", "m")


@pytest.mark.parametrize("control", ["_session", "_accesstoken"])
async def test_sessions_and_tokens_by_signature(auth: Any, lines: Any, control: str):
    lines()
    req = auth.signed("u", "k", f"/auth?{control}=1", endpoint=ENDPOINTS["/auth"])
    assert await auth.status(req) == 200
    await ENDPOINTS["/auth"].fn(req)
    [(event, facts)] = lines()
    assert (event, facts["account"], facts["how"]) == ("login", "u", "signature")


async def test_rights_as_they_were_and_are(auth: Any, lines: Any):
    lines()
    await auth.auth.accounts.update("u", {"type": "staff"}, admin=True)
    await auth.auth.accounts.update(
        "u", {"type": "admin", "expires": 5, "name": "Other"}, admin=True
    )
    await auth.auth.accounts.update("u", {"name": "Same rights"}, admin=True)
    first, second = lines()
    assert first[1]["type"] == [None, "staff"]
    assert first[1]["by"].startswith("process of ")
    assert second[1]["type"] == ["staff", "admin"]
    assert second[1]["expires"] == [None, 5]
    assert "name" not in second[1]


async def test_secrets_and_rules_by_name_only(auth: Any, lines: Any, caplog: Any):
    lines()
    req = auth.signed("u", "k")
    await auth.status(req)
    await auth.auth.accounts.set_secret("u", {"password": PASSWORD}, req=req)
    await auth.auth.accounts.update(
        "u", {"acl_allow": "^/planted", "auth_secret": "planted"}, admin=True
    )
    text = caplog.text
    found = lines()
    assert found[0][0] == "change"
    assert found[0][1]["changed"] == ["password", "secret"]
    assert (found[0][1]["by"], found[0][1]["ip"]) == ("u", "9.9.9.9")
    assert found[1][1]["changed"] == ["acl_allow", "auth_secret"]
    assert "planted" not in text
    assert PASSWORD not in text


async def test_the_life_of_a_login(auth: Any, lines: Any):
    lines()
    await auth.auth.accounts.add(
        {"login": "n", "name": "N", "secret": "the-secret-of-n-", "type": "x"}, admin=True
    )
    await auth.auth.accounts.rename("n", "o")
    await auth.auth.accounts.delete("o")
    await auth.auth.accounts.delete("o")
    added, renamed, deleted = lines()
    assert (added[0], added[1]["account"], added[1]["type"]) == ("add", "n", "x")
    assert (renamed[0], renamed[1]["account"], renamed[1]["login"]) == ("rename", "n", "o")
    assert (deleted[0], deleted[1]["account"]) == ("delete", "o")


def test_no_login_breaks_a_line(auth: Any, lines: Any):
    audit.note(None, "login.failed", "a\r\nb\ud800")
    [(_, facts)] = lines()
    assert facts["account"] == "a\r\nb?"


async def test_an_old_hash_that_is_renewed_is_no_change(auth: Any, lines: Any):
    from bkjs.auth.passwords import legacy_hash

    await member(auth)
    old = {"login": "m", "salt": "S", "password": legacy_hash("S", PASSWORD)}
    await auth.app.db.update("bk_auth", old)
    lines()
    await auth.auth.login(auth.request("/login"), "m", PASSWORD)
    assert [event for event, _ in lines()] == ["login"]
    sign = {"version": 5}
    await auth.app.db.update("bk_auth", old)
    assert await auth.status(auth.signed("m", PASSWORD, sign=sign, scheme="https")) == 200
    row = await auth.app.db.get("bk_auth", {"login": "m"})
    assert row["password"].startswith("$argon2id$")
