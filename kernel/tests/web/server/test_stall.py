"""What is said of a step that holds up the event loop."""

from __future__ import annotations

import asyncio
import os
import sys
from types import SimpleNamespace
from typing import Any

import bkjs
from bkjs.testing.web import scope_of
from bkjs.web.server.stall import Stall, describe

OURS = os.path.join(os.path.dirname(bkjs.__file__), "web", "x.py")


def frame(code: str, file: str, **names: Any) -> Any:
    """The frame in which `look()` is called by code of this file."""
    found: list[Any] = []
    names |= {"look": lambda: found.append(sys._getframe(1))}
    exec(compile(code, file, "exec"), names)
    return found[0]


async def in_a_step(code: str, file: str, **names: Any) -> str:
    """What is said of a callback with this code, which is in this file."""
    found: list[str] = []
    names |= {"look": lambda: found.append(describe(sys._getframe(1)))}
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.call_soon(eval(compile(f"lambda: {code}", file, "eval"), names))
    loop.call_soon(done.set)
    await done.wait()
    return found[0]


async def test_the_deepest_place_that_is_not_ours_is_named() -> None:
    callback = "a callback holds up all others"
    assert await in_a_step("look()", "/srv/app.py") == f"{callback} (/srv/app.py:1)"
    deep = eval(compile("lambda look: [0,\nlook()]", "/srv/deep.py", "eval"))
    assert await in_a_step("deep(look)", "/srv/app.py", deep=deep) == f"{callback} (/srv/deep.py:2)"
    ours = eval(compile("lambda look: look()", OURS, "eval"))
    assert await in_a_step("ours(look)", "/srv/app.py", ours=ours) == f"{callback} (/srv/app.py:1)"


async def test_what_is_before_the_step_holds_up_nothing() -> None:
    """This test is around the loop, and no frame of the step is of an application."""
    assert await in_a_step("look()", OURS) == ""


async def test_a_request_is_named_though_no_place_is_known(site: Any) -> None:
    async with site(None) as s:
        asks = s.app.web.handle.request(scope_of("/x?secret=1", "GET", {}), None)
        code = "def handle(req):\n    look()\nhandle(given)"
        at = describe(frame(code, OURS, given=asks))
        assert at.startswith(f"request {asks.id}: GET /x holds up all others")
        assert "secret" not in at
        assert "/srv/a.py:2" in describe(frame(code, "/srv/a.py", given=asks))
        other = describe(frame(code, "/srv/a.py", given=SimpleNamespace(id=1)))
        assert other == "a callback holds up all others (/srv/a.py:2)"
    assert describe(None) == ""


async def test_a_step_is_told_once_and_nothing_after_the_end(caplog: Any) -> None:
    import time

    stall = Stall(0.05)
    for _ in range(2):  # it may be started again
        stall.start()
        time.sleep(0.4)  # noqa: ASYNC251 - what it looks for
        await asyncio.sleep(0.1)
        stall.stop()
        stall.stop()
        assert caplog.text.count("for more than 0.05 s; await what takes long") == 1
        caplog.clear()
    time.sleep(0.3)  # noqa: ASYNC251
    await asyncio.sleep(0.1)
    assert caplog.text == ""
