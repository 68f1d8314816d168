"""Endpoints for tests of bad input: typed parameters, an open one, and one that fails."""

from __future__ import annotations

from typing import Any

from bkjs import hookimpl
from bkjs.web import Params, Request, Routes

PLANTED = "planted-in-an-exception"
routes = Routes()


class Typed(Params):
    name: str = ""
    number: int = 0
    ratio: float = 0.0
    flag: bool = False


@routes.endpoint("/probe/typed", params=Typed, table="probe")
async def typed(req: Request, params: Typed) -> Any:
    return params.model_dump()


@routes.endpoint("/probe/fail", table="probe")
async def fail(req: Request) -> Any:
    raise RuntimeError(PLANTED)


@routes.endpoint("/probe/undeclared", table="probe")
async def undeclared(req: Request) -> Any:
    return {"id": 1, "other": {"note": "a reply of no declared table"}}


@hookimpl
def tables() -> dict[str, Any]:
    columns = {"name": {"pub": 1}, "number": {"type": "int", "pub": 1}}
    columns |= {"ratio": {"type": "real", "pub": 1}, "flag": {"type": "bool", "pub": 1}}
    return {"probe": {"id": {"type": "int", "primary": 1, "pub": 1}, **columns}}


@hookimpl
def configure_web(app: Any, web: Any) -> None:
    web.add(routes)
