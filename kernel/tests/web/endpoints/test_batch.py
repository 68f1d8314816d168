"""Several verbs in one request."""

from __future__ import annotations

import json
import types
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from bkjs import hookimpl
from bkjs.db.verbs import Verbs
from bkjs.errors import MOST_ERRORS, Conflict
from bkjs.testing.app import make_app
from bkjs.testing.web import call
from bkjs.web import Field, Params, Response, Routes

COLUMNS: dict[str, dict[str, Any]] = {
    "id": {"primary": 1, "pub": 1}, "text": {"pub": 1}, "num": {"type": "int", "pub": 1},
    "who": {}, "pin": {"secure": 1},
}  # fmt: skip


class Key(Params):
    id: str


class Note(Key):
    text: str = Field("", max_length=5)
    num: int = 0
    pin: str | None = None


routes = Routes()
routes.verb("/note/get", "note", params=Key, owner="who", etag=True)
routes.verb("/note/select", "note", owner="who")
for verb, params in {"add": Note, "update": Note, "del": Key}.items():
    routes.verb(f"/note/{verb}", "note", params=params, owner="who")
routes.verb("/all/add", "note", params=Note)
routes.verb("/other/add", "other", params=Key)
routes.verb("/other/del", "other", params=Key, shared=True)
ALL = ("/note/get", "/note/add", "/note/update", "/note/del", "/all/add", "/other/add")
routes.batch("/note/batch", *ALL, items=20)
routes.verb("/open/get", "other", params=Key, public=True)
routes.batch("/open/batch", "/open/get", public=True)
routes.batch("/note/atomic", *ALL, atomic=True)

Ask = Callable[..., Awaitable[Any]]


def notes(*more: Any) -> types.ModuleType:
    plugin = types.ModuleType("notes")
    tables = {"note": COLUMNS, "other": {"id": {"primary": 1, "pub": 1}}}
    plugin.tables = hookimpl(lambda: tables)  # type: ignore[attr-defined]
    plugin.configure_web = hookimpl(lambda web: web.add(routes))  # type: ignore[attr-defined]
    return plugin


@asynccontextmanager
async def serve(*argv: str, pool: str = "memory") -> AsyncIterator[Ask]:
    async with make_app([notes()], *argv, pool=pool) as app:
        for login in ("ann", "bob"):
            row = {"login": login, "name": login, "secret": f"the-secret-of-{login}"}
            await app.auth.accounts.add(row)

        async def ask(
            items: Any, status: int = 200, *, path: str = "/note/batch", login: str = "ann"
        ) -> Any:
            body = json.dumps(items)
            sent = {"content-type": "application/json"}
            secret = f"the-secret-of-{login}"
            reply = await call(app, path, body, login=login, secret=secret, headers=sent)
            assert reply.status == status, reply.body
            return reply.json()

        ask.app = app  # type: ignore[attr-defined]
        yield ask


@pytest.fixture(params=["memory", "sqlite"])
async def ask(request: Any) -> AsyncIterator[Ask]:
    async with serve(pool=request.param) as made:
        yield made


def item(path: str, **data: Any) -> dict[str, Any]:
    return {"path": path, "data": data}


async def rows(ask: Ask) -> list[str]:
    found = await ask.app.db.select("note", sort="id")  # type: ignore[attr-defined]
    return [f"{row['id']}{row.get('text') or ''}" for row in found]


async def test_each_item_has_an_outcome(ask: Ask) -> None:
    found = await ask(
        [
            item("/note/add", id="1", text="a", num=1, pin="1234"),
            item("/note/add", id="1", text="b"),
            item("/note/update", id="2", text="c"),
            item("/note/update", id="1", text="far too long", num="x"),
            {"op": "update", "table": "note", "data": {"id": "1", "text": "d"}},
            item("/note/get", id="1"),
            item("/other/add", id="o", more=1),
            item("/note/del", id="2"),
        ]
    )
    assert [one["status"] for one in found] == [200, 409, 404, 400, 200, 200, 200, 404]
    assert found[1]["code"] == "AlreadyExists"
    assert found[2] == {"status": 404, "message": "no such note", "code": "NotFound"}
    assert [error["field"] for error in found[3]["errors"]] == ["text", "num"]
    account = (await ask.app.db.get("note", {"id": "1"}))["who"]  # type: ignore[attr-defined]
    row = {"id": "1", "text": "d", "num": 1, "who": account}
    assert found[5]["data"] == row
    assert "pin" not in found[0]["data"]
    assert found[6]["data"] == {"id": "o"}
    assert await rows(ask) == ["1d"]


