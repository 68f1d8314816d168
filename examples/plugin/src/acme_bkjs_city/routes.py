"""Endpoints; everyone may read, a command writes."""

from __future__ import annotations

from typing import Any

from bkjs.errors import NotFound
from bkjs.web import Params, Request, Routes

routes = Routes()


class CityKey(Params):
    id: int


@routes.endpoint("/city/get", params=CityKey, table="city", public=True)
async def get(req: Request, params: CityKey) -> dict[str, Any]:
    """One city."""
    row = await req.app.db.get("city", {"id": params.id})
    if row is None:
        raise NotFound(f"no city {params.id}")
    return row


# `_ops`, `_sort`, `_desc`, `_count` and `_start` as everywhere
routes.verb("/city/select", "city", public=True, summary="Cities by any column")
