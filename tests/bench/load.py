"""Load on a server: 32 connections, each sends its next request when the answer has come.

    python -m tests.bench.load PORT SECONDS FILE [frames]

FILE holds raw requests with a NUL after each; connections begin anywhere in it. With `frames` the
first one opens a WebSocket and the others are sent as text frames. Prints `ready` when each
connection had an answer, begins with a line of input, prints how many came. Ends with its input.
"""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path
from typing import Any

import uvloop

from tests.bench.peers import CLIENTS

LONGEST = 20.0
"""Seconds that an answer may take."""
HEAD_END = b"\r\n\r\n"
LENGTH = b"ontent-length: "


class Client(asyncio.Protocol):
    """Counts the answers of one connection; any but a 2xx ends it."""

    def __init__(self, requests: list[bytes]) -> None:
        self.requests, self.next = requests, random.randrange(len(requests))
        self.count = 0
        self.running = False
        self.waiting = asyncio.get_running_loop().create_future()
        """Done when there is an answer and none is to follow."""
        self.buffer = b""

    def connection_made(self, transport: Any) -> None:  # uvloop has classes of its own
        self.transport = transport
        self.send()

    def send(self) -> None:
        self.next += 1
        self.transport.write(self.requests[self.next % len(self.requests)])

    def data_received(self, data: bytes) -> None:
        if self.buffer:
            data = self.buffer + data
        self.buffer = data
        end = data.find(HEAD_END)
        if end < 0:
            return
        begin = data.find(LENGTH, 0, end)
        if begin >= 0:
            begin += len(LENGTH)
            if len(data) < end + 4 + int(data[begin : data.index(b"\r", begin)]):
                return
        elif b"chunked" in data[:end] and not data.endswith(b"\r\n0" + HEAD_END):
            return
        if not data.startswith(b"HTTP/1.1 2"):
            self.fail(data)
            return
        self.answered()

    def fail(self, data: bytes) -> None:
        self.end(RuntimeError(data[:400].decode("latin-1")))
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.end(RuntimeError("the server has closed the connection"))

    def end(self, why: Exception) -> None:
        if not self.waiting.done():
            self.waiting.set_exception(why)

    def answered(self) -> None:
        self.buffer = b""
        self.count += 1
        if self.running:
            self.send()
        else:
            self.waiting.set_result(None)

    def go(self) -> None:
        self.count, self.running = 0, True
        self.waiting = asyncio.get_running_loop().create_future()
        self.send()


class Frames(Client):
    """The same for text frames over a WebSocket."""

    def __init__(self, requests: list[bytes]) -> None:
        super().__init__([frame(text) for text in requests[1:]])
        self.handshake, self.open = requests[0], False

    def connection_made(self, transport: Any) -> None:  # uvloop has classes of its own
        self.transport = transport
        transport.write(self.handshake)

    def data_received(self, data: bytes) -> None:
        data = self.buffer = self.buffer + data
        if not self.open:
            if HEAD_END not in data:
                return
            if not data.startswith(b"HTTP/1.1 101"):
                self.fail(data)
                return
            self.open, self.buffer = True, b""
            self.send()
            return
        size = data[1] if len(data) > 1 else 0
        if size == 126 and len(data) >= 4:
            size = 2 + int.from_bytes(data[2:4], "big")
        if len(data) < max(2, 2 + size):
            return
        if data[0] != 0x81 or b'"status":4' in data:
            self.fail(data)
            return
        self.answered()


def frame(text: bytes) -> bytes:
    """A text frame of a client, of less than 126 bytes, under a mask of zeros."""
    return bytes((0x81, 0x80 | len(text))) + b"\0\0\0\0" + text


async def main(port: int, seconds: float, requests: list[bytes], kind: type[Client]) -> None:
    """Keep the server at work for so long."""
    loop = asyncio.get_running_loop()
    clients = [
        (await loop.create_connection(lambda: kind(requests), "127.0.0.1", port))[1]
        for _ in range(CLIENTS)
    ]
    await all_of(clients)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    for client in clients:
        client.go()
    await asyncio.sleep(seconds)
    for client in clients:
        client.running = False
    await all_of(clients)
    print(sum(client.count for client in clients), flush=True)
    await asyncio.to_thread(sys.stdin.readline)


async def all_of(clients: list[Client]) -> None:
    async with asyncio.timeout(LONGEST):
        await asyncio.gather(*(client.waiting for client in clients))


if __name__ == "__main__":
    given = Path(sys.argv[3]).read_bytes().split(b"\0")[:-1]
    chosen = Frames if sys.argv[4:] else Client
    try:
        uvloop.run(main(int(sys.argv[1]), float(sys.argv[2]), given, chosen))
    except (RuntimeError, TimeoutError, OSError) as why:
        raise SystemExit(str(why) or f"no answer in {LONGEST:g} s") from why
