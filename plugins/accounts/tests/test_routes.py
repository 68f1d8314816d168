"""Endpoints of accounts: what strangers, owners and administrators may do and see."""

import pytest

import bkjs_accounts
from bkjs import hookimpl
from bkjs.errors import BkError
from bkjs.testing.app import make_app
from bkjs.testing.web import call
from bkjs_accounts import schema, service


class Observer:
    """A module that remembers the account hooks."""

    name = "observer"

    def __init__(self):
        self.seen = []

    @hookimpl
    def account_added(self, account):
        self.seen.append(("added", account["id"]))

    @hookimpl
    def account_updated(self, account):
        self.seen.append(("updated", account["id"]))

    @hookimpl
    def account_renamed(self, account):
        self.seen.append(("renamed", account["name"]))

    @hookimpl
    def account_deleted(self, account):
        self.seen.append(("deleted", account["id"]))


@pytest.fixture
def observer():
    return Observer()


@pytest.fixture
async def app(observer):
    async with make_app([bkjs_accounts, observer]) as app:
        yield app


@pytest.fixture
async def ann(app):
    query = {"login": "ann", "secret": "the-secret-of-ann", "name": "Ann", "email": "ann@x.com"}
    return await service.add(app, query)


ANN = {"login": "ann", "secret": "the-secret-of-ann"}
BOB = {"login": "bob", "secret": "the-secret-of-bob"}


async def add_bob(app, **more):
    query = {
        "login": "bob",
        "secret": "the-secret-of-bob",
        "name": "Bob",
        "email": "bob@x.com",
        **more,
    }
    return await service.add(app, query, admin=True)


@pytest.mark.parametrize(
    ("query", "field"),
    [("login=a", "name"), ("name=N", "login"), ("name=N&login=a", "secret")],
)
async def test_what_is_missing_is_named(app, query, field):
    reply = await call(app, f"/account/add?{query}")
    assert reply.status == 400
    assert reply.json() == {"status": 400, "message": f"{field} is required", "field": field}


@pytest.mark.parametrize(
    "target",
    [
        "/account/add?name=N&login=n&secret=y",
        "/account/put/secret?secret=y",
        "/account/update?secret=y",
    ],
)
async def test_a_short_secret_is_refused(app, ann, target):
    reply = await call(app, target, **ANN)
    assert (reply.status, reply.json()["field"]) == (400, "secret")
    assert (await call(app, "/account/get", **ANN)).status == 200


async def test_sign_up_gives_an_id_and_no_secret_back(app, observer):
    body = {
        "name": "Ann",
        "login": "ann",
        "secret": "s3cret-s3cret-s3cret",
        "id": "mine",
        "salt": "x",
    }
    reply = await call(app, "/account/add", body)
    account = reply.json()
    assert reply.status == 200
    assert account["_added"] is True
    assert account["id"] not in ("", "mine")
    assert "secret" not in account
    assert "salt" not in account
    assert observer.seen == [("added", account["id"])]


async def test_a_password_brings_a_secret_once(app):
    body = {"name": "Ann", "login": "ann", "password": "correct Horse 7"}
    account = (await call(app, "/account/add", body)).json()
    assert "password" not in account
    own = await call(app, "/account/get", login="ann", secret=account["secret"])
    assert own.status == 200
    assert "secret" not in own.json()


async def test_nobody_makes_himself_an_administrator(app):
    closed = {"type": "admin", "flags": "x", "expires": 1, "acl_allow": "x", "rlimits_rate": 9}
    body = {"name": "Ann", "login": "ann", "secret": "the-secret-of-ann", **closed}
    reply = await call(app, "/account/add", body)
    assert set(closed).isdisjoint(reply.json())
    await call(app, "/account/update", {**closed, "name": "Ann II"}, **ANN)
    own = (await call(app, "/account/get", **ANN)).json()
    assert own["name"] == "Ann II"
    assert not own.get("type")
    stored = await app.db.get("bk_auth", {"login": "ann"})
    assert not any(stored.get(name) for name in closed)


