"""Reads and writes that depend on what the caller has seen of a row."""

from __future__ import annotations

import asyncio
import types
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from bkjs import hookimpl
from bkjs.db.request.emulate import same, unchanged
from bkjs.testing.app import make_app
from bkjs.testing.web import Reply, call
from bkjs.web import Params, Routes
from bkjs.web.endpoints import conditional

COLUMNS: dict[str, dict[str, Any]] = {
    "id": {"primary": 1}, "text": {}, "num": {"type": "int"}, "real": {"type": "real"},
    "price": {"type": "decimal"}, "ok": {"type": "bool"}, "due": {"type": "timestamp"},
    "day": {"type": "date"}, "mt": {"type": "mtime"}, "obj": {"type": "json"},
    "tags": {"type": "list"}, "raw": {"type": "binary"}, "n": {"type": "counter"},
}  # fmt: skip
FULL = {
    "id": "1", "text": "a", "num": 5, "real": 0.1, "price": "12345678901234567890.5", "ok": True,
    "due": "2024-05-15T10:00:00.123Z", "day": "2024-05-15", "mt": 1520000000123,
    "obj": {"a": [1, {"b": None}]}, "tags": ["x", "y"], "raw": "AAEC",
}  # fmt: skip


class Item(Params, extra="allow"):
    id: str


routes = Routes()
routes.verb("/item/get", "item", params=Item, public=True, etag=True)
routes.verb("/item/plain/get", "item", params=Item, public=True)
for verb in ("add", "put", "update", "incr", "del"):
    routes.verb(f"/item/{verb}", "item", params=Item, public=True)

Ask = Callable[..., Awaitable[Reply]]


def plugin(routes: Routes = routes, **columns: dict[str, Any]) -> types.ModuleType:
    made = types.ModuleType("items")
    table = {name: {"pub": 1, **props} for name, props in (COLUMNS | columns).items()}
    made.tables = hookimpl(lambda: {"item": table})  # type: ignore[attr-defined]
    made.configure_web = hookimpl(lambda web: web.add(routes))  # type: ignore[attr-defined]
    return made


@pytest.fixture(params=["memory", "sqlite"])
async def ask(request: Any) -> AsyncIterator[Ask]:
    async with make_app([plugin()], pool=request.param) as app:

        async def ask(verb: str, body: dict[str, Any], status: int = 200, **headers: str) -> Reply:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            reply = await call(app, f"/item/{verb}", body, headers=sent)
            assert reply.status == status, reply.body
            return reply

        ask.app = app  # type: ignore[attr-defined]
        yield ask


async def tag(ask: Ask, id: str = "1") -> str:
    return (await ask("get", {"id": id})).headers["etag"]


@pytest.mark.parametrize("row", [FULL, {"id": "1"}], ids=["full", "nulls"])
async def test_a_row_of_every_type_is_changed_by_who_has_seen_it(ask: Ask, row: Any) -> None:
    await ask("add", row)
    for verb, change in {
        "update": {"num": 6}, "incr": {"n": 2}, "put": {**row, "text": "new"}, "del": {},
    }.items():  # fmt: skip
        seen = await tag(ask)
        await ask(verb, {"id": "1"} | change, if_match=seen)
        if verb != "del":
            assert await tag(ask) != seen
        refused = (await ask(verb, {"id": "1", "text": "late"} | change, 412, if_match=seen)).json()
        assert refused == {
            "status": 412,
            "code": "PreconditionFailed",
            "message": "item is not what you have seen",
        }
    await ask("get", {"id": "1"}, 404)


@pytest.mark.parametrize("name", sorted(COLUMNS.keys() - {"id", "n"}))
async def test_the_tag_changes_with_every_column(ask: Ask, name: str) -> None:
    await ask("add", {"id": "1"})
    empty = await tag(ask)
    await ask("update", {"id": "1", name: FULL[name]})
    full = await tag(ask)
    assert full != empty
    assert await tag(ask) == full
    await ask("update", {"id": "1", name: None})
    assert await tag(ask) == empty


