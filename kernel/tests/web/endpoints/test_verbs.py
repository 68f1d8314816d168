"""Endpoints that are nothing but a verb of the database."""

from __future__ import annotations

import types
from typing import Any

import pytest

from bkjs import hookimpl
from bkjs.errors import Denied
from bkjs.testing.app import make_app
from bkjs.testing.web import call
from bkjs.web import Field, Params, Routes
from bkjs.web.endpoints.verbs import handler

SECRET = "a secret for all of them"
COLUMNS = {"id": {"type": "uuid", "primary": 1}, "name": {}, "kind": {}, "n": {"type": "counter"}}


class Key(Params):
    id: str


class Name(Key):
    name: str = Field("none", min_length=1)


class Count(Key):
    n: int = 1


class New(Params):
    name: str
    kind: str = "plain"


class Text(Params, extra="allow"):
    text: str


class Any_(Key, extra="allow"):
    pass


routes = Routes()
routes.verb("/thing/get", "thing", params=Key, public=True)
routes.verb("/thing/select", "thing", public=True)
routes.verb("/thing/add", "thing", params=New, public=True)
routes.verb("/thing/put", "thing", params=Name, public=True)
routes.verb("/thing/update", "thing", params=Name, public=True)
routes.verb("/thing/incr", "thing", params=Count, public=True)
routes.verb("/thing/del", "thing", params=Key, public=True)


def things() -> types.ModuleType:
    plugin = types.ModuleType("things")
    plugin.tables = hookimpl(  # type: ignore[attr-defined]
        lambda: {"thing": {name: {**props, "pub": 1} for name, props in COLUMNS.items()}}
    )
    plugin.configure_web = hookimpl(lambda web: web.add(routes))  # type: ignore[attr-defined]
    return plugin


@pytest.fixture
async def ask() -> Any:
    async with make_app([things()], role="web") as app:

        async def ask(target: str, status: int = 200) -> Any:
            reply = await call(app, target)
            assert reply.status == status, reply.body
            return reply.json()

        yield ask


async def test_a_row_from_its_making_to_its_end(ask: Any) -> None:
    row = await ask("/thing/add?name=a&id=mine&n=7")
    assert (row["name"], row["kind"], row["n"]) == ("a", "plain", 0)
    assert row["id"] != "mine"
    key = f"id={row['id']}"

    await ask(f"/thing/update?{key}&kind=other")
    assert (await ask(f"/thing/get?{key}"))["name"] == "a"
    await ask(f"/thing/update?{key}&name=b")
    await ask(f"/thing/incr?{key}&n=2")
    await ask(f"/thing/incr?{key}")  # nothing is added that nobody asked for
    found = await ask("/thing/select?name=b")
    assert [(one["name"], one["kind"], one["n"]) for one in found["data"]] == [("b", "plain", 2)]

    await ask(f"/thing/put?{key}")
    assert (await ask(f"/thing/get?{key}")) == {"id": row["id"], "name": "none", "n": 0}
    await ask(f"/thing/del?{key}")
    assert "thing" in (await ask(f"/thing/get?{key}", 404))["message"]


@pytest.mark.parametrize("verb", ["update", "incr", "del"])
async def test_a_write_to_nothing_is_not_found(ask: Any, verb: str) -> None:
    refused = await ask(f"/thing/{verb}?id=gone&name=x", 404)
    assert refused == {"status": 404, "message": "no such thing", "code": "NotFound"}
    assert (await ask("/thing/select"))["count"] == 0


async def test_an_update_that_changes_nothing_is_no_error(ask: Any) -> None:
    row = await ask("/thing/add?name=a")
    assert await ask(f"/thing/update?id={row['id']}") == {}


@pytest.mark.parametrize("verb", ["update", "incr", "del"])
async def test_clients_of_2018_get_the_old_answer(verb: str) -> None:
    async with make_app([things()], "-api-compat", "missing", role="web") as app:
        reply = await call(app, f"/thing/{verb}?id=gone&name=x")
        assert (reply.status, reply.json()) == (200, {})


@pytest.mark.parametrize("query", ["name[$ne]=a", "id[$gt]=", "name[a][b]=1"])
async def test_a_condition_is_no_object(ask: Any, query: str) -> None:
    refused = await ask(f"/thing/select?{query}", 400)
    field = query.partition("[")[0]
    assert refused["field"] == field
    assert refused["message"] == f"{field}: must be a value or a list of values"
    assert (await ask("/thing/select?name[]=a&name[]=b"))["count"] == 0