async def test_a_login_that_is_taken_is_a_conflict_and_leaves_nothing(app, ann):
    reply = await call(app, "/account/add?name=N&login=ANN&secret=another-secret-of-ann")
    assert reply.status == 409
    assert len(await app.db.select("bk_account", {})) == 1


async def test_a_failure_half_way_leaves_no_login_behind(app):
    async def refuse(*args, **options):
        raise BkError("no")

    app.db.add, add = (
        lambda table, *a, **o: refuse() if table == "bk_account" else add(table, *a, **o),
        app.db.add,
    )
    reply = await call(app, "/account/add?name=N&login=ann&secret=the-secret-of-ann")
    assert reply.status == 500
    assert await app.auth.accounts.fetch("ann") is None


async def test_others_see_public_columns_only(app, ann):
    bob = await add_bob(app)
    ids = f"{ann['id']},{bob['id']}"
    rows = (await call(app, f"/account/get?id={ids}", **ANN)).json()
    by_name = {row["name"]: row for row in rows}
    assert by_name["Ann"]["email"] == "ann@x.com"
    assert "email" not in by_name["Bob"]
    assert (await call(app, f"/account/get?id={ids}")).status == 417


async def test_ids_are_texts_and_not_too_many(app, ann):
    both = [ann["id"], (await add_bob(app))["id"]]
    rows = (await call(app, "/account/get", {"id": both}, **ANN)).json()
    assert {row["id"] for row in rows} == set(both)
    assert (await call(app, "/account/get", {"id": 7}, **ANN)).json() == []
    for wrong in ({"$ne": 1}, [["x"]], ",".join(map(str, range(1001)))):
        reply = await call(app, "/account/get", {"id": wrong}, **ANN)
        assert (reply.status, reply.json()["field"]) == (400, "id")


@pytest.mark.parametrize("value", [{"a": 1}, ["x"], {"$ne": ""}])
@pytest.mark.parametrize("name", ["first_name", "email", "status"])
async def test_a_list_or_object_is_no_text(app, ann, name, value):
    person = {"login": "bob", "secret": "the-secret-of-bob", "name": "Bob"}
    for path, query, signed in (
        ("/account/add", person, {}),
        ("/account/update", {}, ANN),
    ):
        reply = await call(app, path, {**query, name: value}, **signed)
        assert (reply.status, reply.json()["field"]) == (400, name)
    assert await app.auth.accounts.fetch("bob") is None


async def test_search_is_by_readable_columns_only(app, ann):
    await add_bob(app)
    found = (await call(app, "/account/select?name=Bob", **ANN)).json()
    assert found["count"] == 1
    assert "email" not in found["data"][0]
    for query in ("email=bob@x.com", "name=Bob&_sort=email", "name=Bob&_select=email"):
        reply = await call(app, f"/account/select?{query}", **ANN)
        assert reply.status == 400
        assert "email" in reply.json()["message"]


async def test_search_without_a_condition_finds_nothing(app, ann):
    assert (await call(app, "/account/select", **ANN)).json() == {"count": 0, "data": []}


async def test_a_new_secret_ends_the_old_one(app, ann):
    assert (await call(app, "/account/put/secret", **ANN)).status == 400
    assert (await call(app, "/account/put/secret?secret=new-secret-number-1", **ANN)).json() == []
    assert (await call(app, "/account/get", **ANN)).status == 401
    assert (
        await call(app, "/account/get", login="ann", secret="new-secret-number-1")
    ).status == 200


async def session(app, account):
    opened = await call(app, "/auth?_session=1", **account)
    return {"cookie": opened.headers["set-cookie"].partition(";")[0]}


