"""The endpoints that are measured, and ten request hooks; loaded with `-app`.

`BENCH_ROUTES` adds so many further routes and tables.
"""

from __future__ import annotations

import os
from typing import Any

from bkjs import hookimpl
from bkjs.web import Request, Routes
from tests.bench.peers import BODY, any_id

HOOKS = 10
FURTHER = int(os.environ.get("BENCH_ROUTES", "0"))
COLUMNS: dict[str, dict[str, Any]] = {
    "id": {"type": "int", "primary": 1, "pub": 1},
    "name": {"pub": 1},
    "email": {"pub": 1},
    "num": {"type": "int", "pub": 1},
    "mtime": {"type": "bigint", "pub": 1},
}
routes = Routes()


@routes.endpoint("/bench/small", table="bench")
async def small(req: Request) -> dict[str, Any]:
    return BODY


@routes.endpoint("/bench/get", table="bench")
async def get(req: Request) -> Any:
    return await req.app.db.get("bench", {"id": any_id()})


@routes.endpoint("/open/get", table="bench_lite")
async def get_lite(req: Request) -> Any:
    return await req.app.db.get("bench_lite", {"id": any_id()})


@routes.endpoint("/open/list", table="bench")
async def rows(req: Request) -> Any:
    return await req.app.db.select("bench", {"id": 900}, ops={"id": "lt"}, sort="id", count=100)


@routes.endpoint("/open/item/{id}", table="bench")
async def item(req: Request) -> dict[str, Any]:
    return BODY


def _further(number: int) -> Routes:
    made = Routes()

    @made.endpoint(f"/further{number}/{{id}}/get", table="bench")
    async def further(req: Request) -> dict[str, Any]:
        return BODY

    return made


def _hook(req: Request, status: dict[str, Any]) -> None:
    return None


@hookimpl
def tables() -> dict[str, Any]:
    names = ["bench", "bench_lite", *(f"further{number}" for number in range(FURTHER // 10))]
    return dict.fromkeys(names, COLUMNS)


@hookimpl
def configure_web(app: Any, web: Any) -> None:
    web.add(routes)
    for number in range(FURTHER):
        web.add(_further(number))
    for number in range(HOOKS):
        web.register_pre_process("", f"^/(bench|open)/.*(?#{number})", _hook)
