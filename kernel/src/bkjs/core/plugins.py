"""The plugin host: finds plugins, chooses, loads and orders them, takes out what fails."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from bkjs.errors import PluginError, StartError
from bkjs.lib.text import near
from bkjs.version import __version__

from . import entrypoints
from .choice import Choice, singular
from .plugin import Blame, Plugin, declared
from .registry import Registry
from .versions import satisfies

log = logging.getLogger(__name__)


class Plugins:
    """All plugins of one application."""

    def __init__(self, specs: ModuleType) -> None:
        """`specs` is the module of the hook specifications."""
        self.plugins: dict[tuple[str, str], Plugin] = {}
        """By group and name, whatever their state."""
        self.problems: list[str] = []
        """What went wrong without stopping the process."""
        self._registry = Registry(specs)
        self.implementations = self._registry.implementations
        """`implementations(hook)`: those of loaded plugins, in the order to call them."""

    # -- what is installed -------------------------------------------------------------------

    def discover(self) -> None:
        """Note every installed plugin; nothing is imported."""
        found, clashes = entrypoints.by_name(entrypoints.scan())
        for key, e in found.items():
            plugin = Plugin(e.name, e.group, e.package, e.version, e.value, entry=e)
            self.plugins.setdefault(key, plugin)
        for key, reason in clashes.items():
            self._give_up(self.plugins[key], PluginError(reason))

    def mismatch(self, plugin: Plugin) -> str:
        """What is wrong when the plugin's package asks for another version of `bkjs`."""
        wanted = entrypoints.requirement(plugin.entry) if plugin.entry else ""
        good = satisfies(__version__, wanted)
        return "" if good else f"needs bkjs{wanted}, found bkjs {__version__}"

    # -- loading ------------------------------------------------------------------------------

    def load_modules(self, choice: Choice, folders: Iterable[Path] = ()) -> None:
        """Import the chosen modules: installed ones, then the files of each folder."""
        exact = choice.exact()
        for (group, name), plugin in sorted(self.plugins.items()):
            if group != "bkjs.modules" or plugin.state == "loaded":
                continue
            if reason := choice.refusal(name):
                if plugin.state == "installed":
                    plugin.state, plugin.reason = "denied", reason
                continue
            self._load_one(plugin, required=name in exact or singular(name) in exact)
        files = [file for folder in folders for file in sorted(folder.glob("[!_]*.py"))]
        for file in files:
            if not choice.refusal(file.stem):
                self.load_file(file, required=file.stem in exact)
        if not choice.default:
            loaded = {p.name for p in self.plugins.values() if p.state == "loaded"}
            known = [p.name for p in self.plugins.values() if p.group == "bkjs.modules"]
            known += [file.stem for file in files]  # also those that are denied
            for name in sorted(exact - loaded - {singular(n) for n in loaded}):
                if name.rstrip("_") not in known and not any(n.startswith(name) for n in known):
                    raise StartError(
                        f"allow-modules: no module {name!r} is installed{near(name, known)}"
                    )

    def load_named(self, name: str) -> None:
        """Load an installed module by its exact name."""
        plugin = self.plugins.get(("bkjs.modules", name))
        if plugin is None:
            known = [p.name for p in self.plugins.values() if p.group == "bkjs.modules"]
            raise StartError(f"no module {name!r} is installed{near(name, known)}")
        if plugin.state != "loaded":
            self._load_one(plugin, required=True)

    def load_file(self, file: Path, *, name: str = "", required: bool = True) -> None:
        """Load a plugin from a Python file; its name is the file's unless given.

        Raises PluginError for one with a name of its own, that of an application, without any hook.
        """
        plugin = Plugin(name or file.stem, package=str(file), origin=str(file))
        self._put(plugin)
        self._load_one(plugin, required=required)
        if name and not plugin.hooks:
            raise PluginError(f"{plugin}: no function in it has @hookimpl, so it does nothing")

    def _load_one(self, plugin: Plugin, *, required: bool) -> None:
        plugin.required = required
        try:
            with Blame(plugin, "load"):
                if plugin.state == "failed":
                    raise PluginError(plugin.reason, plugin=plugin.name)
                plugin.obj = self._import(plugin)
                self._registry.add(plugin)
        except PluginError as error:
            self._give_up(plugin, error)

    def _import(self, plugin: Plugin) -> Any:
        if plugin.entry is None:
            return _import_file(Path(plugin.origin), plugin.name)
        if mismatch := self.mismatch(plugin):
            raise StartError(mismatch)
        module, _, attribute = plugin.entry.value.partition(":")
        found = importlib.import_module(module)
        return getattr(found, attribute) if attribute else found

    def register_builtin(self, name: str, module: str) -> None:
        """Add one of the kernel's own services: the same registration as for everyone."""
        plugin = Plugin(name, "bkjs", "bkjs", __version__, module, required=True)
        self.plugins[(plugin.group, name)] = plugin
        with Blame(plugin, "load"):
            plugin.obj = importlib.import_module(module)
            self._registry.add(plugin)

    def register(self, obj: Any, package: str = "") -> Plugin:
        """Add a plugin object; raises PluginError when its hooks are not those of the platform.

        A module that is installed keeps the name and the package that its entry point says.
        """
        module = getattr(obj, "__name__", type(obj).__name__)
        installed = (p for (group, _), p in self.plugins.items() if group == "bkjs.modules")
        plugin = next((p for p in installed if p.origin == module), None)
        if plugin is None:
            name = getattr(obj, "name", "") or module.rpartition(".")[2]
            plugin = Plugin(name, package=package or module)
        plugin.obj, plugin.required = obj, True
        self._put(plugin)
        with Blame(plugin, "load"):
            self._registry.add(plugin)
        return plugin

    def _put(self, plugin: Plugin) -> None:
        """Note a plugin; a loaded one of the same name makes way for it."""
        if self._registry.remove(plugin):
            log.info("%s takes the place of the installed one", plugin)
        self.plugins[plugin.group, plugin.name] = plugin

    # -- drivers and tables, when they are asked for -------------------------------------------

    def driver(self, kind: str, scheme: str) -> type:
        """The class of an installed driver, imported now; StartError says what to install."""
        group = f"bkjs.{kind}"
        plugin = self.plugins.get((group, scheme))
        if plugin is None:
            known = [p.name for p in self.plugins.values() if p.group == group]
            text = f"no {kind} driver {scheme!r}{near(scheme, known)}"
            raise StartError(f"{text}; if there is one: pip install bkjs-{kind}-{scheme}")
        if plugin.state != "loaded":
            self._load_one(plugin, required=True)
        hook = self._registry.hooks(plugin.obj).get("driver")
        if hook is None:
            there = isinstance(getattr(plugin.obj, "driver", None), ModuleType)
            why = "; its module driver.py took the place of it: give that another name"
            raise PluginError(f"{plugin} has no driver() hook{why if there else ''}")
        with Blame(plugin, "driver"):
            found: type = hook()
        return found

    def unselected_tables(self, deny: re.Pattern[str] | None = None) -> list[tuple[Plugin, Any]]:
        """Tables of installed modules that this role does not load, for creating them all.

        A module that cannot be imported is logged; one that is denied is never imported.
        """
        found = []
        for (group, name), plugin in sorted(self.plugins.items()):
            if group != "bkjs.modules" or plugin.state != "denied":
                continue
            if deny and deny.search(name):
                continue
            try:
                with Blame(plugin, "tables"):
                    obj = self._import(plugin)
                    hook = self._registry.hooks(obj).get("tables")
                    if hook and (tables := declared("tables", hook)):
                        found.append((plugin, tables))
            except PluginError as error:
                self.failed("", error)
        return found

    # -- taking out ---------------------------------------------------------------------------

    def check_requires(self) -> None:
        """Take out modules that need one that is not loaded, until all have what they need."""
        while unmet := next(self._unmet(), None):
            plugin, need = unmet
            text = f"{plugin} needs {need!r}, which is not installed or not allowed"
            self.take_out(plugin, PluginError(text, plugin=plugin.name))

    def _unmet(self) -> Iterator[tuple[Plugin, str]]:
        loaded = [p for p in self.plugins.values() if p.state == "loaded"]
        names = {p.name for p in loaded}
        for plugin in loaded:
            requires = getattr(plugin.obj, "requires", ())
            for need in (requires,) if isinstance(requires, str) else requires:
                if need not in names:
                    yield plugin, need

    def take_out(self, plugin: Plugin, error: PluginError) -> None:
        """Go on without a plugin that failed, and without those that need it.

        Raises `error` when the plugin has to be there.
        """
        self._give_up(plugin, error)
        self._registry.remove(plugin)
        self.check_requires()

    def _give_up(self, plugin: Plugin, error: PluginError) -> None:
        plugin.state, plugin.reason = "failed", error.message
        if plugin.required:
            raise error
        self.failed("", error)

    def failed(self, who: str, error: BaseException) -> None:
        """Note a failure that does not stop the process: it is logged and listed."""
        message = f"{who}: {type(error).__name__}: {error}" if who else str(error)
        self.problems.append(message)
        log.error("%s", message)


def _import_file(file: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"bkjs_file_{name}", file)
    if not file.is_file():
        raise StartError(f"no such file: {file}")
    if spec is None or spec.loader is None:
        raise StartError(f"{file} is no Python file; its name ends with .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    if (folder := str(file.resolve().parent)) not in sys.path:
        sys.path.insert(0, folder)  # as Python does for a program: files beside it can be imported
    spec.loader.exec_module(module)
    return module
