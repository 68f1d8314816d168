"""Things to do: one table and five endpoints."""

from datetime import UTC, datetime, timedelta

from bkjs import hookimpl
from bkjs.web import Field, Params, Request, Routes, Web

COLUMNS = {"id": {"type": "uuid", "primary": 1}, "name": {}, "descr": {}, "due": {}}
routes = Routes()


class Key(Params, extra="allow"):
    id: str


class New(Params):
    name: str = Field(min_length=1)
    descr: str = ""
    due: datetime = Field(default_factory=lambda: datetime.now(UTC) + timedelta(days=1))


@routes.endpoint("/todo/add", params=New, writes=True, table="todo")
async def add(req: Request, new: New) -> object:
    return await req.app.db.add("todo", new, info_obj=True)


routes.verb("/todo/get", "todo", params=Key)
routes.verb("/todo/select", "todo")
routes.verb("/todo/update", "todo", params=Key)
routes.verb("/todo/del", "todo", params=Key)


@hookimpl
def tables() -> dict[str, object]:
    return {"todo": {name: {**props, "pub": 1} for name, props in COLUMNS.items()}}


@hookimpl
def configure_web(web: Web) -> None:
    web.add(routes)