async def test_an_operator_without_a_value_counts_or_is_refused(ask: Any) -> None:
    await ask("/thing/add?name=a")
    await ask("/thing/add?name=b&kind=")
    for op, found in (("null", 0), ("not null", 2)):
        assert (await ask(f"/thing/select?_ops=name,{op}"))["count"] == found
        assert (await ask(f"/thing/select?_ops=name,{op}&_total=1"))["count"] == found
    for op in ("gt", "eq", "contains", "in"):
        refused = await ask(f"/thing/select?_ops=name,{op}", 400)
        assert (refused["field"], refused["message"]) == ("name", f"_ops: name {op} needs a value")
    assert "unknown operator" in (await ask("/thing/select?_ops=name,nlul", 400))["message"]
    for group, found in (("$or[name]=a&$or[kind]=x", 1), ("$and[name]=c", 0)):  # has a value there
        assert (await ask(f"/thing/select?_ops=name,begins_with&{group}"))["count"] == found


async def test_what_a_client_adds_is_dropped_and_never_hinted_at(ask: Any, caplog: Any) -> None:
    row = await ask("/thing/add?name=a&nmae=b")
    await ask(f"/thing/update?id={row['id']}&nmae=b")
    found = await ask("/thing/select?nmae=b&_select=id,nmae&_ops=nmae,gt")
    assert found["data"] == [{"id": row["id"]}]
    assert caplog.text == ""
    assert (await ask("/thing/select?_sort=nmae", 400))["message"].endswith("'nmae'")


async def test_rows_come_in_the_order_of_several_columns(ask: Any) -> None:
    for name, kind in ("ax", "bx", "ay", "by", "cx"):
        await ask(f"/thing/add?name={name}&kind={kind}")

    async def order(sort: str) -> str:
        page = await ask(f"/thing/select?_sort={sort}&_count=2")
        found = page["data"]
        while "next_token" in page:
            token = page["next_token"]
            page = await ask(f"/thing/select?_sort={sort}&_count=2&_start={token}")
            found += page["data"]
        return " ".join(row["name"] + row["kind"] for row in found)

    assert await order("kind,-name") == "cx bx ax by ay"
    assert await order("-kind,name") == "ay by ax bx cx"
    assert await order("-name,-kind") == "cx by bx ay ax"
    assert await order("-name,kind") == "cx bx by ax ay"
    token = (await ask("/thing/select?_sort=kind,-name&_count=2"))["next_token"]
    await ask(f"/thing/select?_sort=kind,name&_count=2&_start={token}", 400)


async def test_the_direction_of_one_column_is_desc_or_a_minus(ask: Any) -> None:
    for name in "abc":
        await ask(f"/thing/add?name={name}")
    for query, found in {
        "_sort=name": "abc",
        "_sort=name&_desc=1": "cba",
        "_sort=-name": "cba",
        "_sort=-name&_desc=1": "cba",
        "_sort=name,id&_desc=0": "abc",
    }.items():
        page = await ask(f"/thing/select?{query}")
        assert "".join(row["name"] for row in page["data"]) == found, query
    refused = await ask("/thing/select?_sort=name,kind&_desc=1", 400)
    assert refused["field"] == "desc"
    for sort, problem in {"name,-nmae": "'nmae'", ",".join(["name"] * 9): "more than 8"}.items():
        refused = await ask(f"/thing/select?_sort={sort}", 400)
        assert (refused["field"], problem in refused["message"]) == ("sort", True)


async def test_no_count_gives_the_whole_table(ask: Any) -> None:
    for number in range(40):
        await ask(f"/thing/add?name=n{number}")
    for count in ("0", "-1", "x", ""):
        page = await ask(f"/thing/select?_count={count}")
        assert (page["count"], "next_token" in page) == (32, True)
    assert (await ask("/thing/select?_count=999"))["count"] == 40


async def test_a_token_that_does_not_open_is_refused(ask: Any) -> None:
    """The first page in its place would be read for ever by a client that follows tokens."""
    for number in range(4):
        await ask(f"/thing/add?name=n{number}")
    token = (await ask("/thing/select?_count=2"))["next_token"]
    assert (await ask(f"/thing/select?_count=2&_start={token}"))["count"] == 2
    for broken in (token[:-3], token + "A", "x", "%20", "-1", "1e3"):
        refused = await ask(f"/thing/select?_count=2&_start={broken}", 400)
        assert "_start" in refused["message"] + refused.get("field", "")
    assert (await ask("/thing/select?_count=2&_start="))["count"] == 2
    assert (await ask("/thing/select?_count=2&_start=3"))["count"] == 1


