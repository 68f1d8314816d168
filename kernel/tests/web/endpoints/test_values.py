"""Values that clients send: kept, or refused by the name of their column."""

from __future__ import annotations

import json
import types
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from bkjs import hookimpl
from bkjs.testing.app import make_app
from bkjs.testing.web import call
from bkjs.web import Params, Routes

COLUMNS: dict[str, dict[str, Any]] = {
    "id": {"primary": 1},
    "due": {"type": "timestamp"},
    "day": {"type": "date"},
    "mt": {"type": "mtime"},
    "ok": {"type": "bool"},
    "qty": {"type": "int"},
    "price": {"type": "decimal"},
    "ctr": {"type": "counter"},
    "name": {},
}


class Item(Params, extra="allow"):
    id: str


routes = Routes()
routes.verb("/item/select", "item", public=True)
for verb in ("get", "add", "put", "update", "incr", "del"):
    routes.verb(f"/item/{verb}", "item", params=Item, public=True)

Ask = Callable[..., Awaitable[Any]]


async def serve(*argv: str) -> AsyncIterator[Ask]:
    plugin = types.ModuleType("items")
    plugin.tables = hookimpl(  # type: ignore[attr-defined]
        lambda: {"item": {name: {**props, "pub": 1} for name, props in COLUMNS.items()}}
    )
    plugin.configure_web = hookimpl(lambda web: web.add(routes))  # type: ignore[attr-defined]
    async with make_app([plugin], *argv, role="web") as app:

        async def ask(target: str, status: int = 200) -> Any:
            reply = await call(app, target)
            assert reply.status == status, reply.body
            return json.loads(reply.body)

        yield ask


@pytest.fixture
async def ask() -> AsyncIterator[Ask]:
    async for made in serve():
        yield made


@pytest.fixture
async def lenient() -> AsyncIterator[Ask]:
    async for made in serve("-api-compat", "values"):
        yield made


@pytest.mark.parametrize(
    "given",
    ["due=2024-02-30", "due=15.05.2024", "due=15/05/2024", "mt=tomorrow", "ok=maybe", "qty=five",
     "qty=1.5", "qty=9223372036854775808", "day=2024-05", "price=1,5", "ctr=x", "name=a%00b",
     "due=2016-12-31T23:59:60Z", "due=2024-05-15T24:00:00Z", "due=10000-01-01", "qty=null"],
)  # fmt: skip
async def test_what_is_no_value_is_refused_and_the_row_stays(ask: Ask, given: str) -> None:
    name = given.partition("=")[0]
    kept = {"id": "1", "due": "2024-05-15T00:00:00.000Z", "qty": 5, "ok": True, "ctr": 0}
    await ask("/item/add?id=1&due=2024-05-15&qty=5&ok=1")
    for target in (
        f"/item/update?id=1&{given}",
        f"/item/put?id=1&{given}",
        f"/item/add?id=2&{given}",
        f"/item/select?{given}",
        f"/item/select?{given}&_ops={name},gt",
        f"/item/select?{given}&_ops={name},in",
    ):
        if target.endswith("in") and "," in given:
            continue  # two values
        refused = await ask(target, 400)
        assert refused["field"] == name, target
        assert refused["message"].startswith(f"{name}: "), target
    if name in ("qty", "ctr", "price"):
        assert (await ask(f"/item/incr?id=1&{given}", 400))["field"] == name
    assert (await ask("/item/select"))["data"] == [kept]


@pytest.mark.parametrize("verb", ["add", "put", "update"])
async def test_all_columns_that_take_no_such_value_are_named(ask: Ask, verb: str) -> None:
    """By the way of plain writes, too."""
    await ask("/item/add?id=1&qty=5")
    refused = await ask(f"/item/{verb}?id=1&qty=five&name=fine&due=tomorrow&ok=maybe", 400)
    assert (refused["field"], refused["message"]) == ("qty", "qty: a whole number is expected")
    assert [(e["field"], e["code"]) for e in refused["errors"]] == [
        ("qty", "value_error"), ("due", "value_error"), ("ok", "value_error"),
    ]  # fmt: skip
    assert refused["errors"][2]["message"] == "true or false is expected"
    assert (await ask("/item/get?id=1"))["qty"] == 5


async def test_values_leave_as_they_came(ask: Ask) -> None:
    await ask("/item/add?id=1&day=2024-02-29&price=12345678901234567890.10&mt=1520000000123")
    row = await ask("/item/get?id=1")
    assert row["day"] == "2024-02-29"
    assert row["mt"] == 1520000000123
    assert (await ask("/item/select?price=12345678901234567890.1"))["count"] == 1


async def test_the_leniency_of_the_reference_has_a_switch(lenient: Ask) -> None:
    await lenient("/item/add?id=1&due=2024-02-30&mt=tomorrow&ok=maybe&qty=5x")
    row = await lenient("/item/get?id=1")
    assert (row["mt"], row["ok"], row["qty"], row.get("due")) == (0, True, 5, None)
