"""Awaiting what a hook returned: a value, a coroutine, or a life that begins now and ends later."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable
from typing import Any


class Life:
    """A started async generator, waiting between its two halves.

    Both halves run in one task of their own: context variables, task groups and cancel scopes
    opened before the `yield` may only be closed in the same task and context.
    """

    def __init__(
        self,
        who: str,
        generator: AsyncGenerator[Any, Any],
        failed: Callable[[str, BaseException], None],
    ) -> None:
        self.who = who
        self._generator = generator
        self._failed = failed
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stop = asyncio.Event()
        self.task = asyncio.create_task(self._run(), name=who)

    async def _run(self) -> None:
        try:
            await anext(self._generator)
        except StopAsyncIteration:
            self._refuse(TypeError("the generator ended without a yield"))
            return
        except Exception as error:
            self._refuse(error)
            return
        except asyncio.CancelledError:
            self._refuse(RuntimeError("cancelled while starting"))
            raise
        if self.ready.done():  # the starter gave up on us, and we swallowed its cancellation
            await self._generator.aclose()
            return
        self.ready.set_result(None)
        try:
            await self._stop.wait()
        except asyncio.CancelledError as error:  # a task group of the plugin lost one of its tasks
            try:
                await self._generator.athrow(error)
            except BaseException as reason:
                self._failed(self.who, reason)
            return  # it is told: a shutdown has nothing more to say
        try:
            await anext(self._generator)
        except StopAsyncIteration:
            return
        await self._generator.aclose()
        raise TypeError("the generator yielded twice")

    def _refuse(self, error: Exception) -> None:
        if not self.ready.done():
            self.ready.set_exception(error)

    async def start(self, deadline: float) -> None:
        """Run the first half; on any failure nothing of it stays behind."""
        try:
            await bounded(self.ready, deadline)
        except BaseException:
            self.task.cancel()
            raise

    async def close(self, deadline: float) -> None:
        """Run the second half."""
        self._stop.set()
        await bounded(self.task, deadline)


async def bounded(future: asyncio.Future[Any], deadline: float) -> Any:
    """The result; TimeoutError after so many seconds, also if the task swallows the cancel."""
    try:
        done, _ = await asyncio.wait([future], timeout=deadline)
    except asyncio.CancelledError:
        future.cancel()
        raise
    if done:
        if future.cancelled():  # not we: whoever waits would pass for cancelled
            raise RuntimeError("cancelled by itself")
        return future.result()
    future.cancel()
    await asyncio.wait([future], timeout=1)
    left = "" if future.done() else ", abandoned"
    raise TimeoutError(f"no answer within {deadline:g} s{left}")


async def settle(
    result: Any, who: str, deadline: float, failed: Callable[[str, BaseException], None]
) -> Any:
    """Await what an implementation returned; an async generator becomes a started `Life`."""
    if inspect.isasyncgen(result):
        life = Life(who, result, failed)
        await life.start(deadline)
        return life
    if inspect.isawaitable(result):
        return await bounded(asyncio.ensure_future(result), deadline)
    if inspect.isgenerator(result):
        result.close()
        raise TypeError("a plain generator; write `async def` with one yield")
    return result
