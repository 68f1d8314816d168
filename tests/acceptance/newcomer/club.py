"""A club that lends records. `test_newcomer.py` writes this file part by part, as the docs say."""

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request

from bkjs import hookimpl
from bkjs.config import Param
from bkjs.errors import BadRequest
from bkjs.web import Field, Params, Routes, clean

TABLES = {
    "artist": {
        "id": {"primary": 1, "pub": 1},
        "name": {"pub": 1, "notempty": 1},
        "phone": {},
    },
    "album": {
        "id": {"primary": 1, "pub": 1},
        "title": {"pub": 1, "notempty": 1},
        "genre": {"pub": 1, "index": 1},
        "year": {"type": "int", "pub": 1},
        "artist": {"pub": 1, "index": 1},
        "paid": {"type": "decimal"},
    },
}
routes = Routes()
router = APIRouter()


@hookimpl
def tables():
    return TABLES


@hookimpl
def configure_web(web):
    web.add(routes)
    web.include_router(router)
    web.mount_static("/public", Path(__file__).parent / "public")


# -- a list and a relation


routes.verb("/album/select", "album", public=True)


@routes.endpoint("/album/whole", table="album", tables={"by": "artist"}, public=True)
async def whole(req):
    albums = await req.app.db.select("album", {}, sort="title", count=50)
    return await req.app.db.join("artist", albums, keys_map={"id": "artist"}, attach="by")


# -- rows of their owner


TABLES["loan"] = {
    "id": {"type": "uuid", "primary": 1},
    "member": {"index": 1},
    "album": {},
    "note": {},
}


class Key(Params):
    id: str


class Change(Params):
    id: str
    note: str


routes.verb("/loan/get", "loan", params=Key, owner="member")
routes.verb("/loan/select", "loan", owner="member")
routes.verb("/loan/update", "loan", params=Change, owner="member")
routes.verb("/loan/del", "loan", params=Key, owner="member")


class NewLoan(Params):
    album: str = Field(min_length=1)
    note: str = ""


@hookimpl
def args():
    return [Param("loans", "int", 3, "Loans of one member", min=1)]


@routes.endpoint("/loan/add", params=NewLoan, writes=True, table="loan", owner="member")
async def lend(req, new):
    mine = {"member": req.account["id"]}
    number = (await req.app.db.select("loan", mine, total=True)).first["count"]
    if number >= req.app.config.app.loans:
        raise BadRequest("bring one back first")
    return await req.app.db.add("loan", new.model_dump() | mine, info_obj=True)


# -- FastAPI beside it


def signed_in(request: Request) -> dict[str, Any]:
    return request.state.bk.account


Account = Annotated[dict[str, Any], Depends(signed_in)]


@router.get("/api/me")
async def me(account: Account) -> dict[str, Any]:
    return {"login": account["login"], "name": account["name"]}


@router.get("/api/album/{id}")
async def album(id: str, request: Request, account: Account):
    row = await request.state.bk.app.db.get("album", {"id": id})
    if row is None:
        raise HTTPException(404, "no such album")
    return {"for": account["name"], **clean(request, row, table="album")}


# -- for administrators


class NewAlbum(Params):
    id: str
    title: str = Field(min_length=1)
    artist: str


routes.verb("/album/add", "album", params=NewAlbum)