async def test_tags_of_items(ask: Ask) -> None:
    await ask([item("/note/add", id="1", text="a")])
    (seen,) = await ask([item("/note/get", id="1")])
    change = item("/note/update", id="1", text="b") | {"if_match": seen["etag"]}
    for path in ("/note/batch", "/note/atomic"):
        found = await ask([item("/note/get", id="1")], path=path)
        change["if_match"] = found[0]["etag"]
        again = item("/note/update", id="1", text=path[-3:])
        assert [one["status"] for one in await ask([change, again], path=path)] == [200, 200]
    assert [one["status"] for one in await ask([change, again])] == [412, 200]
    refused = await ask([again, change], 412, path="/note/atomic")
    assert (refused["code"], refused["item"]) == ("PreconditionFailed", 1)


@pytest.mark.parametrize(
    ("wrong", "status"),
    [(item("/note/update", id="9", text="x"), 404), (item("/note/add", id="0"), 409),
     (item("/note/add", id="3", text="too long"), 400), (item("/note/add"), 400)],
)  # fmt: skip
async def test_all_or_none(ask: Ask, wrong: Any, status: int) -> None:
    await ask([item("/note/add", id="0", text="a")])
    first = [item("/note/update", id="0", text="b"), item("/note/add", id="1")]
    refused = await ask([*first, wrong, item("/note/add", id="2")], status, path="/note/atomic")
    assert (refused["status"], refused["item"]) == (status, 2)
    assert await rows(ask) == ["0a"]
    done = await ask([*first, item("/note/get", id="1")], path="/note/atomic")
    assert [one["status"] for one in done] == [200, 200, 200]
    assert done[2]["data"]["id"] == "1"
    assert await rows(ask) == ["0b", "1"]


async def test_rows_of_others_stay_theirs(ask: Ask) -> None:
    await ask([item("/note/add", id="b", text="bobs")], login="bob")
    for path, status in {"/note/get": 404, "/note/update": 404, "/note/del": 404}.items():
        (outcome,) = await ask([item(path, id="b", text="x", who="ann")])
        assert (outcome["status"], "bobs" in str(outcome)) == (status, False)
        await ask([item(path, id="b", text="x")], 404, path="/note/atomic")
    (outcome,) = await ask([item("/all/add", id="x")])
    assert outcome["data"].keys() <= {"id", "text", "num"}
    assert await rows(ask) == ["bbobs", "x"]


async def test_what_is_no_item_is_refused_before_anything_is_done(ask: Ask) -> None:
    good = item("/note/add", id="1")
    for wrong, problem in (
        (item("/note/ad"), "'/note/ad' in this batch; did you mean '/note/add'"),
        (item("/note/select"), "in this batch"),
        (item("/other/del", id="1"), "in this batch"),
        ({"op": "drop", "table": "note"}, "needs a path"),
        ({"op": "add", "table": "note"}, "one of /note/add, /all/add"),
        ({"path": "/note/add", "dta": {}}, "dta"),
        ({}, "needs a path"),
        ("x", "items.1"),
    ):
        refused = await ask([good, wrong], 400)
        assert problem in refused["message"] + refused["field"], refused
        assert refused["field"].startswith("items.1")
        assert refused["errors"][0]["field"] == refused["field"]
    refused = await ask([item("/x"), good, item("/y")], 400)
    assert [error["field"] for error in refused["errors"]] == ["items.0", "items.2"]
    assert "items" in (await ask([good] * 21, 400))["message"]
    for body in ({"items": [item("/x")]}, {}, {"items": 1}, 5):
        await ask(body, 400)
    assert await ask([]) == []
    assert await ask([], path="/note/atomic") == []
    assert [one["status"] for one in await ask({"items": [good]})] == [200]
    assert await rows(ask) == ["1"]


