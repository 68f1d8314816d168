"""A plugin of a third party: the cities of the world, kept in the tables `city` and `town`.

`town` has the same columns; what one format brought can be compared with what the other did.
"""

from __future__ import annotations

from typing import Any

from bkjs import hookimpl
from bkjs.errors import NotFound
from bkjs.web import Params, Request, Routes, select_page

CITY: dict[str, dict[str, Any]] = {
    "geonameid": {"type": "int", "primary": 1, "pub": 1},
    "name": {"pub": 1, "notempty": 1},
    "latitude": {"type": "real", "pub": 1},
    "longitude": {"type": "real", "pub": 1},
    "countrycode": {"pub": 1, "index": 1},
    "population": {"type": "bigint", "pub": 1, "index1": 1},
    "timezone": {"pub": 1},
    "admin1code": {"pub": 1},
    "alternatenames": {"type": "json", "pub": 1},
    "note": {},
}
routes = Routes()


class Key(Params):
    geonameid: int


class City(Key):
    name: str
    latitude: float | None = None
    longitude: float | None = None
    countrycode: str | None = None
    population: int | None = None
    note: str | None = None


@routes.endpoint("/city/get", params=Key, table="city")
async def get(req: Request, params: Key) -> Any:
    row = await req.app.db.get("city", {"geonameid": params.geonameid})
    if row is None:
        raise NotFound(f"no city {params.geonameid}")
    return row


@routes.endpoint("/city/select", table="city")
async def select(req: Request) -> Any:
    return await select_page(req, "city")


@routes.endpoint("/city/add", params=City, table="city", writes=True)
async def add(req: Request, params: City) -> Any:
    return await req.app.db.add("city", params.model_dump(exclude_none=True))


@routes.endpoint("/city/del", params=Key, table="city", writes=True)
async def delete(req: Request, params: Key) -> Any:
    written = await req.app.db.del_("city", {"geonameid": params.geonameid})
    return {"count": written.affected}


@hookimpl
def tables() -> dict[str, Any]:
    return {"city": CITY, "town": CITY}


@hookimpl
def configure_web(app: Any, web: Any) -> None:
    web.add(routes)