async def test_what_was_seen_saves_the_answer(ask: Ask) -> None:
    await ask("add", FULL)
    seen = await tag(ask)
    for known in (seen, f"W/{seen}", f'"other", {seen}', "*"):
        reply = await ask("get", {"id": "1"}, 304, if_none_match=known)
        assert (reply.body, reply.headers["etag"]) == (b"", seen)
        assert "content-length" not in reply.headers
    for other in ('"other"', seen.strip('"'), "", f"{seen}x"):
        assert (await ask("get", {"id": "1"}, if_none_match=other)).json()["text"] == "a"
    assert "etag" not in (await ask("plain/get", {"id": "1"})).headers
    await ask("get", {"id": "2"}, 404, if_none_match="*")


async def test_a_star_needs_the_row_to_be_there(ask: Ask) -> None:
    for verb in ("update", "incr", "put", "del"):
        await ask(verb, {"id": "1", "num": 1, "n": 1}, 412, if_match="*")
    assert (await ask("put", {"id": "1", "num": 1}, if_none_match="*")).json()["num"] == 1
    await ask("put", {"id": "1", "num": 2}, 412, if_none_match="*")
    await ask("put", {"id": "1", "num": 3}, if_match="*")
    await ask("update", {"id": "1", "num": 4}, if_match=" * ")
    assert (await ask("get", {"id": "1"})).json()["num"] == 4
    await ask("del", {"id": "1"}, if_match="*")
    await ask("add", {"id": "1"}, 412, if_match="*")
    await ask("get", {"id": "1"}, 404)


async def test_an_update_of_nothing_is_no_error_while_the_row_is_the_same(ask: Ask) -> None:
    await ask("add", {"id": "1"})
    seen = await tag(ask)
    await ask("update", {"id": "1"}, if_match=seen)
    await ask("update", {"id": "1", "num": 1})
    await ask("update", {"id": "1"}, 412, if_match=seen)


@pytest.mark.parametrize("verb", ["update", "put", "incr"])
async def test_of_many_who_have_seen_the_same_one_writes(ask: Ask, verb: str) -> None:
    await ask("add", FULL)
    seen = await tag(ask)
    app = ask.app  # type: ignore[attr-defined]

    async def write(number: int) -> int:
        body = FULL | {"num": number, "n": 1}
        reply = await call(app, f"/item/{verb}", body, headers={"if-match": seen})
        return reply.status

    found = await asyncio.gather(*(write(number) for number in range(100, 120)))
    assert sorted(found) == [200] + [412] * 19


async def test_a_column_that_had_nothing_counts(ask: Ask) -> None:
    await ask("add", {"id": "1"})
    db = ask.app.db  # type: ignore[attr-defined]
    _, stored = await db.get_stored("item", {"id": "1"})
    expected = same(db.target("item"), stored)
    await ask("update", {"id": "1", "text": "theirs"})
    for verb in (db.update, db.put, db.del_):
        assert (await verb("item", {"id": "1", "num": 1}, expected=expected)).affected == 0
    assert (await ask("get", {"id": "1"})).json()["text"] == "theirs"


