"""The application as its clients see it, on SQLite and on the PostgreSQL of BKJS_TEST_PGSQL.

The last test runs it in its own process, where no server is needed.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bkjs.testing.app import make_app
from bkjs.testing.client import Client
from bkjs.testing.process import Server

APP = ("-app", str(Path(__file__).with_name("todo.py")))


DATABASES = {
    "sqlite": ("-db-pool", "sqlite"),
    "pgsql": ("-db-pool", "pgsql", "-db-pgsql-pool", os.environ.get("BKJS_TEST_PGSQL", "")),
}


@pytest.fixture(scope="module", params=DATABASES)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    database = DATABASES[request.param]
    if not all(database):
        pytest.skip("PostgreSQL: BKJS_TEST_PGSQL is not set")
    with Server(*APP, *database, "-db-create-tables") as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    with account(server) as client:
        yield client


@contextmanager
def account(server: Server) -> Iterator[Client]:
    """What a new account sees."""
    login, secret = secrets.token_hex(8), secrets.token_hex(32)
    with server.client() as stranger:
        reply = stranger.post("/account/add", {"login": login, "secret": secret, "name": "Ann"})
        assert reply.status == 200, reply.text
    with server.client(login, secret) as client:
        yield client


def add(client: Client, **todo: str) -> dict[str, Any]:
    reply = client.post("/todo/add", todo)
    assert reply.status == 200, reply.text
    added: dict[str, Any] = reply.json()
    return added


def test_todo_is_added_with_an_id_and_is_due_tomorrow(client: Client) -> None:
    todo = add(client, name="Milk")
    stored = client.get(f"/todo/get?id={todo['id']}").json()
    assert stored["name"] == "Milk"
    due = datetime.fromisoformat(stored["due"]) - datetime.now(UTC)
    assert timedelta(hours=23) < due <= timedelta(days=1)


def test_parameters_may_be_a_query_a_form_or_json(client: Client) -> None:
    assert client.get("/todo/add?name=Query&descr=q").json()["name"] == "Query"
    assert client.post("/todo/add", "name=Form&descr=f").json()["name"] == "Form"
    assert client.post("/todo/add", {"name": "Json", "descr": "j"}).json()["name"] == "Json"


def test_rows_are_found_sorted_and_paged(client: Client) -> None:
    mine = secrets.token_hex(8)
    for number in (3, 1, 2):
        add(client, name=f"{mine}-{number}")
    found = f"/todo/select?name={mine}&_ops=name,begins_with&_sort=name&_count=2"
    first = client.get(found).json()
    assert [todo["name"] for todo in first["data"]] == [f"{mine}-1", f"{mine}-2"]
    rest = client.get(f"{found}&_start={first['next_token']}").json()
    assert [todo["name"] for todo in rest["data"]] == [f"{mine}-3"]


def test_todo_is_changed(client: Client) -> None:
    todo = add(client, name="Bread", descr="white")
    assert client.post("/todo/update", {"id": todo["id"], "descr": "brown"}).status == 200
    stored = client.get(f"/todo/get?id={todo['id']}").json()
    assert (stored["name"], stored["descr"]) == ("Bread", "brown")


def test_todo_is_deleted(client: Client) -> None:
    mine = secrets.token_hex(8)
    todo = add(client, name=mine)
    assert client.get(f"/todo/del?id={todo['id']}").status == 200
    assert client.get(f"/todo/select?name={mine}").json() == {"count": 0, "data": []}


def test_accounts_do_not_see_or_change_what_is_not_theirs(server: Server, client: Client) -> None:
    todo = add(client, name="Ann's", descr="private")
    assert todo["descr"] == "private"
    with account(server) as bob:
        assert bob.get("/todo/select").json() == {"count": 0, "data": []}
        assert bob.get(f"/todo/get?id={todo['id']}").status == 404
        bob.post("/todo/update", {"id": todo["id"], "name": "Bob's", "owner": "bob"})
        bob.get(f"/todo/del?id={todo['id']}")
    with server.client() as stranger:
        assert stranger.get(f"/todo/get?id={todo['id']}").status == 417
    assert client.get(f"/todo/get?id={todo['id']}").json() == todo


def test_add_without_a_name_is_refused(client: Client) -> None:
    for target in ("/todo/add", "/todo/add?name="):
        reply = client.get(target)
        assert reply.status == 400
        assert "name" in reply.json()["message"]
    assert client.get("/todo/add").json()["message"] == "name is required"


@pytest.mark.parametrize("command", ["get", "update", "del"])
def test_others_without_an_id_are_refused(client: Client, command: str) -> None:
    reply = client.get(f"/todo/{command}?name=x")
    assert reply.status == 400
    assert reply.json()["message"] == "id is required"


async def test_rows_are_stored_without_a_server() -> None:
    async with make_app([], *APP) as app:
        added = await app.db.add("todo", {"name": "Milk", "owner": "1"}, info_obj=True)
        assert added.obj
        assert await app.db.get("todo", {"id": added.obj["id"]}) == added.obj