@pytest.fixture
async def notes() -> Any:
    """An application whose accounts ann and bob have notes of their own."""
    own = Routes()
    for verb, params in {"add": Text, "get": Key, "update": Any_, "incr": Any_, "del": Key}.items():
        own.verb(f"/note/{verb}", "note", params=params, owner="account")
    own.verb("/note/select", "note", owner="account")
    own.verb("/all/select", "note")
    plugin = types.ModuleType("notes")
    columns = {"id": {"type": "uuid", "primary": 1}, "text": {}, "n": {"type": "counter"}}
    table = {name: {**props, "pub": 1} for name, props in columns.items()} | {"account": {}}
    table |= {"body": {}, "grade": {"admin": 1}, "pin": {"secure": 1}}
    plugin.tables = hookimpl(lambda: {"note": table})  # type: ignore[attr-defined]
    plugin.configure_web = hookimpl(lambda web: web.add(own))  # type: ignore[attr-defined]
    async with make_app([plugin], role="web") as app:
        for login in ("ann", "bob"):
            await app.auth.accounts.add(
                {"login": login, "name": login, "secret": f"the-secret-of-{login}"}
            )

        async def ask(login: str, target: str, status: int = 200) -> Any:
            reply = await call(app, target, login=login, secret=f"the-secret-of-{login}")
            assert reply.status == status, reply.body
            return reply.json()

        ask.app = app  # type: ignore[attr-defined]
        yield ask


async def test_accounts_have_their_own_rows(notes: Any) -> None:
    ann = (await notes("ann", "/note/add?text=hers&account=x"))["id"]
    bob = (await notes("bob", "/note/add?text=bobs"))["id"]

    for login, id, text in (("ann", ann, "hers"), ("bob", bob, "bobs")):
        assert (await notes(login, f"/note/get?id={id}"))["text"] == text
        (own,) = (await notes(login, "/note/select"))["data"]
        assert (own["id"], own["text"], own["n"]) == (id, text, 0)
    for query in (f"id={bob}", "_ops=account,ne", "account=", "_ops=text,ne&text=x&_total=1"):
        assert "bobs" not in str(await notes("ann", f"/note/select?{query}"))


async def test_owners_have_the_private_columns_of_their_rows(notes: Any) -> None:
    """Nothing else has to be marked `pub`, which would show it to all."""
    added = await notes("ann", "/note/add?text=hers&body=private&grade=good&pin=1234")
    own = {"text": "hers", "body": "private", "n": 0, "account": added["account"]}
    assert added.items() >= own.items()
    for query in ("", "?_select=text,body,n", "?body=private", "?_sort=body"):
        (found,) = (await notes("ann", f"/note/select{query}"))["data"]
        assert found.items() >= own.items()
        assert not found.keys() & {"grade", "pin"}
    found = await notes("ann", f"/note/get?id={added['id']}")
    assert found == own | {"id": added["id"]}
    for hidden in ("grade", "pin"):
        for query in (
            f"{hidden}=good", f"_sort={hidden}", f"_select={hidden}", f"_sort=-{hidden}",
            f"_sort=text,-{hidden}", f"_sort=text,{hidden}", f"_ops={hidden},null",
        ):  # fmt: skip
            refused = await notes("ann", f"/note/select?{query}", 400)
            assert refused["field"] == hidden
    stored = await notes.app.db.get("note", {"id": added["id"]})
    assert (stored["grade"], stored["pin"]) == ("good", "1234")
    assert (await notes("bob", "/all/select"))["data"] == [
        {"id": added["id"], "text": "hers", "n": 0}
    ]
    for hidden in ("body", "account"):
        assert (await notes("ann", f"/all/select?_select={hidden}", 400))["field"] == hidden


async def test_rows_of_others_are_as_if_they_were_not_there(notes: Any) -> None:
    id = (await notes("bob", "/note/add?text=bobs"))["id"]
    for target in ("get", "update", "incr", "del"):
        there = await notes("ann", f"/note/{target}?id={id}&text=mine&n=1", 404)
        missing = await notes("ann", f"/note/{target}?id=none&text=mine&n=1", 404)
        assert there == missing
    await notes("bob", f"/note/update?id={id}&account=ann")
    left = await notes("bob", f"/note/get?id={id}")
    assert (left["text"], left["n"], left["account"] == "ann") == ("bobs", 0, False)


