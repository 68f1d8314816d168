"""What a task may not do: write, while it serves an endpoint that did not say that it writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NoReturn


class ReadOnly(RuntimeError):
    """A write by what is only to read; the text names it and the cure."""


READ_ONLY: ContextVar[str] = ContextVar("why this task may not write", default="")
"""Why this task may not write, "" where it may; tasks that it begins inherit it.

The Web service sets it for each request, in the task that serves it; all that writes asks first.
"""


def refuse_write() -> NoReturn:
    """Raise ReadOnly, for what is not written in a task that may not write."""
    raise ReadOnly(READ_ONLY.get())


@contextmanager
def in_passing() -> Iterator[None]:
    """`with in_passing():` what is noted whatever a request is for: a session, the last access.

    Never what a client could want to have done.
    """
    token = READ_ONLY.set("")
    try:
        yield
    finally:
        READ_ONLY.reset(token)
