"""The hook implementations of loaded plugins: checked when they are added, in their order."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import pluggy

from bkjs.errors import StartError
from bkjs.lib.signatures import check_hook, check_unmarked

from .plugin import Impl, Plugin


class _Hooks:
    """The implementations of one plugin, equal to nobody's."""

    def __init__(self, plugin: Plugin, hooks: Mapping[str, Any]) -> None:
        vars(self).update(hooks)
        self.plugin = plugin


class Registry:
    """Who implements which hook; `specs` is the module of the hook specifications."""

    def __init__(self, specs: ModuleType) -> None:
        self._pm = pluggy.PluginManager("bkjs")
        self._pm.add_hookspecs(specs)
        hooks = {n: c for n, c in vars(self._pm.hook).items() if not n.startswith("_")}
        self._gets = {name: caller.spec.argnames for name, caller in hooks.items()}
        self._found: dict[str, tuple[Impl, ...]] = {}

    def add(self, plugin: Plugin) -> None:
        """Take in what a plugin implements: from now on it is loaded.

        Raises what `hooks` does, and TypeError for a priority that is no number.
        """
        hooks = self.hooks(plugin.obj)
        if not isinstance(getattr(plugin.obj, "priority", 0), (int, float)):
            raise TypeError("priority is not a number")
        self._pm.register(_Hooks(plugin, hooks), _key(plugin))
        self._found.clear()
        plugin.hooks, plugin.state, plugin.reason = tuple(sorted(hooks)), "loaded", ""

    def remove(self, plugin: Plugin) -> bool:
        """Forget the plugin of this group and name; whether there was one."""
        if not self._pm.has_plugin(_key(plugin)):
            return False
        self._pm.unregister(name=_key(plugin))
        self._found.clear()
        return True

    def hooks(self, obj: Any) -> dict[str, Any]:
        """The hook implementations of a plugin's object.

        Raises StartError for a hook or an argument that is none, and for one that is not marked.
        They are remembered on the object: a submodule with the name of a hook, such as `driver.py`,
        takes the place of the function in its package once it is imported.
        """
        known: dict[str, Any] | None = vars(obj).get("__bkjs_hooks__")
        if known is not None:
            return known
        found = {}
        for attribute in dir(obj):
            options = self._pm.parse_hookimpl_opts(obj, attribute)
            if options is None:
                check_unmarked(obj, attribute, self._gets)
                continue
            hook = options.get("specname") or attribute
            found[hook] = getattr(obj, attribute)
            check_hook(hook, found[hook], self._gets)
            if options.get("wrapper") or options.get("hookwrapper"):
                raise StartError(
                    f"hook {hook!r}: wrappers are not supported; use one yield in configure_*"
                )
        if isinstance(obj, ModuleType):
            obj.__dict__["__bkjs_hooks__"] = found
        return found

    def implementations(self, hook: str) -> tuple[Impl, ...]:
        """Those of a hook, in the order in which they are called: by priority, then by name."""
        found = self._found.get(hook)
        if found is None:
            impls = [
                Impl(i.plugin.plugin, i.function, (*i.argnames, *i.kwargnames))
                for i in getattr(self._pm.hook, hook).get_hookimpls()
            ]
            impls.sort(key=lambda i: (-getattr(i.plugin.obj, "priority", 0), i.plugin.name))
            found = self._found[hook] = tuple(impls)
        return found


def _key(plugin: Plugin) -> str:
    return f"{plugin.group}/{plugin.name}"
