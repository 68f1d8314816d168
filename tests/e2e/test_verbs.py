"""Verbs of the database over real sockets, on each engine."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from bkjs.testing.client import Client
from bkjs.testing.process import Server, run
from tests.e2e.conftest import Empty

pytestmark = pytest.mark.process
PLUGINS = Path(__file__).with_name("plugins")
SECRET = "the-secret-of-all-three"
FULL = {
    "title": "Full", "year": 1992, "price": "12.5", "tags": ["a", "b"], "rank": 3,
    "facts": {"a": [1, {"b": None}]}, "due": "2024-05-15T10:00:00.123Z",
}  # fmt: skip


@pytest.fixture(scope="module", params=["sqlite", "pgsql"])
def server(request: pytest.FixtureRequest, empty: Empty) -> Iterator[Server]:
    with empty(request.param) as database:
        parameters = [*database, "-modules-path", str(PLUGINS)]
        parameters += ["-allow-modules", "^(bk_accounts|shelf)$"]
        with Server(*parameters, "-db-create-tables") as made:
            for login in ("ann", "bob"):
                person = ["-login", login, "-secret", SECRET, "-name", login]
                done = run(made.home, "user", "add", *person, *parameters)
                assert done.returncode == 0, done.stderr
            yield made


@pytest.fixture
def ann(server: Server) -> Iterator[Client]:
    """A client whose account has no books yet."""
    with server.client("ann", SECRET) as client:
        yield client
        for book in client.get("/book/select?_count=999").json()["data"]:
            client.post("/book/del", {"id": book["id"]})


def add(client: Client, **book: Any) -> None:
    reply = client.post("/book/add", book)
    assert reply.status == 200, reply.text


def test_all_wrong_fields_come_in_one_answer(ann: Client) -> None:
    refused = ann.post("/book/add", {"year": "x", "title": "t" * 21})
    assert refused.status == 400
    assert [(e["field"], e["code"]) for e in refused.json()["errors"]] == [
        ("id", "missing"), ("title", "string_too_long"), ("year", "int_parsing"),
    ]  # fmt: skip
    refused = ann.post("/book/add", {"id": "1", "price": "much", "due": "soon", "rank": 1.5})
    assert [e["field"] for e in refused.json()["errors"]] == ["price", "due", "rank"]
    assert ann.get("/book/select").json()["count"] == 0


@pytest.mark.parametrize("count", [2, 7])
@pytest.mark.parametrize(
    ("sort", "key"),
    [
        ("title,-year", lambda b: (b["title"], -b["year"], b["id"])),
        ("-title,year,-id", lambda b: (-ord(b["title"]), b["year"], -int(b["id"]))),
        ("-year,-title,id", lambda b: (-b["year"], -ord(b["title"]), b["id"])),
        ("price,-due,title,-year", lambda b: (b["title"], -b["year"])),
    ],
)
def test_pages_in_the_order_of_several_columns(
    ann: Client, sort: str, key: Any, count: int
) -> None:
    pairs = list(product("abc", (1, 2, 3)))
    books = [{"id": str(n), "title": t, "year": y} for n, (t, y) in enumerate(pairs)]
    for book in reversed(books):
        add(ann, **book)
    found: list[Any] = []
    target = f"/book/select?_sort={sort}&_count={count}"
    page = ann.get(target).json()
    while True:
        found += page["data"]
        if "next_token" not in page:
            break
        page = ann.get(f"{target}&_start={page['next_token']}").json()
    if sort.startswith("title"):
        assert [b["title"] + str(b["year"]) for b in found] == [
            "a3", "a2", "a1", "b3", "b2", "b1", "c3", "c2", "c1",
        ]  # fmt: skip
    assert [b["id"] for b in found] == [b["id"] for b in sorted(books, key=key)]


def test_an_order_that_is_none_is_refused(ann: Client) -> None:
    for sort, field in {
        "title,-rank": "rank", "title,owner": "owner", "title,nmae": "sort",
        ",".join(["title"] * 9): "sort", "title,year&_desc=1": "desc",
    }.items():  # fmt: skip
        refused = ann.get(f"/book/select?_sort={sort}")
        assert (refused.status, refused.json()["field"]) == (400, field), sort


def test_an_operator_that_needs_no_value_counts_without_one(ann: Client) -> None:
    add(ann, id="1", title="a", **{n: FULL[n] for n in ("year", "price", "due", "facts", "tags")})
    add(ann, id="2", title="b")
    for column in ("year", "price", "due", "facts", "tags"):
        for op, found in {"null": "2", "not null": "1", "not_null": "1"}.items():
            page = ann.get(f"/book/select?_ops={column},{op.replace(' ', '%20')}").json()
            assert [b["id"] for b in page["data"]] == [found], (column, op)
        for op in ("eq", "gt", "in", "contains"):
            refused = ann.get(f"/book/select?_ops={column},{op}")
            assert (refused.status, refused.json()["field"]) == (400, column)
    both = ann.get("/book/select?_ops=year,null,title,eq&title=a").json()
    assert both["count"] == 0


def test_rows_are_changed_by_who_has_seen_them(ann: Client, server: Server) -> None:
    add(ann, id="1", **FULL)
    for verb, change in {
        "update": {"year": 1993}, "put": {"title": "New", "tags": ["x"]}, "del": {},
    }.items():  # fmt: skip
        seen = ann.get("/book/get?id=1")
        tag = seen.header("etag")
        if verb != "put":  # which makes a row of no owner
            same = ann.get("/book/get?id=1", headers={"if-none-match": tag})
            assert (same.status, same.body) == (304, b"")
        body = {"id": "1", "owner": seen.json()["owner"]} | change
        late = {"if-match": tag}
        assert ann.post(f"/book/{verb}", body, headers=late).status == 200
        for again in ("update", "put", "del"):
            refused = ann.post(f"/book/{again}", body, headers=late)
            assert (refused.status, refused.json()["code"]) == (412, "PreconditionFailed")
    assert ann.get("/book/get?id=1").status == 404
    assert ann.post("/book/update", {"id": "1"}, headers={"if-match": "*"}).status == 412


def test_of_many_who_have_seen_the_same_one_writes(ann: Client, server: Server) -> None:
    add(ann, id="1", **FULL)
    tag = ann.get("/book/get?id=1").header("etag")

    def write(number: int) -> int:
        with server.client("ann", SECRET) as client:
            body = {"id": "1", "title": f"t{number}"}
            return client.post("/book/update", body, headers={"if-match": tag}).status

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(write, range(8))) == [200] + [412] * 7


def test_a_batch_is_done_item_by_item_or_as_a_whole(ann: Client, server: Server) -> None:
    add(ann, id="0", title="old")
    items = [
        {"path": "/book/add", "data": {"id": "1", "title": "a"}},
        {"op": "update", "table": "book", "data": {"id": "0", "title": "new"}},
        {"path": "/book/add", "data": {"id": "1", "title": "b"}},
        {"path": "/book/del", "data": {"id": "0"}},
    ]
    refused = ann.post("/book/atomic", items)
    assert (refused.status, refused.json()["item"]) == (409, 2)
    assert ann.get("/book/get?id=0").json()["title"] == "old"
    assert ann.get("/book/get?id=1").status == 404
    done = ann.post("/book/atomic", items[:2])
    assert [one["status"] for one in done.json()] == [200, 200]
    outcomes = ann.post("/book/batch", items).json()
    assert [one["status"] for one in outcomes] == [409, 200, 409, 200]
    with server.client("bob", SECRET) as bob:
        assert bob.post("/book/atomic", [{"path": "/book/del", "data": {"id": "1"}}]).status == 404
    with server.client() as stranger:
        assert stranger.post("/book/batch", items).status == 417
    assert [b["title"] for b in ann.get("/book/select").json()["data"]] == ["a"]


def test_batches_that_meet_are_whole(ann: Client, server: Server) -> None:
    for id in "ab":
        add(ann, id=id, title="0")

    def write(number: int) -> int:
        with server.client("ann", SECRET) as client:
            items = [
                {"path": "/book/update", "data": {"id": id, "title": str(number)}} for id in "ab"
            ]
            return client.post("/book/atomic", items).status

    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(write, range(1, 13)))
    assert set(statuses) <= {200, 409}
    assert 200 in statuses
    titles = {b["title"] for b in ann.get("/book/select").json()["data"]}
    assert len(titles) == 1
    assert statuses[int(titles.pop()) - 1] == 200
