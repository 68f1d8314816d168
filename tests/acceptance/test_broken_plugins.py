"""A third party's broken plugin is named, and never takes the command line or others down."""

from __future__ import annotations

import inspect
import json
import logging
import sys

import pytest

from bkjs.core import hookspecs
from bkjs.core.app import App
from bkjs.core.errors import BkError
from bkjs.testing.process import run
from tests.strangers import install

BROKEN = {
    "import raises": {"code": "1 / 0", "says": "ZeroDivisionError"},
    "import exits": {"code": "raise SystemExit(3)", "says": "SystemExit"},
    "syntax": {"code": "def", "says": "SyntaxError"},
    "client missing": {"code": "import acme_client", "says": "'acme_client' is missing"},
    "module missing": {"code": None, "says": "'acme_broken' is missing"},
    "object missing": {"code": "", "value": "acme_broken:plugin", "says": "plugin"},
    "unknown hook": {
        "code": "from bkjs import hookimpl\n@hookimpl\ndef configure_wep(app): ...",
        "says": "did you mean 'configure_web'?",
    },
    "unknown argument": {
        "code": "from bkjs import hookimpl\n@hookimpl\ndef configure(ap): ...",
        "says": "ap",
    },
    "other kernel": {"code": "", "requires": "bkjs>=9", "says": "needs bkjs>=9, found bkjs 0."},
}
WHO = "plugin 'acme_broken' (acme-broken 1.2.0)"


@pytest.fixture(params=BROKEN)
def broken(request, tmp_path):
    case = dict(BROKEN[request.param])
    says = case.pop("says")
    code = case.pop("code")
    env = install(tmp_path / "site", "acme-broken", code, entry="acme_broken", **case)
    return env, says


@pytest.mark.process
def test_broken_plugin_is_listed_with_the_reason_and_the_others_load(broken, tmp_path):
    env, says = broken
    done = run(tmp_path, "plugins", "-json", "-allow-modules", ".", env=env)
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert rows["acme_broken"]["state"] == "failed"
    assert rows["acme_broken"]["reason"].startswith(WHO)
    assert says in rows["acme_broken"]["reason"]
    assert rows["bk_accounts"]["state"] == "loaded"
    assert "Traceback" not in done.stderr
    assert done.returncode == 0


@pytest.mark.process
def test_module_asked_for_by_its_exact_name_must_load(broken, tmp_path):
    env, says = broken
    done = run(tmp_path, "plugins", "-allow-modules", "^acme_broken$", env=env)
    assert done.returncode == 1
    assert WHO in done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.process
def test_broken_command_is_named_and_leaves_the_others_alone(tmp_path):
    env = install(tmp_path, "acme-broken", "1 / 0", entry="greet", group="bkjs.commands")
    done = run(tmp_path / "home", "greet", env=env)
    assert done.returncode == 1
    assert "command 'greet' of acme-broken 1.2.0 cannot be loaded: ZeroDivisionError" in done.stderr
    assert run(tmp_path / "home", "plugins", env=env).returncode == 0


@pytest.mark.process
def test_two_packages_with_one_name_are_refused_by_name(tmp_path):
    install(tmp_path, "acme-one", "", entry="acme")
    env = install(tmp_path, "acme-two", "", entry="acme")
    done = run(tmp_path / "home", "plugins", env=env)
    assert done.returncode == 1
    assert "'acme'" in done.stderr
    assert "acme-one and acme-two; uninstall one of them" in done.stderr


HOOKS = sorted(
    name
    for name, function in inspect.getmembers(hookspecs, inspect.isfunction)
    if function.__module__ == hookspecs.__name__
)
DECLARATIONS = {"args", "tables", "jobs", "commands"}
QUESTIONS = {"authenticate", "authorize"}
OBSERVERS = {"event", "status", *(hook for hook in HOOKS if hook.startswith("account_"))}


def raising(hook: str) -> str:
    arguments = ", ".join(inspect.signature(getattr(hookspecs, hook)).parameters)
    return (
        "from bkjs import hookimpl\n"
        "@hookimpl\n"
        f"def {hook}({arguments}):\n"
        "    raise ValueError('out of order')\n"
    )


async def call(app: App, hook: str) -> None:
    """Load the plugins, then call a hook the way its kind is called."""
    app.prepare()
    arguments = dict.fromkeys(inspect.signature(getattr(hookspecs, hook)).parameters)
    if hook == "driver":
        app.plugins.driver("db", "acme")
    elif hook in DECLARATIONS:
        app.plugins.collect(hook)
    elif hook in QUESTIONS:
        await app.plugins.first(hook, **arguments)
    else:
        await app.plugins.run(hook, **arguments)


@pytest.mark.parametrize("hook", [h for h in HOOKS if h not in OBSERVERS])
async def test_failure_in_a_hook_names_plugin_package_version_and_hook(hook, tmp_path, monkeypatch):
    kind = {"entry": "acme", "group": "bkjs.db"} if hook == "driver" else {"entry": "acme_broken"}
    install(tmp_path / "site", "acme-broken", raising(hook), **kind)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.delitem(sys.modules, "acme_broken", raising=False)
    app = App(
        argv=["-home", str(tmp_path / "home")],
        modules=[] if hook == "driver" else ["acme_broken"],
    )
    with pytest.raises(BkError) as caught:
        await call(app, hook)
    name = kind["entry"]
    text = f"plugin '{name}' (acme-broken 1.2.0) failed in {hook}: ValueError: out of order"
    assert caught.value.message == text
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize("hook", sorted(OBSERVERS))
async def test_failing_observer_is_logged_and_stops_nobody(hook, tmp_path, monkeypatch, caplog):
    install(tmp_path / "site", "acme-broken", raising(hook), entry="acme_broken")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.delitem(sys.modules, "acme_broken", raising=False)
    app = App(argv=["-home", str(tmp_path / "home"), "-log", ""], modules=["acme_broken"])
    app.prepare()
    caplog.set_level(logging.ERROR)
    arguments = dict.fromkeys(inspect.signature(getattr(hookspecs, hook)).parameters)
    assert await app.plugins.notify(hook, **arguments) == {}
    assert f"{WHO} failed in {hook}: ValueError: out of order" in caplog.text
