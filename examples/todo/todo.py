"""Things to do: one table and five endpoints, for each account its own."""

from datetime import UTC, datetime, timedelta

from bkjs import hookimpl
from bkjs.db import Tables
from bkjs.web import Field, Params, Request, Routes, Web

COLUMNS = {"id": {"type": "uuid", "primary": 1}, "owner": {}, "name": {}, "descr": {}, "due": {}}
TABLES: Tables = {"todo": COLUMNS}
routes = Routes()


class Key(Params, extra="allow"):
    id: str


class New(Params):
    name: str = Field(min_length=1)
    descr: str = ""
    due: datetime = Field(default_factory=lambda: datetime.now(UTC) + timedelta(days=1))


@routes.endpoint("/todo/add", params=New, writes=True, table="todo", owner="owner")
async def add(req: Request, new: New) -> object:
    row = {**new.model_dump(), "owner": req.account["id"]}
    return await req.app.db.add("todo", row, info_obj=True)


routes.verb("/todo/get", "todo", params=Key, owner="owner")
routes.verb("/todo/select", "todo", owner="owner")
routes.verb("/todo/update", "todo", params=Key, owner="owner")
routes.verb("/todo/del", "todo", params=Key, owner="owner")


@hookimpl
def tables() -> Tables:
    return TABLES


@hookimpl
def configure_web(web: Web) -> None:
    web.add(routes)
