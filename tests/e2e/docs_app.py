"""A small library, whose endpoints `test_docs_page.py` tries in a browser."""

from typing import Any

from bkjs import hookimpl
from bkjs.web import Field, Params, Request, Routes

routes = Routes()


class Book(Params):
    """What a reader may say of a book."""

    title: str = Field(description="as on the cover", max_length=60)
    year: int = Field(0, ge=0, le=2100)
    kind: str = "novel"
    note: str = ""


class Change(Book):
    """A part of it."""

    id: str
    title: str = ""


class Key(Params):
    """Which book."""

    id: str


class Passphrase(Params):
    """What must never be in a URL."""

    name: str
    password: str = ""


routes.verb("/book/select", "book", public=True, summary="The books of the library")
routes.verb("/book/get", "book", public=True)
routes.verb("/mine/select", "book", owner="account", summary="My own books, with my notes")
routes.verb("/mine/add", "book", params=Book, owner="account")
routes.verb("/mine/update", "book", params=Change, owner="account")
routes.verb("/mine/del", "book", params=Key, owner="account")


@routes.endpoint("/desk/check", params=Passphrase, reply=dict, public=True)
async def check(req: Request, params: Passphrase) -> dict[str, Any]:
    """How long a `password` is.

    It is not kept.
    """
    return {"name": params.name, "length": len(params.password)}


@routes.endpoint("/shelf/{number}/book/{title}", reply=dict, public=True)
async def shelf(req: Request) -> dict[str, Any]:
    """Where a book stands."""
    return dict(req.path_args)


@hookimpl
def tables() -> dict[str, dict[str, Any]]:
    return {
        "book": {
            "id": {"type": "uuid", "primary": 1, "pub": 1},
            "title": {"pub": 1, "maxlength": 60},
            "year": {"type": "int", "pub": 1, "index": 1},
            "kind": {"pub": 1, "values": "novel,poems,letters"},
            "account": {"index": 1},
            "note": {},
            "shelfmark": {"secure": 1},
            "mtime": {"type": "now", "pub": 1},
        }
    }


@hookimpl
def configure_web(web: Any) -> None:
    web.add(routes)
