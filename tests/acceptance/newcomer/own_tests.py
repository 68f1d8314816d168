"""The tests of `club.py`, as docs/testing.md says: one in its process, the others of a server."""

import pytest

from bkjs.testing.app import make_app
from bkjs.testing.process import Server
from bkjs.testing.web import call

ANNA = {"login": "anna", "secret": "a long enough secret", "name": "Anna"}


@pytest.fixture(scope="module")
def server():
    with Server("-app", "club.py", "-db-create-tables", "-app-loans", "2") as server:
        with server.client() as stranger:
            assert stranger.post("/account/add", ANNA).status == 200
        yield server


def test_a_member_has_two_loans(server):
    with server.client("anna", ANNA["secret"]) as anna:
        for album, status in (("a", 200), ("b", 200), ("c", 400)):
            assert anna.post("/loan/add", {"album": album}).status == status
        page = anna.get("/loan/select?_sort=album").json()
        assert [loan["album"] for loan in page["data"]] == ["a", "b"]


def test_strangers_lend_nothing(server):
    with server.client() as stranger:
        assert stranger.post("/loan/add", {"album": "a"}).status == 417


async def test_what_was_paid_is_private():
    async with make_app([], "-app", "club.py") as app:
        await app.db.add("album", {"id": "a", "title": "Blue", "paid": "9.80"})
        page = (await call(app, "/album/select")).json()
        assert [album["title"] for album in page["data"]] == ["Blue"]
        assert "paid" not in page["data"][0]