async def test_how_to_answer_is_said_for_the_whole(ask: Ask) -> None:
    found = await ask([item("/note/add", id="1", _format="csv", _total="1")])
    assert found[0]["data"]["id"] == "1"


@pytest.mark.parametrize("path", ["/note/batch", "/note/atomic"])
async def test_what_is_said_for_the_whole_says_nothing_of_its_items(path: str) -> None:
    """Neither its query, nor its conditions."""
    async with serve() as ask:
        app = ask.app  # type: ignore[attr-defined]
        body = json.dumps([item("/note/add", id="1"), item("/note/get", id="1")])
        for condition in ("if-match", "if-none-match"):
            sent = {"content-type": "application/json", condition: "*"}
            who: dict[str, Any] = {"login": "ann", "secret": "the-secret-of-ann"}
            reply = await call(app, f"{path}?text=whole&num=7", body, headers=sent, **who)
            assert [one["status"] for one in reply.json()] == [200, 200]
            assert reply.json()[1]["data"]["num"] == 0
            assert not reply.json()[1]["data"]["text"]
            assert "no-store" in reply.headers["cache-control"]
            await app.db.del_("note", {"id": "1"})


async def test_no_answer_to_a_batch_is_kept_that_of_strangers_neither() -> None:
    async with serve() as ask:
        app = ask.app  # type: ignore[attr-defined]
        await app.db.put("other", {"id": "1"})
        body = json.dumps([item("/open/get", id="1"), item("/open/get", id="2")])
        reply = await call(app, "/open/batch", body, headers={"content-type": "application/json"})
        assert [one["status"] for one in reply.json()] == [200, 404]
        assert "no-store" in reply.headers["cache-control"]


async def test_a_condition_of_an_item_that_is_no_tag(ask: Ask) -> None:
    await ask([item("/note/add", id="1")])
    change = item("/note/update", id="1", text="a")
    for odd in ("€", "\n", "x" * 4096):
        assert [one["status"] for one in await ask([change | {"if_match": odd}])] == [412]
    refused = await ask([change | {"if_match": "x" * 4097}], 400)
    assert refused["field"] == "items.0.if_match"


@pytest.mark.parametrize("path", ["/note/batch", "/note/atomic"])
async def test_an_item_may_be_answered_with_nothing(path: str) -> None:
    async with serve() as ask:
        web = ask.app.web  # type: ignore[attr-defined]
        web.register_post_process("POST", "/note/get", lambda req, row: Response(b"", 204))
        items = [item("/note/add", id="1"), item("/note/get", id="1")]
        assert (await ask(items, path=path))[1] == {"status": 204, "data": None} | {
            "etag": (await ask([items[1]], path=path))[0]["etag"]
        }


async def test_a_long_wrong_path_is_cut_in_the_text(ask: Ask) -> None:
    refused = await ask([{"path": "/" + "x" * 9999}], 400)
    assert f"no '/{'x' * 63}' in this batch" in refused["message"]
    refused = await ask([{"path": "/x"}] * 20, 400)
    assert len(refused["errors"]) == min(20, MOST_ERRORS)
    assert refused["message"].startswith("items.0: ")


@pytest.mark.parametrize("path", ["/note/batch", "/note/atomic"])
async def test_items_are_parts_of_one_request_in_the_log(path: str) -> None:
    async with serve() as ask:
        seen: list[str] = []
        web = ask.app.web  # type: ignore[attr-defined]
        for each in ("/note/add", "/note/get", path):
            web.register_pre_process("POST", each, lambda req, status: seen.append(req.id))
        await ask([item("/note/add", id="1"), item("/note/get", id="1")], path=path)
        assert (len(seen), len(set(seen))) == (3, 1)


