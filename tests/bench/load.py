"""Load on an HTTP server: `wrk` where it is installed, else a small client in its own process."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.bench.machine import cpu_seconds

ROOT = Path(__file__).parents[2]
CONNECTIONS = 32


class Load(NamedTuple):
    """One round against one server."""

    rate: float
    """Requests per second that the clients saw."""
    cpu: float
    """Microseconds of the server's CPU for one request."""
    p99: float
    """Milliseconds."""


def run(pid: int, port: int, path: str, headers: Mapping[str, str], seconds: float) -> Load:
    """Ask for `path` over keep-alive connections; raises when a reply is not 2xx."""
    arguments = [f"http://127.0.0.1:{port}{path}", *(f"{k}: {v}" for k, v in headers.items())]
    measure = _wrk if shutil.which("wrk") else _own
    before = cpu_seconds(pid)
    requests, rate, p99 = measure(arguments[0], arguments[1:], seconds)
    return Load(rate, (cpu_seconds(pid) - before) / requests * 1e6, p99)


def _wrk(url: str, headers: list[str], seconds: float) -> tuple[int, float, float]:
    options = [item for header in headers for item in ("-H", header)]
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "--latency"]
    text = subprocess.run([*command, *options, url], capture_output=True, text=True).stdout
    if found := re.search(r"Non-2xx or 3xx responses: (\d+)|Socket errors: (.+)", text):
        raise RuntimeError(f"{url}: {found[0]}")
    requests = int(_number(r"(\d+) requests in", text))
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)\b", text)
    assert p99, text
    unit = {"us": 0.001, "ms": 1.0, "s": 1000.0}[p99[2]]
    return requests, _number(r"Requests/sec:\s+([\d.]+)", text), float(p99[1]) * unit


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    assert found, text
    return float(found[1])


def _own(url: str, headers: list[str], seconds: float) -> tuple[int, float, float]:
    command = [sys.executable, "-m", "tests.bench.load", url, str(seconds), *headers]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    requests, rate, p99 = json.loads(done.stdout)
    return requests, rate, p99


class _Connection(asyncio.Protocol):
    """Sends a request, waits for the whole reply, sends the next one."""

    def __init__(self, request: bytes, times: list[float]) -> None:
        self.request, self.times = request, times
        self.buffer = b""
        self.begun = 0.0
        self.failed = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._send()

    def _send(self) -> None:
        self.begun = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, end, body = self.buffer.partition(b"\r\n\r\n")
        if not end:
            return
        length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        if len(body) < int(length[1] if length else 0):
            return
        if not head.startswith(b"HTTP/1.1 2"):
            self.failed = head.decode("latin-1").partition("\r\n")[0]
            self.transport.close()
            return
        self.times.append(time.perf_counter() - self.begun)
        self.buffer = b""
        self._send()


async def _main(url: str, seconds: float, headers: list[str]) -> None:
    host, _, path = url.removeprefix("http://").partition("/")
    name, _, port = host.partition(":")
    lines = [f"GET /{path} HTTP/1.1", f"host: {host}", *headers, "", ""]
    times: list[float] = []
    loop = asyncio.get_running_loop()
    begun = time.perf_counter()
    request = "\r\n".join(lines).encode()
    made = [
        await loop.create_connection(lambda: _Connection(request, times), name, int(port))
        for _ in range(CONNECTIONS)
    ]
    await asyncio.sleep(seconds)
    passed = time.perf_counter() - begun
    failed = [protocol.failed for _, protocol in made if protocol.failed]
    if failed:
        raise SystemExit(f"{url}: {failed[0]}")
    p99 = sorted(times)[int(len(times) * 0.99)] * 1000
    print(json.dumps([len(times), len(times) / passed, p99]))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], float(sys.argv[2]), sys.argv[3:]))
