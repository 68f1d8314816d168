"""Whatever rows of several tables lie in, a stranger gets no private column of any of them."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from bkjs.core.services import Services
from bkjs.db.contract import Written
from bkjs.db.results import Rows
from bkjs.db.tables.described import build
from bkjs.lib.json import wire_json
from bkjs.web.output.columns import COLUMNS, ColumnRules, Undeclared, clean

# every private value says so, whatever its column is called; names overlap on purpose: what one
# table hides, another shows
DEFINITIONS: dict[str, dict[str, dict[str, Any]]] = {
    "note": {
        "id": {"pub": 1}, "data": {"type": "json", "pub": 1}, "author": {"pub": 1}, "name": {},
        "pin": {"secure": 1}, "grade": {"admin": 1},
    },
    "author": {"id": {"pub": 1}, "name": {"pub": 1}, "salary": {}, "key": {"secure": 1}},
    "open": {"id": {"pub": 1}, "name": {"pub": 1}, "rows": {"type": "list", "pub": 1}},
    "closed": {"id": {}, "name": {}, "count": {"secure": 1}},
}  # fmt: skip
TABLES = {name: build(name, columns) for name, columns in DEFINITIONS.items()}
KEYS = {"note": ("note", "notes"), "author": ("author", "authors"), "closed": ("hidden",)}
NESTED = {key: table for table, keys in KEYS.items() for key in keys}


class Model(BaseModel):
    x: Any


@dataclass
class Data:
    x: Any


class Pair(NamedTuple):
    x: Any
    y: Any = None


def request(account: dict[str, Any], *, total: bool) -> Any:
    app = Services()
    app[COLUMNS] = ColumnRules(lambda: TABLES)
    return SimpleNamespace(app=app, account=account, controls={"total": total})


@st.composite
def rows(draw: st.DrawFn, table: str, depth: int) -> dict[str, Any]:
    """A row of a table as the database gives it, some with rows of declared tables in it."""
    row: dict[str, Any] = {}
    for name, props in DEFINITIONS[table].items():
        if draw(st.booleans()):
            row[name] = "shown" if props.get("pub") else f"PRIVATE {table}.{name}"
            if props.get("type"):
                row[name] = draw(st.sampled_from([["shown"], [], "shown"]))
    row["id"] = "1" if DEFINITIONS[table]["id"].get("pub") else "PRIVATE id"
    if depth and draw(st.booleans()):
        other = draw(st.sampled_from(sorted(KEYS)))
        row[draw(st.sampled_from(KEYS[other]))] = draw(values(other, depth - 1))
    return row


@st.composite
def values(draw: st.DrawFn, table: str, depth: int) -> Any:
    """A row, or rows in something that JSON can hold."""
    some = draw(st.lists(rows(table, depth), min_size=1, max_size=3))
    wraps = [
        lambda: some[0], lambda: some, lambda: Rows(some), lambda: tuple(some),
        lambda: MappingProxyType(some[0]), lambda: {"count": 1, "data": some},
        lambda: {"count": 1, "data": Rows(some), "next_token": "x"}, lambda: [some, [some[0]]],
        lambda: Written(affected=1, obj=some[0]), lambda: {"rows": some, "total": 3},
    ]  # fmt: skip
    return draw(st.sampled_from(wraps))()


@st.composite
def replies(draw: st.DrawFn) -> tuple[str, Any]:
    """What endpoints of a table answer: as declared, or with a row under any name of any kind."""
    table = draw(st.sampled_from(sorted(DEFINITIONS)))
    value = draw(values(table, 2))
    if draw(st.booleans()):
        other = draw(st.sampled_from(sorted(DEFINITIONS)))
        slip = draw(values(other, 1))
        wrapped = draw(
            st.sampled_from(
                [slip, [slip], {"x": slip}, Model(x=slip), Data(slip), Pair(1, slip), Pair(slip),
                 {"deep": [{"er": [slip]}]}, {"a": 1, "b": slip}]
            )
        )  # fmt: skip
        names = ["count", "id", "name", "next_token", "other", "pin", "x"]
        value = {**value, draw(st.sampled_from(names)): wrapped} if type(value) is dict else value
    return table, value


def sent(reply: tuple[str, Any], account: dict[str, Any], *, total: bool = False) -> str:
    """The reply as text; none when it is refused."""
    table, value = reply
    try:
        return wire_json(clean(request(account, total=total), value, table, NESTED)).decode()
    except Undeclared:
        return ""


@settings(max_examples=500)
@given(replies(), st.booleans())
def test_no_private_column_leaves_for_a_stranger(reply: tuple[str, Any], total: bool) -> None:
    for account in ({}, {"id": "2"}):
        assert "PRIVATE" not in sent(reply, account, total=total)


@given(st.sampled_from(sorted(DEFINITIONS)).flatmap(lambda t: st.tuples(st.just(t), values(t, 2))))
def test_what_is_declared_leaves(reply: tuple[str, Any]) -> None:
    assert sent(reply, {}), "refused"


@given(replies())
def test_secure_columns_leave_for_nobody(reply: tuple[str, Any]) -> None:
    for account in ({"id": "1"}, {"id": "1", "type": "admin"}):
        text = sent(reply, account)
        for secure in ("note.pin", "author.key", "closed.count"):
            assert f"PRIVATE {secure}" not in text


@pytest.mark.parametrize("table", sorted(DEFINITIONS))
def test_the_test_knows_what_is_private(table: str) -> None:
    row = {name: f"PRIVATE {name}" for name in DEFINITIONS[table]}
    assert "PRIVATE" in wire_json(row).decode()
