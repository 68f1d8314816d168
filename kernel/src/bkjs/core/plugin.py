"""One plugin: what is known of it, its hook implementations, and who is to blame when one fails."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pluggy

from bkjs.errors import BkError, PluginError
from bkjs.lib.places import explain

from .entrypoints import EntryPoint

log = logging.getLogger(__name__)

hookimpl = pluggy.HookimplMarker("bkjs")
"""Marks a function as the implementation of the hook that has its name."""


@dataclass(slots=True)
class Plugin:
    """What is known of one plugin, loaded or not."""

    name: str
    group: str = "bkjs.modules"
    package: str = ""
    version: str = ""
    origin: str = ""
    state: str = "installed"
    """installed, loaded, denied or failed"""
    reason: str = ""
    obj: Any = None
    hooks: tuple[str, ...] = ()
    entry: EntryPoint | None = None
    """How an installed one is imported; others lie in the file `origin`, or were given."""
    required: bool = False
    """It was asked for by its name: without it the start fails."""

    def __str__(self) -> str:
        return f"plugin {self.name!r} ({self.package} {self.version})".replace(" )", ")")


@dataclass(slots=True)
class Impl:
    """One plugin's implementation of one hook."""

    plugin: Plugin
    function: Callable[..., Any]
    names: tuple[str, ...]
    """The arguments that it takes."""


_DECLARED: Final = {"args": Sequence, "tables": Mapping, "jobs": Mapping, "commands": Mapping}
"""What the hooks that are collected return."""


def declared(hook: str, function: Callable[..., Any]) -> Any:
    """What a declaring hook returns, of the type that it has to be; raises TypeError."""
    value, wanted = function(), _DECLARED.get(hook, object)
    if not isinstance(value, wanted):
        what = "list" if wanted is Sequence else "dict"
        raise TypeError(f"the hook returned {type(value).__name__}, not a {what}")
    return value


class Blame:
    """A context in which any failure becomes a PluginError that says whose it was, and where.

    `BKJS_DEBUG` has its traceback logged.
    With `may_deny` a BkError is an answer and passes as it is.
    """

    def __init__(self, plugin: Plugin, hook: str, *, may_deny: bool = False) -> None:
        self.plugin, self.hook, self.may_deny = plugin, hook, may_deny

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        from asyncio import CancelledError  # whoever can be cancelled has imported it

        if error is None or isinstance(error, (KeyboardInterrupt, GeneratorExit, CancelledError)):
            return
        if isinstance(error, PluginError) and error.extra.get("plugin"):
            return
        if self.may_deny and isinstance(error, BkError):
            return
        obj, origin = self.plugin.obj, self.plugin.origin
        file = getattr(obj, "__file__", "") or (origin if origin.endswith(".py") else "")
        text = explain(error, file, getattr(obj, self.hook, None))
        if os.environ.get("BKJS_DEBUG"):
            log.error("%s failed in %s", self.plugin, self.hook, exc_info=error)
        raise PluginError(
            f"{self.plugin} failed in {self.hook}: {text}", plugin=self.plugin.name, hook=self.hook
        ) from error
