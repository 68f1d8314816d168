"""Blocking calls on threads of their own."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from bkjs.db.threads import Failed, Threads, each
from bkjs.errors import Unavailable


class Gate:
    """A call that runs until it is let through."""

    def __init__(self, result=None, error=None):
        self.begun, self.open = threading.Event(), threading.Event()
        self.result, self.error = result, error

    def __call__(self):
        self.begun.set()
        assert self.open.wait(20)
        if self.error:
            raise self.error
        return self.result


async def begun(gate: Gate) -> None:
    assert await asyncio.to_thread(gate.begun.wait, 20)


def running(name: str) -> int:
    return sum(thread.name.startswith(name) for thread in threading.enumerate())


async def test_calls_return_and_raise_what_they_do():
    threads = Threads("t1", 2, max_queue=10)
    assert await threads.run(lambda: 1) == 1
    assert await threads.run(threading.get_ident) != threading.get_ident()
    for error, kind in ((KeyError("x"), KeyError), (StopIteration(), RuntimeError)):

        def fail(error=error):
            raise error

        with pytest.raises(kind):
            await threads.run(fail)
    assert await threads.run(lambda: 2) == 2
    await threads.close()


async def test_threads_are_started_when_needed_and_end_in_order():
    threads = Threads("t2", 3, max_queue=100)
    assert running("t2") == 0
    done: list[int] = []
    await threads.run(lambda: None)
    assert running("t2") == 1
    gates = [Gate(n) for n in range(3)]
    tasks = [asyncio.ensure_future(threads.run(gate)) for gate in gates]
    for gate in gates:
        await begun(gate)
    late = [asyncio.ensure_future(threads.run(lambda n=n: done.append(n))) for n in range(20)]
    await asyncio.sleep(0)
    assert threads.stats() == {"threads": 3, "busy": 3, "waiting": 20}
    closing = asyncio.ensure_future(threads.close())
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="t2: the database is closed"):
        await threads.run(lambda: None)
    for gate in gates:
        gate.open.set()
    await closing
    assert await asyncio.gather(*tasks) == [0, 1, 2]
    await asyncio.gather(*late)
    assert sorted(done) == list(range(20))
    assert running("t2") == 0
    await threads.close()


async def test_a_full_queue_refuses_by_name():
    threads = Threads("t3", 1, max_queue=2)
    gate = Gate("ok")
    first = asyncio.ensure_future(threads.run(gate))
    await begun(gate)
    waiting = [asyncio.ensure_future(threads.run(lambda n=n: n)) for n in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="t3: no more resources"):
        await threads.run(lambda: None)
    waiting[0].cancel()  # who has gone takes no place
    await asyncio.sleep(0)
    again = asyncio.ensure_future(threads.run(lambda: "again"))
    await asyncio.sleep(0)
    frees = asyncio.ensure_future(threads.run(lambda: "freed", always=True))
    await asyncio.sleep(0)
    gate.open.set()
    assert await asyncio.gather(first, waiting[1], again, frees) == ["ok", 1, "again", "freed"]
    await threads.close()


async def test_without_a_queue_what_needs_no_waiting_runs():
    threads = Threads("t8", 2, max_queue=0)
    gates = [Gate(1), Gate(2)]
    tasks = [asyncio.ensure_future(threads.run(gate)) for gate in gates]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await threads.run(lambda: None)
    for gate in gates:
        gate.open.set()
    assert await asyncio.gather(*tasks) == [1, 2]
    assert await threads.run(lambda: 3) == 3
    await threads.close()


async def test_what_has_not_begun_never_runs_when_its_caller_has_gone():
    threads = Threads("t4", 1, max_queue=10)
    gate, ran = Gate(), []
    first = asyncio.ensure_future(threads.run(gate))
    await begun(gate)
    second = asyncio.ensure_future(threads.run(lambda: ran.append(1)))
    await asyncio.sleep(0)
    second.cancel()
    gate.open.set()
    await first
    await threads.close()
    assert ran == []


@pytest.mark.parametrize("error", [None, ValueError("disk full")])
async def test_the_outcome_of_what_runs_on_is_not_lost(error, caplog):
    threads = Threads("t5", 1, max_queue=10)
    for late in (True, False):
        gate, heard = Gate("made", error), []
        task = asyncio.ensure_future(threads.run(gate, heard.append if late else None))
        await begun(gate)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.open.set()
        await threads.run(lambda: None)
        expected = Failed(error) if error else "made"
        assert heard == ([expected] if late else [])
    await threads.close()
    assert running("t5") == 0
    logged = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert logged == (["t5: failed after its caller had gone: disk full"] if error else [])


async def test_waiting_calls_go_together():
    sizes: list[int] = []

    def together(calls):
        sizes.append(len(calls))
        return each(calls)

    threads = Threads("t6", 1, max_queue=100, at_once=8, together=together)
    done = await asyncio.gather(
        *(threads.run(lambda n=n: 10 // n) for n in (1, 0, 2)), return_exceptions=True
    )
    assert done[::2] == [10, 5]
    assert isinstance(done[1], ZeroDivisionError)
    assert sizes == [3]
    await asyncio.gather(*(threads.run(lambda: 1) for _ in range(20)))
    assert sizes[1:] == [8, 8, 4]
    await threads.close()


async def test_all_hear_when_what_they_share_fails():
    def together(calls):
        raise OSError("no space")

    threads = Threads("t7", 1, max_queue=100, at_once=8, together=together)
    calls = [threads.run(lambda: 1) for _ in range(3)]
    done = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(error) for error in done] == [OSError] * 3
    await threads.close()
