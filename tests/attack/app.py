"""What is attacked: tables with columns of every visibility, endpoints of the usual shapes."""

from typing import Any

from bkjs import hookimpl
from bkjs.web import Params, Request, Routes

routes = Routes()


class Key(Params, extra="allow"):
    id: str


class Size(Params):
    n: int


class Numbers(Params):
    n: list[int]


routes.verb("/note/get", "note", params=Key, public=True)
routes.verb("/note/select", "note", public=True)
routes.verb("/note/add", "note", params=Key, public=True)
routes.verb("/note/update", "note", params=Key, shared=True)
routes.batch("/note/batch", "/note/get", "/note/add", public=True)
routes.batch("/note/atomic", "/note/get", "/note/add", public=True, atomic=True)


@routes.endpoint("/{area}/wipe", writes=True, reply=dict)
def wipe(req: Request) -> dict[str, Any]:
    """An endpoint whose first part is a parameter."""
    return {}


@routes.endpoint("/large", params=Size, public=True, reply=dict)
def large(req: Request, size: Size) -> dict[str, Any]:
    """An answer of so many bytes."""
    return {"text": "x" * size.n}


@routes.endpoint("/numbers", params=Numbers, public=True, reply=dict)
def numbers(req: Request, given: Numbers) -> dict[str, Any]:
    """How many numbers there are."""
    return {"count": len(given.n)}


@routes.endpoint("/taken", public=True, reply=dict, raw_body=True)
async def taken(req: Request) -> dict[str, Any]:
    """Reads its body itself."""
    size, more = 0, True
    while more:
        message = await req.receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    return {"size": size}


@routes.endpoint("/pieces", public=True, reply=dict)
def pieces(req: Request) -> Any:
    """Gives a generator by mistake."""
    return (piece for piece in [{}])


@hookimpl
def tables() -> dict[str, Any]:
    return {
        "note": {
            "id": {"primary": 1, "pub": 1},
            "owner": {"pub": 1, "index": 1},
            "name": {"pub": 1},
            "body": {},
            "pin": {"secure": 1},
            "words": {"type": "search", "projection": "name", "pub": 1, "noresult": 1},
        }
    }


@hookimpl
def configure_web(web: Any) -> None:
    from fastapi import APIRouter
    from fastapi import Request as Asked

    web.add(routes)
    router = APIRouter()

    @router.post("/router/taken")
    async def router_taken(request: Asked) -> dict[str, int]:
        return {"size": len(await request.body())}

    @router.post("/router/numbers")
    async def router_numbers(given: Numbers) -> dict[str, int]:
        return {"count": len(given.n)}

    web.include_router(router)
