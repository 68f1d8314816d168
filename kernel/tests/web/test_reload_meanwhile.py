"""Settings that change while a request is under way."""

from __future__ import annotations

import json
import types
from typing import Any

from bkjs import hookimpl
from bkjs.auth.signature import sign
from bkjs.config.parse import parse_config
from bkjs.testing.app import make_app
from bkjs.testing.web import call, scope_of
from bkjs.web import Params, Routes

SECRET = "the-secret-of-ann"
routes = Routes()


class Key(Params):
    id: str


@routes.endpoint("/note/write", methods="POST", writes=True, reply=dict)
async def write(req: Any) -> dict[str, Any]:
    return {"done": True}


for verb in ("add", "get"):
    routes.verb(f"/note/{verb}", "note", params=Key)
routes.batch("/note/batch", "/note/add", "/note/get")
module = types.ModuleType("notes")
module.tables = hookimpl(lambda: {"note": {"id": {"primary": 1, "pub": 1}}})  # type: ignore[attr-defined]
module.configure_web = hookimpl(lambda web: web.add(routes))  # type: ignore[attr-defined]


def app() -> Any:
    return make_app([module])


async def add_account(app: Any) -> None:
    await app.auth.accounts.add(
        {"login": "ann", "name": "ann", "secret": SECRET, "type": "user"}, admin=True
    )


def change(app: Any, line: str) -> None:
    assert app.config.update({"file": parse_config(f"{line}\n", "file")}) == []


async def test_a_rule_holds_for_who_is_still_sending() -> None:
    async with app() as running:
        await add_account(running)
        body = [b'{"a":', b"1}"]
        headers = {"host": "h.com", "content-type": "application/json"}
        headers |= sign(
            "ann", SECRET, "POST", "http://h.com/note/write", body=b"".join(body),
            content_type="application/json",
        )  # fmt: skip
        sent: list[Any] = []

        async def receive() -> Any:
            piece = body.pop(0)
            if not body:
                change(running, "api-deny-account-user=^/note/write")
            return {"type": "http.request", "body": piece, "more_body": bool(body)}

        async def send(message: Any) -> None:
            sent.append(message)

        await running.web(scope_of("/note/write", "POST", headers), receive, send)
        assert sent[0]["status"] == 401


async def test_what_began_before_leaves_nothing_behind_for_others() -> None:
    async with app() as running:
        await add_account(running)
        gateway = running.web.handle
        whole, answered = gateway.call, []

        async def between(part: Any) -> Any:
            reply = await whole(part)
            if not answered:
                answered.append(reply)
                change(running, "api-allow-ssl=^/note/get")
                await call(running, "/note/other")  # the first one under the new settings
            return reply

        gateway.call = between
        items = [{"path": f"/note/{verb}", "data": {"id": "1"}} for verb in ("add", "get")]
        who = {"login": "ann", "secret": SECRET}
        sent = {"content-type": "application/json"}
        reply = await call(running, "/note/batch", json.dumps(items), headers=sent, **who)
        assert reply.status == 200
        reply = await call(running, "/note/get", {"id": "1"}, **who)
        assert (reply.status, reply.json()["message"]) == (400, "SSL only access")
