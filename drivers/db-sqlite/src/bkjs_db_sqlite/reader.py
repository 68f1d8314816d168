"""Long reads run in threads of their own, each on its own connection."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any


class Readers:
    """At most `size` threads; connections are made when they are needed and kept."""

    def __init__(
        self, connect: Callable[[], sqlite3.Connection], *, name: str, size: int, timeout: float
    ) -> None:
        self._connect = connect
        self._timeout = timeout
        self._threads = ThreadPoolExecutor(size, thread_name_prefix=f"{name} reader")
        self._free: list[sqlite3.Connection] = []
        self.open = 0
        self.busy = 0

    async def run(self, read: Callable[[sqlite3.Connection], Any]) -> Any:
        """What `read` returns; it is interrupted when the caller gives up, or after `timeout`
        seconds (0: never), counted with the wait for a thread: then TimeoutError."""
        task = _Task(self, read)
        self.busy += 1
        try:
            async with asyncio.timeout(self._timeout or None):
                return await asyncio.get_running_loop().run_in_executor(self._threads, task.run)
        except BaseException:
            task.stop()
            raise
        finally:
            self.busy -= 1

    async def fetch(self, text: str, values: Sequence[Any]) -> list[Any]:
        """The rows of a statement, as `run` runs it."""
        rows: list[Any] = await self.run(lambda c: c.execute(text, values).fetchall())
        return rows

    async def close(self) -> None:
        """Wait for the reads that run, drop those that wait, and close the connections."""
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        while self._free:
            self._free.pop().close()

    def take(self) -> sqlite3.Connection:
        """A connection for a thread, made when none is free; raises what the client raises."""
        try:
            return self._free.pop()
        except IndexError:
            self.open += 1
            return self._connect()

    def give(self, connection: sqlite3.Connection) -> None:
        """Take back a connection."""
        self._free.append(connection)


class _Task:
    """One read; `stop` may come before, while or after it runs."""

    def __init__(self, readers: Readers, read: Callable[[sqlite3.Connection], Any]) -> None:
        self._readers = readers
        self._read = read
        self._lock = threading.Lock()
        self._stopped = False
        self._connection: sqlite3.Connection | None = None

    def run(self) -> Any:
        connection = self._readers.take()
        with self._lock:
            if self._stopped:
                self._readers.give(connection)
                return None
            self._connection = connection
        try:
            return self._read(connection)
        finally:
            with self._lock:
                self._connection = None
            self._readers.give(connection)

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            if self._connection is not None:
                self._connection.interrupt()
