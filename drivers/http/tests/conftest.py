"""A server on loopback that does what a test tells it, request by request."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from bkjs_http import HttpPool, Limits


def reply(status=200, body=b"{}", kind="application/json", **headers):
    """The bytes of a whole answer."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Server:
    """`plan` holds an answer for each request to come; the last one is for all that follow.

    An answer is bytes, or an async function of the writer; None cuts the connection without one.
    """

    def __init__(self):
        self.plan = [reply()]
        self.seen = []
        """Request line, headers and body of each request."""
        self.connections = 0
        self._news = asyncio.Event()
        self._open = set()
        self._server = None
        self.port = 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    async def start(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self):
        self._server.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await self._server.wait_closed()

    def answers(self, *plan):
        self.plan, self.seen = list(plan), []

    async def asked(self, count):
        """Return when there were so many requests."""
        while len(self.seen) < count:
            self._news.clear()
            await self._news.wait()

    async def _serve(self, reader, writer):
        self.connections += 1
        task = asyncio.current_task()
        self._open.add(task)
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(task)
            writer.transport.abort()

    async def _one(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        if "chunked" in headers.get("transfer-encoding", ""):
            body = b""
            while size := int(await reader.readuntil(b"\r\n"), 16):
                body += await reader.readexactly(size + 2)
            await reader.readexactly(2)
        else:
            body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.seen.append((head[0], headers, body))
        self._news.set()
        answer = self.plan.pop(0) if len(self.plan) > 1 else self.plan[0]
        if answer is None:
            return False
        if callable(answer):
            return await answer(writer)
        writer.write(answer)
        await writer.drain()
        return "connection: close" not in answer.decode(errors="replace").lower()


@pytest.fixture
async def server():
    server = Server()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def other():
    server = Server()
    await server.start()
    yield server
    await server.stop()


@asynccontextmanager
async def pool_of(*servers, login="", **limits):
    hosts = ",".join(f"127.0.0.1:{server.port}" for server in servers)
    given = {"timeout": 5.0, "connect": 2.0, **limits}
    pool = HttpPool("mine", f"http://{login}{hosts}", Limits(**given))
    pool.nodes._next = len(servers) - 1  # the first of them is first
    await pool.open()
    try:
        yield pool
    finally:
        await pool.close()
