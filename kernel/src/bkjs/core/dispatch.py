"""Calling hooks: plugin by plugin in their order, each failure with the name of whose it is."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from bkjs.errors import PluginError

from .life import Life, settle
from .plugin import Blame, Impl, Plugin, declared
from .plugins import Plugins

START_DEADLINE = 30.0
"""Seconds that one implementation may take to start."""
STOP_DEADLINE = 10.0
"""Seconds that one implementation may take to shut down."""


class Hooks:
    """`app.hooks`: the ways to call the implementations of a hook."""

    def __init__(self, plugins: Plugins) -> None:
        self.lenient = False
        """Go on without a plugin that fails to start, unless it was asked for: for commands."""
        self._plugins = plugins
        self._lives: list[Life] = []
        self._trace = bool(os.environ.get("BKJS_TRACE_HOOKS"))

    def implements(self, hook: str) -> bool:
        """Whether any loaded plugin implements the hook."""
        return bool(self._plugins.implementations(hook))

    def collect(self, hook: str) -> list[tuple[Plugin, Any]]:
        """Declarations of all plugins, with whose each is; one that fails is taken out."""
        found = []
        for impl in self._plugins.implementations(hook):
            try:
                with Blame(impl.plugin, hook):
                    value = declared(hook, impl.function)
            except PluginError as error:
                self._plugins.take_out(impl.plugin, error)
                continue
            if value is not None:
                found.append((impl.plugin, value))
        return [(plugin, value) for plugin, value in found if plugin.state == "loaded"]

    async def run(self, hook: str, **arguments: Any) -> None:
        """Call in order; the first failure stops. Started generators are closed by `close`.

        A command goes on without a plugin that fails, unless it was asked for.
        """
        for impl in self._plugins.implementations(hook):
            if impl.plugin.state != "loaded":
                continue
            try:
                with Blame(impl.plugin, hook):
                    result = await self._call(impl, hook, arguments)
            except PluginError as error:
                if not self.lenient:
                    raise
                self._plugins.take_out(impl.plugin, error)
                continue
            if isinstance(result, Life):
                self._lives.append(result)

    async def first(self, hook: str, **arguments: Any) -> Any:
        """The first answer that is not None; a BkError is how one denies, it passes as it is."""
        for impl in self._plugins.implementations(hook):
            with Blame(impl.plugin, hook, may_deny=True):
                answer = await self._call(impl, hook, arguments)
            if answer is not None:
                return answer
        return None

    async def notify(self, hook: str, **arguments: Any) -> dict[str, Any]:
        """Call all; failures are logged and stop nobody. Answers by plugin name."""
        answers = {}
        for impl in self._plugins.implementations(hook):
            try:
                with Blame(impl.plugin, hook):
                    answers[impl.plugin.name] = await self._call(impl, hook, arguments)
            except PluginError as error:
                self._plugins.failed("", error)
        return answers

    async def _call(self, impl: Impl, hook: str, arguments: dict[str, Any]) -> Any:
        started = time.perf_counter()
        who = f"{impl.plugin} {hook}"
        result = impl.function(**{n: arguments[n] for n in impl.names if n in arguments})
        result = await settle(result, who, START_DEADLINE, self._plugins.failed)
        if self._trace:
            elapsed = (time.perf_counter() - started) * 1000
            print(
                f"hook {hook} {impl.plugin.name} {elapsed:.1f} ms {type(result).__name__}",
                file=sys.stderr,
            )
        return result

    async def close(self) -> None:
        """Run the shutdowns in reverse order, each with a deadline."""
        while self._lives:
            life = self._lives.pop()
            try:
                await life.close(STOP_DEADLINE)
            except Exception as error:
                self._plugins.failed(f"{life.who} shutdown", error)
