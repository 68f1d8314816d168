"""The least that Python can do for a request: uvloop, httptools, one write.

python -m tests.bench.bare PORT
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import httptools
import orjson
import uvloop

from tests.bench.peers import BODY

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"


class Bare(asyncio.Protocol):
    """One connection; every request gets the same answer."""

    def connection_made(self, transport: Any) -> None:  # uvloop has classes of its own
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        body = orjson.dumps(BODY)
        self.transport.write(HEAD % (len(body), body))


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
