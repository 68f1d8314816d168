"""What another process changes of an account counts at once in the one that serves."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from bkjs.testing.client import Client
from bkjs.testing.process import Server, run

pytestmark = pytest.mark.process
PASSWORD = "battery staple 7"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server("-db-create-tables") as made:
        yield made


def command(server: Server, *argv: str) -> None:
    done = run(server.home, "user", *argv)
    assert done.returncode == 0, done.stderr


def signed_in(server: Server, client: Client, login: str) -> str:
    """Make an account, open a session in `client`, and give an access token."""
    command(server, "add", "-login", login, "-password", PASSWORD)
    query = {"login": login, "password": PASSWORD, "_session": 1, "_accesstoken": 1}
    reply = client.post("/login", query)
    assert reply.status == 200, reply.text
    return str(reply.json()["bk-access-token"])


@pytest.mark.parametrize(
    ("login", "change"),
    [
        ("ann", ("set", "ann", "-password", "correct horse 7")),
        ("bob", ("set", "bob", "-type", "staff")),
        ("cat", ("set", "cat", "-expires", "1")),
        ("dan", ("del", "dan")),
    ],
)
def test_sessions_tokens_and_connections_end(server: Server, login: str, change: tuple[str, ...]):
    with server.client(cookies={}) as client, server.client() as stranger:
        token = signed_in(server, client, login)
        header = {"bk-access-token": token}
        cookie = {"Cookie": "; ".join(f"{n}={v}" for n, v in (client.cookies or {}).items())}
        with connect(f"ws://127.0.0.1:{server.port}/", additional_headers=cookie) as socket:
            socket.send("/auth")
            assert json.loads(socket.recv(5))["login"] == login
            assert stranger.get("/auth", headers=header).status == 200
            command(server, *change)
            assert client.get("/auth").status in (401, 417)
            assert stranger.get("/auth", headers=header).status == 401
            with pytest.raises(ConnectionClosed) as ended:
                socket.recv(5)
            assert ended.value.rcvd is not None
            assert ended.value.rcvd.code == 1008


def test_a_disabled_account_is_let_in_again(server: Server):
    with server.client(cookies={}) as client:
        signed_in(server, client, "eve")
        command(server, "set", "eve", "-expires", "1")
        wrong = client.post("/login", {"login": "eve", "password": PASSWORD})
        unknown = client.post("/login", {"login": "nobody", "password": PASSWORD})
        assert (wrong.status, wrong.body) == (unknown.status, unknown.body)
        command(server, "set", "eve", "-expires", "0")
        assert client.post("/login", {"login": "eve", "password": PASSWORD}).status == 200
