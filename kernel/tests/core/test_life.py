import asyncio
import contextvars

import pytest

from bkjs.core.life import Life, settle

problems: list[str] = []


def failed(who, error):
    problems.append(f"{who}: {error}")


@pytest.fixture(autouse=True)
def clean():
    problems.clear()


async def test_both_halves_run_in_one_context():
    variable = contextvars.ContextVar("variable")
    seen = []

    async def plugin():
        token = variable.set(1)
        async with asyncio.timeout(5):
            yield
        variable.reset(token)
        seen.append("closed")

    life = await settle(plugin(), "p", 1, failed)
    await life.close(1)
    assert seen == ["closed"]


async def test_plain_functions_and_coroutines_give_their_result():
    async def answer():
        return 42

    assert await settle(answer(), "p", 1, failed) == 42
    assert await settle(7, "p", 1, failed) == 7


async def test_a_plain_generator_is_refused():
    def plugin():
        yield

    with pytest.raises(TypeError, match="async def"):
        await settle(plugin(), "p", 1, failed)


async def test_no_yield_and_two_yields_are_errors():
    async def none():
        if problems:
            yield

    closed = []

    async def two():
        try:
            yield
            yield
        finally:
            closed.append(1)

    with pytest.raises(TypeError, match="without a yield"):
        await settle(none(), "p", 1, failed)
    life = await settle(two(), "p", 1, failed)
    with pytest.raises(TypeError, match="twice"):
        await life.close(1)
    assert closed == [1]


async def test_who_gives_up_a_start_ends_it():
    begun, ended = asyncio.Event(), asyncio.Event()

    async def plugin():
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    starting = asyncio.ensure_future(settle(plugin(), "p", 60, failed))
    await begun.wait()
    starting.cancel()
    await asyncio.wait_for(ended.wait(), 5)


async def test_a_start_that_hangs_is_given_up_and_its_late_yield_closed():
    closed = asyncio.Event()
    release = asyncio.Event()

    async def plugin():
        try:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await release.wait()  # swallows the cancellation
            yield
        finally:
            closed.set()

    with pytest.raises(TimeoutError, match="no answer within"):
        await settle(plugin(), "p", 0.01, failed)
    release.set()
    await asyncio.wait_for(closed.wait(), 1)


async def test_a_shutdown_that_hangs_is_abandoned():
    hold = asyncio.Event()

    async def plugin():
        yield
        while not hold.is_set():
            try:
                await hold.wait()
            except asyncio.CancelledError:
                continue

    life = await settle(plugin(), "p", 1, failed)
    with pytest.raises(TimeoutError, match="abandoned"):
        await life.close(0.01)
    hold.set()
    await asyncio.wait([life.task])


async def test_a_background_task_that_dies_is_reported_by_name():
    async def dies():
        raise RuntimeError("lost the connection")

    async def plugin():
        async with asyncio.TaskGroup() as group:
            group.create_task(dies())
            yield

    life = await settle(plugin(), "plugin 'x'", 1, failed)
    assert isinstance(life, Life)
    await asyncio.wait([life.task], timeout=1)
    assert problems
    assert problems[0].startswith("plugin 'x'")
