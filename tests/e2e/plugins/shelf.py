"""A plugin that is nothing but verbs: books that belong to accounts."""

from __future__ import annotations

from typing import Any

from bkjs import hookimpl
from bkjs.web import Field, Params, Routes

BOOK: dict[str, dict[str, Any]] = {
    "id": {"primary": 1, "pub": 1},
    "title": {"pub": 1},
    "year": {"type": "int", "pub": 1},
    "price": {"type": "decimal", "pub": 1},
    "tags": {"type": "list", "pub": 1},
    "facts": {"type": "json", "pub": 1},
    "due": {"type": "timestamp", "pub": 1},
    "rank": {"type": "int"},
    "owner": {},
}
routes = Routes()


class Key(Params):
    id: str


class Book(Key, extra="allow"):
    title: str = Field("", max_length=20)
    year: int | None = None


routes.verb("/book/get", "book", params=Key, owner="owner", etag=True)
routes.verb("/book/select", "book")
for verb, params in {"add": Book, "update": Book, "del": Key}.items():
    routes.verb(f"/book/{verb}", "book", params=params, owner="owner")
routes.verb("/book/put", "book", params=Book, shared=True)
ALL = ("/book/get", "/book/add", "/book/update", "/book/del")
routes.batch("/book/batch", *ALL)
routes.batch("/book/atomic", *ALL, atomic=True)


@hookimpl
def tables() -> dict[str, Any]:
    return {"book": BOOK}


@hookimpl
def configure_web(web: Any) -> None:
    web.add(routes)
