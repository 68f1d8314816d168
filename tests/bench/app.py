"""The endpoints that are measured; loaded with `-app`.

`BENCH_HOOKS`, `BENCH_ROUTES` and `BENCH_TABLES` add so many request hooks, routes and tables.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from bkjs import hookimpl
from bkjs.web import Params, Request, Routes
from tests.bench.peers import BODY, any_id

HOOKS, ROUTES, TABLES = (
    int(os.environ.get(f"BENCH_{name}", "0")) for name in ("HOOKS", "ROUTES", "TABLES")
)
FILES = Path(os.environ.get("BENCH_FILES", "."))
COLUMNS: dict[str, dict[str, Any]] = {
    "id": {"type": "int", "primary": 1, "pub": 1},
    "name": {"pub": 1},
    "email": {"pub": 1},
    "num": {"type": "int", "pub": 1},
    "mtime": {"type": "bigint", "pub": 1},
}
PERSON = {**COLUMNS, "birthday": {}, "token": {"secure": 1}}
NOTE = {
    **COLUMNS,
    "id": {"type": "uuid", "primary": 1, "pub": 1},
    "mtime": {"type": "now", "pub": 1},
}
KINDS = {"bench": COLUMNS, "person": PERSON, "note": NOTE, "big": COLUMNS}
PGSQL = ",".join(KINDS)
"""The tables that lie in PostgreSQL where there is one; those of SQLite are called `…_lite`."""

routes = Routes()
routes.verb("/open/page/select", "person", public=True)
routes.verb("/lite/get", "bench_lite")
routes.verb("/lite/select", "bench_lite")


class New(Params):
    """What a client gives of a note."""

    name: str
    email: str
    num: int


routes.verb("/open/note/add", "note", params=New, public=True)
routes.verb("/open/note_lite/add", "note_lite", params=New, public=True)
routes.verb("/note_lite/add", "note_lite", params=New)


@routes.endpoint("/open/small", public=True, reply=dict)
async def open_small(req: Request) -> dict[str, Any]:
    return BODY


@routes.endpoint("/bench/small", reply=dict)
async def small(req: Request) -> dict[str, Any]:
    return BODY


@routes.endpoint("/bench/get", table="person")
async def get(req: Request) -> Any:
    return await req.app.db.get("person", {"id": any_id()})


@routes.endpoint("/bench/{name}/lite", table="person_lite")
async def get_lite(req: Request) -> Any:
    return await req.app.db.get("person_lite", {"id": any_id()})


def _further(number: int) -> Routes:
    made = Routes()

    @made.endpoint(f"/further{number}/{{id}}/get", reply=dict)
    async def further(req: Request) -> dict[str, Any]:
        return BODY

    return made


def _hook(req: Request, status: dict[str, Any]) -> None:
    return None


@hookimpl
def tables() -> dict[str, Any]:
    lite = {f"{name}_lite": columns for name, columns in KINDS.items()}
    return KINDS | lite | {f"further{number}": COLUMNS for number in range(TABLES)}


@hookimpl
def configure_web(app: Any, web: Any) -> None:
    web.add(routes)
    web.mount_static("/public/bench", FILES)
    for number in range(ROUTES):
        web.add(_further(number))
    for number in range(HOOKS):
        web.register_pre_process("", f"^/(bench|open)/.*(?#{number})", _hook)