@pytest.mark.parametrize("verb", ["update", "incr", "put", "del"])
async def test_who_comes_between_the_look_and_the_write_is_noticed(
    verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row is another one, or gone, when the database looks at it again."""
    async with make_app([plugin()]) as app:
        rows = app.db.pool().driver.tables

        def changed(*args: Any) -> Any:
            expected = same(*args)
            rows["item"][("1",)] = {"id": "1", "text": "theirs"}
            return expected

        def gone(*args: Any) -> Any:
            expected = same(*args)
            del rows["item"][("1",)]
            return expected

        for meanwhile, left in ((changed, ["theirs"]), (gone, [])):
            await app.db.put("item", {"id": "1", "text": "mine", "num": 1})
            seen = (await call(app, "/item/get?id=1")).headers["etag"]
            with monkeypatch.context() as patch:
                patch.setattr(conditional, "same", meanwhile)
                body = {"id": "1", "text": "new", "n": 1}
                reply = await call(app, f"/item/{verb}", body, headers={"if-match": seen})
            assert (reply.status, reply.json()["message"]) == (
                412,
                "item is not what you have seen",
            )
            assert [row["text"] for row in await app.db.select("item")] == left


async def test_a_row_that_is_given_away_meanwhile_is_not_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The look found it to be the caller's, and any version of it will do: `If-Match: *`."""
    own = Routes()
    for verb in ("update", "del"):
        own.verb(f"/item/{verb}", "item", params=Item, owner="who")
    async with make_app([plugin(own, who={})]) as app:
        row = {"login": "ann", "name": "ann", "secret": "the-secret-of-ann"}
        ann = (await app.auth.accounts.add(row))["id"]
        rows = app.db.pool().driver.tables

        def given_away(*args: Any) -> Any:
            expected = unchanged(*args)
            rows["item"][("1",)] = {"id": "1", "text": "bobs", "who": "bob"}
            return expected

        monkeypatch.setattr(conditional, "unchanged", given_away)
        for verb in ("update", "del"):
            await app.db.put("item", {"id": "1", "text": "anns", "who": ann})
            reply = await call(
                app, f"/item/{verb}", {"id": "1", "text": "x"}, headers={"if-match": "*"},
                login="ann", secret="the-secret-of-ann",
            )  # fmt: skip
            assert reply.status == 412
            assert [row["text"] for row in await app.db.select("item")] == ["bobs"]


async def test_only_the_beginning_of_a_long_list_of_tags_counts(ask: Ask) -> None:
    await ask("add", FULL)
    seen = await tag(ask)
    for before, status in ((4096 - len(seen), 304), (4097 - len(seen), 200)):
        await ask("get", {"id": "1"}, status, if_none_match="," * before + seen)


async def test_a_tag_is_that_of_the_values_and_not_of_absent_ones(ask: Ask) -> None:
    """A column that is described later and has nothing in a row changes no tag."""
    await ask("add", {"id": "1", "text": "é\n"})
    db = ask.app.db  # type: ignore[attr-defined]
    req = SimpleNamespace(app=ask.app)  # type: ignore[attr-defined]
    _, stored = await db.get_stored("item", {"id": "1"})
    known = await tag(ask)
    assert conditional.etag_of(req, "item", stored) == known
    assert (
        conditional.etag_of(req, "item", {"later": None, **dict(reversed(stored.items()))}) == known
    )
    assert conditional.etag_of(req, "other", stored) != known


async def test_a_tag_is_of_this_server_and_row(ask: Ask) -> None:
    await ask("add", {"id": "1", "text": "same"})
    await ask("add", {"id": "2", "text": "same"})
    assert await tag(ask, "1") != await tag(ask, "2")
    async with make_app([plugin()]) as other:
        await call(other, "/item/add?id=1&text=same")
        reply = await call(other, "/item/get?id=1")
        assert reply.headers["etag"] != await tag(ask, "1")


async def test_rows_of_others_are_as_if_they_were_not_there() -> None:
    own = Routes()
    own.verb("/item/get", "item", params=Item, owner="who", etag=True)
    for verb in ("add", "update", "del"):
        own.verb(f"/item/{verb}", "item", params=Item, owner="who")
    async with make_app([plugin(own, who={})]) as app:
        for login in ("ann", "bob"):
            row = {"login": login, "name": login, "secret": f"the-secret-of-{login}"}
            await app.auth.accounts.add(row)

        async def ask(login: str, target: str, **headers: str) -> Reply:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            secret = f"the-secret-of-{login}"
            return await call(app, target, login=login, secret=secret, headers=sent)

        await ask("bob", "/item/add?id=1&text=bobs")
        seen = (await ask("bob", "/item/get?id=1")).headers["etag"]
        hidden = await ask("ann", "/item/get?id=1", if_none_match=seen)
        assert (hidden.status, "etag" in hidden.headers) == (404, False)
        for verb in ("update", "del"):
            for known in (seen, "*"):
                there = await ask("ann", f"/item/{verb}?id=1&text={len(known)}", if_match=known)
                missing = await ask("ann", f"/item/{verb}?id=2&text={len(known)}", if_match=known)
                assert (there.status, there.body) == (missing.status, missing.body)
                assert there.status == 412
        assert (await ask("bob", "/item/update?id=1&text=new", if_match=seen)).status == 200


async def test_clients_of_2018_who_name_a_tag_are_told() -> None:
    async with make_app([plugin()], "-api-compat", "2018") as app:
        for verb in ("update", "del"):
            reply = await call(app, f"/item/{verb}?id=1&text=x", headers={"if-match": "*"})
            assert reply.status == 412


def test_only_get_has_a_tag() -> None:
    with pytest.raises(ValueError, match="only get"):
        Routes().verb("/item/select", "item", etag=True)