@pytest.mark.parametrize("verb", ["get", "select", "add", "update", "incr", "del"])
async def test_strangers_that_a_rule_lets_in_own_nothing(verb: str) -> None:
    params = None if verb in ("get", "select") else Any_
    do, _ = handler(f"/note/{verb}", "note", params, owner="account")
    req = types.SimpleNamespace(account={}, query={"id": "1"})
    with pytest.raises(Denied):
        await (do(req, Any_(id="1")) if params else do(req))


@pytest.mark.parametrize("verb", ["update", "put", "incr", "del"])
def test_rows_that_all_may_change_are_declared_so(verb: str) -> None:
    with pytest.raises(ValueError, match=r"every account could change every row of note.*shared"):
        Routes().verb(f"/note/{verb}", "note", params=Key)
    with pytest.raises(ValueError, match="shared"):
        Routes().verb(f"/note/{verb}", "note", params=Key, owner="account", shared=True)
    for said in ({"shared": True}, {"public": True}):
        Routes().verb(f"/note/{verb}", "note", params=Key, **said)
    for harmless in ("add", "get", "select"):
        Routes().verb(f"/note/{harmless}", "note", params=Key)


@pytest.mark.parametrize(("verb", "public"), [("put", False), ("get", True)])
def test_what_has_no_owner_is_not_declared(verb: str, public: bool) -> None:
    with pytest.raises(ValueError, match=r"any owner|nobody owns"):
        Routes().verb(f"/note/{verb}", "note", params=Key, owner="account", public=public)


async def test_the_owner_may_be_a_part_of_the_key() -> None:
    class Vote(Params):
        book: str
        stars: int = 0

    class Book(Params):
        book: str

    votes = Routes()
    for verb in ("add", "get", "update", "incr", "del"):
        params = Book if verb in ("get", "del") else Vote
        votes.verb(f"/vote/{verb}", "vote", params=params, owner="who", etag=verb == "get")
    columns = {"who": {"primary": 1}, "book": {"primary": 2}, "stars": {"type": "counter"}}
    plugin = types.SimpleNamespace(
        name="votes",
        tables=hookimpl(lambda: {"vote": columns}),
        configure_web=hookimpl(lambda web: web.add(votes)),
    )
    async with make_app([plugin]) as app:
        for login in ("ann", "bob"):
            await app.auth.accounts.add({"login": login, "secret": SECRET, "name": login})

        async def ask(login: str, target: str, **headers: str) -> Any:
            return await call(app, target, login=login, secret=SECRET, headers=headers)

        for login, stars in (("ann", 3), ("bob", 5)):
            assert (await ask(login, f"/vote/add?book=1&stars={stars}")).status == 200
        assert (await ask("ann", "/vote/update?book=1&stars=4&who=bob")).status == 200
        assert (await ask("ann", "/vote/incr?book=1&stars=-2")).status == 200
        mine = await ask("ann", "/vote/get?book=1")
        assert (mine.json()["stars"], (await ask("bob", "/vote/get?book=1")).json()["stars"]) == (
            2,
            5,
        )
        seen = {"if-match": mine.headers["etag"]}
        assert (await ask("bob", "/vote/del?book=1", **seen)).status == 412
        assert (await ask("ann", "/vote/del?book=1", **seen)).status == 200
        assert (await ask("ann", "/vote/get?book=1")).status == 404
        assert (await ask("bob", "/vote/get?book=1")).status == 200


async def test_parameters_are_checked_as_everywhere(ask: Any) -> None:
    assert (await ask("/thing/get", 400))["message"] == "id is required"
    assert "name" in (await ask("/thing/update?id=1&name=", 400))["message"]


def test_the_last_part_of_the_path_is_a_verb() -> None:
    with pytest.raises(ValueError, match="no verb 'list'"):
        Routes().verb("/thing/list", "thing")


def test_what_a_client_may_set_is_named() -> None:
    with pytest.raises(ValueError, match="params"):
        Routes().verb("/thing/update", "thing")


def test_only_verbs_that_change_something_are_writes() -> None:
    assert {one.path for one in routes.endpoints if not one.writes} == {
        "/thing/get",
        "/thing/select",
    }
