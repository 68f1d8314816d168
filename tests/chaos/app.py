"""What the chaos goes over: rows that are written in every way, reads that last, streams."""

import asyncio
from typing import Any

from bkjs import hookimpl
from bkjs.web import Params, Request, Routes, Stream, stream

routes = Routes()
running: set[str] = set()
"""Handlers that have begun and not ended."""


class Tag(Params):
    tag: str
    n: int = 1
    seconds: float = 0


def tags(asked: Tag) -> list[str]:
    """The rows that a request writes."""
    return [f"{asked.tag}.{number}" for number in range(asked.n)]


@routes.endpoint("/one", params=Tag, writes=True, public=True, reply=dict)
async def one(req: Request, asked: Tag) -> dict[str, Any]:
    for tag in tags(asked):
        await req.app.db.add("entry", {"tag": tag})
    return {}


@routes.endpoint("/replaced", params=Tag, writes=True, public=True, reply=dict)
async def replaced(req: Request, asked: Tag) -> dict[str, Any]:
    for tag in tags(asked):
        await req.app.db.put("named", {"id": tag, "name": "x"})
    return {}


@routes.endpoint("/together", params=Tag, writes=True, public=True, reply=dict)
async def together(req: Request, asked: Tag) -> dict[str, Any]:
    async with req.app.db.transaction() as tx:
        for tag in tags(asked):
            await tx.add("entry", {"tag": tag})
            await asyncio.sleep(asked.seconds)
    return {}


@routes.endpoint("/many", params=Tag, writes=True, public=True, reply=dict)
async def many(req: Request, asked: Tag) -> dict[str, Any]:
    items = [{"op": "add", "table": "entry", "obj": {"tag": tag}} for tag in tags(asked)]
    for error, _ in await req.app.db.bulk(items):
        if error:
            raise error
    return {}


@routes.endpoint("/late", params=Tag, writes=True, public=True, reply=dict)
async def late(req: Request, asked: Tag) -> dict[str, Any]:
    """Writes after so many seconds."""
    running.add(asked.tag)
    try:
        await asyncio.sleep(asked.seconds)
        return await one(req, asked)
    finally:
        running.discard(asked.tag)


@routes.endpoint("/reads", params=Tag, public=True, reply=dict)
async def reads(req: Request, asked: Tag) -> dict[str, Any]:
    """Holds a connection of the database for so many seconds."""
    running.add(asked.tag)
    try:
        async with req.app.db.transaction() as tx:
            await tx.get("named", {"id": "x"})
            await asyncio.sleep(asked.seconds)
        return {}
    finally:
        running.discard(asked.tag)


@routes.endpoint("/events", params=Tag, public=True)
async def events(req: Request, asked: Tag) -> Stream:
    async def pieces() -> Any:
        running.add(asked.tag)
        try:
            for _ in range(1000):
                yield "data: " + "x" * 1000 + "\n\n"
                await asyncio.sleep(asked.seconds)
        finally:
            running.discard(asked.tag)

    return stream(req, pieces())


@routes.endpoint("/fails", public=True, reply=dict)
async def fails(req: Request) -> dict[str, Any]:
    raise RuntimeError("boom " + "x" * 500)


@routes.endpoint("/state", public=True, reply=dict)
async def state(req: Request) -> dict[str, Any]:
    """What is going on: handlers, and connections of the database that are in use."""
    driver = req.app.db.pool().driver
    return {"running": len(running), "busy": driver.stats().get("busy", 0)}


routes.verb("/named/get", "named", public=True)
routes.verb("/named/select", "named", public=True)


@hookimpl
def tables() -> dict[str, Any]:
    return {
        "entry": {"id": {"type": "int", "auto": 1, "primary": 1}, "tag": {}},
        "named": {"id": {"primary": 1, "pub": 1}, "name": {"pub": 1, "index": 1}},
    }


@hookimpl
def configure_web(web: Any) -> None:
    from fastapi import APIRouter

    web.add(routes)
    router = APIRouter()

    @router.get("/router/{number}")
    async def numbered(number: int) -> dict[str, int]:
        return {"number": number}

    web.include_router(router)
