"""The second yardstick: requests without sockets, in this process, and a loop of pure Python."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from bkjs.app import App
from bkjs.auth.signature import sign
from tests.bench import peers
from tests.bench.homes import LOGIN, SECRET
from tests.bench.meters import Figure, Meter

HOST = "127.0.0.1"
DAY = 86_400_000
CALLS = 20
"""Operations between two looks at the clock."""
ADDITIONS = 1000
NAMES = ("loop", "call raw", "call serve", "call open", "call signed", "call line")


def meters(app: App, home: Path) -> dict[str, Meter]:
    """The figures of calls; `app` writes its access log unless told otherwise."""
    gateway: Any = app.web.handle  # type: ignore[attr-defined]
    raw = peers.raw()
    headers = sign(LOGIN, SECRET, "GET", "/bench/small", host=HOST, expires=DAY)
    asked, signed = scope("/open/small", {}), scope("/bench/small", headers)

    async def add() -> None:
        total = 0
        for number in range(ADDITIONS):
            total += number

    async def answer(asked: dict[str, Any]) -> None:
        reply = await gateway.answer(gateway.request({**asked}, _receive))
        if reply.status != 200:
            raise RuntimeError(f"{asked['path']}: {reply.status}")

    def serve() -> Any:
        return gateway({**asked}, _receive, _send)

    async def line(seconds: float) -> Figure:
        """What a line of the access log costs: requests with and without, by turns."""
        cost = 0.0
        for on in (False, True, True, False, False, True, True, False):
            switch_log(app, home, on=on)
            await timed(serve, seconds / 100)
            cost += (1 if on else -1) * await timed(serve, seconds / 16)
        return {"cpu": cost / 4}

    def meter(operation: Callable[[], Awaitable[Any]]) -> Meter:
        async def measure(seconds: float) -> Figure:
            switch_log(app, home, on=False)
            return {"cpu": await timed(operation, seconds / 4)}

        return measure

    return {
        "loop": meter(add),
        "call raw": meter(lambda: raw({**asked, "path": "/small"}, _receive, _send)),
        "call serve": meter(serve),
        "call open": meter(lambda: answer(asked)),
        "call signed": meter(lambda: answer(signed)),
        "call line": line,
    }


def switch_log(app: App, home: Path, *, on: bool) -> None:
    """Write the access log or not, as an operator would: by the file and a reload."""
    file = home / "etc" / "config"
    text = f"api-no-access-log={'false' if on else 'true'}\n"
    if file.exists() and file.read_text() == text:
        return
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    if problems := app.reload():
        raise RuntimeError(f"the access log cannot be switched: {problems[0]}")


async def timed(operation: Callable[[], Awaitable[Any]], seconds: float) -> float:
    """Nanoseconds of CPU that one call takes, over so many seconds."""
    stop = time.perf_counter() + seconds
    count, begun = 0, time.process_time_ns()
    while not count or time.perf_counter() < stop:
        for _ in range(CALLS):
            await operation()
        count += CALLS
    return (time.process_time_ns() - begun) / count


def scope(path: str, headers: dict[str, str]) -> dict[str, Any]:
    """A GET as servers hand it on."""
    sent = {"host": HOST, "user-agent": "bench", **headers}
    return {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"",
        "root_path": "", "client": (HOST, 50_000), "server": (HOST, 80),
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
    }  # fmt: skip


async def _receive() -> Any:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(message: Any) -> None:
    return None
