"""What we are compared with: bare ASGI and hand-written FastAPI, as factories for uvicorn."""

import hmac
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson

PGSQL = os.environ.get("BENCH_PGSQL", "")
SQLITE = os.environ.get("BENCH_SQLITE", "")
ROWS = 1000
CONNECTIONS = 10
SECRET = b"0123456789abcdef0123456789abcdef"
BODY = {"status": "ok", "id": 12345, "name": "bench", "ts": 1700000000000}
GET = "SELECT id, name, email, num, mtime FROM bench WHERE id = $1"
LIST = "SELECT id, name, email, num, mtime FROM bench WHERE id < $1 ORDER BY id LIMIT 100"


def any_id() -> int:
    return 1 + int(random.random() * ROWS)


def raw() -> Any:
    """The least that an ASGI server can be asked to do."""
    headers = [(b"content-type", b"application/json")]
    headers.append((b"content-length", b"%d" % len(orjson.dumps(BODY))))
    start = {"type": "http.response.start", "status": 200, "headers": headers}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for _ in range(2):
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
            return
        await send(start)
        await send({"type": "http.response.body", "body": orjson.dumps(BODY)})

    return app


def fastapi_json() -> Any:
    from fastapi import FastAPI
    from fastapi.responses import JSONResponse

    app = FastAPI(openapi_url=None)

    @app.get("/ping")
    async def ping() -> JSONResponse:
        return JSONResponse(BODY)

    return app


def fastapi_depends() -> Any:
    """A route with three dependencies that check nothing."""
    from fastapi import Depends, FastAPI, Request
    from fastapi.responses import Response

    app = FastAPI(openapi_url=None)

    async def first(request: Request) -> int:
        return len(request.headers)

    async def second(found: int = Depends(first)) -> int:
        return found

    async def third(q: str = "x", found: int = Depends(second)) -> str:
        return q * found

    @app.get("/ping", dependencies=[Depends(third)])
    async def ping() -> Response:
        return Response(orjson.dumps(BODY), media_type="application/json")

    return app


def token(path: str) -> str:
    """What `fastapi_pgsql` wants in the header `x-sign` for a path."""
    return hmac.digest(SECRET, f"GET\n{path}\n".encode(), "sha256").hex()


class _Pass:
    """A middleware that only passes on."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


def fastapi_pgsql() -> Any:
    """A careful service by hand: asyncpg's pool, orjson, a signature in a dependency, and five
    middlewares."""
    import asyncpg
    from fastapi import Depends, FastAPI, HTTPException, Request
    from fastapi.responses import Response

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        pool = await asyncpg.create_pool(PGSQL, min_size=CONNECTIONS, max_size=CONNECTIONS)
        app.state.pool = pool
        yield
        await pool.close()

    async def signed(request: Request) -> None:
        if not hmac.compare_digest(request.headers.get("x-sign", ""), token(request.url.path)):
            raise HTTPException(401)

    app = FastAPI(openapi_url=None, lifespan=life)

    @app.get("/get", dependencies=[Depends(signed)])
    async def get(request: Request) -> Response:
        async with request.app.state.pool.acquire() as connection:
            row = await connection.fetchrow(GET, any_id())
        return Response(orjson.dumps(dict(row)), media_type="application/json")

    @app.get("/list")
    async def rows(request: Request) -> Response:
        async with request.app.state.pool.acquire() as connection:
            found = await connection.fetch(LIST, 900)
        return Response(orjson.dumps([dict(row) for row in found]), media_type="application/json")

    @app.get("/plain", response_model=None)
    async def plain(request: Request) -> list[dict[str, Any]]:
        async with request.app.state.pool.acquire() as connection:
            return [dict(row) for row in await connection.fetch(LIST, 900)]

    for _ in range(5):
        app.add_middleware(_Pass)
    return app


def fastapi_sqlite() -> Any:
    import aiosqlite
    from fastapi import FastAPI
    from fastapi.responses import Response

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        async with aiosqlite.connect(SQLITE) as connection:
            connection.row_factory = aiosqlite.Row
            app.state.connection = connection
            yield

    app = FastAPI(openapi_url=None, lifespan=life)

    @app.get("/get")
    async def get() -> Response:
        async with app.state.connection.execute(GET.replace("$1", "?"), (any_id(),)) as cursor:
            row = await cursor.fetchone()
        return Response(orjson.dumps(dict(row)), media_type="application/json")

    return app
