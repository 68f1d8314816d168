"""The kernel of an application: its boot sequence, from the command line to configured plugins."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Self

from bkjs import log as logs
from bkjs.config import (
    CORE_PARAMS,
    Config,
    Param,
    Problem,
    configured_folders,
    make_home,
    package_tokens,
)
from bkjs.config.parse import parse_argv, parse_env
from bkjs.errors import ConfigurationError, PluginError, StartError
from bkjs.version import __version__

from . import privileges
from .choice import Choice, singular
from .dispatch import Hooks
from .identity import app_identity
from .keys import Keys
from .plugin import Blame, Plugin
from .plugins import Plugins
from .services import Services

log = logging.getLogger(__name__)

BARE_ROLES = ("monitor", "watcher", "daemon")
"""Roles that only supervise: no modules, no databases."""

SERVICE_DIRS = ("spool", "log", "tmp", "files", "images")
"""What a process writes to when it has given up the rights of root."""


class Kernel(Services):
    """One process of the platform: configuration, keys, plugins and their life.

    It knows no service: `App` says which there are.
    """

    specs: str
    """The module of the hook specifications, by name: it is typed by all that is above here."""
    builtins: ClassVar[Mapping[str, str]]
    """The services of the platform by name, as modules: plugins that are always there."""

    def __init__(
        self,
        *,
        role: str = "shell",
        argv: Sequence[str] = (),
        modules: Sequence[Any] | None = None,
        watch: bool = False,
    ) -> None:
        super().__init__()
        self.role = role
        self.argv = list(argv)
        self.modules = modules
        self.version = __version__
        self.config: Config = Config(self)
        self.plugins = Plugins(import_module(self.specs))
        self.hooks = Hooks(self.plugins)
        self.reloaded = asyncio.Event()
        """Set whenever the configuration files were read again: other sources may be, too."""
        self._watch = watch
        self._watcher: asyncio.Task[None] | None = None
        self._prepared: list[Problem] | None = None

    # -- configuration and plugins, no event loop needed --------------------------------------

    def prepare(self) -> list[Problem]:
        """Read the configuration and load the plugins; the problems found, nothing is opened."""
        if self._prepared is not None:
            return self._prepared
        config = self.config
        config.declare("core", CORE_PARAMS)
        config.set_source("environment", parse_env(os.environ.get("BKJS_ARGS", "")))
        config.set_source("command line", parse_argv(self.argv))
        config.resolve(early=True)
        for source, tokens in config.read_files().items():
            config.set_source(source, tokens)
        config.resolve(early=True)
        if config.core.allow_packages:
            config.set_source("packages", package_tokens(config.core.allow_packages))
            config.resolve(early=True)
        core = config.core
        self.role = core.role or self.role
        self.hooks.lenient = self.role == "shell"
        privileges.set_umask(core.umask)
        make_home(config)
        self.home, etc = Path(core.home), Path(core.path["etc"])
        self.keys = Keys(etc / "keys")
        if core.force_uid:
            self.drop_privileges()
        self._set_up_log()
        folders = [self.home, etc.parent, *([Path(core.app).parent] if core.app else [])]
        name, self.app_version, self.descr = app_identity(core.app_name, core.app_package, folders)
        self.name = name or "bkjs"
        self._load_plugins()
        if self.role in ("shell", "worker"):
            self.drop_privileges()
        self._prepared = config.resolve()
        return self._prepared

    def drop_privileges(self) -> None:
        """Become the user that `uid` names, if root has started the process.

        Roles that listen do so after their ports are open. Raises StartError when it is impossible.
        """
        core = self.config.core
        if os.name != "posix" or os.geteuid() != 0:
            return
        try:
            user = privileges.find_user(core.uid, core.gid)
            if user:
                self.keys.folder.mkdir(mode=0o700, exist_ok=True)
                own = [self.keys.folder, *(Path(core.path[name]) for name in SERVICE_DIRS)]
                read = [folder for _, folder in configured_folders(self.config)]
                privileges.run_as(user, self.home, own, read, (os.__file__, __file__))
        except (OSError, ValueError) as error:
            raise StartError(f"cannot run as another user: {error}") from error

    def _set_up_log(self) -> None:
        core = self.config.core
        file = Path(core.log_file) if core.log_file and not core.console else None
        syslog = bool(core.syslog) and not core.console
        try:
            logs.setup(
                core.log, file=file, syslog=syslog, labels=core.log_filter or "",
                developing=core.run_mode == "development",
            )  # fmt: skip
        except OSError as error:
            raise StartError(f"log-file {file}: {error.strerror}") from error

    def _load_plugins(self) -> None:
        core, plugins = self.config.core, self.plugins
        plugins.discover()
        for name, module in self.builtins.items():
            plugins.register_builtin(name, module)
        if self.modules is not None:
            for module in self.modules:
                if isinstance(module, str):
                    plugins.load_named(module)
                else:
                    plugins.register(module)
        elif self.role not in BARE_ROLES and not core.no_modules:
            folders = [Path(p) for p in core.path.get("modules", ())]
            plugins.load_modules(self.choice(), [f for f in folders if f.is_dir()])
        if core.app:
            plugins.load_file(Path(core.app), name="app")
        plugins.check_requires()
        for plugin, params in self.hooks.collect("args"):
            try:
                self.declare(plugin, params)
            except PluginError as error:
                plugins.take_out(plugin, error)
        unread = [
            p
            for plugin in plugins.plugins.values()
            if plugin.state != "loaded"
            for p in _prefixes(plugin)
        ]
        if not core.app and self.role == "shell":
            unread.append("app")  # a file may serve an application that this command knows not
        self.config.declared.unread = tuple(unread)

    def declare(self, plugin: Plugin, params: Sequence[Param]) -> None:
        """Make a plugin's parameters known; drivers come here when they are first used."""
        with Blame(plugin, "args"):
            self.config.declare(_owner(plugin), params, _prefixes(plugin))

    def choice(self) -> Choice:
        """Which modules this role loads."""
        core = self.config.core
        allow, deny = (
            str(getattr(patterns.get(self.role, patterns.get("")), "pattern", ""))
            for patterns in (core.allow_modules, core.deny_modules)
        )
        given = map(self.config.is_set, ("allow-modules", f"allow-modules-{self.role}"))
        return Choice(allow, deny, default=not any(given))

    # -- life --------------------------------------------------------------------------------

    async def start(self) -> None:
        """Boot: after this databases are open and every plugin is configured.

        Raises StartError when the configuration is wrong or a plugin fails; what had started by
        then is taken down again.
        """
        problems = self.prepare()
        if problems:
            raise ConfigurationError(problems)
        try:
            if self.role not in BARE_ROLES and not self.config.core.no_configure:
                await self.hooks.run("configure", app=self)
                await self.hooks.run("configure_module", app=self)
            if self.role in ("monitor", "master", "server", "worker", "shell"):
                await self.hooks.run(f"configure_{self.role}", app=self)
            self.config.running = True
            if self._watch:
                self._watcher = asyncio.create_task(
                    self.config.watch(self.reload), name="configuration watcher"
                )
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Take everything down in the reverse order; failures are logged and stop nothing."""
        if self._watcher:
            self._watcher.cancel()
            await asyncio.wait([self._watcher])
            self._watcher = None
        await self.hooks.close()

    def reload(self) -> list[Problem]:
        """Read the configuration files again; a file with an error is refused whole."""
        problems = self.config.reload()
        if not problems:
            try:
                self._set_up_log()
            except StartError as error:  # the log stays where it was
                log.error("%s", error.message)
        self.reloaded.set()
        return problems

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


def _owner(plugin: Plugin) -> str:
    """The name of a plugin's settings: `accounts` of `bk_accounts`, or what its `settings` says."""
    named = getattr(plugin.obj, "settings", "")
    return str(named) or plugin.name.removeprefix("bk_")


def _prefixes(plugin: Plugin) -> tuple[str, ...]:
    """How parameters of a plugin may begin."""
    if plugin.group == "bkjs":
        return (_owner(plugin),)
    if plugin.group == "bkjs.modules":
        base = {plugin.name, singular(plugin.name), _owner(plugin)}
        names = base | {singular(n) for n in base} | {n.removeprefix("bk_") for n in base}
        names |= {n.replace("_", "-") for n in names}
        first = _owner(plugin).replace("_", "-")
        return (first, *sorted(names - {first}))
    return (f"{plugin.group.removeprefix('bkjs.')}-{plugin.name}",)
