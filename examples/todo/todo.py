"""Things to do: one table and five endpoints."""

from datetime import UTC, datetime, timedelta
from typing import Any

from bkjs import hookimpl
from bkjs.web import Params, Request, Routes, Web, select_page
from pydantic import Field

COLUMNS = {"id": {"type": "uuid", "primary": 1}, "name": {}, "descr": {}, "due": {}}
TABLES = {"todo": {name: {**props, "pub": 1} for name, props in COLUMNS.items()}}
routes = Routes()


class Key(Params):
    id: str


class New(Params):
    name: str = Field(min_length=1)
    descr: str = ""
    due: datetime = Field(default_factory=lambda: datetime.now(UTC) + timedelta(days=1))


@routes.endpoint("/todo/add", params=New, writes=True, table="todo")
async def add(req: Request, params: New) -> Any:
    return await req.app.db.add("todo", params, info_obj=True)


@routes.endpoint("/todo/get", params=Key, table="todo")
async def get(req: Request, params: Key) -> Any:
    return await req.app.db.get("todo", params)


@routes.endpoint("/todo/select", table="todo")
async def select(req: Request) -> Any:
    return await select_page(req, "todo")


@routes.endpoint("/todo/update", params=Key, writes=True, table="todo")
async def update(req: Request, params: Key) -> Any:
    return await req.app.db.update("todo", req.query)


@routes.endpoint("/todo/del", params=Key, writes=True, table="todo")
async def delete(req: Request, params: Key) -> Any:
    return await req.app.db.del_("todo", params)


@hookimpl
def tables() -> dict[str, Any]:
    return TABLES


@hookimpl
def configure_web(web: Web) -> None:
    web.add(routes)