@pytest.mark.parametrize(
    "change",
    [
        "/account/put/secret?password=correct+Horse+7",
        "/account/put/secret?token_secret=1",
        "/account/update?secret=new-secret-of-ann",
        "/account/update?type=admin,staff",
    ],
)
async def test_who_changes_secrets_or_type_with_a_session_stays_and_all_others_go(app, ann, change):
    await service.update(app, {"id": ann["id"], "login": "ann"}, {"type": "admin"}, admin=True)
    mine, other = await session(app, ANN), await session(app, ANN)
    reply = await call(app, change, headers=mine)
    assert reply.status == 200, reply
    fresh = {"cookie": reply.headers["set-cookie"].partition(";")[0]}
    assert fresh != mine
    assert (await call(app, "/account/get", headers=fresh)).status == 200
    for ended in (mine, other):
        assert (await call(app, "/account/get", headers=ended)).status in (401, 417)


async def test_other_changes_leave_sessions_as_they_are(app, ann):
    mine = await session(app, ANN)
    reply = await call(app, "/account/update?name=Anna&status=busy", headers=mine)
    assert "set-cookie" not in reply.headers
    assert (await call(app, "/account/get", headers=mine)).json()["name"] == "Anna"


async def test_deleting_the_account_removes_the_cookie(app, ann):
    mine = await session(app, ANN)
    reply = await call(app, "/account/del", headers=mine)
    assert "Max-Age=0" in reply.headers["set-cookie"]
    assert (await call(app, "/account/get", headers=mine)).status == 417


@pytest.mark.parametrize("password", ["short", "password123", "ann-of-x"])
async def test_bad_passwords_are_refused_everywhere(app, password):
    person = {"login": "ann-of-x", "name": "Ann"}
    added = await call(app, "/account/add", {**person, "password": password})
    assert (added.status, added.json()["field"]) == (400, "password")
    await service.add(app, {**person, "secret": "the-secret-of-ann"})
    signed = {"login": "ann-of-x", "secret": "the-secret-of-ann"}
    for path in ("/account/put/secret", "/account/update"):
        reply = await call(app, path, {"password": password}, **signed)
        assert (reply.status, reply.json()["field"]) == (400, "password")
    assert (await call(app, "/account/get", **signed)).status == 200


# A value of its own for each column that belongs to the server or to administrators.
CLOSED = {
    "bk_auth": ("id", "type", "flags", "auth_secret", "token_secret", "salt", "acl_deny",
                "acl_allow", "query_deny", "rlimits_max", "rlimits_rate", "expires", "ctime",
                "mtime"),
    "bk_account": ("id", "login", "type", "age", "ctime", "mtime"),
}  # fmt: skip


@pytest.mark.parametrize("path", ["/account/update", "/account/put/secret"])
async def test_columns_of_the_server_are_not_taken_from_requests(app, ann, path):
    async def stored():
        auth = await app.db.get("bk_auth", {"login": "ann"})
        account = await app.db.get("bk_account", {"id": ann["id"]})
        return auth, account

    names = sorted({*CLOSED["bk_auth"], *CLOSED["bk_account"]} - {"token_secret"})
    before = await stored()
    query = dict.fromkeys(names, 4321) | {
        "login": "other",
        "id": "other",
        "secret": "new-one-of-ann-2",
    }
    reply = await call(app, path, {**query, "name": "Ann II"}, **ANN)
    assert reply.status == 200, reply
    after = await stored()
    for table, old, new in zip(CLOSED, before, after, strict=True):
        for name in set(CLOSED[table]) - {"mtime"}:
            assert new.get(name) == old.get(name), (table, name)
        assert new.get("mtime") != 4321
    assert await app.auth.accounts.fetch("other") is None


