"""The boot of a process: which plugins it has, what it does when one fails, how it ends."""

from __future__ import annotations

import asyncio
import json
import types
from pathlib import Path
from typing import Any

import pytest

from bkjs import Param, hookimpl
from bkjs import log as logs
from bkjs.core.kernel import Kernel
from bkjs.core.services import AppKey, Services
from bkjs.errors import PluginError, StartError

FAILS = "from bkjs import hookimpl\n@hookimpl\ndef configure(app): 1 / 0\n"


class Bare(Kernel):
    """A kernel without services: only what it loads by itself."""

    specs, builtins = "bkjs.hookspecs", {}


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """Makes a kernel with the home of the test; without modules those of its patterns."""
    monkeypatch.delenv("BKJS_ARGS", raising=False)

    def make(*argv: str, **options: Any) -> Kernel:
        given = ["-home", str(tmp_path), *argv]
        return Bare(argv=given, **options)

    return make


def module(name: str, **hooks: Any) -> types.ModuleType:
    made = types.ModuleType(name)
    for hook, function in hooks.items():
        setattr(made, hook, hookimpl(function))
    return made


def file(home: Path, name: str, text: str) -> None:
    (home / "modules").mkdir(exist_ok=True)
    (home / "modules" / f"{name}.py").write_text(text)


def test_two_keys_of_one_name_are_different_keys():
    services, one, two = Services(), AppKey[int]("x"), AppKey[int]("x")
    services[one], services[two] = 1, 2
    assert (services[one], services[two]) == (1, 2)
    with pytest.raises(LookupError, match="no service 'y'"):
        services[AppKey[int]("y")]


async def test_a_start_that_fails_takes_down_what_had_started(kernel):
    seen = []

    async def good(app):
        yield
        seen.append("closed")

    def bad(app):
        raise RuntimeError("no")

    with pytest.raises(PluginError, match=r"'b' .*no"):
        await kernel(modules=[module("a", configure=good), module("b", configure=bad)]).start()
    assert seen == ["closed"]


async def test_a_command_goes_on_without_a_module_that_a_server_does_not_start_without(
    kernel, tmp_path
):
    file(tmp_path, "xy", FAILS)
    with pytest.raises(PluginError, match=r"'xy'.*failed in configure"):
        await kernel("-allow-modules", "^x.$", role="web").start()
    async with kernel("-allow-modules-shell", "^x.$", role="shell") as app:
        assert app.plugins.plugins["bkjs.modules", "xy"].state == "failed"


@pytest.mark.parametrize("role", ["monitor", "watcher", "daemon"])
async def test_who_only_supervises_has_no_modules(kernel, tmp_path, role):
    file(tmp_path, "xy", FAILS)
    async with kernel("-allow-modules", ".", f"-allow-modules-{role}", ".", role=role) as app:
        assert ("bkjs.modules", "xy") not in app.plugins.plugins
    async with kernel(role=role, modules=[module("x", configure=lambda app: 1 / 0)]):
        pass  # nobody is configured


async def test_what_needs_a_restart_does_not_change_once_it_runs(kernel, tmp_path):
    async with kernel(modules=[]) as app:
        (tmp_path / "etc/config").write_text("timeout=5\nport=1\n")
        assert not app.reloaded.is_set()
        assert app.reload() == []
        assert app.reloaded.is_set()
        assert (app.config.core.timeout, app.config.core.port) == (5, 8000)


async def test_nothing_watches_after_the_end(kernel):
    app = kernel(modules=[], watch=True)
    await app.start()
    name = "configuration watcher"
    assert name in {task.get_name() for task in asyncio.all_tasks()}
    await app.close()
    assert name not in {task.get_name() for task in asyncio.all_tasks()}


def test_a_name_in_the_pattern_of_a_role_has_to_be_installed(kernel):
    argv = ("-allow-modules-worker", "^nobody_has_this$")
    with pytest.raises(StartError, match="no module 'nobody_has_this'"):
        kernel(*argv, role="worker").prepare()
    kernel(*argv, role="server").prepare()


def test_a_role_may_deny_what_others_load(kernel, tmp_path):
    file(tmp_path, "xy", "")
    for role, state in (("worker", False), ("web", True)):
        given = ("-allow-modules", "^xy$", "-deny-modules-worker", "y")
        app = kernel(*given, role=role)
        app.prepare()
        assert (("bkjs.modules", "xy") in app.plugins.plugins) is state


def test_the_role_of_the_configuration_wins(kernel):
    app = kernel("-role", "worker", modules=[])
    app.prepare()
    assert app.role == "worker"
    assert not app.hooks.lenient


def test_a_misspelled_parameter_of_a_loaded_module_is_a_problem(kernel):
    plugin = module("bk_acme", args=lambda: [Param("size", "int")])
    (problem,) = kernel("-acme-sise", "3", modules=[plugin]).prepare()
    assert "did you mean 'acme-size'" in str(problem)


def test_a_module_whose_parameters_are_none_is_taken_out(kernel, tmp_path):
    text = "from bkjs import hookimpl\n@hookimpl\ndef args(): return [1]\n"
    file(tmp_path, "xy", text)
    app = kernel("-allow-modules-shell", "^x.$")
    assert app.prepare() == []
    plugin = app.plugins.plugins["bkjs.modules", "xy"]
    assert (plugin.state, app.hooks.implements("args")) == ("failed", False)
    assert "1 is not a Param" in plugin.reason


def test_the_console_is_the_only_log_when_it_is_asked_for(kernel, monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(logs, "setup", lambda level, **more: seen.append(more))
    argv = ("-log-file", str(tmp_path / "x.log"), "-syslog")
    kernel(*argv, modules=[]).prepare()
    kernel(*argv, "-console", modules=[]).prepare()
    assert [(more["file"], more["syslog"]) for more in seen] == [
        (tmp_path / "x.log", True),
        (None, False),
    ]


@pytest.mark.parametrize(("role", "early"), [("shell", 1), ("worker", 1), ("web", 0)])
def test_who_listens_keeps_its_rights_until_its_ports_are_open(kernel, monkeypatch, role, early):
    calls = []
    monkeypatch.setattr(Kernel, "drop_privileges", lambda app: calls.append(app.role))
    app = kernel(modules=[], role=role)
    app.prepare()
    app.prepare()  # the second one does nothing
    assert calls == [role] * early


async def test_a_secret_is_masked_where_its_name_does_not_say_so(kernel, tmp_path, caplog):
    params = [Param("pin", secret=True), Param("code", secret=True, live=False)]
    async with kernel(modules=[module("acme", args=lambda: params)]) as app:
        caplog.set_level("INFO", "bkjs.audit")
        (tmp_path / "etc/config").write_text("acme-pin=planted\nacme-code=planted\n")
        app.reload()
        assert (app.config.acme.pin, app.config.acme.code) == ("planted", None)
    assert "acme-code=***: changed; counts after a restart" in caplog.text
    (line,) = [r.getMessage() for r in caplog.records if r.name == "bkjs.audit"]
    assert json.loads(line.partition("{")[1] + line.partition("{")[2])["to"] == "***"
    assert "planted" not in caplog.text