@pytest.mark.parametrize("path", ["/note/batch", "/note/atomic"])
@pytest.mark.parametrize(
    ("argv", "status"),
    [(("-api-deny", "^/note/del"), 403), (("-api-allow-admin", "^/note/del"), 401),
     (("-api-allow-account-staff", "^/note/del"), 401)],
)  # fmt: skip
async def test_items_have_the_access_rules_of_their_paths(
    path: str, argv: tuple[str, ...], status: int
) -> None:
    async with serve(*argv) as ask:
        await ask([item("/note/add", id="1")])
        items = [item("/note/update", id="1", text="a"), item("/note/del", id="1")]
        if path == "/note/batch":
            assert [one["status"] for one in await ask(items, path=path)] == [200, status]
        else:
            assert (await ask(items, status, path=path))["item"] == 1
        assert (await rows(ask))[0][0] == "1"


async def test_rules_of_an_account_and_registrations_of_paths_hold_for_items() -> None:
    async with serve() as ask:
        app = ask.app  # type: ignore[attr-defined]
        web = app.web
        web.register_access_check(
            "POST", "/note/update", lambda req: {"status": 403, "message": "no"}
        )
        web.register_post_process("POST", "/note/get", lambda req, row: row | {"text": "changed"})
        closed = {"acl_deny": "^/note/add", "query_deny": "num"}
        row = {"login": "cat", "name": "cat", "secret": "the-secret-of-cat"}
        await app.auth.accounts.add(row | closed, admin=True)
        found = await ask(
            [item("/note/add", id="1", num=1), item("/all/add", id="2", num=2)], login="cat"
        )
        assert [one["status"] for one in found] == [403, 200]
        assert (await app.db.get("note", {"id": "2"}))["num"] == 0
        found = await ask(
            [item("/note/add", id="1"), item("/note/update", id="1"), item("/note/get", id="1")]
        )
        assert [one["status"] for one in found] == [200, 403, 200]
        assert found[2]["data"]["text"] == "changed"


@pytest.mark.parametrize("path", ["/note/batch", "/note/atomic"])
async def test_what_hooks_send_and_clean_up(path: str) -> None:
    async with serve() as ask:
        ended: list[str] = []

        def note(req: Any, row: Any) -> None:
            req.set_cookie("seen", req.query["id"])

        app = ask.app  # type: ignore[attr-defined]
        app.web.register_post_process("POST", "/note/add", note)
        app.web.register_cleanup("POST", "/note/add", lambda req: ended.append(req.query["id"]))
        body = json.dumps([item("/note/add", id="1"), item("/note/get", id="1")])
        sent = {"content-type": "application/json"}
        reply = await call(app, path, body, login="ann", secret="the-secret-of-ann", headers=sent)
        assert reply.headers["set-cookie"].startswith("seen=1;")
        assert "etag" not in reply.headers
        assert ended == ["1"]


async def test_batches_are_described() -> None:
    async with serve("-api-allow-authenticated", "^/openapi") as ask:
        app = ask.app  # type: ignore[attr-defined]
        reply = await call(app, "/openapi.json", login="ann", secret="the-secret-of-ann")
        document = reply.json()
        for path in ("/note/batch", "/note/atomic"):
            (method,) = document["paths"][path]
            assert method == "post"
            content = document["paths"][path]["post"]["requestBody"]["content"]
            name = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
            most = document["components"]["schemas"][name]["properties"]["items"]["maxItems"]
            assert most == (20 if path == "/note/batch" else 100)


async def test_limits_of_a_path_count_items() -> None:
    async with serve(
        "-api-rlimits-rate-/note/add", "2", "-api-rlimits-interval-/note/add", "99999"
    ) as ask:
        found = await ask([item("/note/add", id=str(number)) for number in range(4)])
        assert [one["status"] for one in found] == [200, 200, 429, 429]