async def test_administrators_set_what_belongs_to_the_login(app, ann):
    account = {"id": ann["id"], "login": "ann"}
    await service.update(app, account, {"rlimits_rate": 5, "acl_deny": "^/x"}, admin=True)
    row = await app.db.get("bk_auth", {"login": "ann"})
    assert (row["rlimits_rate"], row["acl_deny"]) == (5, "^/x")
    await service.update(app, account, {"expires": 1}, admin=True)
    assert (await call(app, "/account/get", **ANN)).status == 401
    await service.update(app, account, {"expires": 0}, admin=True)
    assert (await call(app, "/account/get", **ANN)).status == 200
    added = await add_bob(app, flags=["staff"], expires=1)
    row = await app.db.get("bk_auth", {"login": "bob"})
    assert (row["id"], row["flags"], row["expires"]) == (added["id"], ["staff"], 1)


async def test_who_asks_is_in_the_audit_log(app, caplog):
    caplog.set_level("INFO", logger="bkjs.audit")
    added = await call(app, "/account/add?name=Ann&login=ann&secret=the-secret-of-ann")
    await call(app, "/account/put/secret?secret=planted-secret-of-ann", **ANN)
    await call(app, "/account/del", login="ann", secret="planted-secret-of-ann")
    assert added.status == 200
    events = [r.getMessage().split()[1] for r in caplog.records if r.name == "bkjs.audit"]
    assert events == ["add", "change", "delete"]
    assert caplog.text.count('"by":"ann"') == 2
    assert caplog.text.count('"ip":"127.0.0.1"') == 3
    assert "planted" not in caplog.text


async def test_deleting_tells_the_modules_and_closes_the_login(app, ann, observer):
    assert (await call(app, "/account/del", **ANN)).json() == []
    assert observer.seen[-1] == ("deleted", ann["id"])
    assert await app.db.get("bk_account", {"id": ann["id"]}) is None
    assert (await call(app, "/account/get", **ANN)).status == 401


async def test_an_unknown_command_is_refused(app, ann):
    reply = await call(app, "/account/zzz", **ANN)
    assert (reply.status, reply.json()["message"]) == (400, "Invalid command")


async def test_renaming_tells_the_modules(app, ann, observer):
    await service.rename(app, ann["id"], "Annie")
    assert observer.seen[-1] == ("renamed", "Annie")
    assert (await app.db.get("bk_account", {"id": ann["id"]}))["name"] == "Annie"
    with pytest.raises(BkError, match="No account found"):
        await service.rename(app, "nobody", "X")


async def test_public_columns_are_attached_to_rows(app, ann):
    rows = [{"peer": ann["id"], "name": "kept"}, {"peer": "gone"}]
    found = await service.attach(app, rows, key="peer", existing=True)
    assert [row["name"] for row in found] == ["kept"]
    assert "email" not in found[0]


async def test_age_is_computed_and_names_are_split_when_wanted():
    async with make_app([bkjs_accounts], "-accounts-split-names") as app:
        added = await service.add(
            app,
            {
                "login": "x",
                "secret": "secret-secret-secret",
                "name": "Ann B Cole",
                "birthday": "1980-01-01",
            },
        )
        row = await app.db.get("bk_account", {"id": added["id"]})
        assert (row["first_name"], row["last_name"]) == ("Ann B", "Cole")
        assert row["age"] >= 46


async def test_the_documentation_names_what_is_read(app):
    await service.add(app, {**BOB, "name": "Bob", "type": "admin"}, admin=True)
    document = (await call(app, "/openapi.json", **BOB)).json()

    def names(path):
        found = document["paths"][path]["get"].get("parameters", [])
        return {parameter["name"] for parameter in found}

    columns = set(schema.PROFILE)
    assert names("/account/add") == columns | {"login", "secret", "password"}
    assert names("/account/update") == columns | {"secret", "password"}
    assert names("/account/put/secret") == {"secret", "password", "token_secret"}
    assert {"name", "_sort", "_count", "_start"} <= names("/account/select")
    assert names("/login") == {"login", "password", "_session", "_accesstoken"}
    assert "requestBody" in document["paths"]["/account/add"]["post"]
