"""The commands user and request."""

import asyncio
import io
import json
from urllib.parse import quote

import pytest

import bkjs_accounts
from bkjs import App
from bkjs.errors import BadRequest, BkError, NotFound, UsageError
from bkjs.testing.app import make_app
from bkjs.testing.web import call
from bkjs_accounts import service
from bkjs_accounts.request import COMMAND as request
from bkjs_accounts.user import COMMAND as user


@pytest.fixture
def home(tmp_path):
    return ["-home", str(tmp_path), "-log", "warn"]


def lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_accounts_are_added_listed_changed_and_deleted(home, capsys):
    assert user(["user", "add", "-login", "ann", "-name", "Ann", "-type", "admin", *home]) == 0
    (added,) = lines(capsys)
    assert added["type"] == "admin"
    assert len(added["secret"]) >= 32
    user(["user", "list", *home])
    assert [row["login"] for row in lines(capsys)] == ["ann"]
    user(["user", "set", "ann", "-name", "Anna", *home])
    assert lines(capsys)[0]["name"] == "Anna"
    user(["user", "del", "ann", *home])
    assert lines(capsys)[0]["deleted"] is True
    user(["user", "list", *home])
    assert lines(capsys) == []


def test_a_password_is_read_from_standard_input(home, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("correct Horse 7\n"))
    user(["user", "add", "-login", "ann", "-password", "-", *home])
    (added,) = lines(capsys)
    assert "password" not in added
    monkeypatch.setattr("sys.stdin", io.StringIO("planted-secret-of-ann\n"))
    user(["user", "set", "ann", "-secret", "-", *home])
    assert lines(capsys)[0]["secret"] == "***"


@pytest.mark.parametrize("name", ["password", "secret"])
def test_an_empty_password_on_standard_input_is_refused(name, home, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(BadRequest, match=f"the {name} is empty"):
        user(["user", "add", "-login", "ann", f"-{name}", "-", *home])
    user(["user", "list", *home])
    assert lines(capsys) == []


def test_a_short_secret_is_refused(home, capsys):
    with pytest.raises(BadRequest, match="secret: 16 characters at least"):
        user(["user", "add", "-login", "ann", "-secret", "short", *home])
    user(["user", "add", "-login", "ann", *home])
    with pytest.raises(BadRequest, match="secret: 16 characters at least"):
        user(["user", "set", "ann", "-secret", "short", *home])


def test_a_secret_beside_a_password_is_refused_for_it_would_be_lost(home, capsys):
    both = ["-password", "correct Horse 7", "-secret", "planted-secret-of-ann"]
    for action in ("add", "set"):
        with pytest.raises(UsageError, match="give the password first"):
            user(["user", action, "ann", *both, *home])
    user(["user", "list", *home])
    assert lines(capsys) == []


def test_logins_are_disabled_by_their_expiry(home, capsys):
    user(["user", "add", "-login", "ann", "-expires", "5", "-flags", "a,b", *home])
    lines(capsys)
    user(["user", "set", "ann", "-expires", "0", "-secret", "planted-secret-of-ann", *home])
    (changed,) = lines(capsys)
    assert (changed["login"], changed["expires"], changed["secret"]) == ("ann", "0", "***")
    with pytest.raises(BadRequest, match="expires: must be a whole number"):
        user(["user", "set", "ann", "-expires", "soon", *home])


async def test_an_account_that_was_deleted_half_way_can_be_deleted(tmp_path, capsys):
    home = ["-home", str(tmp_path), "-log", "warn"]
    async with App(role="shell", argv=["-db-create-tables", *home]) as app:
        await service.add(app, {"login": "ann", "name": "Ann", "secret": "the-secret-of-ann"})
        await app.auth.accounts.delete("ann")
    await asyncio.to_thread(user, ["user", "del", "ann", *home])
    assert lines(capsys)[0]["deleted"] is True
    await asyncio.to_thread(user, ["user", "list", *home])
    assert lines(capsys) == []


def test_wrong_usage_is_named(home):
    with pytest.raises(BadRequest, match="there are add, list, set, del"):
        user(["user", "make", *home])
    for action in ("add", "set", "del"):
        with pytest.raises(BadRequest, match="LOGIN: which one"):
            user(["user", action, *home])
    with pytest.raises(NotFound, match="'nobody'"):
        user(["user", "set", "nobody", "-name", "x", *home])
    user(["user", "add", "-login", "ann", *home])
    with pytest.raises(BadRequest, match="nothing to set"):
        user(["user", "set", "ann", *home])
    with pytest.raises(BadRequest, match="name cannot be empty"):
        user(["user", "set", "ann", "-name", "", *home])


def test_request_says_what_is_wrong(home, capsys):
    with pytest.raises(BadRequest, match="request needs URL"):
        request(["request", *home])
    with pytest.raises(NotFound, match="no login 'nobody'"):
        request(["request", "/auth", "-login", "nobody", *home])
    assert request(["request", "http://127.0.0.1:1/ping", *home]) == 1
    assert "is the server running?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("bind", "address"),
    [("0.0.0.0", "http://127.0.0.1:7/x"), ("::", "http://[::1]:7/x"), ("::1", "http://[::1]:7/x")],
)
def test_requests_go_to_the_address_that_is_configured(home, capsys, bind, address):
    assert request(["request", "/x", "-bind", bind, "-port", "7", *home]) == 1
    assert f"bkjs: {address}: " in capsys.readouterr().err


def test_requests_are_http(home):
    with pytest.raises(BadRequest, match="only http"):
        request(["request", "file:///etc/passwd", *home])


@pytest.mark.parametrize("kind", ["password", "secret"])
def test_an_account_comes_back_although_the_key_of_its_secrets_is_lost(
    home, tmp_path, capsys, kind
):
    user(["user", "add", "ann", "-password", "correct Horse 7", "-type", "admin", *home])
    (tmp_path / "etc" / "keys" / "secrets").unlink()
    new = "another Horse 8, of ann"
    with pytest.raises(BkError, match=r"cannot be decrypted.*user set LOGIN -password - -reset"):
        user(["user", "set", "ann", f"-{kind}", new, *home])
    with pytest.raises(UsageError, match="-reset needs -password or -secret"):
        user(["user", "set", "ann", "-reset", *home])
    with pytest.raises(NotFound):
        user(["user", "set", "nobody", "-reset", f"-{kind}", new, *home])
    capsys.readouterr()
    assert user(["user", "set", "ann", "-reset", f"-{kind}", new, "-name", "Anna", *home]) == 0
    (shown,) = lines(capsys)
    assert (shown["login"], shown[kind], shown["name"]) == ("ann", "***", "Anna")

    async def enter():
        async with make_app([bkjs_accounts], "-db-pool", "sqlite", home=str(tmp_path)) as app:
            form = f"login=ann&password={quote(new)}"
            typed = await call(app, "/login", form, method="POST")
            signed = await call(app, "/account/get", login="ann", secret=new)
            return typed.status, signed.status

    typed, signed = asyncio.run(enter())
    assert signed == (200 if kind == "secret" else 401)
    if kind == "password":
        assert typed == 200
