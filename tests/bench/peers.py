"""What we are compared with: raw ASGI and FastAPI as people write it, as factories for uvicorn."""

import hmac
import os
import random
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated, Any

import orjson

PGSQL = os.environ.get("BENCH_PGSQL", "")
SQLITE = os.environ.get("BENCH_SQLITE", "")
ROWS = 1000
CONNECTIONS = 10
CLIENTS = 32
SECRETS = {"bench": b"0123456789abcdef0123456789abcdef"}
BODY = {"status": "ok", "id": 12345, "name": "bench", "ts": 1700000000000}
GET = "SELECT id, name, email, num, mtime FROM bench WHERE id = $1"
PERSON = GET.replace("bench", "person")
PAGE = "SELECT id, name, email, num, mtime FROM person ORDER BY id LIMIT 100"
ADD = "INSERT INTO note(id, name, email, num, mtime) VALUES ($1, $2, $3, $4, $5)"
JSON = [(b"content-type", b"application/json")]


def any_id() -> int:
    return 1 + int(random.random() * ROWS)


# -- raw ASGI --------------------------------------------------------------


def raw() -> Any:
    """The least that an ASGI server can be asked to do, by path; a row by one of as many
    connections of asyncpg as there are clients, with a prepared statement."""
    big = b"x" * 10_000
    held: list[Any] = []

    async def small() -> bytes:
        return orjson.dumps(BODY)

    async def large() -> bytes:
        return big

    async def get() -> bytes:
        statement = held.pop()
        row = await statement.fetchrow(any_id())
        held.append(statement)
        return orjson.dumps(dict(row))

    answers = {"/small": small, "/big": large, "/get": get}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            held.extend([await _prepared() for _ in range(CLIENTS if PGSQL else 0)])
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            while (message := await receive())["type"] == "websocket.receive":
                await send({"type": "websocket.send", "text": message["text"]})
        else:
            path = scope["path"]
            body = await (echo(receive) if path == "/echo" else answers[path]())
            headers = [*JSON, (b"content-length", b"%d" % len(body))]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    return app


async def _prepared() -> Any:
    import asyncpg

    return await (await asyncpg.connect(PGSQL)).prepare(PERSON)


async def echo(receive: Any) -> bytes:
    data = b""
    more = True
    while more:
        message = await receive()
        data += message.get("body", b"")
        more = message.get("more_body", False)
    return orjson.dumps(orjson.loads(data))


# -- FastAPI --------------------------------------------------------------


def token(path: str) -> str:
    """What the peers want in the header `x-sign` for a GET."""
    expires = str(int(time.time()) + 86_400)
    return f"bench|{expires}|{_digest('bench', expires, path)}"


def _digest(login: str, expires: str, path: str) -> str:
    return hmac.digest(SECRETS[login], f"GET\n{path}\n{expires}".encode(), "sha256").hex()


def _signed() -> Any:
    from fastapi import HTTPException, Request

    async def signed(request: Request) -> str:
        login, _, rest = request.headers.get("x-sign", "").partition("|")
        expires, _, digest = rest.partition("|")
        if login not in SECRETS or not expires.isdigit() or int(expires) < time.time():
            raise HTTPException(401)
        if not hmac.compare_digest(digest, _digest(login, expires, request.url.path)):
            raise HTTPException(401)
        return login

    return signed


def fastapi() -> Any:
    """A careful service by hand: the drivers' own pools, orjson where it helps, models where a
    list or a body is to be checked."""
    import aiosqlite
    import asyncpg
    from fastapi import Depends, FastAPI
    from fastapi.responses import Response
    from pydantic import BaseModel

    signed = [Depends(_signed())]
    lite: Any = None
    pool: Any = None

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        nonlocal lite, pool
        async with AsyncExitStack() as stack:
            lite = await stack.enter_async_context(aiosqlite.connect(SQLITE))
            lite.row_factory = aiosqlite.Row
            if PGSQL:
                made = asyncpg.create_pool(PGSQL, min_size=CONNECTIONS, max_size=CONNECTIONS)
                pool = await stack.enter_async_context(made)
            yield

    class New(BaseModel):
        name: str
        email: str
        num: int

    class Note(New):
        id: str
        mtime: int

    class Person(BaseModel):
        id: int
        name: str
        email: str
        num: int
        mtime: int

    class Page(BaseModel):
        data: list[Person]
        next_token: str

    app = FastAPI(openapi_url=None, lifespan=life)

    @app.get("/small", dependencies=signed)
    async def small() -> dict[str, Any]:
        return BODY

    @app.get("/get", dependencies=signed)
    async def get() -> Response:
        async with pool.acquire() as connection:
            row = await connection.fetchrow(PERSON, any_id())
        return Response(orjson.dumps(dict(row)), media_type="application/json")

    @app.get("/lite", dependencies=signed)
    async def get_lite() -> Response:
        async with lite.execute(PERSON.replace("$1", "?"), (any_id(),)) as cursor:
            row = await cursor.fetchone()
        return Response(orjson.dumps(dict(row)), media_type="application/json")

    @app.get("/page", response_model=Page)
    async def page() -> Any:
        async with pool.acquire() as connection:
            rows = [dict(row) for row in await connection.fetch(PAGE)]
        return {"data": rows, "next_token": str(rows[-1]["id"])}

    @app.post("/add", response_model=Note)
    async def add(new: New) -> Any:
        row = {"id": uuid.uuid4().hex, **new.model_dump(), "mtime": int(time.time() * 1000)}
        async with pool.acquire() as connection:
            await connection.execute(ADD, *row.values())
        return row

    return app


def idiomatic() -> Any:
    """As the tutorials show it: a session of SQLAlchemy's ORM as a dependency, a response model."""
    from fastapi import Depends, FastAPI
    from pydantic import BaseModel, ConfigDict
    from sqlalchemy import BigInteger
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

    url = PGSQL.replace("postgresql://", "postgresql+asyncpg://") or f"sqlite+aiosqlite:///{SQLITE}"
    engine = create_async_engine(url, pool_size=CONNECTIONS)
    sessions = async_sessionmaker(engine, expire_on_commit=False)

    class Base(DeclarativeBase):
        pass

    class Person(Base):
        __tablename__ = "person"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        email: Mapped[str]
        num: Mapped[int]
        mtime: Mapped[int] = mapped_column(BigInteger)

    class PersonOut(BaseModel):
        model_config = ConfigDict(from_attributes=True)
        id: int
        name: str
        email: str
        num: int
        mtime: int

    async def session() -> AsyncIterator[AsyncSession]:
        async with sessions() as opened:
            yield opened

    app = FastAPI()

    @app.get("/get", response_model=PersonOut, dependencies=[Depends(_signed())])
    async def get(db: Annotated[AsyncSession, Depends(session)]) -> Any:
        return await db.get(Person, any_id())

    return app
