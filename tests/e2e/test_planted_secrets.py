"""Secrets planted in everything that comes in are nowhere in what goes out: logs at the lowest
level, error replies, listings, the process title, files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from websockets.sync.client import connect

from bkjs.auth.signature import create_signature, sign_url
from bkjs.testing.client import Client
from bkjs.testing.process import Server, run
from tests.e2e.conftest import Empty

pytestmark = pytest.mark.process

FILE = {
    "api-session-secret": "planted-01-session-k3J9vQ2xT7bN4mR8",
    "backend-secret": "planted-02-backend",
    "smtp-password": "planted-03-smtp",
    "api-query-token-secret": "planted-04-next-token",
    "api-salt": "planted-05-salt",
}
LINE = {
    "api-access-token-secret": "planted-06-token-k3J9vQ2xT7bN4mR8wL",
    "ssl-passphrase": "planted-07-passphrase",
}
SIGNING, NEW_SIGNING = "planted-08-signing", "planted-09-signing"
PASSWORD, NEW_PASSWORD = "planted-10-password", "planted-11-password"
WRONG, AS_LOGIN = "planted-12-wrong", "planted-13-in-the-wrong-field"
BROKEN, FORM, NESTED = "planted-14-broken-json", "planted-15-form", "planted-16-nested"
BEARER, API_KEY, FOREIGN = "planted-17-bearer", "planted-18-api-key", "planted-19-cookie"
SECOND, FRAME, UNKNOWN = "planted-20-second-factor", "planted-21-frame", "planted-22-no-such-path"


@pytest.fixture(scope="module", params=["sqlite", "pgsql"])
def server(request: pytest.FixtureRequest, empty: Empty, tmp_path_factory) -> Iterator[Server]:
    home: Path = tmp_path_factory.mktemp("planted")
    (home / "etc").mkdir()
    (home / "etc" / "config").write_text("".join(f"{n}={v}\n" for n, v in FILE.items()))
    with empty(request.param) as database:
        line = [item for name, value in LINE.items() for item in (f"-{name}", value)]
        fields = "h:cookie,h:authorization,h:bk-signature,q:password,q:token_secret"
        parameters = [*database, "-log", "test", "-db-create-tables", *line,
                      "-api-access-log-fields", fields]  # fmt: skip
        with Server(*parameters, home=home) as made:
            made.parameters = parameters  # type: ignore[attr-defined]
            yield made


def test_nothing_of_it_is_ever_seen(server: Server):
    parameters = server.parameters  # type: ignore[attr-defined]
    host = f"127.0.0.1:{server.port}"
    commands = [
        run(server.home, "user", "add", "-login", "ann", "-secret", SIGNING, *parameters),
        run(server.home, "user", "set", "ann", "-auth_secret", SECOND, *parameters),
        run(server.home, "user", "set", "ann", "-auth_secret", "", *parameters),
        run(server.home, "user", "list", *parameters),
        run(server.home, "config", "list", *parameters),
        run(server.home, "config", "explain", "api-session-secret", *parameters),
        run(server.home, "config", "check", "-api-session-secrett", "planted-23", *parameters),
        run(server.home, "plugins", "-json", *parameters),
        run(server.home, "request", "/auth", "-login", "ann", "-port", str(server.port),
            *parameters),
    ]  # fmt: skip
    failed = [c.args for c in commands if c.returncode and "check" not in c.args]
    assert not failed, [c.stderr for c in commands]

    secrets = {*FILE.values(), *LINE.values(), "planted-"}
    with server.client(cookies={}) as client, server.client("ann", SIGNING) as ann:
        replies = _requests(client, ann, host)
        token, cookie = _credentials(client)
    secrets |= {token, cookie, *(key.read_text() for key in (server.home / "etc/keys").iterdir())}
    _frames(host, token)
    title = Path(f"/proc/{server.pid}/cmdline")
    titles = title.read_bytes().decode(errors="replace") if title.exists() else ""
    assert server.stop() == 0

    shown = {" ".join(c.args[3:6]): c.stdout + c.stderr for c in commands}
    shown |= {f"reply {n}": reply for n, reply in enumerate(replies)}
    shown["output"] = server.output
    shown["title"] = titles
    for file in server.home.rglob("*"):
        if file.is_file() and "etc" not in file.relative_to(server.home).parts[:1]:
            shown[str(file)] = file.read_bytes().decode("latin-1")
    assert "audit login.failed" in shown["output"]
    found = [(where, s, _around(text, s)) for where, text in shown.items() for s in secrets
             if s in text]  # fmt: skip
    assert not found


def _around(text: str, secret: str) -> str:
    at = text.index(secret)
    return text[max(0, at - 80) : at + 60]


def _requests(client: Client, ann: Client, host: str) -> list[str]:
    """All replies but those that hold new credentials for their owner."""
    json = {"content-type": "application/json"}
    fifth = create_signature("eve", WRONG, "GET", host, "/auth", version=5)["bk-signature"]
    made = client.post("/account/add", {"login": "eve", "name": "Eve", "password": PASSWORD})
    assert made.status == 200, made.text
    kept = [
        client.get(f"/login?login=eve&password={WRONG}"),
        client.post("/login", {"login": AS_LOGIN, "password": WRONG}),
        client.post("/login", f"login=eve&password={FORM}"),
        client.post("/login", {"login": "eve", "password": {"value": NESTED}}),
        client.post("/account/add", f'{{"login": "x", "password": "{BROKEN}', headers=json),
        client.post("/account/add", {"login": "x", "name": "X", "password": [NESTED]}),
        client.get("/auth", headers={"authorization": f"Bearer {BEARER}", "x-api-key": API_KEY}),
        client.get("/auth", headers={"cookie": f"bk-session={FOREIGN}; other={FOREIGN}"}),
        client.get("/auth", headers={"bk-signature": fifth}),
        client.get(f"/auth?bk-signature={quote(fifth, safe='')}"),
        client.get(f"/auth?bk-access-token={FOREIGN}"),
        client.get(f"/nosuch?secret={UNKNOWN}"),
        ann.get(f"/nosuch?token={UNKNOWN}"),
        ann.get(f"/account/select?secret={UNKNOWN}&name=Eve"),
        ann.get(f"/account/update?secret={NEW_SIGNING}"),
        client.get(sign_url("ann", NEW_SIGNING, "/account/get", host=host)),
    ]
    assert {reply.status for reply in kept} <= {200, 400, 401, 404, 417}
    return [reply.text for reply in kept]


def _credentials(client: Client) -> tuple[str, str]:
    login = f"login=eve&password={PASSWORD}&_session=1&_accesstoken=1"
    first = client.post("/login", login)
    assert first.status == 200, first.text
    changed = client.get(f"/account/put/secret?password={NEW_PASSWORD}")
    assert changed.status == 200, changed.text
    last = client.post("/login", login.replace(PASSWORD, NEW_PASSWORD))
    assert last.status == 200, last.text
    token, cookie = last.json()["bk-access-token"], last.cookies["bk-session"]
    assert client.get(f"/auth?bk-access-token={token}").status == 200
    assert client.get("/auth", headers={"bk-access-token": token}).status == 200
    assert client.get("/auth").status == 200
    return token, cookie


def _frames(host: str, token: str) -> None:
    with connect(f"ws://{host}/") as socket:
        for frame in (f"/auth?bk-access-token={token}", f"/login?login=eve&password={FRAME}"):
            socket.send(frame)
            assert socket.recv(5)