@pytest.mark.parametrize("kind", ["id", "ip"])
async def test_limits_of_an_account_and_an_address_count_items(kind: str) -> None:
    """A batch would multiply them otherwise."""
    argv = (f"-api-rlimits-rate-{kind}", "3", f"-api-rlimits-interval-{kind}", "99999")
    async with serve(*argv) as ask:
        items = [item("/note/add", id=str(number)) for number in range(4)]
        found = await ask(items)  # itself the first
        assert [one["status"] for one in found] == [200, 200, 429, 429]


async def test_the_limit_of_one_account_counts_items() -> None:
    async with serve() as ask:
        app = ask.app  # type: ignore[attr-defined]
        row = {"login": "dan", "name": "dan", "secret": "the-secret-of-dan", "rlimits_rate": 2}
        await app.auth.accounts.add(row, admin=True)
        items = [item("/note/add", id=str(number)) for number in range(3)]
        found = await ask(items, login="dan")
        assert [one["status"] for one in found] == [200, 429, 429]


async def test_a_batch_is_run_again_when_another_got_in_its_way(monkeypatch: Any) -> None:
    async with serve() as ask:
        driver = ask.app.db.pool().driver  # type: ignore[attr-defined]
        begin, failures = driver.begin, [Conflict(), Conflict()]

        async def conflicting() -> Any:
            tx = await begin()
            if failures:
                error = failures.pop()

                async def commit() -> None:
                    await tx.rollback()
                    raise error

                monkeypatch.setattr(tx, "commit", commit)
            return tx

        monkeypatch.setattr(driver, "begin", conflicting)
        found = await ask(
            [item("/note/add", id="1"), item("/note/get", id="1")], path="/note/atomic"
        )
        assert [one["status"] for one in found] == [200, 200]
        assert failures == []


async def test_what_cannot_be_one_transaction_is_refused_by_name(monkeypatch: Any) -> None:
    async with serve("-db-sqlite-pool", "x", "-db-sqlite-pool-tables", "other") as ask:
        refused = await ask([item("/note/add", id="1")], 501, path="/note/atomic")
        assert "note in memory, other in sqlite" in refused["message"]
        assert [one["status"] for one in await ask([item("/note/add", id="1")])] == [200]


async def test_a_driver_without_transactions_refuses(monkeypatch: Any) -> None:
    async with serve() as ask:
        driver = ask.app.db.pool().driver  # type: ignore[attr-defined]
        monkeypatch.setattr(driver, "can", replace(driver.can, transactions=False))
        refused = await ask([item("/note/add", id="1")], 501, path="/note/atomic")
        assert "no transactions" in refused["message"]
        assert await rows(ask) == []


async def test_an_unexpected_failure_is_told_as_ever(monkeypatch: Any, caplog: Any) -> None:
    async with serve() as ask:

        async def broken(*args: Any, **options: Any) -> Any:
            raise ZeroDivisionError("a secret of the inside")

        with monkeypatch.context() as patch:
            patch.setattr(Verbs, "del_", broken)
            found = await ask([item("/note/del", id="1"), item("/note/add", id="1")])
            assert [one["status"] for one in found] == [500, 200]
            assert "secret" not in str(found)
            assert "/note/del: 500" in caplog.text
            await ask(
                [item("/note/add", id="2"), item("/note/del", id="1")], 500, path="/note/atomic"
            )
        assert await rows(ask) == ["1"]


@pytest.mark.parametrize(
    ("verbs", "options", "problem"),
    [((), {}, "name the verbs"), (("/note/ad",), {}, "did you mean '/note/add'"),
     (("/note/select",), {}, "gives pages"), (("/note/add",), {"public": True}, "public")],
)  # fmt: skip
def test_what_is_no_batch(verbs: tuple[str, ...], options: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        routes.batch("/x", *verbs, **options)


def test_a_batch_writes_and_takes_post_only() -> None:
    (endpoint,) = [one for one in routes.endpoints if one.path == "/note/batch"]
    assert (endpoint.writes, endpoint.methods) == (True, ("POST",))
