"""What leaves the server, and what a caller may search by."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from bkjs.core.services import Services
from bkjs.db.contract import Table, Written
from bkjs.db.results import Rows
from bkjs.db.tables.described import build
from bkjs.errors import BadRequest
from bkjs.lib.json import wire_json
from bkjs.testing.vectors import Case, known, vectors
from bkjs.web.output import columns
from bkjs.web.output.columns import (
    COLUMNS,
    ColumnRules,
    Undeclared,
    check_readable,
    check_result_columns,
    clean,
    clear_query,
    public_columns,
    readable_columns,
    visibility,
)

DEFINITIONS: dict[str, dict[str, dict[str, Any]]] = {
    "bk_t1": {
        "id": {"primary": 1, "pub": 1},
        "name": {"pub": 1},
        "email": {},
        "secret": {"secure": 1},
        "role": {"admin": 1},
        "level": {"admins": 1},
        "both": {"pub": 1, "secure": 1},
        "hidden": {"admin": 1, "secure": 1},
        "meta": {"type": "json", "pub": 1},
    },
    "bk_t2": {"id": {"primary": 1}, "email": {"pub": 1}, "extra": {"pub": 1}},
}
TABLES = {name: build(name, columns) for name, columns in DEFINITIONS.items()}
OWN = {"id": "1", "name": "n", "email": "e", "secret": "s", "role": "r"}


def tables(names: str) -> list[Table]:
    return [TABLES[name] for name in names.split(",") if name in TABLES]


def request(account: dict[str, Any] | None = None, **controls: Any) -> Any:
    app: Any = Services()
    app[COLUMNS] = ColumnRules(lambda: TABLES)
    app.db = SimpleNamespace(sort_columns=lambda table, name: (name,))  # of no index
    return SimpleNamespace(app=app, account=account or {}, controls={"ops": {}} | controls)


@pytest.mark.parametrize("case", vectors("api-columns"))
def test_columns(case: Case):
    options = case["options"] or {}
    expected = case.wanted("output")
    known([case.get("fn", "clear_query")], ["clear_query"], "function")
    if case.get("fn") == "clear_query":
        known(options, ("keep", "clear", "filter"))
        patterns = {n: re.compile(options[n]) for n in ("keep", "clear") if n in options}
        found = clear_query(
            TABLES[case["table"]], case["input"], filter=options.get("filter", ()), **patterns
        )
        assert found == expected
        return
    known(
        options,
        ("account", "admin", "cleanup_rules", "account_key", "strict", "cleanup_strict"),
    )
    described = tables(case["table"])
    account = options.get("account", {})
    admin = bool(options.get("admin")) or account.get("type") == "admin"
    rules = options.get("cleanup_rules")
    seen = visibility(described, admin=admin, rules=rules) if described else None
    found = check_result_columns(
        case["input"], seen, account,
        account_key=options.get("account_key", "id"),
        strict=bool(options.get("strict") or options.get("cleanup_strict")),
    )  # fmt: skip
    assert found == expected


def test_nothing_opens_a_secure_column():
    loose = build("loose", {"secret": {"pub": 1}})
    for order in ([TABLES["bk_t1"], loose], [loose, TABLES["bk_t1"]]):
        seen = visibility(order, admin=True, rules={"secret": 1})
        assert "secret" not in check_result_columns(OWN, seen, {"id": "1", "type": "admin"})


class Model(BaseModel):
    rows: list[dict[str, Any]]


@dataclass
class Data:
    rows: list[dict[str, Any]]


class Named(NamedTuple):
    id: str
    name: str
    email: str
    secret: str
    role: str


@pytest.mark.parametrize(
    "wrap",
    [
        lambda rows: {"one": Data(rows)},
        lambda rows: [{"one": Data(rows)}],
        lambda rows: Data(rows),
        lambda rows: {"rows": Rows(rows)},
        lambda rows: {"rows": tuple(rows)},
        lambda rows: {"one": [{"two": Rows(rows)}]},
        lambda rows: {"one": {"count": 41, "data": rows, "next_token": "x"}},
        lambda rows: {"count": 41, "data": Rows(rows), "total": 99},
        lambda rows: {"one": MappingProxyType(rows[0])},
        lambda rows: MappingProxyType({"rows": rows}),
        lambda rows: Model(rows=rows),
        lambda rows: {"one": [[rows]]},
        lambda rows: {"one": {"two": {"one": rows}}},
        lambda rows: {"one": Written(affected=1, obj=rows[0])},
        lambda rows: {"one": Named(**rows[0])},
    ],
)
def test_rows_are_cleaned_by_what_they_are_at_every_depth(wrap: Any):
    def clean(req: Any, value: Any, tables: str) -> Any:
        return columns.clean(req, value, tables, dict.fromkeys(("one", "two"), tables))

    found = wire_json(clean(request(), wrap([OWN]), "bk_t1")).decode()
    assert '"name":"n"' in found
    for closed in ("email", "secret", "role"):
        assert closed not in found
    own = wire_json(clean(request({"id": "1"}), wrap([OWN]), "bk_t1")).decode()
    assert '"email":"e"' in own
    assert "secret" not in own
    other = wire_json(clean(request({"id": "2"}), wrap([OWN]), "bk_t1")).decode()
    assert "email" not in other


def test_secure_names_are_dropped_at_any_depth_and_the_input_is_not_changed():
    row = {"id": "1", "meta": {"secret": "s", "list": [{"secret": "s", "x": 1}]}}
    found = clean(request({"id": "1"}), row, "bk_t1")
    assert found == {"id": "1", "meta": {"list": [{"x": 1}]}}
    assert row["meta"] == {"secret": "s", "list": [{"secret": "s", "x": 1}]}


def test_each_row_of_a_list_is_judged_by_its_owner():
    rows = [OWN, OWN | {"id": "2"}]
    found = clean(request({"id": "1"}), rows, "bk_t1")
    assert found == [
        {"id": "1", "name": "n", "email": "e", "role": "r"},
        {"id": "2", "name": "n"},
    ]


def test_a_page_is_cleaned_inside():
    page = {"count": 1, "data": [OWN], "next_token": "x"}
    found = clean(request(), page, "bk_t1")
    assert found == {"count": 1, "data": [{"id": "1", "name": "n"}], "next_token": "x"}
    assert clean(request(total=True), {"count": 7}, "bk_zzz") == {"count": 7}
    for value in ({"count": OWN}, {"count": OWN, "data": []}, {"count": 1, "next_token": [OWN]}):
        with pytest.raises(Undeclared, match=r"'(count|next_token)'"):
            clean(request(total=True), value, "bk_t1")


def test_a_row_that_looks_like_a_page_is_a_row():
    row = {"count": 1, "data": [], "secret": "s"}
    assert "secret" not in clean(request(), row, "bk_t1")


def test_a_column_may_be_called_data():
    odd = build("odd", {"id": {"pub": 1}, "data": {"type": "json", "pub": 1}, "mail": {}})
    app = Services()
    app[COLUMNS] = ColumnRules(lambda: {"odd": odd})
    req: Any = SimpleNamespace(app=app, account={}, controls={})
    row = {"id": "1", "data": {"mail": {"x": 1}}, "mail": "m"}
    shown = {"id": "1", "data": {"mail": {"x": 1}}}
    assert clean(req, row, "odd") == shown
    for page in ({"data": [row]}, {"data": [row], "count": 1, "total": 2}, {"rows": (row,)}):
        found = clean(req, page, "odd")
        assert (found.get("data") or found["rows"]) == [shown]


def test_rows_of_undeclared_tables_expose_nothing():
    for value in (OWN, [OWN], {"count": 1, "data": [OWN]}):
        with pytest.raises(Undeclared, match="bk_zzz"):
            clean(request({"id": "1", "type": "admin"}), value, "bk_zzz")
    assert check_result_columns([OWN], None, {"id": "1"}) == [{}]


def test_empty_tables_mean_plain_values():
    assert clean(request(), {"any": "s"}, "") == {"any": "s"}
    for value in (Rows([OWN]), {"rows": [OWN]}, {"data": [OWN], "count": 1}, {"of": OWN}):
        with pytest.raises(Undeclared):
            clean(request(), value, "")


def test_rules_follow_a_new_description():
    current = {"t": build("t", {"a": {"pub": 1}})}
    rules = ColumnRules(lambda: current)
    assert rules.get("t") is rules.get("t")
    current = {"t": build("t", {"a": {}})}
    seen = rules.get("t")
    assert seen
    assert seen.public == frozenset()


def test_public_columns():
    assert public_columns(TABLES["bk_t1"]) == ["id", "name", "meta"]
    assert public_columns(TABLES["bk_t1"], allow=["name", "email"]) == ["name"]
    assert public_columns(TABLES["bk_t1"], skip=["id"]) == ["name", "meta"]


def test_readable_columns():
    assert readable_columns(request(), "bk_t1") == {"id", "name", "meta"}
    assert readable_columns(request({"id": "9", "type": "admin"}), "bk_t1") == {
        "id", "name", "meta", "role", "level",
    }  # fmt: skip
    assert readable_columns(request(), "bk_t1", owner="id") == {
        "id", "name", "meta", "email", "role", "level",
    }  # fmt: skip
    assert readable_columns(request(), "bk_t1", owner="name") == {"id", "name", "meta", "email"}
    assert readable_columns(request({"type": "admin"}), "bk_zzz") == frozenset()


@pytest.mark.parametrize(
    ("query", "controls"),
    [
        ({"email": "x"}, {}),
        ({"$or": {"email": "x", "name": "y"}}, {}),
        ({"$and": [{"name": "y"}, {"$or": {"secret": "x"}}]}, {}),
        ({}, {"sort": "email"}),
        ({}, {"select": ["name", "secret"]}),
        ({}, {"ops": {"role": "gt"}}),
    ],
)
def test_search_by_an_unreadable_column_is_refused(query: Any, controls: Any):
    with pytest.raises(BadRequest, match=r"(email|secret|role): this column") as caught:
        check_readable(request({"id": "1"}, **controls), "bk_t1", query)
    assert caught.value.extra["field"] in str(caught.value)


def test_search_by_readable_and_unknown_columns_is_not_our_matter():
    check_readable(request(sort="name", select=["id", "zzz"]), "bk_t1", {"name": "x", "_zzz": 1})
    check_readable(request(), "bk_t1", {"email": "x"}, owner="id")
    check_readable(request(), "bk_t1", {"email": "x"}, owner="name")
    for query, owner in (({"secret": "x"}, "id"), ({"role": "x"}, "name")):
        with pytest.raises(BadRequest):
            check_readable(request(), "bk_t1", query, owner=owner)


IDS = st.sampled_from(["1", "2", 1, None, "None", ""])
LISTED = st.lists(
    st.dictionaries(st.sampled_from([*DEFINITIONS["bk_t1"], "other", "owner"]), IDS), max_size=5
)


@given(LISTED, IDS, st.sampled_from(["id", "owner"]), *[st.booleans()] * 3)
def test_a_list_is_cleaned_as_each_of_its_rows(
    rows: list[dict[str, Any]], id: Any, key: str, strict: bool, admin: bool, page: bool
) -> None:
    seen = visibility([TABLES["bk_t1"]], admin=admin)
    mine = str(id) if id else None

    def visible(row: dict[str, Any], keep: frozenset[str] = frozenset()) -> dict[str, Any]:
        owned = row.get(key) is not None and str(row[key]) == mine
        closed = (seen.secure | keep) if owned else seen.closed
        shown = seen.public | seen.own if owned else seen.public
        return {n: v for n, v in row.items() if n not in closed and (n in shown or not strict)}

    as_sent = repr(rows)
    found = check_result_columns(rows, seen, {"id": id}, account_key=key, strict=strict)
    assert list(map(list, found)) == [list(visible(row)) for row in rows]
    assert found == [visible(row) for row in rows]
    assert found == [
        check_result_columns(row, seen, {"id": id}, account_key=key, strict=strict) for row in rows
    ]
    keep = seen.kept if key != "id" else frozenset()
    wanted: Any = [visible(row, keep) for row in rows] if not strict else None
    if wanted is not None:
        req = request(account={"id": id} | ({"type": "admin"} if admin else {}))
        reply = {"count": 1, "data": rows, "next_token": "x"} if page else rows
        if page:
            wanted = reply | {"data": wanted}
        assert clean(req, reply, "bk_t1", owner=key) == wanted
    assert repr(rows) == as_sent


def test_a_row_without_owner_is_nobodys_also_of_an_account_whose_id_is_none() -> None:
    seen = visibility([TABLES["bk_t1"]])
    row = {"id": None, "email": "e"}
    for rows in ([row], [{"email": "e"}]):
        found = check_result_columns(rows, seen, {"id": "None"})
        assert "email" not in found[0]
        assert "email" not in check_result_columns(rows[0], seen, {"id": "None"})
